"""Starts one real Airflow for all system tests: scheduler, triggerer and API server, against a simulator."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from airflow_standalone import EXAMPLE_DAGS, AirflowStandalone, airflow_environment, connection_json, copy_dags

from airflow_provider_opencx.simulator import Simulator

from .held_tasks import Holds
from .statsd import Statsd

SECRET = "s3cret-of-the-system-tests"
API_KEY = f"ocx_live_{SECRET}"
DAGS = Path(__file__).parent / "dags"


@pytest.fixture(scope="session")
def service() -> Iterator[Simulator]:
    """The simulator of the session."""
    with Simulator(api_keys=(API_KEY,), requests_per_minute=None) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def watched_service() -> Iterator[Simulator]:
    """The simulator of a watcher, which polls on when its Dag is paused, and would meet the faults of other tests."""
    with Simulator(api_keys=(API_KEY,), requests_per_minute=None) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def start_over(service: Simulator, forget_creates: Callable[[], None]) -> Callable[[], Simulator]:
    """Returns the simulator sound, without agents and without a past."""

    def start_over() -> Simulator:
        service.heal()
        service.provision_after = "now"
        for agent in service.agents():
            service.remove_agent(str(agent["id"]))
        forget_creates()
        service.forget_requests()
        return service

    return start_over


@pytest.fixture
def simulator(start_over: Callable[[], Simulator]) -> Simulator:
    """The simulator as a test finds it."""
    return start_over()


@pytest.fixture(scope="session")
def connections(service: Simulator, watched_service: Simulator) -> dict[str, str]:
    """Connections that work, and that fail each in a way of its own."""
    return {
        "AIRFLOW_CONN_OPENCX_DEFAULT": connection_json(service.url, API_KEY),
        "AIRFLOW_CONN_OPENCX_WATCHED": connection_json(watched_service.url, API_KEY),
        "AIRFLOW_CONN_OPENCX_REJECTED": connection_json(service.url, f"{API_KEY}-rejected"),
        "AIRFLOW_CONN_OPENCX_UNREACHABLE": connection_json("http://127.0.0.1:1", API_KEY, max_retries=1),
        "AIRFLOW_CONN_OPENCX_BROKEN": connection_json(service.url, f"{API_KEY}\n{SECRET}", timeout="soon"),
    }


@pytest.fixture(scope="session")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Dags folder of the running Airflow: the tests', and the examples without their schedules."""
    folder = tmp_path_factory.mktemp("dags")
    copy_dags(DAGS, EXAMPLE_DAGS, into=folder)
    return folder


@pytest.fixture(scope="session")
def statsd() -> Iterator[Statsd]:
    """The statsd of the running Airflow."""
    with Statsd() as running:
        yield running


@pytest.fixture(scope="session")
def airflow(
    connections: Mapping[str, str],
    statsd: Statsd,
    dags: Path,
    new_database: Callable[[], dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AirflowStandalone]:
    """The running Airflow, which sends metrics."""
    variables = {
        **new_database(),
        **connections,
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(statsd.port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
    }
    with AirflowStandalone(tmp_path_factory.mktemp("airflow"), dags, variables) as running:
        yield running


@pytest.fixture(scope="session")
def holds(airflow: AirflowStandalone) -> Holds:
    """What holds tasks of the running Airflow."""
    return Holds(airflow.home / "holds")


@pytest.fixture(scope="session")
def airflow_command(
    connections: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``airflow ...`` on the command line, with a database of its own and the example Dags."""
    home = tmp_path_factory.mktemp("airflow-command")
    environment = airflow_environment(home, EXAMPLE_DAGS, connections)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [os.fspath(Path(sys.executable).with_name("airflow")), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    assert run("db", "migrate").returncode == 0
    return run
