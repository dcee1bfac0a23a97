"""Applies a plan for many items: checks it, writes, and reports failures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, TypeAlias, get_args

from pydantic import JsonValue

from airflow_provider_opencx import metrics
from airflow_provider_opencx.arguments import check_choice
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.retry_after import RetryAfter
from airflow_provider_opencx.exceptions import (
    OpenCXError,
    OpenCXFleetError,
    OpenCXFleetPermanentError,
    OpenCXGuardError,
    OpenCXMismatchError,
    OpenCXNotFoundAgainError,
    OpenCXPlanChangedError,
)
from airflow_provider_opencx.intents import IntentStore
from airflow_provider_opencx.reconciliation.apply import apply_plans
from airflow_provider_opencx.reconciliation.guards import Guards, LateUpdates
from airflow_provider_opencx.reconciliation.items import ItemsT, ItemT
from airflow_provider_opencx.reconciliation.listing import is_stale
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.reconciliation.plans import ChangesT, Plan, Refuse, SpecT, Update, described
from airflow_provider_opencx.reconciliation.progress import OnResult, Planned, Result
from airflow_provider_opencx.reconciliation.resource import Outcome, Resource
from airflow_provider_opencx.reconciliation.sync_plan import SyncPlan
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes

OnMismatch: TypeAlias = Literal["fail", "warn"]
"""What to do if the service stores another value than declared."""

_MOST_REASONS = 20
_MOST_NAMED = 200

log = logging.getLogger(__name__)


def check_on_mismatch(on_mismatch: OnMismatch) -> None:
    """Raise an ``OpenCXArgumentError`` if the argument ``on_mismatch`` is not one of its choices."""
    check_choice("on_mismatch", on_mismatch, get_args(OnMismatch))


def items_now(
    plan: SyncPlan[SpecT, ItemT, ChangesT, ItemsT],
    here: Organization,
    list_items: Callable[[], ItemsT],
    org_id_of: Callable[[ItemsT], str | None],
) -> ItemsT:
    """Return the items of a plan, listed again unless it was just made, and over this connection.

    An item that the plan knows and the new list does not show stays among them: one list may be incomplete.

    :param here: where the plan is to be applied, by its base URL and connection.
    :param list_items: reads the list.
    :param org_id_of: returns the id of the organization whose items they are.
    :raises OpenCXPlanChangedError: if the plan is for another organization.
    """
    planned = plan.organization
    if replace(here, org_id=planned.org_id) == planned and not is_stale(plan.items):
        return plan.items
    items = plan.items
    here = replace(here, org_id=planned.org_id)
    if here.base_url == planned.base_url:
        items = list_items()
        here = replace(here, org_id=org_id_of(items))
    if not planned.is_still(here):
        raise OpenCXPlanChangedError(
            f"Nothing was sent, because the plan is for {planned}, and this is {here}. Apply it over the connection"
            " over which it was made, or make a new plan."
        )
    return items.with_those_of(plan.items)


def apply_sync_plan(
    client: OpenCXClient,
    resource: Resource[SpecT, ChangesT, ItemT, ItemsT],
    plan: SyncPlan[SpecT, ItemT, ChangesT, ItemsT],
    items_to_write: Callable[[], ItemsT],
    declared_of: Callable[[SpecT], ChangesT],
    *,
    approved: Mapping[str, JsonValue] | None,
    guards: Guards | None,
    on_mismatch: OnMismatch,
    intents: IntentStore | None,
    on_result: OnResult | None,
) -> list[ItemT]:
    """Apply a plan, and return the items in the declared order.

    An item that fails does not hold up the others, unless its error says that theirs would fail as well.

    :param client: has the locks.
    :param resource: lists and writes.
    :param items_to_write: returns the items to write from, which may be those of the plan.
    :param declared_of: returns what the result of a declaration is compared with.
    :param approved: a plan that somebody has approved, as JSON: nothing else is done.
    :param guards: what the plan may do at most, and for which organization.
    :param intents: where the intents of creates survive this process.
    :param on_result: called after each write, with the number of writes that are done, and of all.
    :raises OpenCXPlanRefusedError: before the first write, if an item cannot be brought to its declaration, or the
        plan is not the approved one, is for another organization, or does more than a guard allows.
    :raises OpenCXFleetError: naming each item that failed, after the others were written.
    """
    check_on_mismatch(on_mismatch)
    metrics.count_decision(Refuse.decision, len(plan.refusals), noun=resource.noun)
    plan.check(approved, guards)
    items = items_to_write()
    planned: list[Planned[SpecT, ChangesT, ItemT, ItemsT]] = []
    for step in plan.steps:
        replan = partial(plan.plan_again, step, approved=approved)
        planned.append(Planned(step.plan if items is plan.items else replan(items), declared_of(step.spec), replan))
    names = [step.name for step in plan.steps]
    if guards is not None:
        now = [replace(step, plan=each.plan) for step, each in zip(plan.steps, planned, strict=True)]
        replace(plan, steps=tuple(now), items=items).check_guards(guards)
    late = LateUpdates(
        guards, [name for name, each in zip(names, planned, strict=True) if isinstance(each.plan, Update)]
    )
    planned = [
        replace(each, replan=partial(_guarded, name, each, late)) for name, each in zip(names, planned, strict=True)
    ]
    results = apply_plans(client, resource, planned, items, intents=intents, on_result=on_result)
    return _items_of(dict(zip(names, results, strict=True)), on_mismatch, plan.words.item)


def _guarded(
    name: str, planned: Planned[SpecT, ChangesT, ItemT, ItemsT], late: LateUpdates, items: ItemsT
) -> Plan[SpecT, ItemT, ChangesT]:
    """Return the plan for an item from another list; a refusal, if a guard does not allow it."""
    plan = planned.replan(items)
    try:
        if isinstance(plan, Update):
            late.check(name)
    except OpenCXGuardError as over:
        return Refuse(over)
    return plan


def checked(
    outcome: Outcome[ItemT],
    on_mismatch: OnMismatch,
    mismatch_error: type[OpenCXMismatchError] = OpenCXMismatchError,
) -> ItemT:
    """Return the item of an outcome, if the service has stored it as declared or a warning is enough."""
    if not outcome.mismatches:
        return outcome.item
    message = (
        f"OpenCX {outcome.decision} {outcome.item.label}, but not as declared:"
        f" {described(outcome.mismatches)}. The service may not know the field, or not accept the value; with"
        " on_mismatch='warn' this is only logged."
    )
    if on_mismatch == "fail":
        fields = [mismatch.field for mismatch in outcome.mismatches]
        raise mismatch_error(message, agent_id=outcome.item.id, fields=fields)
    log.warning(message)
    return outcome.item


def _items_of(results: Mapping[str, Result[ItemT]], on_mismatch: OnMismatch, noun: str) -> list[ItemT]:
    """Return the items of results by their names; raises the error that names each which failed."""
    items: list[ItemT] = []
    failures: dict[str, OpenCXError] = {}
    for name, result in results.items():
        try:
            if isinstance(result, OpenCXError):
                raise result
            items.append(checked(result, on_mismatch))
        except OpenCXError as error:
            failures[name] = error
    if failures:
        raise sync_error(failures, len(results), noun)
    return items


def sync_error(failures: Mapping[str, OpenCXError], declared: int, noun: str) -> OpenCXFleetError:
    """Return the error that names each item which failed; it is retried only where that can help."""
    others = "; the others are" if len(failures) < declared else ""
    message = f"{len(failures)} of {declared} {noun}s are not as declared{others}. {_reasons(failures)}"
    # Another try would create an item again if it does not find it.
    created_otherwise = any(isinstance(error, OpenCXNotFoundAgainError) for error in failures.values())
    is_permanent = created_otherwise or all(error.is_permanent for error in failures.values())
    waits = [asked.seconds for error in failures.values() if (asked := RetryAfter.too_long(error))]
    return (OpenCXFleetPermanentError if is_permanent else OpenCXFleetError)(
        message,
        failures={name: str(error) for name, error in failures.items()},
        retry_after=max(waits, default=None),
    )


def _reasons(failures: Mapping[str, OpenCXError]) -> str:
    """Return why items failed, each reason once, with the names of those that it is about, as far as that is short."""
    names_by_reason: dict[str, list[str]] = {}
    for name, error in failures.items():
        names_by_reason.setdefault(str(error), []).append(in_quotes(name))
    texts, named = [], 0
    for reason, names in [*names_by_reason.items()][:_MOST_REASONS]:
        texts.append(f"{listed(names, max(1, _MOST_NAMED - named))}: {reason}")
        named += len(names)
    others: Sequence[str] = [name for names in [*names_by_reason.values()][_MOST_REASONS:] for name in names]
    return " ".join([*texts, listed(others, max(1, _MOST_NAMED - named))]).rstrip()
