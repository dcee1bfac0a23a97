"""Every test runs against an Airflow of its own: nothing of the caller's Airflow is seen or touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from airflow_standalone import connection_json
from debian_packages import find, how_to_get

# Before anything imports Airflow, which reads its settings once.
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="opencx-tests-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__TEST_CONNECTION"] = "Enabled"
os.environ["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] = "False"


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[Path]:
    """The AIRFLOW_HOME of this test session."""
    home = Path(os.environ["AIRFLOW_HOME"])
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_database(airflow_home: Path) -> None:
    """A database in the AIRFLOW_HOME of this test session."""
    airflow = Path(sys.executable).with_name("airflow")
    subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True)
    (airflow_home / "dags").mkdir(exist_ok=True)

    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a base URL and a key behind the default connection, with waits short enough for a test."""

    def connect(base_url: str, api_key: str) -> None:
        from airflow_provider_opencx import writing

        connection = connection_json(base_url, api_key, timeout=5, requests_per_minute=100_000)
        monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection)
        monkeypatch.setattr("httpx_retries.Retry.backoff_strategy", lambda self: 0.01)
        monkeypatch.setattr(writing, "LOOK_AGAIN_AFTER", (0, 0.01, 0.01))

    return connect


@pytest.fixture(scope="session")
def program() -> Callable[[str], Path]:
    """Finds a program that a test drives; without it the test is skipped, and in CI, where nothing is, it fails."""

    def program(name: str) -> Path:
        if found := find(name):
            return found
        if os.environ.get("CI"):
            pytest.fail(how_to_get(name))
        pytest.skip(how_to_get(name))

    return program
