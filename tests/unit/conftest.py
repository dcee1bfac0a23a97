"""The hook against a running simulator, once through its blocking methods and once through their async variants."""

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
class HookMethods:
    """The hook's methods, blocking or async."""

    asynchronous: bool

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*args: object, **kwargs: object) -> Any:
            result = getattr(OpenCXHook(), f"a{method}" if self.asynchronous else method)(*args, **kwargs)
            return asyncio.run(result) if inspect.iscoroutine(result) else result

        return call


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def hook(request: pytest.FixtureRequest, connected: Simulator) -> HookMethods:
    return HookMethods(request.param)


@pytest.fixture
def connected(opencx_simulator: Simulator, connect: Callable[[str, str], None]) -> Simulator:
    """A simulator behind the default connection."""
    connect(opencx_simulator.url, "test-key")
    return opencx_simulator
