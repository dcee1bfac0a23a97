"""Runs a task as Airflow does: try after try, each from the beginning, in a process that may be killed."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from airflow.sdk import BaseOperator, RetryAction
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, ExecutorSafeguard, TriggerFailureReason
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    TaskDeferred,
)
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.operators.training import OpenCXSyncTrainingScenariosOperator
from airflow_provider_opencx.retry_policy import opencx_retry_policy
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from fault_campaign.scenario import SecretsOutage, Task
from fault_campaign.stage import Stage, TimeIsUp
from fault_campaign.wire import Killed, Sent, Wire

POKE_INTERVAL = 20.0
SENSOR_TIMEOUT = 300.0

_IN_STAGE_TIME = (
    "airflow.sdk.bases.sensor",
    "airflow_provider_opencx.campaigns.calls",
    "airflow_provider_opencx.campaigns.rate_limited",
    "airflow_provider_opencx.campaigns.sequences.creation",
    "airflow_provider_opencx.campaigns.sequences.reading",
    "airflow_provider_opencx.campaigns.sequences.start",
    "airflow_provider_opencx.client.client",
    "airflow_provider_opencx.client.locks",
    "airflow_provider_opencx.client.once",
    "airflow_provider_opencx.client.retry_after",
    "airflow_provider_opencx.extraction.histories",
    "airflow_provider_opencx.extraction.progress",
    "airflow_provider_opencx.extraction.reading",
    "airflow_provider_opencx.mapped_calls",
    "airflow_provider_opencx.operators.phone_agent",
    "airflow_provider_opencx.operators.sequence",
    "airflow_provider_opencx.reconciliation.creates",
    "airflow_provider_opencx.phone_agents.listing",
    "airflow_provider_opencx.reconciliation.listing",
    "airflow_provider_opencx.reconciliation.items",
    "airflow_provider_opencx.knowledge.scenarios",
    "airflow_provider_opencx.phone_agents.resolution",
    "airflow_provider_opencx.phone_agents.polling",
    "airflow_provider_opencx.reconciliation.progress",
    "airflow_provider_opencx.sensors.waiting",
    "airflow_provider_opencx.simulator.faults.responses",
    "airflow_provider_opencx.task_state",
    "airflow_provider_opencx.transfers.opencx_to_object_storage",
    "airflow_provider_opencx.triggers.phone_number",
    "airflow_provider_opencx.triggers.polling",
    "airflow_provider_opencx.triggers.waiting",
)
"""The modules that pause on the stage, and have its time."""

_PAUSING_ON_STAGE = ("httpx_retries.retry",)
"""The modules that pause on the stage, and have the real time."""


@dataclass
class Attempt:
    """One try of a task.

    :param number: counted from 1.
    :param existing: the agents of the task's name when it began, whatever the service calls them.
    :param seconds: how long it took.
    :param restarts: how often the triggerer in which it waited was killed.
    :param secrets_missed: how often the connection could not be read.
    :param sent: its requests.
    :param result: what it returned; ``None`` if it did not.
    :param error: what it raised; ``None`` if it returned.
    """

    number: int
    existing: list[dict[str, Any]]
    seconds: float = 0.0
    restarts: int = 0
    secrets_missed: int = 0
    sent: list[Sent] = field(default_factory=list)
    result: dict[str, Any] | None = None
    error: BaseException | None = None

    @property
    def is_sound(self) -> bool:
        """Whether all its requests had the response of a sound service, and nothing else stood in its way."""
        disturbed = isinstance(self.error, Killed) or self.restarts > 0 or self.secrets_missed > 0
        return not disturbed and all(sent.fault is None and sent.status is not None for sent in self.sent)


@contextmanager
def time_of(stage: Stage) -> Generator[None]:
    """Let the provider, and what it waits with, sleep and count seconds on a stage, where a pause costs no time."""
    import time

    async def pause(seconds: float) -> None:
        stage.sleep(seconds)

    of_stage = SimpleNamespace(sleep=stage.sleep, monotonic=stage.clock, time=stage.clock)
    real = SimpleNamespace(sleep=stage.sleep, monotonic=time.monotonic, time=time.time)
    loop = SimpleNamespace(**vars(asyncio) | {"sleep": pause})
    with ExitStack() as patches:
        for name in (*_IN_STAGE_TIME, *_PAUSING_ON_STAGE):
            module = importlib.import_module(name)
            if hasattr(module, "time"):
                patches.enter_context(patch.object(module, "time", of_stage if name in _IN_STAGE_TIME else real))
            if hasattr(module, "asyncio"):
                patches.enter_context(patch.object(module, "asyncio", loop))
        yield


_attempt: ContextVar[Attempt] = ContextVar("attempt")
"""The try that a worker is at, also in the threads in which it reads its connection."""


@contextmanager
def secrets_of(stage: Stage, outage: SecretsOutage, counted: Counter[str]) -> Generator[None]:
    """Let the connection be missing for some time, as Airflow has it where a secrets backend does not respond."""
    read = EnvironmentVariablesBackend.get_conn_value

    def read_or_miss(backend: EnvironmentVariablesBackend, conn_id: str, team_name: str | None = None) -> str | None:
        if not outage.begins_at <= stage.now < outage.ends_at:
            return read(backend, conn_id, team_name)
        counted["secrets backend away"] += 1
        _attempt.get().secrets_missed += 1
        return None

    with patch.object(EnvironmentVariablesBackend, "get_conn_value", read_or_miss):
        yield


def begin_attempt(attempt: Attempt) -> None:
    """Note which try this worker is at."""
    _attempt.set(attempt)


def retry_delay(error: BaseException | None, number: int, retries: int, delay: float) -> float | None:
    """Return the seconds until the next try, ``None`` if there is none: the rules of Airflow's task runner.

    :param error: what ended the try; ``None`` if it succeeded.
    :param number: the number of the try.
    :param retries: the number of the last try that may have another after it.
    :param delay: the ``retry_delay`` of the task.
    """
    if error is None or isinstance(error, AirflowFailException | AirflowSensorTimeout) or number > retries:
        return None
    decision = opencx_retry_policy().evaluate(error, number, retries)
    if decision.action is RetryAction.FAIL:
        return None
    return delay if decision.retry_delay is None else decision.retry_delay.total_seconds()


def run_task(task: Task, wire: Wire, stage: Stage, existing: Callable[[], list[dict[str, Any]]]) -> list[Attempt]:
    """Try a task until it succeeds, fails for good, or has no retries left."""
    attempts: list[Attempt] = []
    state_store = TaskStateStore() if task.has_state_store else None
    while True:
        attempt = Attempt(len(attempts) + 1, existing())
        attempts.append(attempt)
        began = stage.now
        begin_attempt(attempt)
        with wire.recorded() as attempt.sent:
            try:
                attempt.result = _execute(operator_of(task), attempt, stage, state_store)
            except (Exception, Killed) as error:
                attempt.error = error
        attempt.seconds = stage.now - began
        delay = retry_delay(attempt.error, attempt.number, task.retries, task.retry_delay)
        if delay is None:
            return attempts
        stage.sleep(delay)


class TaskStateStore:
    """Stands in for Airflow's task state store: what one task keeps from one try to the next."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key."""
        return self._values.get(key, default)

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        """Keep a value, as JSON as Airflow does."""
        self._values[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        """Delete a value; there may be none."""
        self._values.pop(key, None)


def operator_of(task: Task) -> BaseOperator:
    """Return the operator that a Dag file would have for a task."""
    common = {"task_id": task.action, "retries": task.retries}
    if task.action == "wait":
        return OpenCXPhoneNumberSensor(
            agent_name=task.agent_name,
            deferrable=task.deferrable,
            poke_interval=POKE_INTERVAL,
            timeout=SENSOR_TIMEOUT,
            **common,
        )
    if task.action == "sync":
        return OpenCXSyncPhoneAgentsOperator(agents=task.fields["agents"], **common)
    if task.action == "sync_training":
        return OpenCXSyncTrainingScenariosOperator(**task.fields, **common)
    if task.action == "update":
        return OpenCXUpdatePhoneAgentOperator(agent_name=task.agent_name, **task.fields, **common)
    if task.action == "create":
        return OpenCXCreatePhoneAgentOperator(name=task.agent_name, **task.fields, **common)
    return OpenCXUpsertPhoneAgentOperator(
        name=task.agent_name,
        wait_for_phone_number=task.waits,
        deferrable=task.deferrable,
        poke_interval=POKE_INTERVAL,
        timeout=SENSOR_TIMEOUT,
        **task.fields,
        **common,
    )


def _execute(
    operator: BaseOperator, attempt: Attempt, stage: Stage, state_store: TaskStateStore | None
) -> dict[str, Any]:
    xcoms: dict[str, Any] = {}
    instance = SimpleNamespace(
        try_number=attempt.number,
        map_index=-1,
        xcom_push=lambda key, value: xcoms.update({key: value}),
        xcom_pull=lambda *, task_ids, key, map_indexes, include_prior_dates=False: xcoms.get(key),
    )
    context: Context = {"ti": instance}  # type: ignore[typeddict-item]  # as much of it as is asked for
    if state_store is not None:
        context["task_state_store"] = state_store  # type: ignore[typeddict-item]  # it has no supervisor to ask
    ExecutorSafeguard.tracker.set(operator)  # as Airflow's task runner does
    try:
        return operator.execute(context)
    except TaskDeferred as deferred:
        return _resume(operator, deferred, attempt, context, stage)


def _resume(
    operator: BaseOperator, deferred: TaskDeferred, attempt: Attempt, context: Context, stage: Stage
) -> dict[str, Any]:
    try:
        with stage.deadline(deferred.timeout.total_seconds()):
            event = _fire(deferred, attempt)
    except TimeIsUp:
        failure = {"error": TriggerFailureReason.TRIGGER_TIMEOUT}
        return operator.resume_execution(TRIGGER_FAIL_REPR, failure, context)
    return operator.resume_execution(deferred.method_name, {"event": event}, context)


def _fire(deferred: TaskDeferred, attempt: Attempt) -> Any:
    """Run a trigger to its first event; a triggerer that is killed is started again, and begins anew."""
    classpath, arguments = deferred.trigger.serialize()
    module, _, name = classpath.rpartition(".")

    async def first_event() -> Any:
        trigger = getattr(importlib.import_module(module), name)(**arguments)
        trigger.trigger_id = 1  # it is in a triggerer
        events = trigger.run()
        try:
            return (await anext(events)).payload
        finally:
            await events.aclose()

    while True:
        try:
            return asyncio.run(first_event())
        except Killed:
            attempt.restarts += 1
