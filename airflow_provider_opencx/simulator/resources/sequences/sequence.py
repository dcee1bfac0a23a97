"""The models of sequences, their runs and their contacts, and the settings of the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from airflow_provider_opencx.simulator.json_values import Json, JsonObject


class UnknownSequenceError(LookupError):
    """There is no such sequence."""


class SequenceRefusedError(ValueError):
    """The state of a sequence does not allow it. The message is what the service responds."""


@dataclass
class SequenceSettings:
    """How the service treats sequences where the documentation says nothing, or where a test wants worse behavior.

    They are described where tests set them, in ``SequenceControls``.
    """

    finds_by_custom_id: bool = True
    starts_again: bool = False
    continuous_begin: bool = True
    cancel_ends: bool = False
    step_takes: float = 5.0
    lag: float = 0.0
    drops_fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Enrolled:
    """A contact that a request has put into a continuous sequence, and that its filter selects.

    :param sequence_id: the sequence
    :param run_id: the run, which all contacts of one request share
    :param contact_id: the contact
    :param phone_number: the contact's number; None if it has none
    :param time: when, in seconds of the simulator's clock
    """

    sequence_id: str
    run_id: str
    contact_id: str
    phone_number: str | None
    time: float

    def as_json(self) -> JsonObject:
        """Return it as JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Run:
    """The steps of a sequence, one after the other, for some contacts.

    :param contact_ids: the contacts; None is those that the filter selects when a step begins
    """

    id: str
    sequence_id: str
    contact_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class StoredSequence:
    """A sequence at one moment. It is immutable: a changed one is another object with the same id.

    :param step_times: by the index of a step, when the shown run began and ended it, as far as it has
    :param shown_run: the id of the run whose steps it shows; None before there is one
    """

    id: str
    org_id: str
    fields: Mapping[str, Json]
    started_at: str | None = None
    canceled_at: str | None = None
    ended_at: str | None = None
    step_times: Mapping[int, tuple[str, str | None]] = field(default_factory=dict)
    shown_run: str | None = None

    @property
    def is_continuous(self) -> bool:
        """Whether contacts can be put into it at any time."""
        return self.fields["is_continuous"] is True

    @property
    def steps(self) -> list[JsonObject]:
        """Its steps as a request has set them."""
        steps = self.fields["steps"]
        return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []

    @property
    def status(self) -> str:
        """The progress."""
        if self.canceled_at:
            return "canceled"
        if self.ended_at:
            return "complete"
        return "active" if self.started_at else "pending"

    def all_fields(self) -> JsonObject:
        """Return what the API shows."""
        steps: list[Json] = []
        for index, step in enumerate(self.steps):
            began, ended = self.step_times.get(index, (None, None))
            steps.append({**step, "started_at": began, "ended_at": ended})
        return {
            **self.fields,
            "steps": steps,
            "id": self.id,
            "org_id": self.org_id,
            "started_at": self.started_at,
            "canceled_at": self.canceled_at,
            "ended_at": self.ended_at,
            "status": self.status,
        }
