"""Gives the tests the examples of the documentation, and an Airflow in this process to run them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_examples import examples_folder


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder that holds each example of the pages as a file."""
    return examples_folder()


@pytest.fixture(scope="session")
def read_dag(read_dags: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Parses a file as Airflow does, and returns its one Dag, which has the name of the file."""

    def read(file: Path) -> Any:
        bag = read_dags(file)
        assert bag.import_errors == {}
        assert list(bag.dags) == [file.stem]
        return bag.dags[file.stem]

    return read


@pytest.fixture
def run_dag(store_dag: Callable[[Any], None]) -> Callable[..., Any]:
    """Runs a Dag once, in this process, and returns the Dag run."""

    def run(dag: Any, **conf: object) -> Any:
        store_dag(dag)
        return dag.test(run_conf=conf)

    return run
