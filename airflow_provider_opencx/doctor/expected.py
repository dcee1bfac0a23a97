"""The documented fields of an agent and a voice in each generation, with their types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

Generation: TypeAlias = Literal["2024", "2025", "2026"]

GENERATIONS: tuple[Generation, ...] = get_args(Generation)

_TEXT = frozenset({"text"})
_TEXT_OR_NULL = _TEXT | {"null"}
_LIST = frozenset({"list of texts", "empty list"})
_LIST_OR_NULL = _LIST | {"null"}
_BOOLEAN = frozenset({"true or false"})
_NUMBER_OR_NULL = frozenset({"number", "whole number", "null"})

_SINCE_2024: Mapping[str, frozenset[str] | None] = {
    "id": _TEXT,
    "org_id": _TEXT,
    "phone_number": _TEXT_OR_NULL,
    "name": _TEXT_OR_NULL,
    "type": _TEXT,
    "language": _TEXT_OR_NULL | _LIST,
    "accent": _TEXT_OR_NULL,
    "handoff_phone_number": _TEXT_OR_NULL,
    "interruptible": _BOOLEAN,
    "actionIds": _LIST_OR_NULL,
    "instructions": _LIST_OR_NULL,
    "data_collection_fields": _LIST_OR_NULL,
    "data_collection_webhook_url": _TEXT_OR_NULL,
    "model": _TEXT,
    "voice_id": _TEXT_OR_NULL,
    "first_message": _TEXT_OR_NULL,
    "created_at": _TEXT,
    "updated_at": _TEXT,
    "provider_external_id": _TEXT_OR_NULL,
}
_SINCE_2025: Mapping[str, frozenset[str] | None] = {
    "speed": _NUMBER_OR_NULL,
    "flow": None,
    "manual_mode": _BOOLEAN,
    "custom_llm": _TEXT_OR_NULL,
    "use_org_knowledgebase": _BOOLEAN,
}
_SINCE_2026: Mapping[str, frozenset[str] | None] = {
    "background_noise_preset": _TEXT_OR_NULL,
    "recording_enabled": _BOOLEAN,
    "stt_keyterms": _LIST,
    "stt_model": _TEXT_OR_NULL,
    "tts_speed_pct": frozenset({"whole number", "null"}),
    "failover_transfer_destination_id": _TEXT_OR_NULL,
}

NEW_FIELDS: Mapping[Generation, Mapping[str, frozenset[str] | None]] = {
    "2024": _SINCE_2024,
    "2025": _SINCE_2025,
    "2026": _SINCE_2026,
}
"""The fields of an agent that a generation was the first to have, each with its types; ``None`` means any."""

AGENT_FIELDS: Mapping[str, frozenset[str] | None] = {
    name: types for fields in NEW_FIELDS.values() for name, types in fields.items()
}
"""The fields of an agent in any generation, each with its types; ``None`` means any."""

VOICE_FIELDS: Mapping[str, frozenset[str] | None] = {
    "voice_id": _TEXT,
    "name": _TEXT,
    "labels": frozenset({"object"}),
    "description": _TEXT_OR_NULL,
    "preview_url": _TEXT_OR_NULL,
}
"""The fields of a voice, as they are inferred."""

LABELS = ("accent", "description", "age", "gender", "use_case", "language")
"""The keys in the labels of a voice, as they are inferred."""


def fields_until(generation: Generation) -> list[str]:
    """Return the fields that an agent of a generation has."""
    until = GENERATIONS.index(generation) + 1
    return [name for each in GENERATIONS[:until] for name in NEW_FIELDS[each]]
