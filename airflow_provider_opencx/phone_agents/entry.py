"""An entry of a fleet: the declaration of an agent, and its id or previous name if it has one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import ClassVar, Self

from pydantic import field_validator, model_validator

from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec, field_kinds
from airflow_provider_opencx.text import UNSTORABLE


class FleetEntry(PhoneAgentSpec):
    """The declaration of an agent in a fleet.

    :param id: the id of the agent. If the agent has another name than declared, it is renamed.
    :param previous_name: the name that the agent had: where no agent has ``name`` and one has this, it is renamed.
    """

    not_sent: ClassVar[frozenset[str]] = PhoneAgentSpec.not_sent | {"id", "previous_name"}

    id: str | None = None
    previous_name: str | None = None

    @classmethod
    def describe_unknown_field(cls, name: str) -> str:
        """Return what is wrong with a name that no field has, and which field may be meant."""
        if name.replace("_", "").lower() in ("agentid", "phoneagentid"):
            return "is not a field of a declaration; did you mean id?"
        return super().describe_unknown_field(name)

    @field_validator("id", "previous_name")
    @classmethod
    def _is_not_empty(cls, value: str | None) -> str:
        if value is None or not value.strip():
            raise ValueError("must not be empty; leave it out instead")
        if UNSTORABLE.search(value):
            raise ValueError("holds a NUL, or half of a character (a lone surrogate), which cannot be stored")
        return value.strip()

    @field_validator("previous_name")
    @classmethod
    def _previous_name_is_normalized(cls, name: str | None) -> str | None:
        return None if name is None else normalize_name(name)

    @model_validator(mode="after")
    def _is_said_once(self) -> Self:
        if self.id is not None and self.previous_name is not None:
            raise ValueError("id and previous_name both say which agent it is; write one of them")
        return self

    @classmethod
    def of(cls, spec: PhoneAgentSpec) -> FleetEntry:
        """Return a declaration as an entry of a fleet."""
        if isinstance(spec, FleetEntry):
            return spec
        return cls.model_construct(
            spec.model_fields_set, **{name: getattr(spec, name) for name in spec.model_fields_set}
        )


@cache
def entry_kinds() -> Mapping[str, Kind]:
    """Return what each field of an entry may hold, by its names in both spellings."""
    own = [name for name in FleetEntry.model_fields if name not in PhoneAgentSpec.model_fields]
    return {**field_kinds(), **dict.fromkeys(own, Kind.TEXT)}
