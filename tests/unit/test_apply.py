"""The outcome of writes: confirmed from the list where a response shows less than was declared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import JsonValue

from airflow_provider_opencx.client.flow import Flow, Pause
from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.phone_agents import apply
from airflow_provider_opencx.phone_agents.apply import Outcome, apply_plan, apply_plans
from airflow_provider_opencx.phone_agents.plan import Create, PhoneAgents, Update, plan_upsert
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentSpec

SPEC = PhoneAgentSpec.parse({"name": "a", "model": "oppie-vox-2", "first_message": "Hi"})
STORED = {"id": "pa_1", **SPEC.for_creation().body()}
SPARSE = {"id": "pa_1"}


def run(flow: Flow[Outcome], *bodies: object) -> Outcome:
    """Run a flow whose requests get these bodies as responses, one after another, without a wait."""
    responses = iter(bodies)
    step = next(flow)
    try:
        while True:
            step = flow.send(None if isinstance(step, Pause) else response_with(next(responses)))
    except StopIteration as end:
        assert list(responses) == []
        return end.value


def response_with(body: object) -> Response:
    return Response(200, body=json.dumps(body).encode())


def test_apply_finds_created_agent_that_appears_late() -> None:
    outcome = run(apply_plan(Create(SPEC), SPEC), SPARSE, [], [], [STORED])
    assert (outcome.action, outcome.agent.name, outcome.mismatches) == ("created", "a", ())


def test_apply_names_id_of_unlisted_created_agent() -> None:
    with pytest.raises(OpenCXError, match=r"pa_1.* was created, and could not be read back") as error:
        run(apply_plan(Create(SPEC), SPEC), SPARSE, [], [], [], [], [])
    assert type(error.value) is OpenCXError


def test_apply_reports_mismatch_in_create_response() -> None:
    outcome = run(apply_plan(Create(SPEC), SPEC), {**STORED, "first_message": "Hello"}, [], [], [], [], [])
    assert [str(mismatch) for mismatch in outcome.mismatches] == ["first_message: 'Hello' -> 'Hi'"]


def test_apply_ignores_model_the_service_omits() -> None:
    without_model = {name: value for name, value in STORED.items() if name != "model"}
    plan = plan_upsert(SPEC, PhoneAgents([PhoneAgent.from_response({**without_model, "first_message": "Hello"})]))
    assert isinstance(plan, Update)
    assert plan.changes.body() == {"first_message": "Hi"}
    assert run(apply_plan(plan, SPEC), without_model).mismatches == ()
    [mismatch] = run(
        apply_plan(plan, SPEC), {**without_model, "model": "another"}, [{**without_model, "model": "another"}]
    ).mismatches
    assert mismatch.field == "model"


def run_all(flow: Flow[Any], respond: Callable[[Request], Response]) -> tuple[list[Any], list[Request]]:
    """Run a fleet's flow without a wait, and return its results and the requests that were sent."""
    sent: list[Request] = []
    step: Request | Pause = next(flow)
    try:
        while True:
            if isinstance(step, Request):
                sent.append(step)
            step = flow.send(respond(step) if isinstance(step, Request) else None)
    except StopIteration as end:
        return end.value, sent


def respond_with(*statuses: int, **headers: str) -> list[Response]:
    return [Response(status, {name.replace("_", "-"): value for name, value in headers.items()}) for status in statuses]


FAILURE, SUCCESS, REFUSAL = respond_with(503, 200, 422)


@pytest.mark.parametrize(
    ("responses", "sent"),
    [
        ([FAILURE] * 5 + [SUCCESS] * 5, 5),
        ([FAILURE] * 4 + [SUCCESS] + [FAILURE] * 4 + [SUCCESS], 10),
        (respond_with(429, 500, 408, 502, 504, 200), 5),
        ([REFUSAL] * 20, 20),
        (respond_with(400, 404, 409, 413, 422, 200), 6),
        ([FAILURE] * 4 + [REFUSAL] + [FAILURE] * 4 + [SUCCESS], 10),
        ([REFUSAL] * 4 + [FAILURE] * 5 + [SUCCESS], 9),
        (respond_with(401, 200), 1),
        (respond_with(403, 200), 1),
        (respond_with(302, 200), 1),
        (respond_with(429, 200, retry_after="61"), 1),
        (respond_with(503, 200, retry_after="61"), 1),
        (respond_with(503, 200, retry_after="60"), 2),
    ],
    ids=lambda value: None if isinstance(value, int) else " ".join(str(response.status_code) for response in value),
)
def test_circuit_breaker_ignores_refusals_of_one_agent(responses: list[Response], sent: int) -> None:
    specs = [PhoneAgentSpec.parse({"name": f"{number}", "first_message": "Hi"}) for number in range(len(responses))]
    agents = [PhoneAgent(id=f"pa_{spec.name}", name=spec.name, type="outbound") for spec in specs]
    plans = [(plan_upsert(spec, PhoneAgents(agents)), spec) for spec in specs]
    of_agent = iter(zip(agents, responses, strict=True))

    def respond(request: Request) -> Response:
        agent, response = next(of_agent)
        return replace(response, body=json.dumps({**agent.as_dict(), "first_message": "Hi"}).encode())

    results, requests = run_all(apply_plans(plans), respond)
    assert [request.path for request in requests] == [f"/phone/pa_{number}" for number in range(sent)]
    unsent = [result for result in results if "Nothing was sent for it, because others failed" in str(result)]
    assert unsent == results[sent:]


def test_fleet_rereads_stale_list_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(apply, "time", SimpleNamespace(monotonic=lambda: now))
    specs = [PhoneAgentSpec.parse({"name": f"{number}"}) for number in range(10)]
    plans = [(plan_upsert(spec, PhoneAgents([])), spec) for spec in specs]
    stored: list[JsonValue] = []

    def respond(request: Request) -> Response:
        nonlocal now
        if request.operation.method == "GET":
            return Response(200, body=json.dumps(stored).encode())
        now += 4
        stored.append({"id": f"pa_{len(stored)}", **(request.body or {})})
        return Response(200, body=json.dumps(stored[-1]).encode())

    results, requests = run_all(apply_plans(plans), respond)
    assert [result.action for result in results] == ["created"] * 10
    assert [request.operation.method for request in requests] == [*["POST", "POST", "POST", "GET"] * 3, "POST", "GET"]
