"""Adds people to a continuous sequence, which calls them: in slices, each person at most once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import JsonValue

from airflow_provider_opencx.campaigns.calls import CallResult, Done
from airflow_provider_opencx.campaigns.sequences.filters import admits
from airflow_provider_opencx.client.once import send_once
from airflow_provider_opencx.client.operation import Request
from airflow_provider_opencx.exceptions import (
    OpenCXSequenceCanceledError,
    OpenCXSequenceRefusedError,
    OpenCXUnknownOutcomeError,
)
from airflow_provider_opencx.resources.calls import Callee, PlacedCall
from airflow_provider_opencx.resources.sequences import (
    OutboundSequence,
    add_contacts_request,
)
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

WAYS_ON = (
    "Nothing is sent again automatically. Look in the OpenCX dashboard whether they were added. Then clear the task"
    ' with on_unknown="skip" to leave these people out, or with on_unknown="repeat" to add them, where nobody was.'
)
"""What to do if it is not known whether people were added."""

_MOST_NAMED = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EnrolmentSender:
    """Adds a slice of people to a sequence with a request.

    :param client: sends the requests.
    :param sequence: the sequence.
    :param prepare_agents: what is checked once, before the first request, such as the agents that are to call.
    :param most_at_once: how many people a request adds at the most.
    :param done: what a request does to a person, for messages and records.
    :param ways_on: the last sentence of an error: what a person can do.
    """

    client: OpenCXClient
    sequence: OutboundSequence
    prepare_agents: Callable[[], None]
    most_at_once: int
    done: Done = "added"
    ways_on: str = WAYS_ON

    def elsewhere(self, done: Done, through: str | None) -> str:
        """Return that a person was called, or added to another sequence; an empty text if it was to this one."""
        if (done, through) == (self.done, self.sequence.id):
            return ""
        return done if done != self.done else f"{done} to another sequence ({identifier(through or '')})"

    def unsent(self, about: str) -> Request:
        """Return what would be sent, for a message."""
        return replace(add_contacts_request(self.sequence.id, []), about=about)

    def prepare(self) -> str:
        """Return the id of the sequence."""
        self.prepare_agents()
        return self.sequence.id

    def request(self, through: str, people: Sequence[Callee]) -> Request:
        """Return the request that adds the people of a slice."""
        contacts: list[JsonValue] = [
            {"id": named.contact_id} if named.contact_id else {"phone_number": named.phone_number}
            for named in map(_as_named, people)
        ]
        return add_contacts_request(through, contacts)

    def send(self, request: Request, people: Sequence[Callee], before_sending: Callable[[], None]) -> PlacedCall:
        """Add the people of a slice."""
        try:
            handled = send_once(self.client, request, before_sending=before_sending)
        except OpenCXUnknownOutcomeError as unknown:
            raise unknown.with_message(f"may or may not have been added to {self.sequence.label}: {unknown}") from None
        return PlacedCall(handled.sent_at, handled.body)


def check_can_add(sequence: OutboundSequence) -> None:
    """Check that people can be added to a sequence.

    :raises OpenCXSequenceRefusedError: if it is not a continuous one, has ended, or is canceled.
    """
    if sequence.is_canceled:
        raise OpenCXSequenceCanceledError(f"Nobody is added: {sequence.label} is canceled.", sequence_id=sequence.id)
    if sequence.is_continuous is not True:
        raise OpenCXSequenceRefusedError(
            f"Nobody is added: {sequence.label} is not a continuous sequence. One-off sequences call whom their filter"
            " selects.",
            sequence_id=sequence.id,
        )
    if sequence.has_ended:
        raise OpenCXSequenceRefusedError(
            f"Nobody is added: {sequence.label} has ended, so it calls nobody any more.", sequence_id=sequence.id
        )


def not_admitted(sequence: OutboundSequence, people: Sequence[Callee]) -> frozenset[Callee]:
    """Return the people whom the filter of a sequence does not admit; the service skips them silently."""
    verdicts = [(callee, admits(sequence.filter, _as_named(callee))) for callee in people]
    refused = [callee.label for callee, verdict in verdicts if verdict is False]
    if refused:
        log.warning("%s does not admit %s.", sequence.label, listed(refused, _MOST_NAMED))
    open_ = sum(verdict is None for _, verdict in verdicts)
    if open_:
        log.warning(
            "Whether %s admits %d of %d people cannot be seen from its filter. The service silently skips people whom"
            " it does not admit.",
            sequence.label,
            open_,
            len(people),
        )
    return frozenset(callee for callee, verdict in verdicts if verdict is False)


def _as_named(callee: Callee) -> Callee:
    """Return a person as the request names the person: the contact where its id is known, else the number.

    A number beside a contact may be that of somebody else.
    """
    return Callee(contact_id=callee.contact_id) if callee.contact_id else callee


def enrolment_result(result: CallResult) -> dict[str, JsonValue]:
    """Return the outcome for a person as plain JSON."""
    return {
        "phone_number": result.callee.phone_number,
        "contact_id": result.callee.contact_id,
        "status": result.status,
        "sequence_id": result.through,
        "run_id": run_id_of(result),
        "added_at": result.called_at,
        "reason": result.reason or None,
    }


def run_id_of(result: CallResult) -> str | None:
    """Return the id of the run that the service has made of a slice; ``None`` if it did not say one."""
    run_id = result.response.get("run_id") if isinstance(result.response, dict) else None
    return run_id if isinstance(run_id, str) else None
