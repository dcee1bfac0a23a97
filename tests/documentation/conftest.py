"""The documentation and its examples, and an Airflow in this process to run them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="session")
def docs() -> Path:
    """The folder of the documentation."""
    return DOCS


@pytest.fixture(scope="session")
def airflow_database(airflow_home: Path) -> None:
    """A database in the AIRFLOW_HOME of this test session."""
    airflow = Path(sys.executable).with_name("airflow")
    subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True)
    (airflow_home / "dags").mkdir(exist_ok=True)

    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture
def run_dag(airflow_database: None, airflow_home: Path) -> Callable[..., Any]:
    """Runs a Dag once, in this process, and returns the Dag run."""

    def run(dag: Any, **conf: object) -> Any:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        bag = DagBag(airflow_home / "dags")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        return dag.test(run_conf=conf)

    return run
