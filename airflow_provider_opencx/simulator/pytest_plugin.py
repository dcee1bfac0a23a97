"""The pytest fixtures ``opencx_simulator`` and ``opencx_default``, for every project that has this provider installed.

The simulator is imported only where a fixture is used, so that other projects' tests do not pay for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_opencx.simulator import Simulator


@pytest.fixture
def opencx_simulator() -> Iterator[Simulator]:
    """Run a new simulator, with the key ``test-key``, in which new agents have their number at once.

    Its address is ``opencx_simulator.url``. It has no rate limit until the test sets
    ``opencx_simulator.requests_per_minute``.
    """
    from airflow_provider_opencx.simulator import Simulator

    with Simulator(api_keys=("test-key",), requests_per_minute=None) as simulator:
        yield simulator


@pytest.fixture
def opencx_default(opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """Run a new simulator behind Airflow's connection ``opencx_default``, and return it.

    The connection lasts as long as the test, and allows calls: ``opencx_default.dialed()`` shows them. Its timeout is 5
    seconds, it has no practical rate limit, and its tasks take turns with those of this process only: what other tests
    have created is not looked for.
    """
    from airflow_provider_opencx.client.locks import forget_intents

    forget_intents()
    connection = {
        "conn_type": "opencx",
        "host": opencx_simulator.url,
        "password": "test-key",
        "extra": {"timeout": 5, "requests_per_minute": 100_000, "coordination": "process", "allow_calls": True},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", json.dumps(connection))
    return opencx_simulator
