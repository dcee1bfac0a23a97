"""The agents that exist become fleet files of which a plan changes nothing, whatever the service shows of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXResponseError
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.export.file_names import folded, unique_slugs
from airflow_provider_opencx.phone_agents.export.layouts import Layout, as_json, as_split, as_yaml
from airflow_provider_opencx.phone_agents.export.proof import Export, export_fleet
from airflow_provider_opencx.phone_agents.fleet import FleetPlan, plan_fleet
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet_file as read_fleet
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.visible_text import identifier

EVERY_LAYOUT = pytest.mark.parametrize("layout", [as_yaml, as_json, as_split])
AGENT: dict[str, Any] = {"id": "pa_1", "name": "Spring offer", "type": "outbound", "voice_id": "voice_aria"}


def listed(items: Sequence[object]) -> PhoneAgents:
    """Return the list of agents as it is read from a response."""
    agents, unreadable = [], []
    for item in items:
        try:
            agents.append(PhoneAgent.from_response(item))
        except OpenCXResponseError as problem:
            unreadable.append(str(problem))
    return PhoneAgents(agents, unreadable=unreadable)


def export(*items: object, **arguments: Any) -> Export:
    return export_fleet(listed(items), **arguments)


def yaml_of(*items: object, **arguments: Any) -> str:
    [text] = export(*items, **arguments).files.values()
    return text


def shown_id(agent_id: str) -> str:
    return identifier(agent_id)


class Plan:
    """Reads files as a command does, and plans for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, files: Mapping[str, str], agents: PhoneAgents) -> FleetPlan:
        for old in self.folder.iterdir():
            old.unlink()
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8", newline="")
        path = self.folder if len(files) > 1 else self.folder / next(iter(files))
        return plan_fleet(parse_fleet(read_fleet(path)), agents)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(tmp_path)


LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TRAPS = st.sampled_from(
    [
        *(
            "\n",
            "\r\n",
            "\t",
            " ",
            "\x85",
            "\u2028",
            "\ufeff",
            "\u200b",
            "\u0301",
            "\x07",
            '"',
            "'",
            "\\",
            ": ",
            " #",
            "#",
        ),
        *(
            "- ",
            "|",
            "---",
            "...",
            "${A}",
            "$${",
            "$",
            "{{ a }}",
            "no",
            "on",
            "~",
            "0123",
            "1e3",
            "12:30",
            "null",
            "a",
            "A",
        ),
        *(
            "Grüße",
            "नमस्ते",
            "مرحبا",
            "שלום",
            "你好",
            "こんにちは",
            "Привет",
            "Γειά",
            "สวัสดี",
            "\U0001f468\u200d\U0001f469",
        ),
        "word " * 60,
    ]
)
TEXTS = st.one_of(st.text(LETTERS, max_size=30), st.lists(TRAPS, max_size=6).map("".join))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=8,
)
NUMBERS = st.sampled_from(
    ["+14155550100", "+1 (415) 555-0100", "(415) 555-0100", "030 555010", "+49 (0)30 555010", "x"]
)
LANGUAGES = st.sampled_from(["no", "en", "EN", "pt-BR", "English", "", "en,fr", ["no"], ["en", "es"], ["en", "no"], []])
FIELDS = {
    "name": TEXTS | st.sampled_from(["a", "A", " a", "a\u200b", "no", "a b", "a  b"]),
    "type": st.sampled_from(["inbound", "outbound", "both", ""]),
    "language": LANGUAGES,
    "accent": TEXTS,
    "handoff_phone_number": NUMBERS,
    "speed": st.sampled_from([1, 1.5, 0.1, True, "1.5", 2**60 + 1]),
    "interruptible": st.sampled_from([True, False, "yes", 1]),
    "actionIds": st.lists(TEXTS, max_size=3),
    "instructions": st.lists(TEXTS, max_size=3) | TEXTS,
    "data_collection_fields": st.lists(TEXTS, max_size=3),
    "data_collection_webhook_url": st.sampled_from(["https://a.example/x?y=${A}", "ftp://a", "a b"]),
    "model": st.sampled_from(["oppie-vox", "oppie-vox-2", "oppie-vox-livekit"]),
    "voice_id": TEXTS | st.sampled_from(["voice_aria"]),
    "first_message": TEXTS | st.sampled_from(["Hello?"]),
    "flow": JSON,
    "manual_mode": st.booleans(),
    "custom_llm": TEXTS,
    "use_org_knowledgebase": st.booleans(),
    "phone_number": st.sampled_from(["+15550000001"]),
    "org_id": st.just("org_1"),
    "recording_enabled": st.booleans(),
}
ITEMS = st.fixed_dictionaries(
    {"id": st.sampled_from(["1", "pa_2", "no", "0e1", " 3", "a:b", "${A}", "\n"]) | TEXTS},
    optional={
        **{name: st.one_of(values, values, values, st.none(), JSON) for name, values in FIELDS.items()},
        "new_field": JSON,
    },
)
LISTS = st.lists(st.one_of(*[ITEMS] * 9, JSON), max_size=5)
VOICES = st.dictionaries(st.just("voice_aria") | TEXTS, TEXTS, max_size=2)
HARD = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


@EVERY_LAYOUT
@HARD
@given(items=LISTS, voices=VOICES)
def test_plan_of_an_export_changes_nothing(
    layout: Layout, items: list[object], voices: dict[str, str], plan: Plan
) -> None:
    agents = listed(items)
    made = export_fleet(agents, voices=voices, layout=layout)
    exported = {entry.agent.id for entry in made.fleet.entries}
    if exported:
        steps = plan(made.files, agents).steps
        assert {step.action for step in steps} == {"unchanged"}
        assert {step.agent_id for step in steps} == exported
        assert len(steps) == len(exported)
    for agent in agents:
        assert agent.id in exported or any(shown_id(agent.id) in sentence for sentence in made.fleet.not_exported)


@HARD
@given(items=LISTS, voices=VOICES)
def test_every_text_comes_back_exactly(items: list[object], voices: dict[str, str]) -> None:
    agents = listed(items)
    for entry in yaml.safe_load(yaml_of(*items, voices=voices))["agents"]:
        agent = agents.with_id(literal(entry["id"]))
        assert agent is not None
        for field in ("first_message", "voice_id", "accent", "instructions", "flow"):
            if field in entry:
                assert literal(entry[field]) == agent.field(field)


def literal(value: Any) -> Any:
    """Return a value of a fleet file with what is written for ``${``."""
    if isinstance(value, str):
        return value.replace("$${", "${")
    if isinstance(value, list):
        return [*map(literal, value)]
    return {name: literal(each) for name, each in value.items()} if isinstance(value, dict) else value
