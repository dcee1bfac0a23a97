"""Lays out a fleet as files: one YAML or JSON file, or one file per agent with its long texts. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TypeAlias

from pydantic import JsonValue

from airflow_provider_opencx.declared_files.variables import without_variables
from airflow_provider_opencx.exported_files.directory import Files
from airflow_provider_opencx.exported_files.file_names import unique_slugs
from airflow_provider_opencx.exported_files.yaml_text import (
    after_dash,
    comment_lines,
    field_lines,
    scalar,
    with_comment,
)
from airflow_provider_opencx.phone_agents.export.declarable import Entry, Fleet, are_texts
from airflow_provider_opencx.visible_text import visible, visible_repr

Layout: TypeAlias = Callable[[Fleet, Mapping[str, str]], Files]
"""Lays a fleet out as files; takes the names of the voices by their ids."""

REPORT = "EXPORT.txt"
"""The file beside those of the agents that says what is not exported."""

_OF_ONE_LINE = frozenset({"name", "id", "voice_id", "voice", "accent", "custom_llm"})
"""Fields of texts that are not blocks, even if somebody has put a line break into one."""

_EVERY_ACTION = "every action"
_LONGEST_IN_LINE = 200
"""Characters of a text that are in the file of their agent, and not in a separate file."""


def as_yaml(fleet: Fleet, voices: Mapping[str, str]) -> Files:
    """Return a fleet as one YAML file, with comments for what is not in it."""
    lines = [*(line for sentence in fleet.remarks for line in comment_lines(sentence))]
    lines += ["agents:" if fleet.entries else "agents: []"]
    for sentence in fleet.not_exported:
        lines += comment_lines(sentence, 2)
    for entry in fleet.entries:
        lines += [line for note in entry.notes for line in comment_lines(f"Note: {note}", 2)]
        lines += after_dash(_entry_lines(entry, entry.fields, voices, 4), 2)
    return {"fleet.yaml": _text(lines)}


def as_json(fleet: Fleet, voices: Mapping[str, str]) -> Files:
    """Return a fleet as one JSON file, which holds no comments."""
    agents = [{field: without_variables(value) for field, value in entry.fields.items()} for entry in fleet.entries]
    return {"fleet.json": json.dumps({"agents": agents}, ensure_ascii=False, indent=2) + "\n"}


def as_split(fleet: Fleet, voices: Mapping[str, str]) -> Files:
    """Return a fleet as one YAML file for each agent, with its long texts in separate files.

    A text file says what is not exported, if anything is not.
    """
    files: dict[str, str] = {}
    for entry, slug in zip(
        fleet.entries, unique_slugs(str(entry.fields["name"]) for entry in fleet.entries), strict=True
    ):
        fields, texts = _with_text_files(entry, slug)
        notes = [line for note in entry.notes for line in comment_lines(f"Note: {note}")]
        files |= {f"{slug}.yaml": _text([*notes, *_entry_lines(entry, fields, voices, 0)]), **texts}
    if sentences := [*fleet.remarks, *fleet.not_exported]:
        files[REPORT] = _text([*map(visible_repr, sentences)])
    return files


def _entry_lines(entry: Entry, fields: Mapping[str, JsonValue], voices: Mapping[str, str], indent: int) -> list[str]:
    lines: list[str] = []
    for field, value in fields.items():
        written = _field_lines(field, without_variables(value), indent)
        comment = _comment_on(field, value, voices)
        lines += [with_comment(written[0], comment), *written[1:]] if comment and len(written) == 1 else written
    for field, reason in entry.left_out.items():
        lines += comment_lines(f"{field} is left out: {reason}", indent)
    return lines


def _field_lines(field: str, value: JsonValue, indent: int) -> list[str]:
    if field in _OF_ONE_LINE and isinstance(value, str):
        return [f"{' ' * indent}{field}: {scalar(value)}"]
    return field_lines(field, value, indent)


def _comment_on(field: str, value: JsonValue, voices: Mapping[str, str]) -> str:
    if field == "voice_id":
        return voices.get(str(value), "")
    return _EVERY_ACTION if field == "action_ids" and value is None else ""


def _with_text_files(entry: Entry, slug: str) -> tuple[dict[str, JsonValue], dict[str, str]]:
    """Return the fields of an entry that name files instead of long texts, and the texts of these files."""
    fields: dict[str, JsonValue] = {}
    texts: dict[str, str] = {}
    for field, value in entry.fields.items():
        if field == "first_message" and isinstance(value, str) and _is_long(value) and _fits_file(value):
            name = f"{slug}.first_message.txt"
            texts[name] = _file_text(value)
            fields["first_message_file"] = name
        elif field == "instructions" and isinstance(value, list) and _fit_files(value):
            names = [f"{slug}.instructions_{number}.txt" for number in range(1, len(value) + 1)]
            texts |= dict(zip(names, map(_file_text, value), strict=True))
            fields["instructions_files"] = [*names]
        else:
            fields[field] = value
    return fields, texts


def _file_text(text: JsonValue) -> str:
    """Return what a text file holds: its last line break is not part of the text."""
    return f"{without_variables(text)}\n"


def _fit_files(texts: list[JsonValue]) -> bool:
    """Return whether instructions are texts that files hold exactly."""
    return are_texts(texts) and all(_fits_file(str(text)) for text in texts)


def _is_long(text: str) -> bool:
    return len(text) > _LONGEST_IN_LINE or "\n" in text


def _fits_file(text: str) -> bool:
    """Return whether a text file holds a text exactly, and a person sees all of it there."""
    return bool(text) and all(visible(line.replace("\\", "/")) == line.replace("\\", "/") for line in text.split("\n"))


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
