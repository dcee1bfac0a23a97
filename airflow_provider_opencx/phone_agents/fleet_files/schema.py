"""Generates the JSON schema of a fleet file from the models, for editors.

``python -m airflow_provider_opencx.phone_agents.fleet_files.schema`` writes it to ``airflow_provider_opencx/
fleet.schema.json``, as ``make schema`` does.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import JsonValue

from airflow_provider_opencx.declared_files.variables import MARK
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.phone_agents.entry import FleetEntry
from airflow_provider_opencx.phone_agents.fleet_files.keys import (
    ALTERNATIVES,
    FILE_KEYS,
    NOT_IN_DEFAULTS,
    SCHEMA_KEY,
    key_kinds,
    python_spelling,
)
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "fleet.schema.json"
"""The address of the published schema."""

Schema = dict[str, JsonValue]

_VARIABLE = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
_NEVER_NULL = ("name", "type", "id", "previous_name", "first_message_file", "instructions_files")
_FREE: Schema = {"^(x-|_)": True}
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}

_DESCRIPTIONS = {
    "agents": "The agents of the fleet, each a mapping of its fields.",
    "defaults": "Fields that every agent of this file has, unless it has its own.",
    "variables": f"Values of variables, which are written {MARK}NAME}} in this file and in the texts that it names.",
    "ignore": "Names or globs of agents that exist, are not declared, and are not reported.",
    "first_message_file": "The path of a file that holds the first message; it begins at this file.",
    "instructions_files": "The path of a file that holds an instruction, or a list of paths; they begin at this file.",
    SCHEMA_KEY: "The schema of this file, for editors.",
}


def fleet_schema() -> Schema:
    """Return the JSON schema of a fleet file, of draft 2020-12.

    It takes what YAML makes of a file: a text without quotes that YAML takes for a number is right in a field of text.
    """
    fields = _fields()
    shared: Schema = {name: field for name, field in fields.items() if name not in NOT_IN_DEFAULTS}
    own: Schema = {name: _key(name) for name in (*FILE_KEYS, SCHEMA_KEY)}
    beside: Schema = {name: own[name] for name in ("variables", SCHEMA_KEY)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A fleet of OpenCX phone agents, for airflow-provider-opencx",
        "if": {"type": "array"},
        "then": {"$ref": "#/$defs/agents"},
        "else": {
            "if": {"anyOf": [{"required": ["agents"]}, {"required": ["ignore"]}]},
            "then": {"type": "object", "properties": own, "patternProperties": _FREE, "additionalProperties": False},
            "else": {
                **_mapping({**fields, **beside}),
                "patternProperties": _FREE,
                "required": ["name"],
            },
        },
        "$defs": {
            "agents": {"type": "array", "items": {"$ref": "#/$defs/agent"}},
            "agent": {**_mapping(fields), "required": ["name"]},
            "defaults": _mapping(shared),
            "text": {"type": ["string", "number", "boolean"]},
            "variable": {"type": "string", "pattern": _VARIABLE},
        },
    }


def schema_text() -> str:
    """Return the schema as its file holds it."""
    return json.dumps(fleet_schema(), indent=2, ensure_ascii=False) + "\n"


def _key(name: str) -> Schema:
    kinds: dict[str, Schema] = {
        "agents": {"$ref": "#/$defs/agents"},
        "defaults": {"anyOf": [{"$ref": "#/$defs/defaults"}, {"type": "null"}]},
        "variables": {
            "type": ["object", "null"],
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
            "additionalProperties": _SCALAR,
        },
        "ignore": {"anyOf": [_one_or_more({"$ref": "#/$defs/text"}), {"type": "null"}]},
        SCHEMA_KEY: {"type": "string"},
    }
    return {"description": _DESCRIPTIONS[name], **kinds[name]}


def _mapping(fields: Schema) -> Schema:
    """Return a mapping of an agent's fields, in which nothing is said twice."""
    pairs = [*ALTERNATIVES, ("action_ids", "actionIds")]
    return {
        "type": "object",
        "properties": fields,
        "additionalProperties": False,
        "allOf": [{"not": {"required": [*pair]}} for pair in pairs if all(name in fields for name in pair)],
    }


def _fields() -> Schema:
    described = {**_described(PhoneAgentChanges), **_described(FleetEntry), **_DESCRIPTIONS}
    fields: Schema = {}
    for name, kind in key_kinds().items():
        allowed = [_allowed(name, kind)]
        if name not in _NEVER_NULL:
            allowed.append({"type": "null"})
        fields[name] = {"description": described[python_spelling(name)], **_any_of(allowed)}
    return fields


def _allowed(name: str, kind: Kind) -> Schema:
    """Return what a field may hold, as YAML reads it."""
    choices = _choices(name)
    text: Schema = {"$ref": "#/$defs/text"}
    variable: Schema = {"$ref": "#/$defs/variable"}
    if choices:
        return _any_of([{"enum": [*choices]}, variable])
    if name in ("language", "instructions_files"):
        return _one_or_more(text)
    if name == "additional_fields":
        return {"type": "object"}
    allowed: dict[Kind, Schema] = {
        Kind.TEXT: text,
        Kind.TEXTS: {"type": "array", "items": text},
        Kind.BOOLEAN: _any_of([{"type": "boolean"}, variable, {"enum": ["yes", "no", "on", "off"]}]),
        Kind.NUMBER: _any_of([{"type": "number"}, variable]),
        Kind.JSON: {},
    }
    return allowed[kind]


def _choices(name: str) -> tuple[str, ...]:
    field = PhoneAgentChanges.model_fields.get(name)
    parts = get_args(field.annotation) if field else ()
    return next((get_args(part) for part in parts if get_origin(part) is Literal), ())


def _any_of(allowed: list[Schema]) -> Schema:
    return allowed[0] if len(allowed) == 1 else {"anyOf": [*allowed]}


def _one_or_more(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "items": item}]}


def _described(model: type[PhoneAgentChanges]) -> dict[str, str]:
    """Return what the docstring of a model says of each field."""
    found = re.findall(r"^ *:param (\w+): (.*?)(?=^ *:param|\Z)", model.__doc__ or "", re.DOTALL | re.MULTILINE)
    sentences = {name: " ".join(text.split()).replace("``", "") for name, text in found}
    return {name: sentence[0].upper() + sentence[1:] for name, sentence in sentences.items()}


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
