"""Makes agents match their declarations: list, plan, apply, and check the result.

The hook and every other caller use these functions: what is a failure is decided here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias, get_args

from pydantic import JsonValue

from airflow_provider_opencx.arguments import check_choice
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.exceptions import (
    OpenCXAgentNotFoundError,
    OpenCXCreateMismatchError,
    OpenCXPlanRefusedError,
    OpenCXResponseError,
)
from airflow_provider_opencx.intents import IntentStore
from airflow_provider_opencx.phone_agents import fleet
from airflow_provider_opencx.phone_agents.fleet import FleetPlan
from airflow_provider_opencx.phone_agents.listing import list_agents
from airflow_provider_opencx.phone_agents.plan import (
    IfExists,
    PhoneAgents,
    Plan,
    declared_id,
    is_shown,
    near_described,
    pick_agent,
    plan_create,
    plan_update,
    plan_upsert,
    require_agent,
)
from airflow_provider_opencx.phone_agents.resolution import one_with_ids, with_ids
from airflow_provider_opencx.phone_agents.secrets import check_no_secret
from airflow_provider_opencx.phone_agents.writes import PhoneAgentResource
from airflow_provider_opencx.reconciliation import apply
from airflow_provider_opencx.reconciliation.guards import Guards
from airflow_provider_opencx.reconciliation.listing import RETRY_LOOKS_AFTER, list_again, list_until
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.reconciliation.plans import Create, Refuse, Update
from airflow_provider_opencx.reconciliation.progress import OnResult, Planned
from airflow_provider_opencx.reconciliation.resource import Outcome
from airflow_provider_opencx.reconciliation.sync import (
    OnMismatch,
    apply_sync_plan,
    check_on_mismatch,
    checked,
    items_now,
)
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentChanges, PhoneAgentSpec
from airflow_provider_opencx.visible_text import in_quotes

AgentPlanned: TypeAlias = Planned[PhoneAgentSpec, PhoneAgentChanges, PhoneAgent, PhoneAgents]

FIND_ID_AFTER: Sequence[float] = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60)
"""Seconds before each further read of the list for an agent by its id, which another task may just have returned."""

FIND_NAME_AFTER: Sequence[float] = (5, 5)
"""Seconds before each further read of the list for an agent that is not expected to be new."""

log = logging.getLogger(__name__)


def create(
    client: OpenCXClient,
    spec: PhoneAgentSpec,
    if_exists: IfExists = "adopt",
    *,
    on_mismatch: OnMismatch = "fail",
    allow_near_name: bool = False,
    is_retry: bool = False,
    intents: IntentStore | None = None,
) -> PhoneAgent:
    """Make sure that exactly one agent has the declared name; one that exists is left unchanged.

    :param allow_near_name: whether an agent may be created beside another whose name is near.
    :param is_retry: whether an earlier try may have sent the create: the list is then read for some 15 s.
    :param intents: where the intent of a create survives this process.
    """
    check_choice("if_exists", if_exists, get_args(IfExists))
    check_on_mismatch(on_mismatch)
    check_no_secret([spec], client.settings)
    spec = one_with_ids(client, spec)
    agents = _list_before_creating(client, [spec], is_retry)
    replan = partial(plan_create, spec, if_exists=if_exists, allow_near_name=allow_near_name)
    planned = _planned(spec, replan, agents)
    _warn_of_near(planned.plan)
    return checked(
        apply.apply_plan(client, PhoneAgentResource(client), planned, agents, intents),
        on_mismatch,
        OpenCXCreateMismatchError,
    )


def upsert(
    client: OpenCXClient,
    spec: PhoneAgentSpec,
    *,
    on_mismatch: OnMismatch = "fail",
    allow_near_name: bool = False,
    is_retry: bool = False,
    intents: IntentStore | None = None,
) -> PhoneAgent:
    """Make sure that exactly one agent has the declared name, and is as declared.

    :param allow_near_name: whether an agent may be created beside another whose name is near.
    :param is_retry: whether an earlier try may have sent a create: the list is then read for some 15 s.
    :param intents: where the intent of a create survives this process.
    """
    check_on_mismatch(on_mismatch)
    check_no_secret([spec], client.settings)
    spec = one_with_ids(client, spec)
    agents = _list_before_creating(client, [spec], is_retry)
    planned = _planned(spec, partial(plan_upsert, spec, allow_near_name=allow_near_name), agents)
    _warn_of_near(planned.plan)
    return checked(_applied(client, planned, agents, intents), on_mismatch)


def update(
    client: OpenCXClient,
    changes: PhoneAgentChanges,
    *,
    agent_id: str | None = None,
    agent_name: str | None = None,
    on_mismatch: OnMismatch = "fail",
) -> PhoneAgent:
    """Bring an existing agent to the declared fields; one that an earlier try has renamed is found again.

    The list is read for minutes before an id is taken for that of no agent: it may lag behind the task that returned
    the id.
    """
    check_on_mismatch(on_mismatch)
    check_no_secret([changes], client.settings)
    changes = one_with_ids(client, changes)
    replan = partial(_plan_update, changes, agent_id, agent_name)
    pauses = FIND_NAME_AFTER if agent_id is None else FIND_ID_AFTER
    agents = _list_until(client, lambda agents: _is_there(replan(agents)), pauses, list_agents(client))
    agents = _agents_before_renaming(client, agents, [replan(agents)])
    return checked(
        apply.apply_plan(client, PhoneAgentResource(client), _planned(changes, replan, agents), agents), on_mismatch
    )


def find_by_id(client: OpenCXClient, agent_id: str) -> PhoneAgent:
    """Return the agent of an id; raises ``OpenCXAgentNotFoundError`` if three reads of the list do not show it."""
    agents = _list_until(client, lambda agents: agents.with_id(agent_id), FIND_NAME_AFTER, list_agents(client))
    return require_agent(agents, agent_id=agent_id)


def plan_fleet(
    client: OpenCXClient,
    specs: Sequence[PhoneAgentSpec],
    *,
    connection: str = "",
    allow_near_name: bool = False,
    ignore: Sequence[str] = (),
    is_retry: bool = False,
) -> FleetPlan:
    """Plan for exactly one agent of each declared name, as declared, from one read of the list.

    The training scenarios, the actions and the voices are read as well, each list where a declaration names one of
    them. An id or a name that a list does not show is looked for in two more, five seconds apart.

    :param connection: the id of the connection over which the plan is made.
    :param allow_near_name: whether an agent may be created beside another whose name is near.
    :param ignore: names, or globs, of undeclared agents that need not be reported.
    :param is_retry: whether an earlier try may have sent creates: the list is then read for some 15 s.
    """
    check_no_secret(specs, client.settings)
    resolved = with_ids(client, specs)
    specs = resolved.specs
    agents = _list_before_creating(client, specs, is_retry)
    identified = [spec for spec in specs if declared_id(spec) is not None]
    agents = list_until(
        partial(list_agents, client),
        lambda agents: all(is_shown(spec, agents) for spec in identified),
        FIND_NAME_AFTER,
        agents,
    )
    organization = Organization(client.settings.base_url, connection)
    plan = fleet.plan_fleet(specs, agents, organization, allow_near_name=allow_near_name, ignore=ignore)
    plan = replace(plan, names=resolved.names, warnings=resolved.warnings)
    for step in plan.steps:
        _warn_of_near(step.plan)
    return plan


def apply_fleet(
    client: OpenCXClient,
    plan: FleetPlan,
    *,
    connection: str = "",
    approved: Mapping[str, JsonValue] | None = None,
    guards: Guards | None = None,
    on_mismatch: OnMismatch = "fail",
    intents: IntentStore | None = None,
    on_result: OnResult | None = None,
) -> list[PhoneAgent]:
    """Apply the plan of a fleet, and return the agents in the declared order.

    An agent that fails does not hold up the others, unless its error says that theirs would fail as well.

    :param connection: the id of the connection of the client.
    :param approved: a plan that somebody has approved, as JSON: nothing else is done.
    :param guards: what the plan may do at most, and for which organization.
    :param intents: where the intents of creates survive this process.
    :param on_result: called after each write, with the number of writes that are done, and of all.
    :raises OpenCXPlanRefusedError: before the first write, if an agent cannot be brought to its declaration, or the
        plan is not the approved one, is for another organization, or does more than a guard allows.
    :raises OpenCXFleetError: naming each agent that failed, after the others were written.
    """
    return apply_sync_plan(
        client,
        PhoneAgentResource(client),
        plan,
        partial(_agents_now, client, plan, connection),
        lambda spec: spec,
        approved=approved,
        guards=guards,
        on_mismatch=on_mismatch,
        intents=intents,
        on_result=on_result,
    )


def _agents_now(client: OpenCXClient, plan: FleetPlan, connection: str) -> PhoneAgents:
    """Return the agents of a plan, listed again unless it was just made, over this connection, and renames none.

    An agent that the plan knows and the new list does not show stays among them: one list may be incomplete.

    :param connection: the id of the connection of the client.
    :raises OpenCXPlanChangedError: if the plan is for another organization than that of the client.
    """
    here = Organization(client.settings.base_url, connection)
    agents = items_now(plan, here, partial(list_agents, client), lambda agents: agents.org_id)
    return (
        _agents_before_renaming(client, agents, [step.plan for step in plan.steps]) if agents is plan.items else agents
    )


def _agents_before_renaming(client: OpenCXClient, agents: PhoneAgents, plans: Sequence[Plan]) -> PhoneAgents:
    """Return the agents, listed again if a plan renames one, and those that only the first list shows.

    A list that lacks the agent of the new name would make another agent, which has the old one by now, a second of it.

    :param agents: the list from which the plans were made.
    """
    names = [plan.new_name for plan in plans if isinstance(plan, Update) and plan.new_name is not None]
    if not names:
        return agents
    again = list_again(partial(list_agents, client), agents, lambda found: all(map(found.shows, names)))
    return again.with_those_of(agents)


def _applied(
    client: OpenCXClient, planned: AgentPlanned, agents: PhoneAgents, intents: IntentStore | None = None
) -> Outcome[PhoneAgent]:
    return apply.apply_plan(client, PhoneAgentResource(client), planned, agents, intents)


def _list_until(
    client: OpenCXClient, found: Callable[[PhoneAgents], object], pauses: Sequence[float], agents: PhoneAgents
) -> PhoneAgents:
    return list_until(partial(list_agents, client), found, pauses, agents)


def _planned(declared: PhoneAgentChanges, replan: Callable[[PhoneAgents], Plan], agents: PhoneAgents) -> AgentPlanned:
    return Planned(replan(agents), declared, replan)


def _warn_of_near(plan: Plan) -> None:
    """Warn of an agent that is to be created beside another whose name is near."""
    if isinstance(plan, Create) and plan.near:
        name = plan.spec.agent_name
        log.warning(
            "Phone agent %s is created although there is %s: allow_near_name is set.",
            in_quotes(name),
            near_described(name, plan.near),
        )


def _plan_update(changes: PhoneAgentChanges, agent_id: str | None, agent_name: str | None, agents: PhoneAgents) -> Plan:
    """Plan for one existing agent, also where an earlier try has renamed it."""
    try:
        agent = pick_agent(agents, agent_id=agent_id, agent_name=agent_name)
        if agent is None and agent_name is not None and changes.name is not None:
            agent = pick_agent(agents, agent_name=changes.name)
        agent = agent or require_agent(agents, agent_id=agent_id, agent_name=agent_name)
        return plan_update(changes, agent, agents)
    except (OpenCXPlanRefusedError, OpenCXResponseError) as refusal:
        return Refuse(refusal)


def _is_there(plan: Plan) -> bool:
    return not (isinstance(plan, Refuse) and isinstance(plan.error, OpenCXAgentNotFoundError))


def _list_before_creating(client: OpenCXClient, specs: Sequence[PhoneAgentSpec], is_retry: bool) -> PhoneAgents:
    """List the agents; in a retry again and again, while one of these names may be about to appear.

    The worker of an earlier try may have been killed with its create on the way, and the next try may begin at once.
    """
    pauses = RETRY_LOOKS_AFTER if is_retry else ()
    return list_until(
        partial(list_agents, client),
        lambda agents: all(is_shown(spec, agents) for spec in specs),
        pauses,
        list_agents(client),
    )
