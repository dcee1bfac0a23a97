"""Guards that keep a sequence from being created or started: by people, time and agent. Pure.

Guards hold where people are listed. Where the service selects them, that is said, and must be meant.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from airflow_provider_opencx.campaigns.agent import check_can_call
from airflow_provider_opencx.campaigns.calling_hours import CallingHours
from airflow_provider_opencx.campaigns.guards import DoNotCall, Guards, Hindrance, check_count
from airflow_provider_opencx.campaigns.sequences.declaration import AskedSequence
from airflow_provider_opencx.campaigns.sequences.filters import is_empty, people_of, selects_everybody
from airflow_provider_opencx.campaigns.sequences.steps import agents_of, unknown_steps
from airflow_provider_opencx.exceptions import (
    OpenCXCallRefusedError,
    OpenCXContactsMissingError,
    OpenCXOutsideCallingHoursError,
    OpenCXSequenceMismatchError,
    OpenCXSequenceRefusedError,
)
from airflow_provider_opencx.phone_numbers import as_compared, possible_numbers
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.contacts import Contact
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.resources.sequences import OutboundSequence
from airflow_provider_opencx.text import listed

_MOST_NAMED = 5

_NOT_COMPARED = (
    "the service selects whom the filter calls, so that they cannot be compared with the do-not-call list. List people"
    " with contacts_from; or give an empty list, where people who are on it may be called."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownContacts:
    """Which of some people a sequence can reach: it calls contacts of the organization, and each of them once.

    :param missing: people who are not contacts.
    :param repeated: people whose number several of the contacts have that the filter selects: it would ring as often.
    :param names: of each of the people, what their contacts are known by as well: the id of one, the number of another.
    :param spellings: how the contacts of people have their numbers, where that is not E.164.
    """

    missing: Collection[Callee]
    repeated: Collection[Callee]
    names: Mapping[Callee, frozenset[str]]
    spellings: Mapping[Callee, Sequence[str]]

    @classmethod
    def of(
        cls, people: Sequence[Callee], contacts: Iterable[Contact], *, default_region: str | None = None
    ) -> KnownContacts:
        """Compare some people with the contacts of the organization.

        A contact whose number can be read in its country alone is compared, and counts as one that is called. But it is
        no contact to select by that number: the same digits may be a number of another country.

        :param default_region: the country of national numbers of contacts; ``None`` reads none.
        """
        number_of: dict[str, str] = {}
        written: defaultdict[str, set[str]] = defaultdict(set)
        selected: defaultdict[str, set[str]] = defaultdict(set)
        others: defaultdict[str, set[str]] = defaultdict(set)
        for contact in contacts:
            [name] = Callee(contact_id=contact.id).names
            selected[name].add(name)
            if contact.phone_number:
                number, *_ = numbers = possible_numbers(contact.phone_number, default_region)
                number_of[name] = number
                selected[number].add(name)
                if as_compared(contact.phone_number) == number:
                    written[number].add(contact.phone_number)
                for each in numbers:
                    others[each].add(name)
                    others[name].add(each)
        # The filter selects by the first name of a person: the number, or the contact where no number is known.
        by_name = {callee.names[0]: callee for callee in people}
        called = set().union(*(selected.get(name, ()) for name in by_name))
        calls = Counter(number_of[contact] for contact in called if contact in number_of)
        return cls(
            missing=[
                callee
                for name, callee in by_name.items()
                if not (written if callee.phone_number else selected).get(name)
            ],
            repeated=[
                callee
                for name, callee in by_name.items()
                if any(calls[number_of.get(contact, "")] > 1 for contact in selected.get(name, ()))
            ],
            names={callee: frozenset().union(*(others.get(name, ()) for name in callee.names)) for callee in people},
            spellings={
                callee: sorted(written.get(name, set()) - {callee.phone_number})
                for name, callee in by_name.items()
                if callee.phone_number
            },
        )

    def on(self, do_not_call: DoNotCall | None) -> set[Callee]:
        """Return the people whose contact is on a list by its other name: by its id, or by its number."""
        if do_not_call is None:
            return set()
        return {callee for callee, names in self.names.items() if not names.isdisjoint(do_not_call.names)}

    def check_repeated(self) -> None:
        """Check that no number is that of several contacts.

        :raises OpenCXContactsMissingError: if one is.
        """
        if self.repeated:
            raise OpenCXContactsMissingError(
                f"Nothing was sent: several contacts have the number of {_named(self.repeated)}, and a sequence calls"
                " each of them. Merge these contacts in OpenCX, or leave the number out."
            )

    def check_missing(self) -> None:
        """Check that everybody is a contact.

        :raises OpenCXContactsMissingError: if somebody is not.
        """
        if self.missing:
            raise OpenCXContactsMissingError(
                f"Nothing was sent: {_named(self.missing)} cannot be reached by a sequence, which calls only contacts"
                ' of the organization. Import them in OpenCX, or leave them out with missing_contacts="leave_out".'
                " OpenCXPlaceCallOperator calls numbers that are not contacts."
            )


def check_selection(filter: Mapping[str, JsonValue], max_contacts: int | None, *, unchecked: bool) -> None:
    """Check that a filter selects people who can be checked, or that something else is meant.

    :param filter: the filter of a new sequence.
    :param max_contacts: how many people it may select; ``None`` means any number.
    :param unchecked: whether people are meant who cannot be checked.
    :raises OpenCXSequenceRefusedError: if it is not so.
    """
    stored = dict(filter)
    people = people_of(stored)
    if people is not None:
        check_count(len(people), max_contacts, "the filter selects")
        return
    if not unchecked:
        raise OpenCXSequenceRefusedError(
            "Nothing was sent: the service selects whom this filter calls, so that neither a do-not-call list nor"
            " calling hours can be checked for them. List people with contacts_from, or write unchecked=True."
        )
    if selects_everybody(stored) and max_contacts is not None:
        raise OpenCXSequenceRefusedError(
            f"Nothing was sent: the filter selects every contact of the organization, and max_contacts={max_contacts}"
            " cannot be checked. If everybody is meant, write max_contacts=None."
        )


def check_do_not_call(filter: Mapping[str, JsonValue], do_not_call: DoNotCall | None) -> None:
    """Check that a filter of the author's own selects nobody who must not be called.

    :param filter: the filter of a new sequence.
    :param do_not_call: who must not be called; ``None`` means no list.
    :raises OpenCXCallRefusedError: if it lists somebody of the do-not-call list.
    :raises OpenCXSequenceRefusedError: if the service selects its people, so that they cannot be compared with a list.
    """
    if do_not_call is None or not do_not_call.names:
        return
    people = people_of(dict(filter))
    if people is None:
        raise OpenCXSequenceRefusedError(f"Nothing was sent: {_NOT_COMPARED}")
    found = [callee for callee in people if do_not_call.has(callee)]
    if found:
        raise OpenCXCallRefusedError(
            f"Nothing was sent: the filter lists {_named(found)}, who must not be called (do-not-call list). Take them"
            " out of the filter, or list people with contacts_from, which leaves them out."
        )


def warn_of_contacts(do_not_call: DoNotCall | None, people: Iterable[Callee], what_it_means: str) -> None:
    """Warn where a do-not-call list names contacts by their ids, and people are named by numbers: none is compared.

    :param what_it_means: what it means for them, for the end of the sentence.
    """
    contacts = 0 if do_not_call is None else do_not_call.contacts
    if contacts and any(callee.contact_id is None for callee in people):
        log.warning(
            "The do-not-call list has %s without a number. Here they cannot be compared with people who are listed by"
            " a number: %s.",
            "1 contact" if contacts == 1 else f"{contacts} contacts",
            what_it_means,
        )


def check_common_hours(hours: CallingHours | None, zones: Collection[str], now: datetime) -> None:
    """Check that there is a time at which all people of a sequence may be called: it is started for all at once.

    :param hours: when people may be called; ``None`` means any time.
    :param zones: their time zones.
    :raises OpenCXCallRefusedError: if there is none in the two weeks to come.
    """
    if hours is not None and zones and hours.next_opening(zones, now) is None:
        raise OpenCXCallRefusedError(
            "Nobody is called: there is no time at which all people of the sequence may be called, who are in"
            f" {listed(sorted(zones), _MOST_NAMED)}. Make a sequence for those of each region, or give other"
            " calling_hours."
        )


@dataclass(frozen=True)
class StartGuards:
    """The checks before the start of a sequence.

    :param guards: whom, and when.
    :param asked: what was asked of the sequence; ``None`` where only its id is known.
    :param max_contacts: where only its id is known: how many people it may select; ``None`` means any number.
    """

    guards: Guards
    asked: AskedSequence | None = None
    max_contacts: int | None = None

    def check(self, sequence: OutboundSequence, now: datetime) -> None:
        """Check a sequence as the service shows it.

        :raises OpenCXSequenceMismatchError: if it is not as it was asked for.
        :raises OpenCXSequenceRefusedError: if it selects people who cannot be checked, or too many.
        :raises OpenCXCallRefusedError: if it selects people who must not be called.
        :raises OpenCXOutsideCallingHoursError: if somebody must not be called now.
        """
        self._check_asked(sequence)
        people = people_of(sequence.filter)
        if people is None:
            self._check_unlisted(sequence, now)
            return
        if self.asked is None:
            check_count(len(people), self.max_contacts, f"{sequence.label} selects")
        self.guards.check_known(people)
        self._check_people(sequence, people, now)

    def _check_asked(self, sequence: OutboundSequence) -> None:
        differences = {} if self.asked is None else self.asked.differences(sequence, actions_exactly=True)
        if differences:
            raise OpenCXSequenceMismatchError(
                f"{sequence.label} is not started, because it is not as it was asked for:"
                f" {'; '.join(f'{field}: {each}' for field, each in differences.items())}.",
                sequence_id=sequence.id,
                fields=list(differences),
            )

    def _check_unlisted(self, sequence: OutboundSequence, now: datetime) -> None:
        """Check a sequence whose people the service selects: nothing but the assumed time zone is known of them."""
        if is_empty(sequence.filter):
            raise OpenCXSequenceRefusedError(
                f"{sequence.label} is not started: its stored filter is null or empty, which selects every contact of"
                " the organization.",
                sequence_id=sequence.id,
            )
        if not self.guards.unchecked:
            raise OpenCXSequenceRefusedError(
                f"{sequence.label} is not started: the service selects whom its filter calls, so that they cannot be"
                " checked. If that is intended, write unchecked=True.",
                sequence_id=sequence.id,
            )
        if self.guards.do_not_call is not None and self.guards.do_not_call.names:
            raise OpenCXSequenceRefusedError(
                f"{sequence.label} is not started: {_NOT_COMPARED}", sequence_id=sequence.id
            )
        if selects_everybody(sequence.filter) and self.asked is None and self.max_contacts is not None:
            raise OpenCXSequenceRefusedError(
                f"{sequence.label} is not started: it selects every contact of the organization. Where everybody is"
                " meant, write max_contacts=None.",
                sequence_id=sequence.id,
            )
        zone = self.guards.unknown_zone
        if self.guards.hours is not None and zone is not None and not self.guards.hours.allow([zone], now):
            raise _outside(sequence, f"it is outside the calling hours in {zone}", self._opens_at([zone], now))

    def _check_people(self, sequence: OutboundSequence, people: Sequence[Callee], now: datetime) -> None:
        compared = "the create has compared them if it has read the contacts (check_contacts)"
        warn_of_contacts(self.guards.do_not_call, people, compared)
        verdicts = [(callee, self.guards.verdict(callee, now)) for callee in people]
        for hindrance, reason in _NEVER.items():
            found = [callee for callee, verdict in verdicts if verdict.hindrance == hindrance]
            if found:
                raise OpenCXCallRefusedError(f"{sequence.label} is not started: {_named(found)} {reason}")
        outside = [callee for callee, verdict in verdicts if verdict.hindrance == "outside_hours"]
        if outside:
            zones = sorted({zone for _, verdict in verdicts for zone in verdict.zones})
            check_common_hours(self.guards.hours, zones, now)
            reason = f"{_named(outside)} must not be called at this hour"
            raise _outside(sequence, reason, self._opens_at(zones, now))

    def _opens_at(self, zones: Sequence[str], now: datetime) -> datetime | None:
        return None if self.guards.hours is None else self.guards.hours.next_opening(zones, now)


_NEVER: Mapping[Hindrance, str] = {
    "do_not_call": "must not be called (do-not-call list). Start a new Dag run, which makes a sequence without them.",
    "unknown_zone": "is in an unknown time zone, because the number does not show it. Set unknown_zone.",
}
"""Reasons not to start a sequence that do not depend on the time."""


def check_steps_known(sequence: OutboundSequence, *, unchecked: bool) -> None:
    """Check that the steps of a sequence say who calls, where nothing was asked to compare them with.

    :param unchecked: whether steps are meant of which nobody knows that.
    :raises OpenCXCallRefusedError: if none is shown, or one of them is of a type that is not known.
    """
    unknown = unknown_steps(sequence.steps or ())
    if sequence.steps and not unknown:
        return
    steps = f"does not say who calls in {listed(unknown, _MOST_NAMED)}" if unknown else "shows no steps"
    if not unchecked:
        raise OpenCXCallRefusedError(
            f"Nobody is called: {sequence.label} {steps}, so that the agent cannot be checked. Give what"
            " OpenCXCreateSequenceOperator returned, where it was made with it; or look at the steps in the OpenCX"
            " dashboard, and write unchecked=True."
        )
    log.warning("%s %s: the agent is not checked.", sequence.label, steps)


def check_agents(
    steps: Sequence[Mapping[str, JsonValue]] | None, agents: Sequence[PhoneAgent], *, unchecked: bool
) -> list[PhoneAgent]:
    """Check that the agents of the steps can call, and return them.

    :param steps: the steps.
    :param agents: the agents of the organization.
    :param unchecked: whether steps are meant whose agent cannot be determined.
    :raises OpenCXCallRefusedError: if one is not there, not outbound, or cannot be determined.
    :raises OpenCXAgentNotReadyError: if one has no number.
    """
    by_id = {agent.id: agent for agent in agents}
    calling: list[PhoneAgent] = []
    for agent_id in agents_of(steps or ()):
        if agent_id is None:
            if unchecked:
                log.warning("It is not known which agent calls in a step, so the agent is not checked.")
                continue
            raise OpenCXCallRefusedError(
                "Nobody is called: it is not known which agent calls in a step. Write the step with phone_step(agent),"
                " or write unchecked=True."
            )
        agent = by_id.get(agent_id)
        if agent is None:
            raise OpenCXCallRefusedError(
                f"Nobody is called: there is no phone agent {agent_id!r}, which a step names as the one that calls."
            )
        check_can_call(agent)
        calling.append(agent)
    return calling


def _outside(sequence: OutboundSequence, reason: str, opens_at: datetime | None) -> OpenCXOutsideCallingHoursError:
    until = "" if opens_at is None else f" All may be called from {opens_at.isoformat(timespec='minutes')} on."
    return OpenCXOutsideCallingHoursError(
        f"{sequence.label} was not started: {reason}.{until}",
        opens_at=None if opens_at is None else opens_at.isoformat(),
    )


def _named(people: Iterable[Callee]) -> str:
    return listed([callee.label for callee in people], _MOST_NAMED)
