"""Tests that a fleet file means what is written in it, and that its errors name the line."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_opencx.declared_files.beside_dag import fleet_paths
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet
from airflow_provider_opencx.resources.phone_agents import (
    IDS_BY_NAMES,
    PhoneAgentChanges,
    PhoneAgentSpec,
    field_kinds,
)
from airflow_provider_opencx.visible_text import identifier


def declared(tmp_path: Path, text: str, suffix: str = "yaml") -> list[dict[str, Any]]:
    """The declared fields of each agent of a file with this text."""
    path = tmp_path / f"fleet.{suffix}"
    path.write_text(text, encoding="utf-8")
    return [spec.declared_fields for spec in parse_fleet(read_fleet(path))]


def refusal(tmp_path: Path, text: str, suffix: str = "yaml") -> str:
    """The message of the error of a file with this text."""
    with pytest.raises(OpenCXArgumentError) as error:
        declared(tmp_path, text, suffix)
    assert str(tmp_path / f"fleet.{suffix}") in str(error.value)
    return str(error.value)


def entry(field: str, written: str) -> str:
    return f"- name: A\n  {field}: {written}\n"


TEXTS = [
    *("no", "on", "Yes", "off", "true", "False", "y", "n"),
    *("007", "05551234567", "+14155550100", "2026", "1.50", "1e3", "0x1F", "0o17", "1_000", ".inf", ".nan"),
    *("2026-03-01", "2026-03-01T10:00:00Z", "12:30", "190:20:30", "=", "<<"),
]
KINDS = field_kinds()
FIELDS = {field: kind for field, kind in KINDS.items() if field not in ("actionIds", *IDS_BY_NAMES)}


def test_every_field_has_the_kind_of_its_type() -> None:
    expected = {
        Kind.BOOLEAN: {"use_org_knowledgebase", "interruptible", "manual_mode"},
        Kind.NUMBER: {"speed"},
        Kind.TEXTS: {"language", "instructions", "action_ids", "actionIds", "data_collection_fields"}
        | {"training_scenarios", "actions"},
        Kind.JSON: {"flow", "additional_fields"},
    }
    for kind, fields in expected.items():
        assert {field for field, found in KINDS.items() if found is kind} == fields
    assert KINDS.keys() == {*PhoneAgentChanges.model_fields, "actionIds"}


@pytest.mark.parametrize("written", TEXTS)
def test_text_is_what_was_written(written: str, tmp_path: Path) -> None:
    lines = [f"  {field}: {written}" for field, kind in FIELDS.items() if kind is Kind.TEXT]
    lines += [f"  {field}: [a, {written}]" for field, kind in FIELDS.items() if kind is Kind.TEXTS]
    path = tmp_path / "fleet.yaml"
    path.write_text("\n".join(["-", *lines]))
    [fields] = read_fleet(path)
    assert fields == {
        field: written if kind is Kind.TEXT else ["a", written]
        for field, kind in FIELDS.items()
        if kind in {Kind.TEXT, Kind.TEXTS}
    }


@pytest.mark.parametrize(
    ("field", "written", "value"),
    [
        ("name", "2026", "2026"),
        ("language", "no", ["no"]),
        ("action_ids", "[1, no, 2026-03-01]", ["1", "no", "2026-03-01"]),
        ("interruptible", "yes", True),
        ("interruptible", "TRUE", True),
        ("manual_mode", "off", False),
        ("speed", "1", 1.0),
        ("speed", "1.5e0", 1.5),
        ("first_message", "'null'", "null"),
        ("first_message", "!!str null", "null"),
        ("first_message", "|\n    a\n    b", "a\nb\n"),
        (
            "flow",
            "{a: no, b: true, c: 1, d: 007, e: 2026-01-01, f: ~, 1: x, on: +1, g: 1.5, h: '1', i: !!str 1, j: 0x1F}",
            {
                **{"a": "no", "b": True, "c": 1, "d": "007", "e": "2026-01-01", "f": None},
                **{"1": "x", "on": "+1", "g": 1.5, "h": "1", "i": "1", "j": "0x1F"},
            },
        ),
    ],
)
def test_field_decides_what_value_is(field: str, written: str, value: object, tmp_path: Path) -> None:
    text = entry(field, written) if field != "name" else f"- name: {written}"
    assert declared(tmp_path, text)[0][field] == value


@pytest.mark.parametrize("null", ["", "~", "null", "Null", "NULL"])
@pytest.mark.parametrize("field", sorted(FIELDS.keys() - {"name", "type", "additional_fields"}))
def test_null_is_null_and_warned_of_where_nothing_is_written(
    field: str, null: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert declared(tmp_path, entry(field, null))[0][field] is None
    if null:
        assert caplog.messages == []
        return
    [warning] = caplog.messages
    assert warning.startswith("fleet.yaml, line 2, column ")
    assert f"agent 'A': {field} is null, " in warning
    assert ("every action" in warning) == (field == "action_ids")


def test_list_whose_lines_are_commented_out_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    declared(tmp_path, "- name: A\n  action_ids:  # for now\n    # - act_1\n")
    assert caplog.messages == [
        "fleet.yaml, line 2, column 14: agent 'A': action_ids is null, which means every action; for no action, write"
        " []. To leave the field as it is, leave it out."
    ]


@pytest.mark.parametrize(
    ("field", "written", "value", "warned"),
    [
        ("first_message", "Our office is in suite #5, call us", "Our office is in suite", "'#5, call us'"),
        ("first_message", "Our office is\n    in suite #5", "Our office is in suite", "'#5'"),
        ("first_message", "Press # to end", "Press", None),  # it looks like any other comment
        ("first_message", "Hi # a comment", "Hi", None),
        ("first_message", "'Hi #5' #5", "Hi #5", None),
        ("first_message", "Suite#5", "Suite#5", None),
        ("instructions", "\n    - Press #1\n    - b # b", ["Press", "b"], "'#1'"),
    ],
)
def test_value_cut_by_comment_is_warned_of(
    field: str, written: str, value: object, warned: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert declared(tmp_path, entry(field, written))[0][field] == value
    assert len(caplog.messages) == (warned is not None)
    for message in caplog.messages:
        assert "fleet.yaml, line " in message
        assert f"the value ends before {warned}" in message


WRONG = [
    ("first_message: {{greeting}}", 18, "must be text; read {{greeting}}; if this is text, put it in quotes"),
    ("first_message: [Hello]", 18, "must be text; read [Hello]; if this is text, put it in quotes"),
    ("instructions: [{{x}}]", 18, "instructions.0: must be text; read {{x}}; if this is text, put it in quotes"),
    ("instructions: Be nice", 17, "must be a list: of the ids of training scenarios, or of texts"),
    ("instructions: |\n    Be nice", 17, "must be a list: of the ids of training scenarios, or of texts"),
    ("action_ids: a", 15, "must be a list of texts; read a"),
    ("interruptible: maybe", 18, "must be true or false; read maybe"),
    ("speed: fast", 10, "must be a number; read fast"),
    ("speed: .inf", 10, "must be a number; read .inf"),
    ("type: both", 9, "read both"),
    ("handoff_phone_number: 911", 25, "read 911"),
    ("data_collection_webhook_url: x", 32, "must be an http or https URL; read x"),
    ("flow: {[a]: b}", 10, "a key must be text, read [a]; if this is text, put it in quotes"),
    ("flow: !!set {a}", 9, "the tag !!set has no meaning here"),
    ("voice_id: !!timestamp 2001-01-01", 13, "the tag !!timestamp has no meaning here"),
    ("flow: &a [*a]", 9, "refers to itself"),
    ("name: B", 3, "duplicate key 'name': the first one is in line 1, column 3"),
    ("first_message: Hi: you", 20, "invalid YAML: "),
    ("first_message: {{a}}, hi", 23, "invalid YAML: "),
    ("first_message: &Hello there, it is me", 18, "YAML takes '&Hello' for an anchor, and nothing refers to it"),
    ("first_message: &Hello", 18, "if it is part of the text, put it in quotes"),
    ("first_message: @you", 18, "text needs quotes if it begins with one of"),
    ("firstMessage: Hi", 3, "firstMessage: is not a field of a declaration; did you mean first_message?"),
]


@pytest.mark.parametrize(("line", "column", "says"), WRONG)
def test_error_names_line_and_column(line: str, column: int, says: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, f"- name: A\n  {line}\n")
    assert f"fleet.yaml, line 2, column {column}: " in message
    assert says in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"name": "A",\n  "firstMessage": "x"}]', "line 2, column 3: agent 'A': firstMessage: is not a field"),
        (
            '[{"name": "A\\"\\/\\ud83d\\ude00",\n\t"speed":"fast"}]',
            "line 2, column 10: agent 'A\"/😀': speed: must be a",
        ),
        ('{"agents":[{"name":"A"},\n{"name":"A"}]}', "line 2, column 9: 'A' is declared 2 times: in lines 1, 2"),
        (
            '[{"name": "A",\n "name": "B"}]',
            "line 2, column 2: agent 'A': duplicate key 'name': the first one is in line 1, column 3",
        ),
        ('[{"name": "A",\n "name":}]', "line 2, column 9: invalid JSON: Expecting value"),
        ('[{"name": "A", "flow": %s}]' % ("1" * 5000), "holds a number that cannot be read"),
        ("[" * 100_000, "is nested more than 200 levels deep"),
    ],
)
def test_json_error_names_line_and_column(text: str, says: str, tmp_path: Path) -> None:
    assert says in refusal(tmp_path, text, "json")


def test_several_problems_have_a_line_each(tmp_path: Path) -> None:
    agents = [f"- name: Renewal {number}\n  first_message: Hello\n" for number in range(1, 201)]
    agents[11] += "  voiceId: v\n"
    agents[136] = "- name: Renewal 137\n  first_message: {{greeting}}\n"
    agents[180] = "- name: Renewal 12\n"
    message = refusal(tmp_path, "".join(agents))
    assert message.splitlines()[1:] == [
        "fleet.yaml, line 25, column 3: agent 'Renewal 12': voiceId: is not a field of a declaration; did you mean"
        " voice_id? A field that the service has and this provider does not know goes under additional_fields.",
        "fleet.yaml, line 275, column 18: agent 'Renewal 137': first_message: must be text; read {{greeting}}; if this"
        " is text, put it in quotes",
    ]


def test_name_declared_twice_names_both_lines(tmp_path: Path) -> None:
    assert "fleet.yaml, line 3, column 9: 'A' is declared 2 times: in lines 1, 3" in refusal(
        tmp_path, "- name: A\n- name: B\n- name: ' A'\n"
    )


def test_error_shows_twenty_problems_and_counts_the_rest(tmp_path: Path) -> None:
    message = refusal(tmp_path, "- {name: A, speed: fast}\n" * 25)
    assert len(message.splitlines()) == 22
    assert message.endswith("\nand 5 more")


def test_missing_name_and_null_name(tmp_path: Path) -> None:
    message = refusal(tmp_path, "- voice_id: a\n- name:\n- name: null\n- a\n")
    assert "line 1, column 3: number 1: name: is required" in message
    assert "line 2, column 8: number 2: name: must be text; read nothing" in message
    assert "line 3, column 9: number 3: name: must be text; read null; this is null; if it is text, put it" in message
    assert "line 4, column 3: number 4: must be a mapping of an agent's fields" in message


def test_anchors_aliases_and_merges_work(tmp_path: Path) -> None:
    text = """
    x-common: &common {language: [no], voice_id: 007, flow: &flow {a: 1}}
    agents:
      - {<<: *common, name: A, voice_id: b}
      - {name: B, <<: [{accent: no}, *common], additional_fields: {copy: *flow}}
    """
    assert declared(tmp_path, text) == [
        {"name": "A", "language": ["no"], "voice_id": "b", "flow": {"a": 1}},
        {"name": "B", "accent": "no", "language": ["no"], "voice_id": "007", "flow": {"a": 1}, "copy": {"a": 1}},
    ]


def aliases_of(levels: int) -> str:
    lines = ["x-0: &x0 [a, b, c, d, e, f, g, h, i]"]
    lines += [f"x-{level}: &x{level} [{', '.join([f'*x{level - 1}'] * 9)}]" for level in range(1, levels)]
    return "\n".join([*lines, "agents:", "  - name: A", f"    flow: *x{levels - 1}"])


def merges_of(levels: int) -> str:
    lines = ["x-0: &x0 {a: b}"]
    lines += [f"x-{level}: &x{level} {{<<: [{', '.join([f'*x{level - 1}'] * 9)}]}}" for level in range(1, levels)]
    return "\n".join([*lines, "agents:", "  - name: A", f"    flow: *x{levels - 1}"])


def test_aliases_that_expand_to_too_much_are_refused(tmp_path: Path) -> None:
    assert "expands to more than 250,000 values" in refusal(tmp_path, aliases_of(9))
    long = f"x-: &x {'x' * 1_000_000}\nagents:\n  - name: A\n    flow: [{', '.join(['*x'] * 26)}]"
    assert "expands to more than" in refusal(tmp_path, long)
    assert declared(tmp_path, merges_of(100))[0]["flow"] == {"a": "b"}
    assert declared(tmp_path, "- &a\n  name: A\n  <<: *a\n") == [{"name": "A"}]


def test_two_hundred_agents_share_what_they_have_in_common(tmp_path: Path) -> None:
    common = f"x-common: &common\n  flow: {{text: {'i' * 10_000}}}\n  language: [en, de]\nagents:\n"
    agents = declared(tmp_path, common + "".join(f"  - {{<<: *common, name: N{number}}}\n" for number in range(200)))
    assert len(agents) == 200
    assert all(agent["flow"] == {"text": "i" * 10_000} for agent in agents)


@pytest.mark.parametrize(
    ("suffix", "text", "says"),
    [
        ("yaml", "[" + "[], " * 250_000 + "]", "holds more than 250,000 values; split the file"),
        ("json", "[" + "[], " * 250_000 + "[]]", "holds more than 250,000 values; split the file"),
        ("yaml", "-\n" * 250_001, "holds more than 250,000 values; split the file"),
        ("yaml", "- name: A\n" + "  k: 1\n" * 250_000, "holds more than 250,000 values; split the file"),
        ("yaml", "- name: A\n  instructions: " + "x" * 10_000_000, "is larger than 10 MB; split it"),
        ("json", '[{"name": "' + "x" * 10_000_000 + '"}]', "is larger than 10 MB; split it"),
    ],
)
def test_large_file_is_refused_before_it_fills_the_memory(suffix: str, text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / f"fleet.{suffix}"
    path.write_text(text)
    tracemalloc.start()
    try:
        with pytest.raises(OpenCXArgumentError, match=says):
            read_fleet(path)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


def test_large_file_in_a_small_zip_file_is_refused(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "dags.zip", "w", zipfile.ZIP_DEFLATED) as dags,
        dags.open("fleet.yaml", "w") as file,
    ):
        for _ in range(100):
            file.write(b" " * 1_000_000)
    with pytest.raises(OpenCXArgumentError, match="is larger than 10 MB"):
        read_fleet(tmp_path / "dags.zip" / "fleet.yaml")


def test_check_ends_after_a_thousand_problems(tmp_path: Path) -> None:
    message = refusal(tmp_path, "".join(f"- {{name: A{number}, nope: 1}}\n" for number in range(5_000)))
    assert "because of 1,000 or more problems" in message


def test_duplicate_key_of_a_large_object_is_found(tmp_path: Path) -> None:
    keys = ", ".join(f'"k{number}": 1' for number in range(30_000))
    message = refusal(tmp_path, f'[{{"name": "A", "flow": {{{keys}, "k0": 2}}}}]', "json")
    assert "duplicate key 'k0': the first one is in line 1, column 25" in message


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "a: " + "{a: " * 300, "[" * 201 + "]" * 201])
def test_deep_nesting_is_refused(text: str, tmp_path: Path) -> None:
    assert "is nested more than 200 levels deep" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- name: A\n  voice_id: \x01", "line 2, column 13: the character U+0001 is not allowed in YAML"),
        ("- name: A\n\tvoice_id: a", "indent with blanks, not with tabs"),
        ("a: b", "must hold a list of declarations"),
        ("- a\n---\n- b", "invalid YAML"),
    ],
)
def test_file_that_is_not_a_fleet(text: str, says: str, tmp_path: Path) -> None:
    assert says in refusal(tmp_path, text)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, a_socket, lambda path: path.symlink_to("/dev/zero")],
    ids=["pipe", "socket", "device"],
)
def test_what_is_no_file_is_refused(make: Callable[[Path], None], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    make(Path("fleet.yaml"))
    with pytest.raises(OpenCXArgumentError, match="cannot be read: it is not a file"):
        read_fleet(Path("fleet.yaml"))


OTHER_SPELLINGS = [
    *(("firstMessage", "first_message"), ("voiceId", "voice_id"), ("prompt", "instructions")),
    *(("languages", "language"), ("langauge", "language"), ("greeting", "first_message")),
    *(("begin_message", "first_message"), ("transfer_number", "handoff_phone_number"), ("tools", "actions")),
    *(("transfer_phone_number", "handoff_phone_number"), ("System Prompt", "instructions"), ("Name", "name")),
    *(("webhook-url", "data_collection_webhook_url"), ("actionids", "action_ids"), ("interruptable", "interruptible")),
]


@pytest.mark.parametrize(("written", "meant"), OTHER_SPELLINGS)
def test_unknown_field_names_the_one_that_is_meant(written: str, meant: str) -> None:
    for refused in (
        lambda: PhoneAgentSpec(**{"name": "A", written: "x"}),
        lambda: parse_fleet([{"name": "A", written: "x"}]),
    ):
        with pytest.raises(
            OpenCXArgumentError, match=f"{identifier(written)}: .*did you mean {meant}\\?.* additional_fields"
        ):
            refused()


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("id", "cannot be declared: an agent is found by its name"),
        ("agentId", "cannot be declared: an agent is found by its name"),
        ("phone_number", "cannot be declared: the service gives an agent its number.* is handoff_phone_number"),
        ("phone", "cannot be declared: the service gives an agent its number"),
        ("stt_model", "is not a field of a declaration. A field that .* goes under additional_fields"),
        ("zzz", "is not a field of a declaration. A field that"),
    ],
)
def test_field_that_cannot_be_declared_says_why(field: str, says: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=f"{field}: {says}") as error:
        PhoneAgentSpec.parse({"name": "A", field: "x"})
    assert "did you mean" not in str(error.value)


def dag_made_in(file: Path, holder: Path | None, monkeypatch: pytest.MonkeyPatch) -> DAG:
    """A Dag that a function of one file makes, and that another file holds."""
    dag = DAG("a")
    dag.fileloc = str(file)
    if holder is not None:
        module = ModuleType(f"holder_{holder.parent.name}")
        module.__file__ = str(holder)
        module.dag = dag  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return dag


def test_path_begins_at_file_that_holds_the_dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dag = dag_made_in(tmp_path / "library" / "factory.py", tmp_path / "dags" / "my_dag.py", monkeypatch)
    assert fleet_paths("fleet.yaml", dag).paths == (str(tmp_path / "dags" / "fleet.yaml"),)
    dag.fileloc, dag.relative_fileloc = str(tmp_path / "worker" / "my_dag.py"), "my_dag.py"  # as Airflow sets them
    assert fleet_paths("fleet.yaml", dag).paths == (str(tmp_path / "worker" / "fleet.yaml"),)
    assert fleet_paths("/fleet.yaml", dag).paths == (str(Path("/fleet.yaml")),)
    assert fleet_paths("fleet.yaml", None).paths == (str(Path("fleet.yaml")),)


def test_path_begins_at_file_that_made_the_dag_if_none_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag = dag_made_in(tmp_path / "my_dag.py", None, monkeypatch)
    assert fleet_paths("fleet.yaml", dag).paths == (str(tmp_path / "fleet.yaml"),)


def test_path_in_two_places_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dag = dag_made_in(tmp_path / "factory.py", tmp_path / "dags" / "my_dag.py", monkeypatch)
    other = ModuleType("holder_tests")
    other.__file__ = str(tmp_path / "tests" / "test_my_dag.py")
    other.dag = dag  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, other.__name__, other)
    for name in ("dags", "tests"):
        (tmp_path / name).mkdir()
    (tmp_path / "dags" / "fleet.yaml").touch()
    assert fleet_paths("fleet.yaml", dag).paths == (str(tmp_path / "dags" / "fleet.yaml"),)
    (tmp_path / "tests" / "fleet.yaml").touch()
    with pytest.raises(OpenCXArgumentError, match=r"fleet.yaml may be .*dags/fleet.yaml or .*tests/fleet.yaml"):
        fleet_paths("fleet.yaml", dag)


def test_file_in_zip_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "dags.zip", "w") as packed:
        packed.writestr("fleet.yaml", "\ufeff- name: 007\n")
        packed.writestr("fleets/fleet.json", json.dumps([{"name": "A"}]))
    assert read_fleet(tmp_path / "dags.zip" / "fleet.yaml") == [{"name": "007"}]
    assert read_fleet(tmp_path / "dags.zip" / "fleets" / "fleet.json") == [{"name": "A"}]
    with pytest.raises(OpenCXArgumentError, match=r"dags.zip/gone.yaml: cannot be read: No such file"):
        read_fleet(tmp_path / "dags.zip" / "gone.yaml")


def test_many_warnings_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    declared(tmp_path, "".join(f"- name: A{number}\n  voice_id:\n" for number in range(30)))
    assert len(caplog.messages) == 21
    assert caplog.messages[-1] == "fleet.yaml: 10 more warnings"
