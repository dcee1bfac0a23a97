"""The outcome of writes: confirmed from the list where a response shows less than was declared."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydantic import JsonValue

from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.exceptions import OpenCXError, OpenCXFleetError
from airflow_provider_opencx.phone_agents import apply
from airflow_provider_opencx.phone_agents.apply import FleetWriter, apply_plan
from airflow_provider_opencx.phone_agents.fleet import plan_fleet
from airflow_provider_opencx.phone_agents.plan import Create, PhoneAgents, Plan, Update, plan_upsert
from airflow_provider_opencx.phone_agents.reconcile import apply_fleet
from airflow_provider_opencx.phone_agents.writes import Outcome
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentSpec

from .replies import Replies

SPEC = PhoneAgentSpec.parse({"name": "a", "model": "oppie-vox-2", "first_message": "Hi"})
STORED = {"id": "pa_1", **SPEC.for_creation().body()}
SPARSE = {"id": "pa_1"}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time as it is for what is applied: it passes where a test says so."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, sleep=lambda seconds: None)
    monkeypatch.setattr(apply, "time", clock)
    return clock


def outcome_of(plan: Plan, *bodies: object) -> Outcome:
    """Apply a plan whose requests get these bodies as responses, one after another."""
    responses = iter(bodies)
    outcome = apply_plan(Replies(lambda request: response_with(next(responses))), plan, SPEC, listed_at=0.0)
    assert list(responses) == []
    return outcome


def response_with(body: object) -> Response:
    return Response(200, body=json.dumps(body).encode())


def test_apply_finds_created_agent_that_appears_late() -> None:
    outcome = outcome_of(Create(SPEC), SPARSE, [], [], [STORED])
    assert (outcome.decision, outcome.agent.name, outcome.mismatches) == ("created", "a", ())


def test_apply_names_id_of_unlisted_created_agent() -> None:
    with pytest.raises(OpenCXError, match=r"pa_1.* was created, and could not be read back") as error:
        outcome_of(Create(SPEC), SPARSE, [], [], [], [], [])
    assert type(error.value) is OpenCXError


def test_apply_reports_mismatch_in_create_response() -> None:
    outcome = outcome_of(Create(SPEC), {**STORED, "first_message": "Hello"}, [], [], [], [], [])
    assert [str(mismatch) for mismatch in outcome.mismatches] == ["first_message: 'Hello' -> 'Hi'"]


def test_apply_ignores_model_the_service_omits() -> None:
    without_model = {name: value for name, value in STORED.items() if name != "model"}
    plan = plan_upsert(SPEC, PhoneAgents([PhoneAgent.from_response({**without_model, "first_message": "Hello"})]))
    assert isinstance(plan, Update)
    assert plan.changes.body() == {"first_message": "Hi"}
    assert outcome_of(plan, without_model).mismatches == ()
    other_model = {**without_model, "model": "another"}
    [mismatch] = outcome_of(plan, other_model, [other_model]).mismatches
    assert mismatch.field == "model"


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
        body = {**agent.as_dict(), "first_message": "Hi", "statusCode": response.status_code}
        return replace(response, body=json.dumps(body).encode())

    client = Replies(respond)
    results = FleetWriter(client, plans, listed_at=0.0).write()
    assert [request.path for request in client.sent] == [f"/phone/pa_{number}" for number in range(sent)]
    unsent = [result for result in results if "Nothing was sent for it, because others failed" in str(result)]
    assert unsent == results[sent:]


@pytest.mark.parametrize(
    ("planned_at", "sent"),
    [
        (0.0, [*["POST", "POST", "POST", "GET"] * 3, "POST", "GET"]),
        (-9.0, ["POST", "GET", *["POST", "POST", "POST", "GET"] * 3]),
        (-3600.0, ["GET", *["POST", "POST", "POST", "GET"] * 3, "POST", "GET"]),
        (3600.0, ["GET", *["POST", "POST", "POST", "GET"] * 3, "POST", "GET"]),
    ],
    ids=["planned just now", "planned a while ago", "planned an hour ago", "planned by another machine's clock"],
)
def test_fleet_rereads_stale_list_before_create(planned_at: float, sent: list[str], clock: SimpleNamespace) -> None:
    specs = [PhoneAgentSpec.parse({"name": f"{number}"}) for number in range(10)]
    plan = plan_fleet(specs, PhoneAgents([], listed_at=planned_at))
    stored: list[JsonValue] = []

    def respond(request: Request) -> Response:
        if request.operation.method == "GET":
            return response_with(stored)
        clock.now += 4
        stored.append({"id": f"pa_{len(stored)}", **(request.body or {})})
        return response_with(stored[-1])

    client = Replies(respond)
    assert len(apply_fleet(client, plan)) == len(specs)
    assert [request.operation.method for request in client.sent] == sent


def test_fleet_creates_no_agent_that_appeared_since_its_plan() -> None:
    plan = plan_fleet([SPEC], PhoneAgents([], listed_at=-3600.0))
    client = Replies(lambda request: response_with([STORED]))
    with pytest.raises(OpenCXFleetError, match=r"'a' \(pa_1\) has appeared since the plan was made"):
        apply_fleet(client, plan)
    assert [request.operation.method for request in client.sent] == ["GET"]
