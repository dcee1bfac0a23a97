"""An Airflow for the tests alone, in a directory of its own: yours is neither read nor written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Not the directory of the tests: Airflow runs each Python file in it.
DAGS = Path(__file__).resolve().parent.parent / "dags"

# Before anything imports Airflow, which reads its settings once.
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-tests-")
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
sys.path.insert(0, str(DAGS))


@pytest.fixture(scope="session", autouse=True)
def airflow_database() -> Iterator[None]:
    """Make Airflow's database, and remove everything in the end."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True,
        capture_output=True,
    )
    yield
    shutil.rmtree(os.environ["AIRFLOW_HOME"], ignore_errors=True)
