"""The pytest fixture ``opencx_simulator``, there for every project that has this provider installed.

The simulator is imported only where the fixture is used, so that other projects' tests do not pay for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_opencx.simulator import Simulator


@pytest.fixture
def opencx_simulator() -> Iterator[Simulator]:
    """Run a fresh simulator, with the key ``test-key``, in which new agents have their number at once.

    Its address is ``opencx_simulator.url``.
    """
    from airflow_provider_opencx.simulator import Simulator

    with Simulator(api_keys=("test-key",)) as simulator:
        yield simulator
