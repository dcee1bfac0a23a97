"""A record of every request, for tests to read and count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from airflow_provider_opencx.simulator.json_values import Json

_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})


@dataclass
class Record:
    """One request.

    :param operation: its ``operationId``; None if the API has no such method and path
    :param headers: its headers, without those that may hold secrets
    :param body: None if it was not JSON
    :param time: when it arrived, in seconds of the simulator's clock
    :param status: the status of the response; None until there is one, and if the connection was dropped
    :param fault: the class name of the fault that was injected, if any
    """

    operation: str | None
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Json
    time: float
    status: int | None = None
    fault: str | None = None


class Journal:
    """Every request, in the order of arrival."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._lock = Lock()

    def write(self, record: Record) -> Record:
        """Add a request when it arrives; its status is set later."""
        with self._lock:
            self._records.append(record)
        return record

    def records(self) -> list[Record]:
        """Return the requests so far."""
        with self._lock:
            return list(self._records)

    def forget(self) -> None:
        """Remove all requests."""
        with self._lock:
            self._records.clear()


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers without those that may hold secrets, such as the API key."""
    return {name.lower(): value for name, value in headers.items() if name.lower() not in _SECRET_HEADERS}
