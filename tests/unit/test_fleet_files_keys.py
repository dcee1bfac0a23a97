"""Tests the keys of a fleet file besides its agents: defaults, names to ignore, anchors, and one agent alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.exceptions import OpenCXError, OpenCXFleetFileError
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.entry import FleetEntry
from airflow_provider_opencx.phone_agents.fleet_files.keys import key_kinds
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet

Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a file with a text, checks its declarations and returns them."""

    def read(text: str, **options: Any) -> list[dict[str, Any]]:
        (tmp_path / "fleet.yaml").write_text(text, encoding="utf-8")
        fleet = read_fleet(tmp_path / "fleet.yaml", **options)
        parse_fleet(fleet)
        return [dict(entry) for entry in fleet]  # type: ignore[call-overload]

    return read


@pytest.fixture
def problems(read: Read) -> Callable[..., list[str]]:
    """Reads a file with a text that is wrong, and returns what is wrong, without the path."""

    def problems(text: str, **options: Any) -> list[str]:
        with pytest.raises(OpenCXFleetFileError) as error:
            read(text, **options)
        said = [filter(None, (each["message"], each["remedy"])) for each in error.value.problems]
        return [
            f"{each['line']}:{each['column']} {each['field']}: {'; '.join(words)}"
            for each, words in zip(error.value.problems, said, strict=True)
        ]

    return problems


def test_every_key_of_entry_has_a_kind() -> None:
    assert key_kinds().keys() == {*FleetEntry.model_fields, "actionIds", "first_message_file", "instructions_files"}


def test_ids_are_text_as_written(read: Read) -> None:
    assert read("- {name: a, id: 007, voice: no}\n- {name: b, previous_name: 2026-01-01}") == [
        {"name": "a", "id": "007", "voice": "no"},
        {"name": "b", "previous_name": "2026-01-01"},
    ]


def test_defaults_are_taken_whole_by_every_entry(read: Read) -> None:
    text = """
    defaults: {language: [en, es], flow: {a: 1}, voice_id: v}
    agents: [{name: A}, {name: B, language: de, flow: {b: 2}}, {name: C, voice_id: null}]
    """
    assert read(text) == [
        {"name": "A", "language": ["en", "es"], "flow": {"a": 1}, "voice_id": "v"},
        {"name": "B", "language": "de", "flow": {"b": 2}, "voice_id": "v"},
        {"name": "C", "language": ["en", "es"], "flow": {"a": 1}, "voice_id": None},
    ]


@pytest.mark.parametrize(
    ("default", "own", "kept"),
    [
        ("first_message: a", "first_message_file: a.md", {"first_message": "text"}),
        ("first_message_file: a.md", "first_message: b", {"first_message": "b"}),
        ("voice_id: a", "voice: b", {"voice": "b"}),
        ("voice: a", "voice_id: b", {"voice_id": "b"}),
        ("instructions: [a]", "instructions_files: a.md", {"instructions": ["text"]}),
        ("instructions_files: [a.md]", "instructions: [b]", {"instructions": ["b"]}),
        ("action_ids: [a]", "actionIds: [b]", {"action_ids": ["b"]}),
        ("actionIds: [a]", "action_ids: []", {"action_ids": []}),
    ],
)
def test_entry_overrides_default_that_says_the_same(
    default: str, own: str, kept: dict[str, object], read: Read, problems: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.md").write_text("text\n")
    assert read(f"defaults: {{{default}}}\nagents: [{{name: A, {own}}}]") == [{"name": "A", **kept}]
    assert read(f"x-: &x {{{default}}}\nagents: [{{name: A, <<: *x, {own}}}]") == [{"name": "A", **kept}]
    first, second = default.split(":", maxsplit=1)[0], own.split(":", maxsplit=1)[0]
    for text in (f"- {{name: A, {default}, {own}}}", f"defaults: {{{default}, {own}}}\nagents: []"):
        [problem] = problems(text)
        assert f"{first} and {second} say the same; write one of them" in problem


def test_id_and_previous_name_are_not_written_together(problems: Any) -> None:
    [problem] = problems("- {name: A, id: a, previous_name: b}")
    assert "id and previous_name say the same; write one of them" in problem


@pytest.mark.parametrize("field", ["name", "id", "previous_name"])
def test_defaults_say_not_which_agent_it_is(field: str, problems: Any) -> None:
    [problem] = problems(f"defaults: {{{field}: a}}\nagents: [{{name: A}}, {{name: B}}]")
    assert problem.startswith(f"1:12 defaults.{field}: says which agent it is")


@pytest.mark.parametrize(
    ("defaults", "problem"),
    [
        ("{speed: fast}", "1:19 defaults.speed: must be a number"),
        (
            "{firstMessage: a}",
            "1:12 defaults.firstMessage: is not a field of a declaration; did you mean first_message?",
        ),
        ("{flow: !!set {a}}", "1:18 defaults.flow: the tag !!set has no meaning here"),
        ("{language: [en, tr]}", "1:22 defaults.language: 'tr' must be the only language"),
        ('{accent: "a\\0"}', "1:11 defaults: accent: holds a NUL"),
        ("{accent: '${A}'}", "1:21 defaults.accent: there is no variable A"),
        ("[a]", "1:11 defaults: must be a mapping of an agent's fields"),
    ],
)
@pytest.mark.parametrize("agents", ["[]", "[{name: A}, {name: B}]"])
def test_problem_of_default_is_named_once(defaults: str, problem: str, agents: str, problems: Any) -> None:
    [found] = problems(f"defaults: {defaults}\nagents: {agents}")
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("dry_run: true", "dry_run is not a key of a fleet file; a file has agents, defaults, variables, ignore"),
        ("delete: [a]", "delete is not a key of a fleet file; a file has"),
        ("default: {}", "default is not a key of a fleet file; did you mean defaults?"),
        ("Agents: []", "Agents is not a key of a fleet file; did you mean agents?"),
        ("vars: {}", "vars is not a key of a fleet file; did you mean variables?"),
        ("ignored: []", "ignored is not a key of a fleet file; did you mean ignore?"),
        ("language: en", "language is not a key of a fleet file; write a field of all agents under defaults"),
    ],
)
def test_other_key_is_refused(key: str, says: str, problems: Any) -> None:
    [problem] = problems(f"agents: [{{name: A}}]\n{key}")
    assert problem.startswith(f"2:1 : {says}")


def test_free_keys_are_not_read(read: Read) -> None:
    free = "$schema: a\nx-a: !!set {'${A}'}\n_b: &b {language: en}\n"
    text = f"{free}agents: [{{name: A, <<: *b}}]\ndefaults:\nvariables:\nignore:"
    assert read(text) == [{"name": "A", "language": "en"}]


@pytest.mark.parametrize(
    ("text", "ignored"),
    [
        ("ignore: Test *", ("Test *",)),
        ("ignore: [a, no, '${B}']\nvariables: {B: 007}\nagents: [{name: A}]", ("a", "no", "007")),
        ("agents: []", ()),
    ],
)
def test_ignored_names_are_returned(text: str, ignored: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(text)
    assert read_fleet(tmp_path / "fleet.yaml").ignore == ignored


@pytest.mark.parametrize("written", ["{a: b}", "[a, [b]]", "['']"])
def test_other_ignored_is_refused(written: str, problems: Any) -> None:
    assert problems(f"ignore: {written}") == ["1:9 ignore: must be a name or a glob, or a list of them"]


def test_file_may_be_one_agent(read: Read, problems: Any) -> None:
    text = "variables: {A: b}\nx-a: 1\n_b: 2\nname: A\naccent: ${A}\n"
    assert read(text) == [{"name": "A", "accent": "b"}]
    assert problems("first_message: a") == ["1:1 name: is required"]
    [problem] = problems("name: A\ndefaults: {}")
    assert problem == "2:1 : defaults has no meaning in a file that is one agent"
    assert "did you mean first_message?" in problems("name: A\nfirstMessage: a")[0]


@pytest.mark.parametrize("text", ["", "a: b", "5", "agents:", "agents: {a: b}", "variables: {A: b}", "defaults: {}"])
def test_file_without_agents_is_refused(text: str, problems: Any) -> None:
    assert any("must hold a list of declarations" in problem or "is not a key" in problem for problem in problems(text))


ACROSS = [
    ("[{name: A, id: a}, {name: B, id: ' a '}]", "1:42 : the id a is declared 2 times: in lines 1, 1"),
    (
        "[{name: A}, {name: B, previous_name: A}]",
        "1:46 : previous_name: 'A' is the name of another agent of the fleet: in line 1, which may be the one",
    ),
    (
        "[{name: A, previous_name: C}, {name: B, previous_name: C}]",
        "1:64 : 2 agents have 'C' as their previous_name: in lines 1, 1, and one agent alone can have had it",
    ),
    ("[{name: '{{x}}'}, {name: '{{x}}'}]", "1:34 : '{{x}}' is declared 2 times: in lines 1, 1"),
]


@pytest.mark.parametrize(("agents", "says"), ACROSS)
def test_entries_that_contradict_each_other_are_refused(agents: str, says: str, problems: Any) -> None:
    [problem] = problems(f"agents: {agents}")
    assert problem.startswith(says)


@pytest.mark.parametrize(("agents", "says"), ACROSS)
def test_entries_in_a_dag_that_contradict_each_other_are_refused(agents: str, says: str) -> None:
    import yaml

    sentence = says.split(": ", 1)[1].split(": in line", maxsplit=1)[0].removeprefix(": ")
    with pytest.raises(ValueError, match=r"\(number 1") as error:
        parse_fleet(yaml.safe_load(agents))
    assert sentence in str(error.value)


def test_own_name_as_previous_name_is_ignored(read: Read) -> None:
    assert len(read("agents: [{name: A, previous_name: A}, {name: B}]")) == 1 + 1


@pytest.mark.parametrize("key", ["first_message_file", "instructions_files"])
def test_text_file_in_a_dag_says_where_it_belongs(key: str) -> None:
    with pytest.raises(
        ValueError, match=f"number 1 \\('A'\\): {key}: is a key of fleet files; in a Dag, give the text"
    ):
        parse_fleet([{"name": "A", key: "a.md"}])


def test_problems_are_data_that_survive_an_event(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("- name: A\n  speed: fast\n- voice_id: a\n")
    with pytest.raises(OpenCXFleetFileError) as error:
        parse_fleet(read_fleet(tmp_path / "fleet.yaml"))
    first, second = error.value.problems
    assert first == {
        "file": str(tmp_path / "fleet.yaml"),
        "line": 2,
        "column": 10,
        "agent": "A",
        "entry": 1,
        "field": "speed",
        "message": "must be a number",
        "read": "fast",
        "remedy": "",
    }
    assert (second["agent"], second["entry"], second["message"]) == (None, 2, "is required")
    again = OpenCXError.from_event(json.loads(json.dumps(error.value.to_event())))
    assert isinstance(again, OpenCXFleetFileError)
    assert (again.problems, str(again), again.is_permanent) == (error.value.problems, str(error.value), True)
