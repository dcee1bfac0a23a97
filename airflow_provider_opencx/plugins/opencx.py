"""The plugin that adds the page of agents to Airflow's UI.

Every Airflow process loads it, workers and Dag processors among them: it imports nothing of the page itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import conf

from airflow_provider_opencx.plugins.addresses import PREFIX, is_page_on

try:
    from airflow.sdk.plugins_manager import AirflowPlugin
except ImportError:  # before Airflow 3.2
    from airflow.plugins_manager import AirflowPlugin  # type: ignore[assignment]  # the same class, at its old place

NAME = "OpenCX agents"
"""The name of the page in Airflow's UI."""

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class LazyApplication:
    """The page's application, which is built in a thread when the first request for it comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, as ASGI defines it."""
        application = await asyncio.to_thread(self._build) if self._built is None else self._built
        await application(scope, receive, send)

    def _build(self) -> Application:
        with self._lock:
            if self._built is None:
                from airflow_provider_opencx.plugins.application import new_application

                self._built = new_application()
            return self._built


class OpenCXPlugin(AirflowPlugin):
    """The page of agents and sequences: off, unless ``[opencx] agents_page`` is on."""

    name = "opencx"
    fastapi_apps: list[Any] = []  # noqa: RUF012  # declared so by Airflow
    external_views: list[Any] = []  # noqa: RUF012

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Add the page, where it is switched on; Airflow calls this once in each process."""
        is_on = is_page_on()
        cls.fastapi_apps = [{"app": LazyApplication(), "url_prefix": PREFIX, "name": NAME}] if is_on else []
        cls.external_views = [_view()] if is_on else []


def _view() -> dict[str, str]:
    # Without scheme and host, which may be others if a proxy is in front of Airflow.
    path = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    return {
        "name": NAME,
        "href": f"{path}{PREFIX}/",
        "destination": "nav",
        "category": "browse",
        "url_route": "opencx",
    }
