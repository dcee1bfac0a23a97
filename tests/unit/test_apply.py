"""What a write has come to, where its answer shows less than was asked."""

from __future__ import annotations

import json

import pytest

from airflow_provider_opencx.client.flow import Flow, Pause
from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.phone_agents.apply import Outcome, apply_plan
from airflow_provider_opencx.phone_agents.plan import Create, PhoneAgents, Update, plan_upsert
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentSpec

SPEC = PhoneAgentSpec.parse({"name": "a", "model": "oppie-vox-2", "first_message": "Hi"})
STORED = {"id": "pa_1", **SPEC.for_creation().body()}
SPARSE = {"id": "pa_1"}


def run(flow: Flow[Outcome], *bodies: object) -> Outcome:
    """Carry out a flow whose requests are answered with these bodies, one after another, without a wait."""
    answers = iter(bodies)
    step = next(flow)
    try:
        while True:
            step = flow.send(None if isinstance(step, Pause) else answered(step, next(answers)))
    except StopIteration as end:
        assert list(answers) == []
        return end.value


def answered(request: Request, body: object) -> Response:
    return Response(200, body=json.dumps(body).encode())


def test_a_created_agent_that_neither_answer_nor_list_shows_yet_is_looked_for() -> None:
    outcome = run(apply_plan(Create(SPEC), SPEC), SPARSE, [], [], [STORED])
    assert (outcome.action, outcome.agent.name, outcome.mismatches) == ("created", "a", ())


def test_a_created_agent_that_no_list_shows_is_known_by_its_id_and_may_be_looked_for_again() -> None:
    with pytest.raises(OpenCXError, match=r"pa_1.* was created, and could not be read back") as error:
        run(apply_plan(Create(SPEC), SPEC), SPARSE, [], [], [], [], [])
    assert type(error.value) is OpenCXError


def test_what_the_answer_to_a_create_shows_otherwise_is_told_though_no_list_shows_the_agent() -> None:
    outcome = run(apply_plan(Create(SPEC), SPEC), {**STORED, "first_message": "Hello"}, [], [], [], [], [])
    assert [str(mismatch) for mismatch in outcome.mismatches] == ["first_message: 'Hello' -> 'Hi'"]


def test_an_update_is_not_held_to_a_model_that_the_service_does_not_tell() -> None:
    untold = {name: value for name, value in STORED.items() if name != "model"}
    plan = plan_upsert(SPEC, PhoneAgents([PhoneAgent.from_response({**untold, "first_message": "Hello"})]))
    assert isinstance(plan, Update)
    assert plan.changes.body() == {"first_message": "Hi"}
    assert run(apply_plan(plan, SPEC), untold).mismatches == ()
    [mismatch] = run(
        apply_plan(plan, SPEC), {**untold, "model": "another"}, [{**untold, "model": "another"}]
    ).mismatches
    assert mismatch.field == "model"
