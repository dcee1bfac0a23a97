"""A declared training scenario, in the form that the reconciliation engine needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.knowledge.comparison import find_differences, with_single_metadata
from airflow_provider_opencx.knowledge.scenarios import identity_of
from airflow_provider_opencx.reconciliation.plans import Difference
from airflow_provider_opencx.resources.training import (
    COLLECTION_IN_METADATA,
    FIELDS,
    KEY_IN_METADATA,
    METADATA,
    ScenarioSpec,
    TrainingScenario,
    checked_key,
)
from airflow_provider_opencx.visible_text import in_quotes

DEFAULT_COLLECTION = "default"
"""The collection of scenarios, where none is named."""


@dataclass(frozen=True)
class DeclaredScenario:
    """A training scenario as it should be, in a collection.

    :param key: by which it is found in the collection.
    :param collection: the collection.
    :param title: its title, for messages.
    :param declared_fields: the fields that are compared and written: name to value, one for each name in ``metadata``.
    :param is_removed: whether it is no longer declared, and is to be a draft.
    """

    key: str
    collection: str
    title: str
    declared_fields: Mapping[str, JsonValue]
    is_removed: bool = False

    @classmethod
    def of(cls, spec: ScenarioSpec, collection: str) -> DeclaredScenario:
        """Return a declaration in a collection."""
        own = {f"{METADATA}{KEY_IN_METADATA}": spec.key, f"{METADATA}{COLLECTION_IN_METADATA}": collection}
        return cls(spec.key, collection, spec.title, {**with_single_metadata(spec.declared_fields), **own})

    @classmethod
    def removed(cls, scenario: TrainingScenario) -> DeclaredScenario:
        """Return what is to become of a scenario that is no longer declared: a draft."""
        key, collection, title = scenario.key or "", scenario.collection or "", scenario.current_title or ""
        return cls(key, collection, title, {"draft": True}, is_removed=True)

    @property
    def identity(self) -> str:
        """By what the scenario is found."""
        return identity_of(self.collection, self.key)

    @property
    def label(self) -> str:
        """The name of the scenario in messages, before it exists."""
        return f"training scenario {in_quotes(self.title)} (key {in_quotes(self.key)})"

    @property
    def texts_in_messages(self) -> list[str]:
        """The texts by which a message of the service may call the scenario."""
        return [self.key, self.title]

    @property
    def fields_of_new(self) -> Mapping[str, JsonValue]:
        """The fields with which the scenario is created."""
        return self.declared_fields

    @property
    def left_to_the_service(self) -> tuple[str, ...]:
        """The fields that get a value which the service chooses: none."""
        return ()

    def differences(self, scenario: TrainingScenario) -> tuple[Difference, ...]:
        """Return the declared fields in which a scenario differs; raises ``OpenCXResponseError`` if one is unreadable.

        A field that an earlier service does not have is a difference only where more than its default is declared.
        """
        return find_differences(self.declared_fields, scenario)

    def body(self, scenario: TrainingScenario | None = None) -> dict[str, JsonValue]:
        """Return the whole body of a create or an update: what is declared, over what the scenario has.

        :param scenario: the scenario to update; ``None`` creates one.
        """
        body: dict[str, JsonValue] = {}
        metadata: dict[str, JsonValue] = {}
        if scenario is not None:
            existing = ((name, scenario.field(field)) for field, name in FIELDS.items())
            body = {name: value for name, value in existing if value is not None}
            metadata = dict(scenario.metadata or {})
        for field, value in self.declared_fields.items():
            if field.startswith(METADATA):
                metadata[field.removeprefix(METADATA)] = value
            elif value is not None or field != "type":
                body[FIELDS[field]] = value
        return {**body, "metadata": metadata}


def checked_collection(collection: object) -> str:
    """Return the name of a collection; raises ``OpenCXArgumentError`` if it is not one."""
    try:
        return checked_key(str(collection) if isinstance(collection, str) else "")
    except ValueError as wrong:
        raise OpenCXArgumentError(f"collection: {wrong}; read {in_quotes(str(collection))}") from None
