"""Takes single fixes out of the provider, to see that the campaign finds each of them missing."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.exceptions import OpenCXConfigError
from airflow_provider_opencx.intents import Intent
from airflow_provider_opencx.phone_agents import listing
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.reconciliation import progress
from airflow_provider_opencx.reconciliation.resource import Outcome, Pending
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from fault_campaign.checks import Promise


@dataclass(frozen=True)
class RemovedFix:
    """A fix of the provider, and what breaks without it.

    :param breaks: the promise of which the campaign finds that it is broken.
    :param patches: what stands in for a function or a constant, by its place in the package.
    """

    breaks: Promise
    patches: Mapping[str, object]


@contextmanager
def without(name: str) -> Generator[None]:
    """Take a fix out for a while.

    :param name: a key of :data:`REMOVED_FIXES`.
    """
    with ExitStack() as patches:
        for place, replacement in REMOVED_FIXES[name].patches.items():
            patches.enter_context(patch(f"airflow_provider_opencx.{place}", replacement))
        yield


class _NoLocks:
    """Locks that nobody else respects, and that keep no intents."""

    def read(self, names: object) -> Mapping[str, Intent]:
        return {}

    def write(self, intents: object) -> None:
        pass

    def delete(self, names: object) -> None:
        pass

    def check(self, name: str) -> None:
        pass


@contextmanager
def _no_lock(*_: object) -> Generator[_NoLocks]:
    yield _NoLocks()


def _no_list(*_: object) -> PhoneAgents:
    return PhoneAgents([])


def _one_list(list_items: Callable[[], PhoneAgents], *_: object) -> PhoneAgents:
    return list_items()


def _first_list(list_items: object, before: PhoneAgents, *_: object) -> PhoneAgents:
    return before


def _two_lists(
    client: OpenCXClient, list_agents: Callable[[OpenCXClient], PhoneAgents] = listing.list_agents
) -> PhoneAgents:
    list_agents(client)
    return list_agents(client)


def _nothing(*_: object, **__: object) -> tuple[()]:
    return ()


def _no_agents(*_: object) -> list[PhoneAgent]:
    return []


def _no_loss(*_: object) -> bool:
    return False


def _no_scenarios(*_: object) -> list[object]:
    return []


def _no_intents(*_: object) -> Mapping[str, Intent]:
    return {}


def _bug(*_: object, **__: object) -> None:
    raise RuntimeError("a bug")


def _untrue_fields(agent: PhoneAgent, dump: Callable[[PhoneAgent], Any] = PhoneAgent.as_dict) -> dict[str, object]:
    return {**dump(agent), "first_message": "Good evening."}


def _believed(
    this: progress.Progress,
    index: int,
    pending: Pending,
    sent: Callable[[progress.Progress, int, Pending], None] = progress.Progress.sent,
) -> None:
    """Settle a write from its response, where the response shows an agent."""
    returned = getattr(pending, "returned", None) or pending.item
    if pending.failure is None and returned is not None:
        this.settle(index, Outcome(returned, this.plan_of(index).decision))
    else:
        sent(this, index, pending)


def _any_text(agent: PhoneAgent) -> bool:
    return bool(agent.phone_number)


def _from_anybody(response: Any) -> bool:
    """Take a refusal for the service's own whatever its body is."""
    return 300 <= response.status_code < 500 and response.status_code not in (408, 429)


def _wrong_connection(conn_id: str, *_: object) -> OpenCXConfigError:
    return OpenCXConfigError(f"Connection {conn_id!r} is not defined.")


def _never_handled(error: object) -> bool:
    return False


_NO_PAUSES: Sequence[float] = ()

REMOVED_FIXES: Mapping[str, RemovedFix] = {
    "list before a create": RemovedFix(
        "duplicates",
        {"phone_agents.reconcile._list_before_creating": _no_list, "reconciliation.creates.list_again": _first_list},
    ),
    "second list before a create": RemovedFix("duplicates", {"reconciliation.creates.list_again": _first_list}),
    "third list before a create": RemovedFix("duplicates", {"reconciliation.creates.list_again": _one_list}),
    "locks": RemovedFix("duplicates", {"client.client.OpenCXClient.lock": _no_lock}),
    "intents": RemovedFix("duplicates", {"reconciliation.creates._read": _no_intents}),
    "names that the service tidied": RemovedFix(
        "duplicates",
        {
            "phone_agents.plan.PhoneAgents.near": _no_agents,
            "phone_agents.plan.PhoneAgents.stored_otherwise": _no_agents,
        },
    ),
    "creates of unknown outcome": RemovedFix(
        "duplicates", {"reconciliation.confirmation.may_have_been_handled": _never_handled}
    ),
    "list after a write": RemovedFix("untrue results", {"reconciliation.progress.Progress.sent": _believed}),
    "comparison after a write": RemovedFix("lost writes", {"phone_agents.writes.find_mismatches": _nothing}),
    "numbers that are none": RemovedFix("untrue results", {"phone_agents.waiting.has_number": _any_text}),
    "refusals that are read again": RemovedFix("untrue results", {"client.client.REFUSALS_TO_BELIEVE": 1}),
    "refusals of a proxy": RemovedFix("untrue results", {"client.errors.is_from_service": _from_anybody}),
    "lists for an agent to update": RemovedFix(
        "untrue results", {"phone_agents.reconcile.FIND_NAME_AFTER": _NO_PAUSES}
    ),
    "connections that cannot be read": RemovedFix(
        "untyped errors",
        {
            "hooks.opencx.connection_not_found": _wrong_connection,
            "triggers.polling.connection_not_found": _wrong_connection,
        },
    ),
    "types of errors": RemovedFix("untyped errors", {"phone_agents.reconcile.plan_upsert": _bug}),
    "fields of a result": RemovedFix("untrue results", {"resources.phone_agents.PhoneAgent.as_dict": _untrue_fields}),
    "edits that are not published": RemovedFix("overwritten drafts", {"knowledge.plan._loses_an_edit": _no_loss}),
    "keys of training scenarios": RemovedFix("duplicates", {"knowledge.plan.Scenarios.of_identity": _no_scenarios}),
    "one list": RemovedFix("needless requests", {"phone_agents.reconcile.list_agents": _two_lists}),
}
"""Each row is a fix, by a name for the option ``--find``."""
