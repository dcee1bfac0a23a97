"""Tests a task that starts and ends in the triggerer: what Airflow is told, and what it is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from airflow import __version__
from airflow.providers.common.compat.sdk import TaskDeferred, XCom
from airflow.sdk import DAG, Asset, TaskGroup, task

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXAuthenticationPermanentError
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.simulator import Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body
from airflow_provider_opencx.triggers import start
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger

PULLED = "{{ ti.xcom_pull('agent', map_indexes=-1)['id'] }}"


MAJOR_MINOR = tuple(int(part) for part in __version__.split(".")[:2])
RENDERS = MAJOR_MINOR >= (3, 3)
STARTS = RENDERS or MAJOR_MINOR == (3, 0)
where_airflow_renders = pytest.mark.skipif(
    not RENDERS, reason="templates are rendered in the triggerer since Airflow 3.3"
)
where_airflow_starts_tasks = pytest.mark.skipif(
    not STARTS, reason="no task starts in the triggerer of Airflow 3.1 and 3.2; 3.0 and 3.3 start them"
)

InScheduler = Callable[[DAG, str], Any]


def trigger_arguments(task: Any) -> dict[str, Any]:
    """Return the arguments with which the triggerer makes the trigger of a task that the scheduler has."""
    arguments = task.start_trigger_args.trigger_kwargs
    if not RENDERS:
        return arguments
    from airflow.serialization.decoders import smart_decode_trigger_kwargs

    return smart_decode_trigger_kwargs(arguments)


@where_airflow_starts_tasks
@pytest.mark.parametrize(
    "selector",
    [
        {"agent_id": "1"},
        {"agent_name": ["a", "b"]},
        {"agent_name": ("a",)},
        pytest.param({"agent_id": PULLED}, marks=where_airflow_renders),
    ],
)
def test_start_from_trigger_serializes_trigger_arguments(
    selector: dict[str, Any], dag: DAG, in_scheduler: InScheduler
) -> None:
    with dag:
        sensor = OpenCXPhoneNumberSensor(
            task_id="await",
            poke_interval=7,
            timeout=timedelta(hours=1),
            start_from_trigger=True,
            end_from_trigger=True,
            **selector,
        )
    assert sensor.deferrable
    starts = in_scheduler(dag, "await")
    assert starts.start_from_trigger is True
    assert starts.start_trigger_args.timeout == timedelta(hours=1)
    assert starts.start_trigger_args.next_method == "execute_complete"
    trigger = OpenCXPhoneNumberTrigger(**trigger_arguments(starts))
    assert starts.start_trigger_args.trigger_cls == trigger.serialize()[0]
    assert trigger.serialize()[1] == {
        "opencx_conn_id": "opencx_default",
        "agent_id": selector.get("agent_id"),
        "agent_name": list(selector["agent_name"]) if "agent_name" in selector else None,
        "poll_interval": 7.0,
        "end_from_trigger": True,
        "started_by_worker": False,
        "waiting_since": trigger.waiting_since,
        "timeout": 3600.0,
    }


@pytest.mark.skipif(MAJOR_MINOR < (3, 2), reason="triggerers have queues since Airflow 3.2")
def test_deferred_task_keeps_its_queue(dag: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    with dag:
        sensor = OpenCXPhoneNumberSensor(task_id="await", agent_name="a", deferrable=True, queue="eu")
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    instance = SimpleNamespace(task=sensor, dag_id=dag.dag_id, task_id="await", run_id="run")
    defer_task = import_module("airflow.sdk.execution_time.task_runner")._defer_task
    message, _ = defer_task(deferred.value, instance, structlog.get_logger())
    assert message.queue == "eu"


def test_start_from_trigger_is_off_by_default(dag: DAG, in_scheduler: InScheduler) -> None:
    with dag:
        OpenCXPhoneNumberSensor(task_id="await", agent_name="a", deferrable=True)
        OpenCXPhoneNumberSensor.partial(task_id="mapped", end_from_trigger=True).expand(agent_name=["a", "b"])
    for task_id in ("await", "mapped"):
        assert not in_scheduler(dag, task_id).start_from_trigger
        assert in_scheduler(dag, task_id).start_trigger_args is None


def mapped_over(dag: DAG) -> None:
    @task
    def call(agent: dict[str, Any]) -> None: ...

    call.expand(agent=dag.get_task("await").output)


@pytest.mark.parametrize(
    ("arguments", "change", "says"),
    [
        ({"outlets": [Asset("numbers")]}, None, "its outlets"),
        ({"do_xcom_push": False}, None, "do_xcom_push"),
        pytest.param(
            *({"multiple_outputs": True, "agent_name": "a"}, None, "multiple_outputs"),
            marks=pytest.mark.skipif(MAJOR_MINOR == (3, 0), reason="multiple_outputs may hold null since Airflow 3.1"),
        ),
        ({}, mapped_over, "the tasks that are mapped over its result"),
    ],
    ids=["outlets", "no XCom", "multiple_outputs", "mapped over"],
)
def test_end_from_trigger_ends_in_worker_if_needed(
    arguments: dict[str, Any],
    change: Callable[[DAG], None] | None,
    says: str,
    dag: DAG,
    in_scheduler: InScheduler,
    run_dag: Callable[..., Any],
    simulator: Simulator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    simulator.add_agent("a")
    both = {"start_from_trigger": STARTS, "end_from_trigger": True}
    with dag:
        OpenCXPhoneNumberSensor(task_id="await", **{"agent_name": ["a"]} | arguments | both)
        if change is not None:
            change(dag)
    if STARTS:
        assert trigger_arguments(in_scheduler(dag, "await"))["end_from_trigger"] is False
    assert run_dag(dag).state == "success"
    assert f"Ended in a worker, and not in the triggerer, because of {says}." in capsys.readouterr().out


@where_airflow_starts_tasks
def test_start_from_trigger_refuses_task_output(dag: DAG) -> None:
    @task
    def an_id() -> str:
        return "1"

    with dag, pytest.raises(OpenCXArgumentError, match=r"Task 'await': .*does not hand on what another task returns"):
        OpenCXPhoneNumberSensor(task_id="await", agent_id=an_id(), start_from_trigger=True)


PULLS = "in the triggerer, Airflow serves xcom_pull only where map_indexes is given; write .*map_indexes=-1"
MACRO = "the triggerer renders without the Dag's user_defined_macros: {}; write the value itself, take it from params"
FILTER = "the triggerer renders without the Dag's user_defined_filters: {}; write"


@where_airflow_renders
@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ ti.xcom_pull('agent')['id'] }}", PULLS),
        ("{{ task_instance.xcom_pull('agent')['id'] }}", PULLS),
        ("{{ ti.xcom_pull('agent', map_indexes=None)['id'] }}", PULLS),
        ("{{ ti.xcom_pull('agent') or ti.xcom_pull('other', map_indexes=-1) }}", PULLS),
        ("{{ ti.xcom_pull('agent', key='map_indexes') }}", PULLS),
        ("{% set pulled = ti.xcom_pull('agent') %}{{ pulled['id'] }}", PULLS),
        ("{% if ds %}{{ ti.xcom_pull(ti.xcom_pull('agent', map_indexes=-1)) }}{% endif %}", PULLS),
        ("{{ region }}-1", MACRO.format("region")),
        ("{{ of(region) }}", MACRO.format("of, region")),
        ("{% for part in of('a') %}{{ part }}{% endfor %}", MACRO.format("of")),
        ("{{ ds | short }}", FILTER.format("short")),
        ("{{ ds | short if region else '' }}", FILTER.format("short")),
        ("{{ ds | unknown }}", r"the triggerer cannot read the template .*: No filter named 'unknown'; correct it"),
        ("{{ ds", r"the triggerer cannot read the template '\{\{ ds': unexpected end of template"),
        ("{% do of() %}", r"the triggerer cannot read the template .*: Encountered unknown tag 'do'"),
    ],
)
def test_start_from_trigger_refuses_template_that_triggerer_cannot_render(template: str, says: str, dag: DAG) -> None:
    dag.user_defined_macros = {"region": "eu", "of": str}
    dag.user_defined_filters = {"short": str}
    with pytest.raises(OpenCXArgumentError, match=f"^agent_id: {says}.*, or use deferrable=True$"):
        start.check_start(dag, agent_id=["1", template])
    if not says.startswith("the triggerer cannot read"):
        with dag:
            OpenCXPhoneNumberSensor(task_id="await", agent_id=["1", template], deferrable=True)


@where_airflow_renders
@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        (PULLED, "7"),
        ("{{ task_instance.xcom_pull('agent', map_indexes=[-1])['id'] }}", "7"),
        ("{% set pull = ti.xcom_pull %}{{ pull('agent', map_indexes=-1)['id'] }}", "7"),
        ("{{ params.xcom_pull_id }}", "8"),
        ("{# xcom_pull #}a", "a"),
        ("{{ 'ti.xcom_pull()' }}", "ti.xcom_pull()"),
        ("{% set region = 'us' %}{{ region }}", "us"),
        ("{{ params.region }}", "us"),
        ("{{ logical_date | ds_nodash }}", "20260101"),
        ("{{ range(2) | join('-') }}", "0-1"),
        ("plain }} text", "plain }} text"),
    ],
)
def test_start_from_trigger_takes_template_that_triggerer_renders(
    template: str, rendered: str, dag: DAG, in_scheduler: InScheduler
) -> None:
    class Instance:
        def xcom_pull(self, task_ids: str, *, map_indexes: object) -> dict[str, str]:
            return {"id": "7"}

    dag.user_defined_macros = {"region": "eu"}
    dag.user_defined_filters = {"short": str}
    with dag:
        OpenCXPhoneNumberSensor(task_id="await", agent_id=template, start_from_trigger=True)
    trigger = OpenCXPhoneNumberTrigger(**trigger_arguments(in_scheduler(dag, "await")))
    trigger.template_fields = ("agent_id",)
    context: Any = {
        "ti": Instance(),
        "task_instance": Instance(),
        "logical_date": datetime(2026, 1, 1),
        "params": {"xcom_pull_id": "8", "region": "us"},
    }
    trigger.render_template_fields(context)
    assert trigger.serialize()[1]["agent_id"] == rendered


DAG_FILE = """
from airflow.sdk import DAG
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

sensor = {}
dag = DAG("regional", schedule=None, user_defined_macros={{"region": "eu"}})
{}
"""
SENSOR = "OpenCXPhoneNumberSensor(task_id='await', agent_name='{{ region }}', start_from_trigger=True)"


@where_airflow_renders
@pytest.mark.parametrize(
    "file",
    [DAG_FILE.format("None", f"with dag: {SENSOR}"), DAG_FILE.format(SENSOR, "sensor.dag = dag")],
    ids=["made in the Dag", "added to the Dag later"],
)
def test_start_from_trigger_error_is_import_error_of_dag(
    file: str, read_dags: Callable[[Path], Any], tmp_path: Path
) -> None:
    (tmp_path / "regional.py").write_text(file)
    bag = read_dags(tmp_path)
    processor = import_module("airflow.dag_processing.processor")
    stored, errors = processor._serialize_dags(bag, structlog.get_logger())
    (error,) = {**bag.import_errors, **errors}.values()
    assert f"Task 'await': agent_name: {MACRO.format('region')}" in error
    assert not stored


@pytest.mark.filterwarnings("ignore:.*was never mapped")
def test_start_from_trigger_refuses_mapped_task(dag: DAG) -> None:
    starting = {"start_from_trigger": True}
    refused = pytest.raises(OpenCXArgumentError, match=r"Task 'mapped': .*starts no mapped task")
    with dag:
        with refused:
            OpenCXPhoneNumberSensor.partial(task_id="mapped", start_from_trigger=True)
        with refused:
            OpenCXPhoneNumberSensor.partial(task_id="mapped", default_args=starting)
        with TaskGroup("group", default_args=starting), refused:
            OpenCXPhoneNumberSensor.partial(task_id="mapped")
        dag.default_args = starting
        with refused:
            OpenCXPhoneNumberSensor.partial(task_id="mapped")
        OpenCXPhoneNumberSensor.partial(task_id="mapped", start_from_trigger=False).expand(agent_name=["a"])


@where_airflow_starts_tasks
@pytest.mark.parametrize("can_be_deleted", [True, False])
def test_start_from_trigger_failure_deletes_stale_xcom(
    can_be_deleted: bool,
    dag: DAG,
    run_dag: Callable[..., Any],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator.fail("listPhoneAgents", Respond(401, error_body(401, "No")), times=None)
    errors: list[BaseException] = []
    if not can_be_deleted:
        monkeypatch.setattr(XCom, "delete", lambda **_: 1 / 0)
    with dag:
        sensor = OpenCXPhoneNumberSensor(
            task_id="await",
            agent_name="a",
            start_from_trigger=True,
            on_failure_callback=lambda context: errors.append(context["exception"]),
        )
    resume = sensor.resume_execution

    def after_an_earlier_try(next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        context["ti"].xcom_push("return_value", {"id": "of an earlier try"})
        return resume(next_method, next_kwargs, context)

    sensor.resume_execution = after_an_earlier_try  # type: ignore[method-assign]  # puts there what a worker left
    run = run_dag(dag)
    assert run.states("await") == ["failed"]
    assert [type(error) for error in errors] == [OpenCXAuthenticationPermanentError]
    assert run.xcoms("await") == ([] if can_be_deleted else [{"id": "of an earlier try"}])


@pytest.mark.parametrize(
    ("renders", "starts", "says"),
    [(False, True, "renders no template in the triggerer"), (False, False, "cannot start a task in the triggerer")],
    ids=["3.0", "3.1 and 3.2"],
)
def test_start_from_trigger_explains_missing_airflow_support(
    renders: bool, starts: bool, says: str, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "RENDERS", renders)
    monkeypatch.setattr(start, "STARTS", starts)
    with dag:
        if starts:
            OpenCXPhoneNumberSensor(task_id="plain", agent_name="a", start_from_trigger=True)
        with pytest.raises(OpenCXArgumentError, match=f"Task 'await': .*{says}"):
            OpenCXPhoneNumberSensor(task_id="await", agent_name="{{ ds }}", start_from_trigger=True)
        OpenCXPhoneNumberSensor(task_id="ending", agent_name="a", end_from_trigger=True)


def test_start_from_trigger_detects_airflow_support() -> None:
    assert (start.RENDERS, start.STARTS) == (RENDERS, STARTS)
