"""The responses of the page: common headers, files, and errors."""

from __future__ import annotations

import json
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXNoSuchOperationError,
    OpenCXNotFoundError,
    OpenCXRateLimitError,
)
from airflow_provider_opencx.plugins.cached_reads import StillReadingError, TooManyReadsError
from airflow_provider_opencx.plugins.connections import NoSuchConnectionError
from airflow_provider_opencx.plugins.rendering import style_hash

_STATUSES: dict[type[Exception], int] = {
    OpenCXArgumentError: 400,
    NoSuchConnectionError: 404,
    StillReadingError: 504,
    TooManyReadsError: 503,
    OpenCXRateLimitError: 503,
    OpenCXNoSuchOperationError: 502,
    OpenCXNotFoundError: 404,
}


def security_headers() -> dict[str, str]:
    """Return the headers of all responses: no script, nothing from elsewhere, nothing kept, framed only by Airflow."""
    policy = (
        "default-src 'none'",
        f"style-src 'sha256-{style_hash()}'",
        "form-action 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


class SecuredApplication:
    """An application whose every response has :func:`security_headers`, errors included.

    :param application: the application.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, as ASGI defines it."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(security_headers())
            await send(message)

        await self._application(scope, receive, send_secured)


def download(text: str, file_name: str) -> Response:
    """Return a file.

    :param text: what is in it.
    :param file_name: its name; the end says what it is.
    """
    media_type = "application/json" if file_name.endswith(".json") else "text/csv; charset=utf-8; header=present"
    disposition = f"attachment; filename*=UTF-8''{quote(f'opencx-{file_name}', safe='', errors='replace')}"
    body = text.encode(errors="backslashreplace")
    return Response(body, media_type=media_type, headers={"Content-Disposition": disposition})


def error_response(status: int, message: str) -> Response:
    """Return an error as Airflow's API does, for what asks for a file."""
    return Response(json.dumps({"detail": message}), status, media_type="application/json")


def failure_status(error: Exception) -> int:
    """Return the status of a response that shows an error; 502 for one of the service, or of the way to it."""
    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 502)
