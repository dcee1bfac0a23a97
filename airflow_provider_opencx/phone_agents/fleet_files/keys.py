"""The keys of a fleet file, and the keys of an entry in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import cache

from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.phone_agents.entry import entry_kinds
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges

FILE_KEYS = ("agents", "defaults", "variables", "ignore")
"""Keys of a file."""

KEYS_OF_ONE_AGENT = ("variables",)
"""Those of them that are allowed beside the fields of an agent, in a file that is one agent."""

SCHEMA_KEY = "$schema"
"""The key with which a JSON file names its schema, for editors."""

FREE_PREFIXES = ("x-", "_")
"""Keys that begin so hold what is not read: homes of anchors, and notes."""

TEXT_FILES = {"first_message_file": "first_message", "instructions_files": "instructions"}
"""Keys of an entry that name files of texts, and the field that such a text is for."""

NOT_IN_DEFAULTS = ("name", "id", "previous_name")
"""Fields that say which agent it is."""

ALTERNATIVES = (
    ("first_message", "first_message_file"),
    ("instructions", "instructions_files"),
    ("instructions", "training_scenarios"),
    ("instructions_files", "training_scenarios"),
    ("action_ids", "actions"),
    ("voice_id", "voice"),
    ("id", "previous_name"),
)
"""Keys with the same meaning: only one of them is allowed in an entry, and it overrides both in the defaults."""

_OTHER_WORDS = {
    "agent": "agents",
    "phone_agents": "agents",
    "fleet": "agents",
    "default": "defaults",
    "vars": "variables",
    "env": "variables",
    "ignored": "ignore",
    "exclude": "ignore",
}


@cache
def key_kinds() -> Mapping[str, Kind]:
    """Return what each key of an entry in a file may hold: its fields, and the keys that name files of texts."""
    return {**entry_kinds(), "first_message_file": Kind.TEXT, "instructions_files": Kind.TEXTS}


def python_spelling(name: str) -> str:
    """Return the name of a field in Python's spelling, where it is written as in the API."""
    return next(
        (field for field, known in PhoneAgentChanges.model_fields.items() if known.serialization_alias == name), name
    )


def with_alternatives(names: Iterable[str]) -> set[str]:
    """Return keys of an entry, and those that say the same in another way."""
    found = {*names}
    return found.union(*(pair for pair in ALTERNATIVES if found & {*pair}))


def is_free(key: str) -> bool:
    """Return whether a key of a file holds what is not read."""
    return key.startswith(FREE_PREFIXES) or key == SCHEMA_KEY


def meant_key(key: str, keys: Collection[str] = FILE_KEYS) -> str | None:
    """Return the key of a file that is likely to be meant by another one, ``None`` if none is."""
    plain = key[:100].lower().replace("-", "_")
    words = {
        **{known: known for known in keys},
        **{word: meant for word, meant in _OTHER_WORDS.items() if meant in keys},
    }
    found = get_close_matches(plain, words, n=1, cutoff=0.75)
    return words[found[0]] if found else None
