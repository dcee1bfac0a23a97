"""Runs Dags with a real Airflow in this process, on a database of its own, against a simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from itertools import count
from typing import Any

import pytest
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from airflow_provider_opencx.simulator import Fault, Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body

API_KEY = "ocx_live_integrati0n-s3cret"


@pytest.fixture
def simulator(connect: Callable[[str, str], None]) -> Iterator[Simulator]:
    """A simulator behind the default connection."""
    with Simulator(api_keys=(API_KEY,), requests_per_minute=None) as running:
        connect(running.url, API_KEY)
        yield running


ODD_RESPONSES: dict[str, Fault] = {
    f"{status} {by}": Respond(status, error_body(status, "No") if by == "of the service" else "<html>No</html>")
    for status in (302, 400, 401, 403, 404)
    for by in ("of the service", "of a proxy")
}


@pytest.fixture(params=ODD_RESPONSES)
def odd_response(request: pytest.FixtureRequest) -> Fault:
    """A response that says for good what is so for a moment, or is not so."""
    return ODD_RESPONSES[request.param]


@pytest.fixture
def secrets_backend_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], bool]], None]:
    """Lets Airflow read no connection for a while."""

    def away(is_away: Callable[[int], bool]) -> None:
        """Let the reads fail whose number, from 1, is one of those."""
        numbers = count(1)
        read = EnvironmentVariablesBackend.get_conn_value

        def get_conn_value(backend: Any, conn_id: str, **arguments: Any) -> str | None:
            if is_away(next(numbers)):
                raise ConnectionError("the secrets backend does not respond")
            return read(backend, conn_id, **arguments)

        monkeypatch.setattr(EnvironmentVariablesBackend, "get_conn_value", get_conn_value)

    return away


@pytest.fixture(scope="session")
def in_scheduler(airflow_version: tuple[int, ...]) -> Callable[[Any, str], Any]:
    """Returns a task as the scheduler has it."""
    serialization = import_module("airflow.serialization.serialized_objects")
    kind = serialization.DagSerialization if airflow_version >= (3, 2) else serialization.SerializedDAG
    return lambda dag, task_id: kind.from_dict(kind.to_dict(dag)).get_task(task_id)


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

    def labels(self, task_id: str) -> list[str]:
        """What Airflow's pages call the mapped tasks."""
        return [str(ti.rendered_map_index) for ti in self.dag_run.get_task_instances() if ti.task_id == task_id]

    def tries(self, task_id: str) -> int:
        return int(self.dag_run.get_task_instance(task_id).try_number)

    def xcom(self, task_id: str) -> Any:
        """What a task returned, exactly as it lies in the database."""
        return self.xcoms(task_id)[0]

    def pushed(self, task_id: str) -> dict[str, Any]:
        """What a task that is not mapped has pushed, by the keys, without the links that Airflow pushes for it."""
        return {key: values[0] for key, values in self._values(task_id).items() if not key.startswith("_link_")}

    def link(self, task_id: str, kind: str) -> str:
        """The link of a task that is not mapped, of a class such as ``"OpenCXPhoneAgentLink"``."""
        return str(self._values(task_id)[f"_link_{kind}"][0])

    def xcoms(self, task_id: str) -> list[Any]:
        return self._values(task_id).get("return_value", [])

    def _values(self, task_id: str) -> dict[str, list[Any]]:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            query = (
                select(XComModel.key, XComModel.value)
                .where(XComModel.run_id == self.dag_run.run_id, XComModel.task_id == task_id)
                .where(XComModel.dag_id == self.dag_run.dag_id)
                .order_by(XComModel.map_index)
            )
            values: dict[str, list[Any]] = {}
            for key, value in session.execute(query):
                values.setdefault(key, []).append(value)
            return values

    def rendered(self, task_id: str) -> Any:
        from airflow.models.renderedtifields import RenderedTaskInstanceFields

        return RenderedTaskInstanceFields.get_templated_fields(self.dag_run.get_task_instance(task_id))


@pytest.fixture
def dag(request: pytest.FixtureRequest) -> Any:
    from airflow.sdk import DAG

    name = "".join(character if character.isalnum() else "_" for character in request.node.name)
    return DAG(f"test_{name}"[:200], schedule=None, start_date=datetime(2026, 1, 1))


@pytest.fixture(scope="session", autouse=True)
def one_api_server() -> None:
    """Before Airflow 3.3, ``dag.test()`` builds Airflow's API anew for each task, which takes seconds."""
    supervisor = import_module("airflow.sdk.execution_time.supervisor")
    supervisor.in_process_api_server = cache(supervisor.in_process_api_server)


@pytest.fixture(autouse=True)
def as_in_a_worker(airflow_version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Corrects what ``dag.test()`` does otherwise than a worker, before Airflow 3.3."""
    if airflow_version >= (3, 3):
        return
    task_runner = import_module("airflow.sdk.execution_time.task_runner")
    finalize = task_runner.finalize
    first_reschedule_date = task_runner.RuntimeTaskInstance.get_first_reschedule_date

    def with_exception(ti: Any, state: Any, context: Any, log: Any, error: BaseException | None = None) -> None:
        context["exception"] = error
        finalize(ti, state, context, log, error)

    def as_datetime(ti: Any, context: Any) -> Any:
        date = first_reschedule_date(ti, context)
        return datetime.fromisoformat(date) if isinstance(date, str) else date

    monkeypatch.setattr(task_runner, "finalize", with_exception)
    monkeypatch.setattr(task_runner.RuntimeTaskInstance, "get_first_reschedule_date", as_datetime)


@pytest.fixture(scope="session")
def asset_events() -> Callable[[Any], list[Any]]:
    """Returns the extras of the events of an asset, in the order of the events."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    def asset_events(asset: Any) -> list[Any]:
        with create_session() as session:
            query = select(AssetEvent).join(AssetModel, AssetEvent.asset_id == AssetModel.id)
            query = query.where(AssetModel.name == asset.name).order_by(AssetEvent.id)
            return [event.extra for event in session.scalars(query)]

    return asset_events


@pytest.fixture
def run_dag(store_dag: Callable[[Any], None], simulator: Simulator) -> Callable[..., Run]:
    def run(dag: Any, conf: Mapping[str, object] | None = None) -> Run:
        store_dag(dag)
        return Run(dag.test(run_conf=dict(conf or {})))

    return run
