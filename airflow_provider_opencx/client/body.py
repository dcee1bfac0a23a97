"""Reads the body of a response within limits of size and time.

httpx limits the wait for each piece alone, so a service that sends a byte now and then would hold its reader for ever.
"""

from __future__ import annotations

import time

import httpx

from airflow_provider_opencx.client.transport import RequestContext
from airflow_provider_opencx.exceptions import OpenCXResponseError

MAX_BODY_BYTES = 32 * 1024 * 1024
"""The largest body that is read, in bytes after decompression."""

BODY_TIMEOUT_FACTOR = 4
"""Upper bound for reading a response body, as a multiple of ``timeout``."""

_BODY = "opencx_body"


def body_of(response: httpx.Response) -> bytes:
    """Return the body that was read, empty if none was."""
    body: bytes = response.extensions.get(_BODY, b"")
    return body


def read_body(response: httpx.Response) -> None:
    """Read the body of a response, once; :func:`body_of` returns it."""
    if _BODY in response.extensions:
        return
    body = _Body(response)
    with RequestContext.of(response.request).reading(response):
        try:
            for chunk in response.iter_bytes():
                body.add(chunk)
        except (OpenCXResponseError, httpx.ReadTimeout):
            response.close()
            raise
    response.extensions[_BODY] = bytes(body.collected)


class _Body:
    """What has been read of a body so far, and the limits for the rest."""

    def __init__(self, response: httpx.Response) -> None:
        self.collected = bytearray()
        self._seconds = BODY_TIMEOUT_FACTOR * response.request.extensions["timeout"]["read"]
        self._deadline = time.monotonic() + self._seconds

    def add(self, chunk: bytes) -> None:
        """Add the next piece.

        :raises httpx.ReadTimeout: if it came too late.
        :raises OpenCXResponseError: if the body is too large.
        """
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout(f"the response began and was not complete after {self._seconds:g} s")
        if len(self.collected) + len(chunk) > MAX_BODY_BYTES:
            raise OpenCXResponseError(f"the service's response is over {MAX_BODY_BYTES >> 20} MiB and was not read.")
        self.collected += chunk
