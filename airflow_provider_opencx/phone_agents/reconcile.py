"""The verbs of the hook as flows (see :mod:`.api.requests`): list, plan, carry out.

The sync and the async hook run the same flows.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_opencx.client.requests import Flow, Pause
from airflow_provider_opencx.exceptions import OpenCXPlanRefusedError
from airflow_provider_opencx.phone_agents import apply, fleet
from airflow_provider_opencx.phone_agents.apply import Outcome, Result, list_agents
from airflow_provider_opencx.phone_agents.fleet import FleetPlan
from airflow_provider_opencx.phone_agents.plan import (
    IfExists,
    PhoneAgents,
    Plan,
    Refuse,
    pick_agent,
    plan_create,
    plan_update,
    plan_upsert,
    require_agent,
)
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges, PhoneAgentSpec


def create(spec: PhoneAgentSpec, if_exists: IfExists = "adopt", *, is_retry: bool = False) -> Flow[Outcome]:
    """Make sure that exactly one agent has the declared name; one that exists is left as it is.

    :param is_retry: whether an earlier try may have sent the create: it is then looked for with patience.
    """
    agents = yield from _list_before_creating([spec], is_retry)
    return (yield from apply.apply_plan(plan_create(spec, agents, if_exists), spec))


def upsert(spec: PhoneAgentSpec, *, is_retry: bool = False) -> Flow[Outcome]:
    """Make sure that exactly one agent has the declared name, and is as declared.

    :param is_retry: whether an earlier try may have sent a create: it is then looked for with patience.
    """
    agents = yield from _list_before_creating([spec], is_retry)
    return (yield from apply.apply_plan(plan_upsert(spec, agents), spec))


def update(changes: PhoneAgentChanges, *, agent_id: str | None = None, agent_name: str | None = None) -> Flow[Outcome]:
    """Bring an existing agent to the declared members; one that an earlier try has renamed is found again."""
    agents = yield from list_agents()
    plan: Plan
    try:
        agent = pick_agent(agents, agent_id=agent_id, agent_name=agent_name)
        if agent is None and agent_name is not None and changes.name is not None:
            agent = pick_agent(agents, agent_name=changes.name)
        agent = agent or require_agent(agents, agent_id=agent_id, agent_name=agent_name)
        plan = plan_update(changes, agent, agents)
    except OpenCXPlanRefusedError as refusal:
        plan = Refuse(refusal)
    return (yield from apply.apply_plan(plan, changes))


def plan_fleet(specs: Sequence[PhoneAgentSpec], *, is_retry: bool = False) -> Flow[FleetPlan]:
    """Plan for exactly one agent of each declared name, as declared, from one look at the list.

    :param is_retry: whether an earlier try may have sent creates: they are then looked for with patience.
    """
    return fleet.plan_fleet(specs, (yield from _list_before_creating(specs, is_retry)))


def apply_fleet(plan: FleetPlan) -> Flow[list[Result]]:
    """Carry out the plan of a fleet, and return what became of each agent, in the declared order.

    An agent that fails does not hold up the others, unless its error says that theirs would fail as well.
    """
    return (yield from apply.apply_plans([(step.plan, step.spec) for step in plan.steps]))


def _list_before_creating(specs: Sequence[PhoneAgentSpec], is_retry: bool) -> Flow[PhoneAgents]:
    """List the agents; again and again, if one of these names may be about to appear.

    The worker of an earlier try may have been killed with its create on the way, and the next try may begin at once.
    """
    agents = yield from list_agents()
    for seconds in apply.LIST_AGAIN_AFTER[1:] if is_retry else ():
        if all(agents.named(spec.agent_name) for spec in specs):
            break
        yield Pause(seconds)
        agents = yield from list_agents()
    return agents
