"""Tests that existing agents become fleet files whose plan changes nothing, whatever the service shows of them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXResponseError
from airflow_provider_opencx.exported_files.directory import write_files
from airflow_provider_opencx.exported_files.file_names import folded, unique_slugs
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.export.by_name import NamesInUse
from airflow_provider_opencx.phone_agents.export.declarable import Fleet
from airflow_provider_opencx.phone_agents.export.layouts import Layout, as_json, as_split, as_yaml
from airflow_provider_opencx.phone_agents.export.proof import Export, export_fleet
from airflow_provider_opencx.phone_agents.export.reading import read_agents, read_voice_names
from airflow_provider_opencx.phone_agents.fleet import FleetPlan, plan_fleet
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet
from airflow_provider_opencx.phone_agents.named import Named, Names
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.phone_agents.resolution import with_ids_of
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.simulator import Respond, Simulator
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

    def __call__(
        self, files: Mapping[str, str], agents: PhoneAgents, known: Mapping[str, Names] | None = None
    ) -> FleetPlan:
        for old in self.folder.iterdir():
            old.unlink()
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8", newline="")
        path = self.folder if len(files) > 1 else self.folder / next(iter(files))
        return plan_fleet(with_ids_of(known or {}, parse_fleet(read_fleet(path))).specs, agents)


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
        assert {step.item_id for step in steps} == exported
        assert len(steps) == len(exported)
    for agent in agents:
        assert agent.id in exported or any(shown_id(agent.id) in sentence for sentence in made.fleet.not_exported)


def names_in_use(**names: Mapping[str, str | None]) -> NamesInUse:
    """Return the names of ids by the fields that hold these names."""
    return NamesInUse(
        {field: Names(field, [Named(name, each) for each, name in of_ids.items()]) for field, of_ids in names.items()}
    )


NAMES_OF_IDS = st.dictionaries(
    st.sampled_from(["voice_aria", "1", "2", "a b"]), TEXTS | st.sampled_from(["a", " a", None])
)
REFERRING = st.fixed_dictionaries(
    {"id": st.sampled_from(["pa_1", "pa_2", "pa_3"]), "name": st.sampled_from(["A", "a", "B", "${C}"])},
    optional={
        "voice_id": st.sampled_from(["voice_aria", "1", "a b"]),
        "actionIds": st.lists(st.sampled_from(["1", "2", "a b"]), max_size=3) | st.none(),
        "instructions": st.lists(st.sampled_from(["1", "2", "Be nice."]), max_size=3),
    },
)


@EVERY_LAYOUT
@HARD
@given(items=st.lists(REFERRING, max_size=4), scenarios=NAMES_OF_IDS, actions=NAMES_OF_IDS, voices=NAMES_OF_IDS)
def test_plan_of_an_export_by_name_changes_nothing(
    layout: Layout, items: list[object], scenarios: Any, actions: Any, voices: Any, plan: Plan
) -> None:
    agents = listed(items)
    by_name = names_in_use(training_scenarios=scenarios, actions=actions, voice=voices)
    made = export_fleet(agents, by_name=by_name, layout=layout)
    assert not any("could not be read" in sentence for sentence in made.fleet.not_exported)
    if exported := {entry.agent.id for entry in made.fleet.entries}:
        steps = plan(made.files, agents, by_name.known).steps
        assert {step.action for step in steps} == {"unchanged"}
        assert {step.item_id for step in steps} == exported


def test_export_by_name_keeps_ids_that_no_name_says(plan: Plan) -> None:
    by_name = names_in_use(
        training_scenarios={"tr_1": "Refund policy", "tr_2": "Greeting"},
        actions={"ac_1": "Twice", "ac_2": "Twice", "ac_3": "Once"},
        voice={"voice_aria": "Aria"},
    )
    first = {**AGENT, "instructions": ["tr_2", "tr_1"], "actionIds": ["ac_3", "ac_1"]}
    second = {"id": "pa_2", "name": "B", "type": "outbound", "instructions": ["Be nice."], "actionIds": ["ac_3"]}
    made = export(first, second, by_name=by_name)
    assert yaml.safe_load(made.files["fleet.yaml"])["agents"] == [
        {
            "name": "Spring offer",
            "voice": "Aria",
            "training_scenarios": ["Greeting", "Refund policy"],
            "action_ids": ["ac_3", "ac_1"],
        },
        {"name": "B", "instructions": ["Be nice."], "actions": ["Once"]},
    ]
    [sentence] = made.fleet.sentences
    assert sentence.endswith(
        "its action_ids cannot be written by name. ac_1: no name, or one that others have as well."
    )


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


@pytest.mark.parametrize(
    ("shown", "lines"),
    [
        ({}, []),
        (dict.fromkeys(FIELDS.keys() - {"name", "type", "actionIds"}), []),
        ({"first_message": "Hello?", "use_org_knowledgebase": False, "interruptible": True}, []),
        ({"model": "oppie-vox", "manual_mode": False}, []),
        ({"first_message": "", "instructions": [], "flow": {}, "data_collection_fields": [], "accent": ""}, []),
        ({"id": "pa_1", "org_id": "o", "phone_number": "+1", "created_at": "x", "provider_external_id": "x"}, []),
        ({"type": "inbound"}, ["type: inbound"]),
        ({"actionIds": None}, ["action_ids: null  # every action"]),
        ({"actionIds": []}, ["action_ids: []"]),
        ({"language": ["en"]}, ["language: en"]),
        ({"language": "no"}, ['language: "no"']),
        ({"language": ["en", "es"]}, ["language: [en, es]"]),
        ({"interruptible": False, "manual_mode": True}, ["interruptible: false", "manual_mode: true"]),
        ({"model": "oppie-vox-2", "speed": 1.5}, ["speed: 1.5", "model: oppie-vox-2"]),
        ({"handoff_phone_number": "+1 (415) 555-0100"}, ['handoff_phone_number: "+14155550100"']),
        ({"first_message": "Hi {{ name }}, ${A}"}, ['first_message: "Hi {{ name }}, $${A}"']),
        ({"first_message": "Hi\nthere"}, ["first_message: |-", "  Hi", "  there"]),
        ({"instructions": ["scenario_1"]}, ["instructions: [scenario_1]"]),
    ],
)
def test_only_what_means_something_is_declared(shown: dict[str, Any], lines: list[str]) -> None:
    agent = {"id": "pa_1", "name": "Spring offer", "type": "outbound", **shown}
    wanted = ["agents:", "  - name: Spring offer", "    id: pa_1", *(f"    {line}" for line in lines)]
    assert yaml_of(agent).splitlines() == wanted


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        (
            {"handoff_phone_number": "(415) 555-0100"},
            "handoff_phone_number is left out: '(415) 555-0100' must begin",
        ),
        (
            {"handoff_phone_number": 5},
            "handoff_phone_number is left out: it cannot be read (handoff_",
        ),
        ({"language": ["en", "no"]}, "language is left out: 'no' must be the only language"),
        ({"language": "English"}, "language is left out: 'English' is not the code of a language"),
        ({"type": "both"}, "type is left out: 'both' is neither inbound nor outbound."),
        ({"speed": "1.5"}, "speed is left out: it would be changed (speed: '1.5' -> 1.5)."),
        ({"instructions": "Be nice"}, "instructions is left out: must be a list"),
        ({"flow": json.loads("[" * 150 + "]" * 150)}, "flow is left out: it is nested more than 100 levels deep."),
        ({"flow": {"a": [1] * 10_001}}, "flow is left out: it holds more than 10,000 values."),
        ({"name": " Löwe"}, "Note: its name is stored as ' Löwe'; blanks at its ends"),
    ],
)
def test_what_cannot_be_declared_is_a_comment_at_the_agent(shown: dict[str, Any], sentence: str) -> None:
    text = yaml_of({**AGENT, **shown})
    comments = " ".join(line.strip().removeprefix("# ") for line in text.splitlines() if line.strip()[:1] == "#")
    assert sentence in comments
    [entry] = yaml.safe_load(text)["agents"]
    assert entry["voice_id"] == "voice_aria"
    assert shown.keys() - entry.keys() == shown.keys() - {"name"}


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ({**AGENT, "id": "pa_2"}, "2 agents are named 'Spring offer' and are not exported: pa_1, pa_2."),
        ({"id": "pa_2", "name": None}, "phone agent pa_2 is not exported: it has no name."),
        ({"id": "pa_2"}, "phone agent pa_2 is not exported: it has no name."),
        ({"id": "pa_2", "name": 5}, "phone agent pa_2 is not exported: its name cannot be read (name: must be text)."),
        (
            {"id": "pa_2", "name": "\u200b"},
            r"phone agent '\u200b' (pa_2) is not exported: holds nothing that can be",
        ),
        ({"id": "pa_2", "name": "x", "type": 5}, "phone agent 'x' (pa_2) is not exported: its type cannot be read"),
        (
            {"id": " pa_2", "name": "x"},
            "phone agent 'x' (' pa_2') is not exported: its name or its id cannot",
        ),
        ({"name": "x"}, "The list holds what cannot be read, and is not exported:"),
        ("text", "The list holds what cannot be read, and is not exported:"),
        ({**AGENT, "id": "pa_2", "name": "x", "stt_model": "y", "new\nfield": 1}, r"are no fields of a declaration"),
    ],
)
@EVERY_LAYOUT
def test_agent_that_is_not_exported_is_named_with_the_reason(item: object, sentence: str, layout: Layout) -> None:
    made = export(AGENT, item, layout=layout)
    assert any(sentence in each for each in made.fleet.sentences)
    if layout is not as_json:
        text = "".join(made.files.values())
        assert sentence in " ".join(line.strip().removeprefix("# ") for line in text.splitlines())


def test_names_near_one_another_are_exported_and_pointed_out() -> None:
    made = export(AGENT, {**AGENT, "id": "pa_2", "name": "spring offer"})
    assert [entry.agent.id for entry in made.fleet.entries] == ["pa_1", "pa_2"]
    assert made.fleet.sentences == [
        "phone agent 'Spring offer' (pa_1): its name is near that of phone agent 'spring offer' (pa_2), whose name"
        " differs only in letter case.",
        "phone agent 'spring offer' (pa_2): its name is near that of phone agent 'Spring offer' (pa_1), whose name"
        " differs only in letter case.",
    ]


@pytest.mark.parametrize(
    ("names", "exported"),
    [((), "123"), (("Spring *",), "12"), (("*two", "autumn"), "2"), (("Autumn",), "3"), (("[x]",), "4"), (("x",), "4")],
)
def test_names_choose_the_agents(names: tuple[str, ...], exported: str) -> None:
    items = [{"id": "1", "name": "Spring one"}, {"id": "2", "name": " Spring two"}, {"id": "3", "name": "Autumn"}]
    if "4" in exported:
        items.append({"id": "4", "name": "[x]" if names == ("[x]",) else "x"})
    made = export(*items, {"id": "5", "name": None}, names=names)
    assert "".join(entry.agent.id for entry in made.fleet.entries) == exported
    assert made.fleet.total == len(exported) + (not names)


@pytest.mark.parametrize("name", ["Aria", "Aria\n- name: evil", "#", "\x07", " ", "x" * 10_000, "\u2028a: b"])
def test_name_of_a_voice_stands_beside_its_id(name: str) -> None:
    text = yaml_of(AGENT, voices={"voice_aria": name})
    assert yaml.safe_load(text)["agents"] == [{"name": "Spring offer", "id": "pa_1", "voice_id": "voice_aria"}]
    assert (f"voice_id: voice_aria  # {name}" in text) is (name in ("Aria", "#"))


def test_export_is_silent_about_its_own_nulls(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        export({**AGENT, "actionIds": None})
    assert caplog.records == []


def test_long_texts_stand_in_files_of_their_own() -> None:
    greeting, instruction = "Hi\nthere", "Be nice. " * 30
    files = export({**AGENT, "first_message": greeting, "instructions": [instruction, "x y"]}, layout=as_split).files
    assert files == {
        "spring-offer.yaml": "name: Spring offer\nid: pa_1\nvoice_id: voice_aria\n"
        "first_message_file: spring-offer.first_message.txt\n"
        "instructions_files: [spring-offer.instructions_1.txt, spring-offer.instructions_2.txt]\n",
        "spring-offer.first_message.txt": f"{greeting}\n",
        "spring-offer.instructions_1.txt": f"{instruction}\n",
        "spring-offer.instructions_2.txt": "x y\n",
    }


NAMES = [
    *("a", "A", "ß", "SS", "\u0131", "i", "I", "\u0130", "é", "e\u0301", "\ufb01", "fi", "../../etc", "con", "COM1"),
    *(
        "com\u00b9",
        "",
        ".",
        "..",
        "/",
        "\\",
        "a/b",
        "a\\b",
        "a:b",
        "a b ",
        "\u200b",
        "नमस्ते",
        "你好",
        "x" * 5000,
        "\u0301",
    ),
    *("a\0b", "~", "-a", ".a", "nul"),
]


@given(st.lists(st.sampled_from(NAMES) | st.text(LETTERS, max_size=300), max_size=12))
def test_names_of_files_fit_every_file_system(names: list[str]) -> None:
    slugs = unique_slugs(names)
    assert len({folded(slug) for slug in slugs}) == len(names)
    for slug in slugs:
        assert re.fullmatch(r"[^\W_].*", slug)
        assert not re.search(r'[\x00-\x20/\\:*?"<>|.%$&;`\x7f]', slug)
        assert len(slug.encode()) < 150
        assert slug.partition("-")[0].upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT1"} or "-" in slug


def test_files_appear_in_the_folder(tmp_path: Path) -> None:
    assert write_files({"a.yaml": "1", "b.txt": "ü\r\n"}, tmp_path / "x" / "y") == []
    assert {each.name: each.read_bytes() for each in (tmp_path / "x" / "y").iterdir()} == {
        "a.yaml": b"1",
        "b.txt": "ü\r\n".encode(),
    }


@pytest.mark.parametrize("taken", ["a.yaml", "A.YAML", "b.txt"])
def test_nothing_is_overwritten_unless_it_is_asked_for(taken: str, tmp_path: Path) -> None:
    files = {"a.yaml": "new", "b.txt": "new"}
    (tmp_path / taken).write_text("old")
    with pytest.raises(OpenCXArgumentError, match=rf"holds '{taken}' already, so nothing was written. .* --force"):
        write_files(files, tmp_path)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {taken: "old"}
    write_files(files, tmp_path, overwrite=True)
    assert {name: (tmp_path / name).read_text() for name in files} == files


def test_other_fleet_files_of_the_folder_are_named(tmp_path: Path) -> None:
    for name in ("old.yaml", "old.JSON", "notes.txt", ".hidden.yaml"):
        (tmp_path / name).touch()
    assert write_files({"a.yaml": "1"}, tmp_path) == ["old.JSON", "old.yaml"]


def test_links_are_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("old")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.yaml").symlink_to(outside)
    write_files({"a.yaml": "new"}, folder, overwrite=True)
    assert outside.read_text() == "old"
    assert not (folder / "a.yaml").is_symlink()
    assert [each.name for each in folder.iterdir()] == ["a.yaml"]


def test_folder_of_the_name_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(OpenCXArgumentError, match=r"holds folders of the names 'b\.txt'"):
        write_files({"a.yaml": "1", "b.txt": "2"}, tmp_path, overwrite=True)
    assert [each.name for each in tmp_path.iterdir()] == ["b.txt"]


@pytest.mark.parametrize("path", ["file", "file/x"])
def test_folder_that_cannot_be_written_is_named(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OpenCXArgumentError, match=r"--split: .* cannot be written"):
        write_files({"a.yaml": "1"}, tmp_path / path)


def test_fleet_that_is_too_large_for_one_file_is_an_error() -> None:
    items = [
        {**AGENT, "id": str(number), "name": f"n{number}", "first_message": "x" * 3_000_000} for number in range(4)
    ]
    with pytest.raises(OpenCXArgumentError, match=r"larger than 10 MB.*--names, or .* --split"):
        export(*items)


def test_list_is_not_believed_before_two_agree(hook: OpenCXHook, connected: Simulator) -> None:
    for name in ("a", "b", "c"):
        connected.add_agent(name)
    connected.fail("listPhoneAgents", Respond(200, []), times=1)
    assert [agent.name for agent in read_agents(hook.get_conn())] == ["a", "b", "c"]
    assert len(connected.requests) == 3


def test_list_that_never_agrees_is_an_error(hook: OpenCXHook, connected: Simulator) -> None:
    for number in range(4):
        connected.fail("listPhoneAgents", Respond(200, [{"id": str(number), "name": "x"}]), times=1)
    with pytest.raises(OpenCXResponseError, match="another one each time"):
        read_agents(hook.get_conn())


def test_export_needs_no_voices(hook: OpenCXHook, connected: Simulator) -> None:
    assert read_voice_names(hook.get_conn())["voice_aria"] == "Aria"
    connected.fail("listPhoneVoices", Respond(404, {"message": "no"}), times=None)
    assert read_voice_names(hook.get_conn()) == {}


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("Ho", "a plan of its file would change it (first_message: 'Hi' -> 'Ho')."),
        ("Hi\n    voice: x", "its entry could not be read: agents: fleet.yaml"),
    ],
)
def test_agent_whose_entry_would_change_it_is_taken_out(written: str, reason: str) -> None:
    def layout(fleet: Fleet, voices: Mapping[str, str]) -> Mapping[str, str]:
        return {name: text.replace("Hi", written) for name, text in as_yaml(fleet, voices).items()}

    made = export({**AGENT, "first_message": "Hi"}, {**AGENT, "id": "pa_2", "name": "x"}, layout=layout)
    assert [entry.agent.id for entry in made.fleet.entries] == ["pa_2"]
    [sentence] = made.fleet.not_exported
    assert sentence.startswith(f"phone agent 'Spring offer' (pa_1) is not exported: {reason}")
