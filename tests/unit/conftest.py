"""The hook against a running simulator, once through its sync verbs and once through their async twins."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.simulator import Simulator


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
def connected(opencx_simulator: Simulator, connect: Callable[[str, str], None]) -> Simulator:
    """A simulator behind the default connection."""
    connect(opencx_simulator.url, "test-key")
    return opencx_simulator
