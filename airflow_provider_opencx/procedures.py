"""Carries out plans: create once, update, upsert, each followed by a look at what was done.

Procedures are flows (see :mod:`.api.requests`), so the sync and the async hook run the same code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_opencx.api import requests
from airflow_provider_opencx.api.models import PhoneAgent, PhoneAgentChanges, PhoneAgentSpec, shortened
from airflow_provider_opencx.api.requests import Flow, Pause, asked_to_wait
from airflow_provider_opencx.exceptions import (
    OpenCXAgentNotFoundError,
    OpenCXAmbiguousNameError,
    OpenCXAnswerError,
    OpenCXError,
    OpenCXNameMismatchError,
    OpenCXServerError,
    OpenCXUnknownOutcomeError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.reconcile import (
    Create,
    Difference,
    IfExists,
    PhoneAgents,
    Plan,
    Refuse,
    Update,
    find_mismatches,
    pick_agent,
    plan_create,
    plan_update,
    plan_upsert,
    require_agent,
)

LOOK_AGAIN_AFTER: Sequence[float] = (0, 1, 2, 4, 8)
"""Seconds before each look at the list for an agent whose create was not answered, in this try or in an earlier one."""


@dataclass(frozen=True)
class Outcome:
    """What a procedure did.

    :param agent: the agent, as the service describes it now.
    :param action: what was done to it.
    :param differences: the members that were changed; for an agent left as it is, those not as declared.
    :param mismatches: the members that the service left other than asked.
    """

    agent: PhoneAgent
    action: Literal["created", "updated", "unchanged"]
    differences: tuple[Difference, ...] = ()
    mismatches: tuple[Difference, ...] = ()


def create(spec: PhoneAgentSpec, if_exists: IfExists = "adopt", *, tried_before: bool = False) -> Flow[Outcome]:
    """Make sure that exactly one agent has the declared name; one that exists is left as it is.

    :param tried_before: whether an earlier try may have sent the create: it is then looked for with patience.
    """
    agents = yield from _list_before_creating(spec, tried_before)
    return (yield from _carry_out(plan_create(spec, agents, if_exists), spec))


def upsert(spec: PhoneAgentSpec, *, tried_before: bool = False) -> Flow[Outcome]:
    """Make sure that exactly one agent has the declared name, and is as declared.

    :param tried_before: whether an earlier try may have sent a create: it is then looked for with patience.
    """
    agents = yield from _list_before_creating(spec, tried_before)
    return (yield from _carry_out(plan_upsert(spec, agents), spec))


def update(changes: PhoneAgentChanges, *, agent_id: str | None = None, agent_name: str | None = None) -> Flow[Outcome]:
    """Bring an existing agent to the declared members; one that an earlier try has renamed is found again."""
    agents = yield from _list()
    agent = pick_agent(agents, agent_id=agent_id, agent_name=agent_name)
    if agent is None and agent_name is not None and changes.name is not None:
        agent = pick_agent(agents, agent_name=changes.name)
    agent = agent or require_agent(agents, agent_id=agent_id, agent_name=agent_name)
    return (yield from _carry_out(plan_update(changes, agent, agents), changes))


def _list() -> Flow[PhoneAgents]:
    return PhoneAgents((yield from requests.list_phone_agents()))


def _list_before_creating(spec: PhoneAgentSpec, tried_before: bool) -> Flow[PhoneAgents]:
    """List the agents; again and again, if one of that name may be about to appear.

    The worker of an earlier try may have been killed with its create on the way, and the next try may begin at once.
    """
    agents = yield from _list()
    for seconds in LOOK_AGAIN_AFTER[1:] if tried_before else ():
        if agents.named(spec.agent_name):
            break
        yield Pause(seconds)
        agents = yield from _list()
    return agents


def _carry_out(plan: Plan, declared: PhoneAgentChanges) -> Flow[Outcome]:
    if isinstance(plan, Refuse):
        raise plan.error
    if isinstance(plan, Create):
        return (yield from _create_once(plan.spec))
    if isinstance(plan, Update):
        agent = yield from _update(plan, declared)
        return Outcome(agent, "updated", plan.differences, find_mismatches(declared, agent))
    return Outcome(plan.agent, "unchanged", plan.differences)


def _create_once(spec: PhoneAgentSpec) -> Flow[Outcome]:
    declared = spec.for_creation()
    answered = None
    unanswered = OpenCXError("The service accepted it with an empty answer.")
    try:
        answered = yield from requests.create_phone_agent(spec)
    except OpenCXError as error:
        if not _may_have_been_handled(error):
            raise
        unanswered = error
    if answered is None:
        agent = yield from _look_for_created(spec, unanswered)
    else:
        agent = yield from _make_sure_of_one(spec, answered)
    mismatches = find_mismatches(declared, agent)
    if any(mismatch.member == "name" for mismatch in mismatches):
        raise OpenCXNameMismatchError(
            f"OpenCX created {agent.label}, though the name {shortened(spec.agent_name)!r} was declared. Declare the"
            " name as OpenCX stores it: under another name the agent is not found again, and each run would create one"
            " more.",
            agent_id=agent.id,
            members=["name"],
        )
    return Outcome(agent, "created", mismatches=mismatches)


def _may_have_been_handled(error: OpenCXError) -> bool:
    """Return whether an agent may exist after a create that failed so.

    Only a request that never arrived, or a refusal, says that none does.
    """
    if isinstance(error, OpenCXUnreachableError):
        return error.request_sent
    return isinstance(error, OpenCXServerError | OpenCXAnswerError)


def _look_for_created(spec: PhoneAgentSpec, reason: OpenCXError) -> Flow[PhoneAgent]:
    """Return the agent whose create was not answered, once it shows up.

    :param reason: why there was no answer.
    """
    not_known = f"Whether phone agent {shortened(spec.agent_name)!r} was created is not known: {reason}"
    asked = asked_to_wait(reason)
    for seconds in LOOK_AGAIN_AFTER:
        if asked is not None:
            break
        yield Pause(seconds)
        try:
            agents = yield from _list()
        except OpenCXError as error:
            if isinstance(error, AirflowFailException):
                raise error.saying(f"{not_known} Looking for it failed: {error}") from None
            asked = asked_to_wait(error)
            continue
        agent = pick_agent(agents, agent_name=spec.agent_name)
        if agent is not None:
            return agent
    raise OpenCXUnknownOutcomeError(
        f"{not_known} No agent of that name has appeared since, and the create was not sent again. The next try looks"
        " first, and adopts the agent if it is there.",
        retry_after=asked,
    )


def _make_sure_of_one(spec: PhoneAgentSpec, created: PhoneAgent) -> Flow[PhoneAgent]:
    """Return the new agent, as the list shows it where it does.

    Somebody else may have created the name at the same moment. The API has no way to prevent that; but whoever lists
    last sees both, and does not report a success.

    :raises OpenCXAmbiguousNameError: if several agents have the name now.
    """
    agents = yield from _list_at_last()
    if agents is None:
        return created  # it exists, and the next run looks again
    try:
        pick_agent(agents, agent_name=spec.agent_name)
    except OpenCXAmbiguousNameError as several:
        raise several.saying(f"The {created.label} was created while another of its name was. {several}") from None
    return agents.with_id(created.id) or created


def _list_at_last() -> Flow[PhoneAgents | None]:
    """List the agents, again and again if that fails; ``None`` if it keeps failing."""
    for seconds in LOOK_AGAIN_AFTER:
        yield Pause(seconds)
        try:
            return (yield from _list())
        except OpenCXError as error:
            if isinstance(error, AirflowFailException) or asked_to_wait(error) is not None:
                return None
    return None


def _update(plan: Update, declared: PhoneAgentChanges) -> Flow[PhoneAgent]:
    """Send the changes and return the agent; from the list, where the answer does not show what was asked."""
    try:
        answered = yield from requests.update_phone_agent(plan.agent.id, plan.changes)
    except OpenCXAnswerError:
        # The service took the changes, and the list will tell.
        answered = None
    if answered is not None and not find_mismatches(declared, answered):
        return answered
    try:
        agents = yield from _list()
    except OpenCXError as error:
        raise error.saying(f"The {plan.agent.label} was updated, and could not be read back: {error}") from None
    agent = agents.with_id(plan.agent.id) or answered
    if agent is None:
        raise OpenCXAgentNotFoundError(
            f"The {plan.agent.label} was updated and is not in the organization's list any more.",
            agent_ids=[plan.agent.id],
        )
    return agent
