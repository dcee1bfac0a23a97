"""Applies plans: sends each write once, and reads the list until it shows what was written.

One agent is a fleet of one: the same code writes either.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.intents import IntentStore
from airflow_provider_opencx.phone_agents.creates import CreateWriter
from airflow_provider_opencx.phone_agents.plan import Create, PhoneAgents, Refuse, Update
from airflow_provider_opencx.phone_agents.progress import OnResult, Planned, Progress, Result
from airflow_provider_opencx.phone_agents.writes import Outcome, update


def apply_plan(
    client: OpenCXClient, planned: Planned, agents: PhoneAgents, intents: IntentStore | None = None
) -> Outcome:
    """Apply one plan.

    :param client: sends the requests.
    :param planned: what is to be done.
    :param agents: the list from which it was planned.
    :param intents: where the intent of a create survives this process, beside the lock of its name.
    :raises OpenCXError: the refusal of the plan, or why it could not be applied.
    """
    [result] = apply_plans(client, [planned], agents, intents)
    if isinstance(result, OpenCXError):
        raise result
    return result


def apply_plans(
    client: OpenCXClient,
    planned: Sequence[Planned],
    agents: PhoneAgents,
    intents: IntentStore | None = None,
    on_result: OnResult | None = None,
) -> list[Result]:
    """Apply plans, and return their results in the same order; an error of one does not hold up the others.

    Creates come first. An agent that has appeared since the list was read gets another plan.

    :param client: sends the requests.
    :param planned: what is to be done for each agent.
    :param agents: the list from which it was planned.
    :param intents: where the intents of creates survive this process, beside the locks of their names.
    :param on_result: called after each write, with the number of writes that are done, and of all.
    """
    progress = Progress(client, planned, agents, on_result)
    CreateWriter(progress, intents).write()
    for index in progress.left():
        if not progress.is_stopped(index):
            _apply(progress, index)
    progress.give_up(progress.look())
    return progress.results


def _apply(progress: Progress, index: int) -> None:
    """Settle one plan that is not a create, or send its update."""
    plan = progress.plan_of(index)
    if isinstance(plan, Refuse):
        if plan.error.is_permanent:
            progress.settle(index, plan.error)
        else:
            progress.postpone(index, plan.error)
    elif isinstance(plan, Update):
        try:
            declared = progress.declared_of(index)
            progress.sent(index, update(progress.client, plan, declared, progress.language_form))
        except OpenCXError as error:
            progress.settle(index, error)
    elif not isinstance(plan, Create):
        progress.settle(index, Outcome(plan.agent, plan.decision))
