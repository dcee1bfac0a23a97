"""The sequences of every organization, in memory, and what happens in them as time passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from threading import RLock

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.list_view import History
from airflow_provider_opencx.simulator.resources.calls import Calls, Dialed
from airflow_provider_opencx.simulator.resources.contacts.store import Contact, Contacts
from airflow_provider_opencx.simulator.resources.phone_agents import store as phone_agents
from airflow_provider_opencx.simulator.resources.sequences.fields import DEFAULTS, PHONE_STEP
from airflow_provider_opencx.simulator.resources.sequences.filters import selection
from airflow_provider_opencx.simulator.resources.sequences.sequence import (
    Enrolled,
    Run,
    SequenceRefusedError,
    SequenceSettings,
    StoredSequence,
    UnknownSequenceError,
)
from airflow_provider_opencx.simulator.service import Service
from airflow_provider_opencx.simulator.timestamps import Calendar, timestamp

_SECONDS_IN_A_MINUTE = 60


class Sequences:
    """Keeps the sequences in the order of their creation, and carries out their steps.

    :param service: the service whose state it is
    """

    def __init__(self, service: Service) -> None:
        self.settings = SequenceSettings()
        self._clock = service.clock
        self._calendar = service.state(Calendar)
        self._contacts = service.state(Contacts)
        self._calls = service.state(Calls)
        self._agents = service.state(phone_agents.Store)
        self._histories: dict[str, History[StoredSequence]] = {}
        self._runs: dict[str, Run] = {}
        self._canceled_runs: set[str] = set()
        self._started: list[tuple[str, str]] = []
        self._enrolled: list[tuple[str, Enrolled]] = []
        self._numbers = count(1)
        self._run_numbers = count(1)
        # The clock runs the steps while it holds its own lock, so nothing may be scheduled while this one is held.
        self._lock = RLock()

    def of(self, organization: str) -> list[StoredSequence]:
        """Return the sequences of an organization."""
        with self._lock:
            latest = [history.latest for history in self._histories.values()]
        return [sequence for sequence in latest if sequence.org_id == organization]

    def started(self, organization: str) -> list[str]:
        """Return the ids of the sequences that were started, in the order of the starts."""
        with self._lock:
            return [sequence_id for started_in, sequence_id in self._started if started_in == organization]

    def enrolled(self, organization: str) -> list[Enrolled]:
        """Return the contacts that were put into sequences, in their order."""
        with self._lock:
            return [enrolled for enrolled_in, enrolled in self._enrolled if enrolled_in == organization]

    def find(self, sequence_id: str, organization: str | None = None) -> StoredSequence:
        """Return a sequence, or raise an UnknownSequenceError.

        :param organization: only find a sequence of this organization
        """
        with self._lock:
            history = self._histories.get(sequence_id)
            if history is None or organization not in (None, history.latest.org_id):
                raise UnknownSequenceError(sequence_id)
            return history.latest

    def shown(self, sequence_id: str, organization: str) -> StoredSequence:
        """Return what a request reads: a sequence as it was when the lag began, also by its custom id.

        The newest of those with a custom id is found. Raises an UnknownSequenceError.
        """
        then = self._clock() - self.settings.lag
        with self._lock:
            if sequence_id in self._histories:
                histories = [self._histories[sequence_id]]
            else:
                histories = list(self._histories.values()) if self.settings.finds_by_custom_id else []
        for history in reversed(histories):
            if history.latest.org_id == organization and history.created_at <= then:
                sequence = history.until(then).latest
                if sequence_id in (sequence.id, sequence.fields["custom_id"]):
                    return sequence
        raise UnknownSequenceError(sequence_id)

    def create(self, organization: str, given: Mapping[str, Json]) -> StoredSequence:
        """Add a sequence. A continuous one begins now, unless a setting says that it does not.

        :param given: its fields
        """
        run = None
        with self._lock:
            sequence = StoredSequence(f"seq_{next(self._numbers):06d}", organization, {**DEFAULTS, **given})
            self._histories[sequence.id] = History(((self._clock(), sequence),))
            if sequence.is_continuous and self.settings.continuous_begin:
                run = self._begin(sequence)
        if run is not None:
            self._go_on(run, 0)
        return self.find(sequence.id)

    def change(self, sequence_id: str, given: Mapping[str, Json], organization: str | None = None) -> StoredSequence:
        """Change some fields of a sequence, in any state. Steps that have not begun follow the change.

        :param organization: only a sequence of this organization
        """
        with self._lock:
            sequence = self.find(sequence_id, organization)
            return self._put(replace(sequence, fields={**sequence.fields, **given}))

    def start(self, sequence_id: str, organization: str | None = None) -> StoredSequence:
        """Start a one-off sequence.

        :param organization: only a sequence of this organization
        """
        with self._lock:
            sequence = self.find(sequence_id, organization)
            if sequence.canceled_at:
                raise SequenceRefusedError("one_off_sequence_is_canceled")
            if sequence.is_continuous:
                raise SequenceRefusedError("sequence_is_continuous")
            if sequence.started_at and not self.settings.starts_again:
                raise SequenceRefusedError("sequence_already_started")
            self._started.append((sequence.org_id, sequence.id))
            run = self._begin(sequence)
        self._go_on(run, 0)
        return self.find(sequence.id)

    def cancel(self, sequence_id: str, organization: str | None = None) -> None:
        """Cancel a sequence, or one run of it: nothing of it happens any more.

        :param sequence_id: the id of the sequence or of the run
        :param organization: only a sequence of this organization
        """
        with self._lock:
            run = self._runs.get(sequence_id)
            sequence = self.find(run.sequence_id if run else sequence_id, organization)
            if run:
                self._canceled_runs.add(run.id)
            elif not sequence.canceled_at:
                if sequence.ended_at:
                    raise SequenceRefusedError("sequence_already_ended")
                now = self._calendar.timestamp()
                self._put(replace(sequence, canceled_at=now, ended_at=now if self.settings.cancel_ends else None))

    def enrol(self, sequence_id: str, references: Sequence[Json], organization: str) -> str:
        """Put contacts into a continuous sequence, and return the id of their run.

        Unknown contacts are created. Those that the filter does not select are left out.

        :param references: the contacts, each by its id, its e-mail address or its number
        """
        with self._lock:
            sequence = self.find(sequence_id, organization)
            if sequence.canceled_at:
                raise SequenceRefusedError("sequence_is_canceled")
            if not sequence.is_continuous:
                raise SequenceRefusedError("sequence_is_not_continuous")
            selects = selection(sequence.fields["filter"])
            admitted = [contact for contact in self._referred(references, organization) if selects(contact)]
            run = self._add_run(sequence, tuple(contact.id for contact in admitted))
            for contact in admitted:
                enrolled = Enrolled(sequence.id, run.id, contact.id, contact.phone_number, self._clock())
                self._enrolled.append((organization, enrolled))
            if admitted and not sequence.started_at:
                self._put(replace(sequence, started_at=self._calendar.timestamp()))
        self._go_on(run, 0)
        return run.id

    def _referred(self, references: Sequence[Json], organization: str) -> list[Contact]:
        """Return the contacts that a request means, without unknown ids. Of several that fit, the oldest is meant."""
        known: dict[tuple[str, Json], Contact] = {}
        for contact in self._contacts.of(organization):
            for name, value in contact.all_fields().items():
                if name in ("id", "email", "phone_number"):
                    known.setdefault((name, value), contact)
        referred: list[Contact] = []
        for reference in references:
            if not isinstance(reference, dict):
                continue
            names = ["id"] if "id" in reference else [name for name in ("email", "phone_number") if name in reference]
            keys = [(name, reference[name]) for name in names]
            found = next((known[key] for key in keys if key in known), None)
            if found is None and names != ["id"]:
                given = {"email": reference.get("email"), "phone": reference.get("phone_number")}
                found = self._contacts.create(organization, given)
                known.update(dict.fromkeys(keys, found))
            if found is not None:
                referred.append(found)
        return referred

    def _begin(self, sequence: StoredSequence) -> Run:
        """Begin a sequence, or begin it again: it shows the steps of the run that is returned."""
        run = self._add_run(sequence)
        self._put(
            replace(sequence, started_at=self._calendar.timestamp(), ended_at=None, step_times={}, shown_run=run.id)
        )
        return run

    def _add_run(self, sequence: StoredSequence, contact_ids: tuple[str, ...] | None = None) -> Run:
        run = Run(f"run_{next(self._run_numbers):06d}", sequence.id, contact_ids)
        self._runs[run.id] = run
        return run

    def _go_on(self, run: Run, index: int) -> None:
        """Schedule the step of an index, or end the run after the last one. Called without the lock."""
        with self._lock:
            sequence = self._goes_on(run)
            if sequence is None:
                return
            if index >= len(sequence.steps):
                self._end(run, sequence)
                return
            minutes = sequence.steps[index].get("delay_in_minutes")
        delay = minutes * _SECONDS_IN_A_MINUTE if isinstance(minutes, int | float) else 0
        self._clock.after(delay, partial(self._begin_step, run, index))

    def _begin_step(self, run: Run, index: int) -> None:
        with self._lock:
            sequence = self._goes_on(run)
            if sequence is None:
                return
            # A change may have taken the step away in the meantime; then there is nothing to do.
            if index < len(sequence.steps):
                if sequence.shown_run == run.id:
                    times = {**sequence.step_times, index: (self._calendar.timestamp(), None)}
                    sequence = self._put(replace(sequence, step_times=times))
                self._carry_out(sequence.steps[index], run, sequence)
        self._clock.after(self.settings.step_takes, partial(self._end_step, run, index))

    def _end_step(self, run: Run, index: int) -> None:
        with self._lock:
            sequence = self._goes_on(run)
            if sequence is not None and sequence.shown_run == run.id and index in sequence.step_times:
                began, _ = sequence.step_times[index]
                times = {**sequence.step_times, index: (began, self._calendar.timestamp())}
                self._put(replace(sequence, step_times=times))
        self._go_on(run, index + 1)

    def _end(self, run: Run, sequence: StoredSequence) -> None:
        # A continuous sequence continues: contacts can be put into it at any time.
        if sequence.shown_run == run.id and not sequence.is_continuous:
            self._put(replace(sequence, ended_at=self._calendar.timestamp()))

    def _goes_on(self, run: Run) -> StoredSequence | None:
        """Return the sequence of a run; None if it or the run was canceled."""
        sequence = self.find(run.sequence_id)
        return None if sequence.canceled_at or run.id in self._canceled_runs else sequence

    def _carry_out(self, step: JsonObject, run: Run, sequence: StoredSequence) -> None:
        """Call the contacts of a run, if that is what a step does and its agent can call."""
        agent = self._caller(step, sequence.org_id)
        if agent is None or agent.phone_number is None:
            return
        name = agent.fields["name"]
        for contact in self._called(run, sequence):
            if contact.phone_number is not None:
                self._calls.add(
                    sequence.org_id,
                    Dialed(
                        agent_id=agent.id,
                        agent_name=None if name is None else str(name),
                        from_number=agent.phone_number,
                        phone_number=contact.phone_number,
                        contact_id=contact.id,
                        called_at=timestamp(),
                        time=self._clock(),
                        sequence_id=sequence.id,
                    ),
                )

    def _caller(self, step: JsonObject, organization: str) -> phone_agents.Agent | None:
        """Return the agent that a step calls with; None if the step calls nobody."""
        action = step.get("action")
        if not isinstance(action, dict) or action.get("type") != PHONE_STEP:
            return None
        data = action.get("data")
        agent_id = data.get("aiPhoneAgentId") if isinstance(data, dict) else None
        try:
            agent = self._agents.find(str(agent_id), organization)
        except phone_agents.UnknownAgentError:
            return None
        return agent if agent.fields["type"] == "outbound" else None

    def _called(self, run: Run, sequence: StoredSequence) -> list[Contact]:
        if run.contact_ids is None:
            selects = selection(sequence.fields["filter"])
            return [contact for contact in self._contacts.of(sequence.org_id) if selects(contact)]
        return [self._contacts.find(contact_id, sequence.org_id) for contact_id in run.contact_ids]

    def _put(self, sequence: StoredSequence) -> StoredSequence:
        self._histories[sequence.id] = self._histories[sequence.id].followed_by(self._clock(), sequence)
        return sequence
