"""The training scenarios of an organization, indexed by id, by key and by title."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_opencx.reconciliation.items import ItemList
from airflow_provider_opencx.resources.training import (
    COLLECTION_IN_METADATA,
    TrainingScenario,
    list_training_scenarios,
    normalize_title,
)

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

_LOCK_PREFIX = "training scenario"


def identity_of(collection: str, key: str) -> str:
    """Return by what a scenario is found, and who creates it holds the lock of; no name of an agent is like it."""
    return f"{_LOCK_PREFIX}\n{collection}\n{key}"


class Scenarios(ItemList[TrainingScenario]):
    """Training scenarios, as a list of the service shows them.

    :param items: the scenarios, as listed.
    :param listed_at: when their list was asked for, by ``time.monotonic()``; by default now.
    :param unreadable: what is wrong with items of the list that cannot be read; by default what the list says.
    """

    def __init__(
        self,
        items: Iterable[TrainingScenario],
        listed_at: float | None = None,
        unreadable: Sequence[str] | None = None,
    ) -> None:
        super().__init__(items, listed_at, unreadable)
        self._by_identity: dict[str, list[TrainingScenario]] = {}
        self._by_title: dict[str, list[TrainingScenario]] = {}
        for scenario in self:
            if scenario.key is not None and scenario.collection is not None:
                self._by_identity.setdefault(identity_of(scenario.collection, scenario.key), []).append(scenario)
            if scenario.current_title is not None:
                self._by_title.setdefault(normalize_title(scenario.current_title), []).append(scenario)

    def shows(self, identity: str) -> bool:
        """Return whether a scenario has a key in a collection, by their identity."""
        return bool(self.of_identity(identity))

    def of_identity(self, identity: str) -> list[TrainingScenario]:
        """Return the scenarios of a key in a collection; nothing says that the service keeps them unique."""
        return self._by_identity.get(identity, [])

    def titled(self, title: str) -> list[TrainingScenario]:
        """Return the scenarios of a title."""
        return self._by_title.get(normalize_title(title), [])

    def of_collection(self, collection: str) -> list[TrainingScenario]:
        """Return the scenarios of a collection, each of which has a key."""
        return [scenario for scenario in self if scenario.key is not None and scenario.collection == collection]

    @cached_property
    def of_unknown_key(self) -> Sequence[str]:
        """Listed items that may have any key: unreadable items, and scenarios with unreadable metadata."""
        problems = ((scenario, scenario.unreadable.get("metadata")) for scenario in self)
        return [*self.unreadable, *(f"{scenario.label}: {problem}" for scenario, problem in problems if problem)]

    @cached_property
    def are_of_earlier_form(self) -> bool:
        """Whether there are scenarios, and none of them shows a title: before 2026, a list had another form."""
        return len(self) > 0 and not any("title" in scenario.model_fields_set for scenario in self)

    @cached_property
    def show_no_metadata(self) -> bool:
        """Whether there are scenarios, and none of them shows metadata: an earlier service has none."""
        return len(self) > 0 and not any("metadata" in scenario.model_fields_set for scenario in self)


def list_scenarios(client: OpenCXClient, collection: str | None = None) -> Scenarios:
    """List training scenarios, to search them.

    :param collection: only those of this collection; ``None`` is all.
    """
    listed_at = time.monotonic()
    metadata = None if collection is None else {COLLECTION_IN_METADATA: collection}
    return Scenarios(list_training_scenarios(client, metadata=metadata), listed_at)
