"""What was asked of the simulator, for tests to count and to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from airflow_provider_opencx.simulator.json_values import Json

_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})


@dataclass
class Record:
    """One request. Its headers are those that carry no secret, its body is None if it was not JSON.

    ``status`` is None until it is answered, and for good if the connection was dropped; ``operation`` is None
    where the API has no such operation; ``fault`` is the name of the class of the fault that it met, if any.
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
        """Add a request as it arrives; its status is set when it is answered."""
        with self._lock:
            self._records.append(record)
        return record

    def records(self) -> list[Record]:
        """Return the requests so far."""
        with self._lock:
            return list(self._records)

    def forget(self) -> None:
        """Forget them."""
        with self._lock:
            self._records.clear()


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """Leave out the headers that no journal may hold."""
    return {name.lower(): value for name, value in headers.items() if name.lower() not in _SECRET_HEADERS}
