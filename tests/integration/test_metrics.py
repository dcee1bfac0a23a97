"""Tests which metrics Airflow gets of each attempt, each decision and each wait."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.client.transport import Attempt
from airflow_provider_opencx.exceptions import (
    OpenCXAuthenticationPermanentError,
    OpenCXError,
    OpenCXUnknownCallOutcomeError,
)
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgentChanges,
    PhoneAgentSpec,
    create_phone_agent,
    list_phone_agents,
)
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.simulator import (
    CloseBeforeHandling,
    Fault,
    LoseResponse,
    Respond,
    Simulator,
    SlowResponse,
    TruncateResponse,
)
from airflow_provider_opencx.simulator.responses import error_body

API_KEY = "ocx_live_integrati0n-s3cret"
SPEC = PhoneAgentSpec.parse({"name": "a"})

CREATE = "createPhoneAgent"
LIST = "listPhoneAgents"


def test_metrics_count_refused_read_three_times(simulator: Simulator) -> None:
    simulator.fail(LIST, Respond(401, error_body(401, "No")), times=None)
    attempts: list[Attempt] = []
    client = OpenCXClient(ClientSettings(simulator.url, API_KEY), attempts.append)
    with client, pytest.raises(OpenCXAuthenticationPermanentError):
        list_phone_agents(client)
    assert [(attempt.operation, attempt.outcome, attempt.is_retry) for attempt in attempts] == [
        (LIST, "401", False)
    ] * 3


@pytest.mark.parametrize(
    ("operation", "faults", "expected"),
    [
        (LIST, [], ["200"]),
        (LIST, [Respond(429), Respond(503), Respond(408)], ["429", "503", "408", "200"]),
        (LIST, [Respond(503)] * 5, ["503"] * 4),
        (LIST, [Respond(401, "<html>")], ["401"]),
        (LIST, [CloseBeforeHandling(), TruncateResponse()], ["connection_error", "broken_response", "200"]),
        (LIST, [SlowResponse(3)], ["timeout", "200"]),
        (LIST, [Respond(429, headers={"Retry-After": "900"})], ["429"]),
        (CREATE, [], ["200"]),
        (CREATE, [LoseResponse()], ["connection_error"]),
        (CREATE, [Respond(429), Respond(500)], ["429", "500"]),
    ],
)
def test_metrics_count_each_attempt_with_outcome(
    operation: str,
    faults: list[Fault],
    expected: list[str],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("httpx_retries.Retry.backoff_strategy", lambda self: 0.01)
    for fault in faults:
        simulator.fail(operation, fault)
    settings = ClientSettings(simulator.url, API_KEY, timeout=1, max_retries=3, requests_per_minute=100_000)
    attempts: list[Attempt] = []
    with suppress(OpenCXError), OpenCXClient(settings, attempts.append) as client:
        if operation == CREATE:
            create_phone_agent(client, SPEC)
        else:
            list_phone_agents(client)
    assert [(attempt.operation, attempt.outcome) for attempt in attempts] == [(operation, end) for end in expected]
    assert [attempt.is_retry for attempt in attempts] == [number > 0 for number in range(len(expected))]
    assert all(0 < attempt.seconds < 60 for attempt in attempts)


def test_metrics_count_request_of_stopped_task(simulator: Simulator) -> None:
    simulator.fail(LIST, SlowResponse(60))
    attempts: list[Attempt] = []
    settings = ClientSettings(simulator.url, API_KEY, requests_per_minute=100_000)

    def time_is_over(*_: object) -> None:
        raise AirflowTaskTimeout("as Airflow ends a task that has run for its execution_timeout")

    before = signal.signal(signal.SIGALRM, time_is_over)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with OpenCXClient(settings, attempts.append) as client, pytest.raises(AirflowTaskTimeout):
            list_phone_agents(client)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert [attempt.outcome for attempt in attempts] == ["cancelled"]


OLD = "pa_000001"

Counted = list[tuple[str, dict[str, str], int]]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The decisions that Airflow counts: the names, tags and counts."""
    from airflow.providers.common.compat.sdk import Stats

    counted: Counted = []

    def incr(stat: str, count: int = 1, rate: float = 1, *, tags: dict[str, str] | None = None) -> None:
        if stat.startswith(("opencx.agents", "opencx.calls")):
            counted.append((stat, tags or {}, count))

    monkeypatch.setattr(Stats, "incr", incr, raising=False)
    return counted


def fleet(hook: OpenCXHook, *names: str) -> None:
    hook.apply_plan(hook.plan_phone_agents([PhoneAgentSpec.parse({"name": n, "language": "en"}) for n in names]))


@pytest.mark.parametrize(
    ("faults", "act", "expected"),
    [
        ([], lambda hook: hook.create_phone_agent(SPEC), ["created"]),
        ([LoseResponse()], lambda hook: hook.create_phone_agent(SPEC), ["created"]),
        ([CloseBeforeHandling()], lambda hook: hook.create_phone_agent(SPEC), ["failed"]),
        ([Respond(422, error_body(422, "No"))], lambda hook: hook.create_phone_agent(SPEC), ["failed"]),
        ([], lambda hook: hook.create_phone_agent(PhoneAgentSpec.parse({"name": "old"})), ["adopted"]),
        ([], lambda hook: hook.upsert_phone_agent(PhoneAgentSpec.parse({"name": "old"})), ["unchanged"]),
        ([], lambda hook: hook.upsert_phone_agent(PhoneAgentSpec.parse({"name": "twice"})), ["refused"]),
        (
            [],
            lambda hook: hook.update_phone_agent(agent_id="gone", changes=PhoneAgentChanges.parse({"language": "fr"})),
            ["refused"],
        ),
        (
            [],
            lambda hook: hook.update_phone_agent(agent_id=OLD, changes=PhoneAgentChanges.parse({"language": "fr"})),
            ["updated"],
        ),
        ([], lambda hook: fleet(hook, "a", "old", "b"), ["created", "created", "updated"]),
        ([], lambda hook: fleet(hook, "a", "twice"), ["refused"]),
    ],
)
def test_metrics_count_each_decision_once(
    faults: list[Fault],
    act: Callable[[OpenCXHook], None],
    expected: list[str],
    simulator: Simulator,
    counted: Counted,
) -> None:
    old = simulator.add_agent("old", type="outbound", language="de")
    assert old["id"] == OLD
    for _ in range(2):
        simulator.add_agent("twice", type="outbound", language="en")
    for fault in faults:
        simulator.fail(CREATE, fault)
    with suppress(OpenCXError):
        act(OpenCXHook())
    assert counted == [("opencx.agents", {"decision": decision}, 1) for decision in expected]


def test_metrics_count_each_person_of_a_batch_once(counted: Counted, simulator: Simulator) -> None:
    simulator.add_agent("Caller", type="outbound")
    simulator.fail("makeOutboundCall", LoseResponse())
    people = [f"+141555501{number:02}" for number in range(4)]
    call = OpenCXPlaceCallOperator(
        task_id="call", agent_name="Caller", contacts=people, do_not_call=people[3:], calling_hours=None
    )
    with pytest.raises(OpenCXUnknownCallOutcomeError):
        call.execute({})  # type: ignore[typeddict-item]
    statuses = Counter(tags["status"] for name, tags, _ in counted if name == "opencx.calls")
    assert statuses == {"unknown": 1, "called": 2, "do_not_call": 1}


def test_metrics_errors_fail_nothing(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import Stats

    def broken(*_: object, **__: object) -> None:
        raise OSError("no statsd")

    for method in ("incr", "timing", "gauge", "timer"):
        monkeypatch.setattr(Stats, method, broken, raising=False)
    assert OpenCXHook().upsert_phone_agent(SPEC).name == "a"


@pytest.mark.parametrize(
    "answer", ["2026-01-01T00:00:00Z", None, OSError("no API server")], ids=["text", "none", "error"]
)
def test_metrics_tolerate_bad_reschedule_date(answer: object, simulator: Simulator) -> None:
    asked: list[object] = []

    class Instance:
        def get_first_reschedule_date(self, context: object) -> object:
            asked.append(context)
            if len(asked) == 1 and isinstance(answer, Exception):  # the second to ask is Airflow itself
                raise answer
            return None if isinstance(answer, Exception) else answer

        def xcom_push(self, **_: object) -> None: ...

    agent = simulator.add_agent("a", type="outbound")
    sensor = OpenCXPhoneNumberSensor(task_id="number", agent_name="a", mode="reschedule")
    context: Any = {"ti": Instance(), "task_reschedule_count": 1}
    result: Any = sensor.execute(context)
    assert result["id"] == agent["id"]
    assert len(asked) == 2
