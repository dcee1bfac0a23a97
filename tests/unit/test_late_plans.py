"""Tests that a late plan is made again from a new list, because the agents may have changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_opencx.exceptions import OpenCXError, OpenCXFleetPermanentError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.reconciliation import listing
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec
from airflow_provider_opencx.simulator import Simulator

SPECS = [
    PhoneAgentSpec(name="there", type="outbound", first_message="New."),
    PhoneAgentSpec(name="to be made", type="outbound"),
]

MEANWHILE: dict[str, tuple[Callable[[Simulator, str], object], list[str], type[OpenCXError] | None]] = {
    "nothing": (lambda simulator, agent_id: None, ["POST", "PATCH"], None),
    "the agent has become as declared": (
        lambda simulator, agent_id: simulator.change_agent(agent_id, first_message="New."),
        ["POST"],
        None,
    ),
    "the agent to create was created": (
        lambda simulator, agent_id: simulator.add_agent("to be made", type="outbound"),
        ["PATCH"],
        None,
    ),
    "a second agent has the name of one to update": (
        lambda simulator, agent_id: simulator.add_agent("there", type="outbound"),
        ["POST"],
        OpenCXFleetPermanentError,
    ),
    "the agent to update was renamed": (
        lambda simulator, agent_id: simulator.change_agent(agent_id, name="There"),
        ["POST"],
        OpenCXFleetPermanentError,
    ),
}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_plan_that_is_applied_late_is_made_anew(
    meanwhile: str, connected: Simulator, hook: OpenCXHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, writes, error = MEANWHILE[meanwhile]
    agent_id = str(connected.add_agent("there", type="outbound", first_message="Old.")["id"])
    plan = hook.plan_phone_agents(SPECS)
    change(connected, agent_id)
    monkeypatch.setattr(listing, "STALE_AFTER", -1)
    if error is None:
        assert [agent.name for agent in hook.apply_plan(plan)] == ["there", "to be made"]
    else:
        with pytest.raises(error):
            hook.apply_plan(plan)
    assert [record.method for record in connected.writes] == writes
