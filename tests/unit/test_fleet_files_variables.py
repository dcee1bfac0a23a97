"""Tests the variables of fleet files: ${NAME} is replaced in texts, and nothing else changes."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_opencx.declared_files.places import FileDeclarations
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXFleetFileError
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet


def fleet_of(folder: Path, text: str, suffix: str = "yaml", **options: Any) -> FileDeclarations:
    path = folder / f"fleet.{suffix}"
    path.write_text(text, encoding="utf-8")
    return read_fleet(path, **options)


def problems_of(folder: Path, text: str, **options: Any) -> list[dict[str, Any]]:
    with pytest.raises(OpenCXFleetFileError) as error:
        parse_fleet(fleet_of(folder, text, **options))
    return error.value.problems


def test_caller_overrides_file_and_text_stays_as_written(tmp_path: Path) -> None:
    text = "variables: {A: 0123, B: no, C: c}\nagents:\n- name: ${A} ${B}\n  accent: x${C}${C}y\n"
    assert fleet_of(tmp_path, text) == [{"name": "0123 no", "accent": "xccy"}]
    assert fleet_of(tmp_path, text, variables={"C": "${A}", "B": "b"}) == [{"name": "0123 b", "accent": "x${A}${A}y"}]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$5 $A $(A) $", "$5 $A $(A) $"),
        ("'{{ A }} {% A %} {A} {{greeting}}'", "{{ A }} {% A %} {A} {{greeting}}"),
        ("'$${}'", "${}"),
    ],
)
def test_all_else_stays_as_it_is(written: str, value: str, tmp_path: Path) -> None:
    assert fleet_of(tmp_path, f"- first_message: {written}", variables={"A": "x"}) == [{"first_message": value}]


@pytest.mark.parametrize(
    ("field", "written", "filled", "value"),
    [
        ("interruptible", "${A}", "yes", True),
        ("interruptible", "${A}", "null", None),
        ("interruptible", "'${A}'", "true", "true"),
        ("speed", "${A}", "1.5", 1.5),
        ("speed", "1.${A}", "5", 1.5),
        ("flow", "${A}", "7", 7),
        ("flow", "'${A}'", "7", "7"),
        ("flow", "${A}", "[1, {a: b}]", "[1, {a: b}]"),
        ("flow", "{a: '${A}', '${A}': 1}", "b", {"a": "b", "${A}": 1}),
        ("accent", "${A}", "null", "null"),
        ("accent", "${A}", "", ""),
        ("accent", "${A}", "a: b\n- c # d", "a: b\n- c # d"),
        ("language", "[en, '${A}']", "es, de", ["en", "es, de"]),
    ],
)
def test_plain_scalar_is_read_as_if_it_were_written(
    field: str, written: str, filled: str, value: object, tmp_path: Path
) -> None:
    fleet = fleet_of(tmp_path, f"- {field}: {written}", variables={"A": filled})
    assert fleet == [{field: value}]


def test_variables_work_in_json(tmp_path: Path) -> None:
    content = {"variables": {"A": "a"}, "agents": [{"name": "${A}", "speed": "${B}", "flow": {"${A}": "${A}"}}]}
    fleet = fleet_of(tmp_path, json.dumps(content), "json", variables={"B": "1.5"})
    assert fleet == [{"name": "a", "speed": "1.5", "flow": {"${A}": "a"}}]
    assert parse_fleet(fleet)[0].speed == 1.5


WRONG = [
    ("accent: a ${NOPE}", 13, "there is no variable NOPE; known are CITY. Write one"),
    ("accent: a ${CITI}", 13, "there is no variable CITI; did you mean CITY? known are CITY"),
    ("accent: 'ö ${}'", 14, "${} is not a variable, which is written ${NAME}; write $${ for ${ itself"),
    ("accent: ${a b}", 11, "${a b} is not a variable"),
    ("accent: ${1}", 11, "${1} is not a variable"),
    ("accent: ${CITY", 11, "${CITY is not a variable"),
    ("first_message: |\n    Hi\n    you ${NOPE}", (4, 9), "there is no variable NOPE"),
    ("language: [en, '${NOPE}']", 19, "there is no variable NOPE"),
    ('accent: "\\x24{NOPE}"', 11, "there is no variable NOPE"),
]


@pytest.mark.parametrize(("line", "place", "says"), WRONG)
def test_variable_that_cannot_be_filled_is_named_with_its_place(
    line: str, place: int | tuple[int, int], says: str, tmp_path: Path
) -> None:
    [problem] = problems_of(tmp_path, f"- name: A\n  {line}\n", variables={"CITY": "Berlin"})
    assert (problem["line"], problem["column"]) == (place if isinstance(place, tuple) else (2, place))
    assert says in f"{problem['message']}; {problem['remedy']}"
    assert problem["agent"] == "A"


def test_wrong_variable_hides_no_other_problem(tmp_path: Path) -> None:
    text = "- {name: '${NOPE}', speed: fast}\n- {name: B, handoff_phone_number: '${NOPE}', nope: 1}\n"
    found = [(each["line"], each["field"], each["message"][:20]) for each in problems_of(tmp_path, text)]
    assert found == [
        (1, "name", "there is no variable"),
        (1, "speed", "must be a number"),
        (2, "handoff_phone_number", "there is no variable"),
        (2, "nope", "is not a field of a "),
    ]


def test_message_shows_what_was_written_and_what_it_became(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, "- {name: A, speed: '${A}'}", variables={"A": "fast\n" + "x" * 100})
    assert problem["read"].startswith("'${A}', which is 'fast\\nxxx")
    assert problem["read"].endswith("more characters)")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ("{A: '${B}'}", "variables.A: ${ is not allowed in the value of a variable"),
        ("{A: [a]}", "variables.A: must be text, and no list or mapping"),
        ("{A: }", "variables.A: is null; for no text, write ''"),
        ("{1A: a}", "variables.1A: is not the name of a variable"),
        ("[a]", "variables: must be a mapping of names to texts; read [a]"),
        ("{A: a, A: b}", "variables: duplicate key 'A'"),
    ],
)
def test_wrong_variables_of_file_are_refused(variables: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(OpenCXFleetFileError) as error:
        fleet_of(tmp_path, f"variables: {variables}\nagents: []")
    assert says in str(error.value)


@pytest.mark.parametrize("variables", [{"a b": "x"}, {"A": 1}, {"": "x"}, {"É": "x"}, ["A"], {1: "x"}])
def test_wrong_variables_of_caller_are_refused(variables: Any, tmp_path: Path) -> None:
    with pytest.raises(OpenCXArgumentError, match=r"^variables: "):
        fleet_of(tmp_path, "[]", variables=variables)


def test_unused_variable_of_caller_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    (tmp_path / "a.md").write_text("${IN_TEXT}")
    text = "defaults: {accent: '${OVERRIDDEN}'}\nagents: [{name: A, accent: a, first_message_file: a.md}]"
    given = {"IN_TEXT": "a", "OVERRIDDEN": "b", "TYPO": "c"}
    assert fleet_of(tmp_path, text, variables=given).unused_variables == ("TYPO",)
    assert caplog.messages == ["No file of the fleet uses the variables TYPO"]


@pytest.mark.parametrize("text", ["'" + "${A}" * 100_000 + "'", "[" + ", ".join(["'${A}'"] * 1_000) + "]"])
def test_filled_values_count_toward_the_limits(text: str, tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, f"- {{name: A, flow: {text}}}", variables={"A": "x" * 1_000_000})
    assert "expands to more than 250,000 values, or 25,000,000 characters" in problem["message"]


@pytest.mark.parametrize(
    "flow", ["'" + "${B}" * 500_000 + "'", "[" + ", ".join(f"'${{B{number}}}'" for number in range(30_000)) + "]"]
)
def test_unknown_variables_without_end_are_bounded(flow: str, tmp_path: Path) -> None:
    text = f"- {{name: A, flow: {flow}}}"
    problems = problems_of(tmp_path, text, variables={f"A{number}": "x" for number in range(10_000)})
    assert len(problems) in {20, 1_000}


def test_defaults_count_for_each_agent(tmp_path: Path) -> None:
    agents = ", ".join(f"{{name: N{number}}}" for number in range(300))
    [problem] = problems_of(tmp_path, f"defaults: {{accent: {'x' * 100_000}}}\nagents: [{agents}]")
    assert "expands to more than" in problem["message"]


PRINTABLE = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)


@given(
    variables=st.dictionaries(NAMES, PRINTABLE, min_size=1, max_size=3),
    texts=st.lists(PRINTABLE, max_size=4),
    default=PRINTABLE,
)
def test_any_text_comes_back_as_it_is(
    variables: dict[str, str], texts: list[str], default: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    name = next(iter(variables))
    escaped = [text.replace("${", "$${") for text in [*texts, default]]
    agents = [
        {"name": f"{number}", "accent": text, "model": f"${{{name}}}"} for number, text in enumerate(escaped[:-1])
    ]
    content = {"defaults": {"first_message": escaped[-1]}, "agents": agents}
    in_file = {key: value for key, value in variables.items() if "${" not in value}
    fleet = fleet_of(folder, json.dumps({**content, "variables": in_file}), "json", variables=variables)
    assert fleet == [
        {"first_message": default, "name": f"{number}", "accent": text, "model": variables[name]}
        for number, text in enumerate(texts)
    ]
    dumped = yaml.safe_dump({**content, "variables": in_file}, allow_unicode=False)
    assert fleet_of(folder, dumped, variables=variables) == fleet


@given(value=PRINTABLE, kind=st.sampled_from(["flow", "accent", "speed", "interruptible", "language"]))
def test_value_changes_no_structure(value: str, kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = f"agents:\n- name: A\n  {kind}: ${{A}}\n- name: B\n  {kind}: a${{A}}\nignore: [x, 'y${{A}}']\n"
    fleet = fleet_of(tmp_path_factory.getbasetemp(), text, variables={"A": value})
    assert [list(entry) for entry in fleet] == [["name", kind]] * 2  # type: ignore[call-overload]
    assert not any(isinstance(entry[kind], list | dict) for entry in fleet)  # type: ignore[index]
    assert len(fleet.ignore) == 2
