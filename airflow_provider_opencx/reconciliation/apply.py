"""Applies plans: sends each write once, and reads the list until it shows what was written.

One item is many of one: the same code writes either.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.intents import IntentStore
from airflow_provider_opencx.reconciliation.creates import CreateWriter
from airflow_provider_opencx.reconciliation.items import ItemsT, ItemT
from airflow_provider_opencx.reconciliation.plans import ChangesT, Create, Refuse, SpecT, Update
from airflow_provider_opencx.reconciliation.progress import OnResult, Planned, Progress, Result
from airflow_provider_opencx.reconciliation.resource import Outcome, Resource


def apply_plan(
    client: OpenCXClient,
    resource: Resource[SpecT, ChangesT, ItemT, ItemsT],
    planned: Planned[SpecT, ChangesT, ItemT, ItemsT],
    items: ItemsT,
    intents: IntentStore | None = None,
) -> Outcome[ItemT]:
    """Apply one plan.

    :param client: has the locks.
    :param resource: lists and writes.
    :param planned: what is to be done.
    :param items: the list from which it was planned.
    :param intents: where the intent of a create survives this process, beside its lock.
    :raises OpenCXError: the refusal of the plan, or why it could not be applied.
    """
    [result] = apply_plans(client, resource, [planned], items, intents=intents)
    if isinstance(result, OpenCXError):
        raise result
    return result


def apply_plans(
    client: OpenCXClient,
    resource: Resource[SpecT, ChangesT, ItemT, ItemsT],
    planned: Sequence[Planned[SpecT, ChangesT, ItemT, ItemsT]],
    items: ItemsT,
    *,
    intents: IntentStore | None = None,
    on_result: OnResult | None = None,
) -> list[Result[ItemT]]:
    """Apply plans, and return their results in the same order; an error of one does not hold up the others.

    Creates come first. An item that has appeared since the list was read gets another plan.

    :param client: has the locks.
    :param resource: lists and writes.
    :param planned: what is to be done for each item.
    :param items: the list from which it was planned.
    :param intents: where the intents of creates survive this process, beside their locks.
    :param on_result: called after each write, with the number of writes that are done, and of all.
    """
    progress = Progress(resource, planned, items, on_result)
    CreateWriter(client, progress, intents).write()
    for index in progress.left():
        if not progress.is_stopped(index):
            _apply(progress, index)
    progress.give_up(progress.look())
    return progress.results


def _apply(progress: Progress[SpecT, ChangesT, ItemT, ItemsT], index: int) -> None:
    """Settle one plan that is not a create, or send its update."""
    plan = progress.plan_of(index)
    if isinstance(plan, Refuse):
        if plan.error.is_permanent:
            progress.settle(index, plan.error)
        else:
            progress.postpone(index, plan.error)
    elif isinstance(plan, Update):
        try:
            progress.sent(index, progress.resource.update(plan, progress.declared_of(index)))
        except OpenCXError as error:
            progress.settle(index, error)
    elif not isinstance(plan, Create):
        progress.settle(index, Outcome(plan.item, plan.decision))
