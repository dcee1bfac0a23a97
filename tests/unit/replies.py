"""A client whose responses a test chooses."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.client.settings import ClientSettings


class Replies(OpenCXClient):
    """A client that gets its responses from a function, and remembers the requests."""

    def __init__(self, respond: Callable[[Request], Response], *, api_key: str = "test-key") -> None:
        super().__init__(ClientSettings("http://127.0.0.1:1", api_key, coordination="process"))
        self.sent: list[Request] = []
        self._respond = respond

    def send_unchecked(self, request: Request) -> Response:
        self.sent.append(request)
        return self._respond(request)
