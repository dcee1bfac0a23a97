"""The hook against a running simulator, once through its sync verbs and once through their async twins."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from airflow_standalone import connection_json

from airflow_provider_opencx import procedures
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.simulator import Simulator

API_KEY = "test-key"


@dataclass
class Verbs:
    """The hook's verbs, in one of their two spellings."""

    asynchronous: bool

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def call(*args: object, **kwargs: object) -> Any:
            result = getattr(OpenCXHook(), f"a{verb}" if self.asynchronous else verb)(*args, **kwargs)
            return asyncio.run(result) if inspect.iscoroutine(result) else result

        return call


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def hook(request: pytest.FixtureRequest, connected: Simulator) -> Verbs:
    return Verbs(request.param)


@pytest.fixture
def connected(opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A simulator behind the default connection, with waits short enough for a test."""
    connection = connection_json(opencx_simulator.url, API_KEY, timeout=5, requests_per_minute=100_000)
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection)
    monkeypatch.setattr("httpx_retries.Retry.backoff_strategy", lambda self: 0.01)
    monkeypatch.setattr(procedures, "LOOK_AGAIN_AFTER", (0, 0.01, 0.01))
    return opencx_simulator
