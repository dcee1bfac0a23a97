"""The documentation and its examples, and an Airflow in this process to run them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="session")
def docs() -> Path:
    """The folder of the documentation."""
    return DOCS


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
