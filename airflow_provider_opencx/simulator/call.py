"""A request for one operation, as faults and handlers see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from airflow_provider_opencx.simulator.json_values import Json, read_json, write_json
from airflow_provider_opencx.simulator.list_view import ListView


def bearer_key(authorization: str) -> str:
    """Return the key in the value of an ``Authorization`` header; empty if there is none."""
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True)
class Call:
    """A request for one operation, before authentication and validation.

    :param content_type: the value of the header ``Content-Type``; empty if there is none
    :param views: how a list is shown, one after the other; none is the list as it is
    :param idle_seconds: how long its connection was idle since the response before; None on a new connection
    """

    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    path_parameters: Mapping[str, str]
    authorization: str = field(repr=False)
    body: bytes
    content_type: str = ""
    views: tuple[ListView, ...] = ()
    idle_seconds: float | None = None

    def with_body(self, change: Callable[[Json], Json]) -> Call:
        """Return this request with another body. A body that is not JSON is unchanged.

        :param change: returns the other body, given the body
        """
        try:
            body = read_json(self.body)
        except ValueError:
            return self
        return replace(self, body=write_json(change(body)).encode())

    def with_view(self, view: ListView) -> Call:
        """Return this request, to be handled with another view of the list, after those that it has."""
        return replace(self, views=(*self.views, view))
