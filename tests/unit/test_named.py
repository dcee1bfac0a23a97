"""Tests voices by name, so that one file serves organizations whose voices have different ids."""

from __future__ import annotations

import pytest

from airflow_provider_opencx.exceptions import OpenCXPlanRefusedError, OpenCXResponseError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.simulator import AlterItems, Respond, Simulator
from airflow_provider_opencx.simulator.json_values import Json


def test_voice_of_a_name_is_written_as_its_id(connected: Simulator, hook: OpenCXHook) -> None:
    entries = parse_fleet([{"name": "A", "voice": "Bruno"}, {"name": "B", "voice_id": "voice_celia"}])
    agents = hook.apply_plan(hook.plan_phone_agents(entries))
    assert [agent.voice_id for agent in agents] == ["voice_bruno", "voice_celia"]
    assert hook.plan_phone_agents(entries).changes == 0


def test_fleet_without_names_of_voices_reads_no_voices(connected: Simulator, hook: OpenCXHook) -> None:
    hook.plan_phone_agents(parse_fleet([{"name": "A", "voice_id": "voice_aria"}]))
    assert [request.path for request in connected.requests] == ["/phone"]


def voices(*names: str) -> Respond:
    listed: list[Json] = [{"voice_id": f"id {number}", "name": name} for number, name in enumerate(names)]
    return Respond(200, listed)


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        (voices("Bruna", "Celia"), r"No voice is named 'Bruno'\. There are 'Bruna', 'Celia'\."),
        (voices("Bruno", "Bruno"), "2 voices are named 'Bruno': 'id 0', 'id 1'"),
    ],
)
def test_voice_that_is_missing_or_ambiguous_is_refused_and_the_candidates_are_named(
    listed: Respond, says: str, connected: Simulator, hook: OpenCXHook
) -> None:
    connected.fail("listPhoneVoices", listed, times=None)
    with pytest.raises(OpenCXPlanRefusedError, match=rf"Nothing was sent.*'A': {says}"):
        hook.plan_phone_agents(parse_fleet([{"name": "A", "voice": "Bruno"}, {"name": "B"}]))
    assert not connected.writes


def test_voice_that_one_read_does_not_show_is_found_by_the_next(connected: Simulator, hook: OpenCXHook) -> None:
    connected.fail("listPhoneVoices", voices("Aria"))
    [step] = hook.plan_phone_agents(parse_fleet([{"name": "A", "voice": "Bruno"}])).steps
    assert step.spec.voice_id == "voice_bruno"


@pytest.mark.parametrize("listed", [Respond(200, []), AlterItems(without=["name"]), AlterItems(5)])
def test_voice_that_may_be_one_which_cannot_be_read_fails_a_try(
    listed: Respond | AlterItems, connected: Simulator, hook: OpenCXHook
) -> None:
    connected.fail("listPhoneVoices", listed, times=None)
    with pytest.raises(OpenCXResponseError, match="Whether any voice is named 'Xenia' is not known") as raised:
        hook.plan_phone_agents(parse_fleet([{"name": "A", "voice": "Xenia"}]))
    assert not raised.value.is_permanent


def test_approval_is_of_the_voice_and_not_of_its_name(connected: Simulator, hook: OpenCXHook) -> None:
    entries = parse_fleet([{"name": "A", "voice": "Bruno"}])
    approved = hook.plan_phone_agents(entries).as_dict()
    connected.fail("listPhoneVoices", Respond(200, [{"voice_id": "voice_celia", "name": "Bruno"}]))
    with pytest.raises(OpenCXPlanRefusedError, match="changed since the plan was approved"):
        hook.apply_plan(hook.plan_phone_agents(entries), approved=approved)
