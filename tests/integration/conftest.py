"""Dags run by a real Airflow in this process, on a database of its own, against a running simulator."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.simulator import Simulator

API_KEY = "ocx_live_integrati0n-s3cret"


@pytest.fixture(scope="session")
def airflow_database(airflow_home: Path) -> None:
    airflow = Path(sys.executable).with_name("airflow")
    subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True)
    (airflow_home / "dags").mkdir(exist_ok=True)

    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture
def simulator(connect: Callable[[str, str], None]) -> Iterator[Simulator]:
    """A simulator behind the default connection."""
    with Simulator(api_keys=(API_KEY,), requests_per_minute=None) as running:
        connect(running.url, API_KEY)
        yield running


@dataclass
class Run:
    """A Dag run that has ended."""

    dag_run: Any

    @property
    def state(self) -> str:
        return str(self.dag_run.state)

    def states(self, task_id: str) -> list[str]:
        instances = [ti for ti in self.dag_run.get_task_instances() if ti.task_id == task_id]
        return [str(ti.state) for ti in sorted(instances, key=lambda ti: ti.map_index)]

    def tries(self, task_id: str) -> int:
        return int(self.dag_run.get_task_instance(task_id).try_number)

    def xcom(self, task_id: str) -> Any:
        """What a task returned, exactly as it lies in the database."""
        return self.xcoms(task_id)[0]

    def xcoms(self, task_id: str) -> list[Any]:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            query = (
                select(XComModel.value)
                .where(XComModel.run_id == self.dag_run.run_id, XComModel.task_id == task_id)
                .where(XComModel.dag_id == self.dag_run.dag_id, XComModel.key == "return_value")
                .order_by(XComModel.map_index)
            )
            return list(session.scalars(query))

    def rendered(self, task_id: str) -> Any:
        from airflow.models.renderedtifields import RenderedTaskInstanceFields
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            return session.scalar(
                select(RenderedTaskInstanceFields.rendered_fields).where(
                    RenderedTaskInstanceFields.run_id == self.dag_run.run_id,
                    RenderedTaskInstanceFields.dag_id == self.dag_run.dag_id,
                    RenderedTaskInstanceFields.task_id == task_id,
                )
            )


@pytest.fixture
def dag(request: pytest.FixtureRequest) -> Any:
    from airflow.sdk import DAG

    name = "".join(character if character.isalnum() else "_" for character in request.node.name)
    return DAG(f"test_{name}"[:200], schedule=None, start_date=datetime(2026, 1, 1))


@pytest.fixture
def run_dag(airflow_database: None, airflow_home: Path, simulator: Simulator) -> Callable[..., Run]:
    def run(dag: Any, conf: Mapping[str, object] | None = None) -> Run:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        bag = DagBag(airflow_home / "dags")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        return Run(dag.test(run_conf=dict(conf or {})))

    return run
