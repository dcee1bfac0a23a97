"""Gives the tests a hook against a running simulator."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.simulator import Simulator


@pytest.fixture
def hook(connected: Simulator) -> OpenCXHook:
    return OpenCXHook()


@pytest.fixture
def connected(opencx_simulator: Simulator, connect: Callable[[str, str], None]) -> Simulator:
    """A simulator behind the default connection."""
    connect(opencx_simulator.url, "test-key")
    return opencx_simulator
