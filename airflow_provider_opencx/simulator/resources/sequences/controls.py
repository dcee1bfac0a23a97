"""Lets tests change sequences without a request, and set how the service treats them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from jsonschema import Draft202012Validator

from airflow_provider_opencx.simulator.clock import duration
from airflow_provider_opencx.simulator.contract import validation_errors
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.sequences.fields import DEFAULTS, kept_fields
from airflow_provider_opencx.simulator.resources.sequences.handlers import sequence_fields
from airflow_provider_opencx.simulator.resources.sequences.sequence import Enrolled, SequenceSettings, StoredSequence
from airflow_provider_opencx.simulator.resources.sequences.store import Sequences
from airflow_provider_opencx.simulator.service import Service

_INPUT, _CHANGES = "CreateSequenceDto", "UpdateSequenceDto"


class SequenceControls(Service):
    """A service whose sequences can be read, added, changed, started and canceled without a request."""

    @property
    def finds_sequences_by_custom_id(self) -> bool:
        """Whether a request can read a sequence by its custom id, too: of several, the newest. True by default."""
        return self._sequence_settings.finds_by_custom_id

    @finds_sequences_by_custom_id.setter
    def finds_sequences_by_custom_id(self, finds: bool) -> None:
        self._sequence_settings.finds_by_custom_id = _checked("finds_sequences_by_custom_id", finds)

    @property
    def starts_again(self) -> bool:
        """Whether a sequence that was started can be started again, which calls everybody again. False by default."""
        return self._sequence_settings.starts_again

    @starts_again.setter
    def starts_again(self, again: bool) -> None:
        self._sequence_settings.starts_again = _checked("starts_again", again)

    @property
    def continuous_begin(self) -> bool:
        """Whether a continuous sequence begins when it is created, for those whom it selects then. True by default."""
        return self._sequence_settings.continuous_begin

    @continuous_begin.setter
    def continuous_begin(self, begin: bool) -> None:
        self._sequence_settings.continuous_begin = _checked("continuous_begin", begin)

    @property
    def cancel_ends(self) -> bool:
        """Whether a sequence that is canceled shows its ``ended_at`` from then on. False by default."""
        return self._sequence_settings.cancel_ends

    @cancel_ends.setter
    def cancel_ends(self, ends: bool) -> None:
        self._sequence_settings.cancel_ends = _checked("cancel_ends", ends)

    @property
    def step_takes(self) -> float:
        """How many seconds a step takes: 5 by default. It can be set as a text such as ``2m``."""
        return self._sequence_settings.step_takes

    @step_takes.setter
    def step_takes(self, takes: str | float) -> None:
        self._sequence_settings.step_takes = duration(takes)

    @property
    def sequences_lag(self) -> float:
        """The lag, in seconds, of the sequences that a request reads: 0 by default. A newer sequence is not found."""
        return self._sequence_settings.lag

    @sequences_lag.setter
    def sequences_lag(self, lag: str | float) -> None:
        self._sequence_settings.lag = duration(lag)

    @property
    def drops_sequence_fields(self) -> tuple[str, ...]:
        """The fields that the service drops from a create and an update silently: none by default.

        ``filter``, ``is_continuous``, ``steps.delay_in_minutes``, ``phone_number_in``: each field whose path ends like
        that is dropped. A create has the default in its place, which is null for a filter: all contacts.
        """
        return self._sequence_settings.drops_fields

    @drops_sequence_fields.setter
    def drops_sequence_fields(self, names: Collection[str]) -> None:
        if isinstance(names, str) or not all(isinstance(name, str) and all(name.split(".")) for name in names):
            raise ValueError(f"drops_sequence_fields are names such as steps.delay_in_minutes, not {names!r}.")
        self._sequence_settings.drops_fields = tuple(names)

    def sequences(self, api_key: str | None = None) -> list[JsonObject]:
        """Return the sequences of an organization, as they are now.

        :param api_key: the organization's key; None is the first one
        """
        self.clock.catch_up()
        return [self._sequence_fields(each) for each in self.state(Sequences).of(self._organization(api_key))]

    def create_sequence(self, *, api_key: str | None = None, **fields: Json) -> JsonObject:
        """Create a sequence as somebody in the dashboard does, and return it.

        :param api_key: the organization's key; None is the first one
        :param fields: its fields in the form of the API; ``filter`` and ``steps`` are required
        """
        self.clock.catch_up()
        given = self._valid_sequence(fields, _INPUT)
        return self._sequence_fields(self.state(Sequences).create(self._organization(api_key), given))

    def update_sequence(self, sequence_id: str, **fields: Json) -> JsonObject:
        """Change fields of a sequence as somebody in the dashboard does, and return it."""
        self.clock.catch_up()
        return self._sequence_fields(self.state(Sequences).change(sequence_id, self._valid_sequence(fields, _CHANGES)))

    def start_sequence(self, sequence_id: str) -> JsonObject:
        """Start a one-off sequence as somebody in the dashboard does, and return it.

        Raises a ValueError where its state does not allow that, such as ``sequence_already_started``.
        """
        self.clock.catch_up()
        return self._sequence_fields(self.state(Sequences).start(sequence_id))

    def cancel_sequence(self, sequence_id: str) -> None:
        """Cancel a sequence, or a run by its id, as somebody in the dashboard does."""
        self.clock.catch_up()
        self.state(Sequences).cancel(sequence_id)

    def started(self, api_key: str | None = None) -> list[str]:
        """Return the ids of the sequences that were started, in the order of the starts: twice if started twice.

        :param api_key: the organization's key; None is the first one
        """
        self.clock.catch_up()
        return self.state(Sequences).started(self._organization(api_key))

    def enrolled(self, api_key: str | None = None) -> list[Enrolled]:
        """Return the contacts that requests have put into continuous sequences, in their order.

        :param api_key: the organization's key; None is the first one
        """
        self.clock.catch_up()
        return self.state(Sequences).enrolled(self._organization(api_key))

    @property
    def _sequence_settings(self) -> SequenceSettings:
        return self.state(Sequences).settings

    def _sequence_fields(self, sequence: StoredSequence) -> JsonObject:
        # If the generation has no sequences, tests see those of the newest generation.
        return sequence_fields(sequence, self.newest_contract)

    def _valid_sequence(self, fields: Mapping[str, Json], schema: str) -> JsonObject:
        # Requests may have other fields, which are dropped; a test that does has made a mistake.
        if unknown := sorted(fields.keys() - DEFAULTS.keys()):
            raise ValueError(f"A sequence has no field {', '.join(unknown)}.")
        validator = Draft202012Validator(self.newest_contract.schemas[schema])
        if errors := validation_errors(validator, dict(fields)):
            raise ValueError("; ".join(errors))
        return kept_fields(fields, ())


def _checked(name: str, value: bool) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is true or false, not {value!r}.")
    return value
