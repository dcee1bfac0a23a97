"""The input of the checks: the responses, and where they were read from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pydantic import JsonValue

from airflow_provider_opencx.doctor.listing import Form, ListPage
from airflow_provider_opencx.doctor.outcomes import Outcome, outcome_of
from airflow_provider_opencx.doctor.probes import AGENTS, Probe
from airflow_provider_opencx.doctor.readings import Reading, Readings
from airflow_provider_opencx.doctor.shapes import Shape
from airflow_provider_opencx.doctor.shown_names import ShownNames

JsonObject = Mapping[str, JsonValue]


@dataclass(frozen=True)
class Surroundings:
    """The origin of the responses: connection and network.

    :param base_url: the base URL of the API, without a secret that may be in it.
    :param key_from: where the key came from, in words.
    :param is_encrypted: whether the base URL is https.
    :param is_on_this_machine: whether it is that of a loopback host.
    :param has_proxy: whether the environment names a proxy for it.
    """

    base_url: str
    key_from: str
    is_encrypted: bool
    is_on_this_machine: bool
    has_proxy: bool


@dataclass(frozen=True)
class Findings:
    """The responses and their origin.

    :param surroundings: where it was read from.
    :param readings: what was read.
    :param names: shows the names that the service wrote.
    :param now: the time of this machine.
    """

    surroundings: Surroundings
    readings: Readings
    names: ShownNames
    now: datetime

    @cached_property
    def outcomes(self) -> Mapping[str, Outcome]:
        """The outcome of each reading, by the label of its probe."""
        return {reading.probe.label: outcome_of(reading) for reading in self.readings.first}

    def outcome(self, probe: Probe) -> Outcome:
        """Return what the reading of a probe says."""
        return self.outcomes.get(probe.label, Outcome.NOT_SENT)

    def of(self, outcome: Outcome) -> list[Reading]:
        """Return the readings that say something."""
        return [reading for reading in self.readings.first if self.outcomes[reading.probe.label] is outcome]

    def count(self, outcomes: Collection[Outcome]) -> int:
        """Return how many readings say one of some things."""
        return sum(outcome in outcomes for outcome in self.outcomes.values())

    @property
    def responded(self) -> list[Reading]:
        """The readings that have a response."""
        return [reading for reading in self.readings.first if reading.response is not None]

    @cached_property
    def agents(self) -> list[JsonObject]:
        """The items of the list of agents that are objects."""
        return _objects(self.readings.agents)

    @cached_property
    def agents_listed(self) -> int:
        """The number of items in the list of agents that were read."""
        return sum(len(page.items) for page in self.readings.agents)

    @property
    def has_agents_list(self) -> bool:
        """Whether a list of agents was read that the provider can read."""
        pages = self.readings.agents
        return self.outcome(AGENTS) is Outcome.ALLOWED and bool(pages) and pages[0].form in (Form.ARRAY, Form.PAGES)

    @cached_property
    def agent_shape(self) -> Shape:
        """The fields of the agents."""
        return Shape.of(self.agents)

    @cached_property
    def voices(self) -> list[JsonObject]:
        """The items of the list of voices that are objects."""
        return _objects(self.readings.voices)

    @cached_property
    def voice_shape(self) -> Shape:
        """The fields of the voices."""
        return Shape.of(self.voices)

    def counted(self, numbers: Mapping[str, int], most: int = 30) -> dict[str, JsonValue]:
        """Return names that the service wrote as they are shown, with how often each is there; the most frequent."""
        frequent = sorted(numbers.items(), key=lambda item: -item[1])
        counted: dict[str, int] = {}
        for name, number in frequent[:most]:
            shown = self.names.show(name)
            counted[shown] = counted.get(shown, 0) + number
        if len(frequent) > most:
            counted[f"({len(frequent) - most:,} more names)"] = sum(number for _, number in frequent[most:])
        return {**counted}


def _objects(pages: Sequence[ListPage]) -> list[JsonObject]:
    return [item for page in pages for item in page.items if isinstance(item, dict)]
