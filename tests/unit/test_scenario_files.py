"""Tests training scenarios in Markdown files: what is read, and how errors describe what is wrong."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXFleetFileError
from airflow_provider_opencx.knowledge.declarations import check_literal_scenarios, parse_scenarios
from airflow_provider_opencx.knowledge.scenario_files import read_scenarios
from airflow_provider_opencx.resources.training import CHANNELS, ScenarioSpec


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return folder


def scenario(text: str, folder: Path, **variables: str) -> ScenarioSpec:
    [spec] = parse_scenarios(read_scenarios(written(folder, one=text), variables=variables))
    return spec


def test_folder_is_read_with_keys_from_its_paths(tmp_path: Path) -> None:
    written(
        tmp_path / "team.d",
        b="---\ntitle: B\n---\nDo b.\n",
        billing__refund="---\ntitle: Refund policy\nkey: refunds\nchannels: phone_voice\ndraft: true\n---\n# Refunds\n",
        billing__late="---\ntitle: Late\n---\nx",
        README="About this folder.",
    )
    specs = parse_scenarios(read_scenarios(tmp_path / "team.d"))
    assert {spec.key: (spec.title, spec.content) for spec in specs} == {
        "b": ("B", "Do b."),
        "billing/late": ("Late", "x"),
        "refunds": ("Refund policy", "# Refunds"),
    }
    refunds = next(spec for spec in specs if spec.key == "refunds")
    assert (refunds.channels, refunds.draft) == (["phone_voice"], True)
    [late] = parse_scenarios(read_scenarios(str(tmp_path / "team.d/billing/late.md")))
    assert late.key == "late"
    found = parse_scenarios(read_scenarios(f"{tmp_path}/team.d/bill*/*.md"))
    assert sorted(spec.key for spec in found) == ["billing/late", "refunds"]


@pytest.mark.parametrize(
    ("text", "title", "content"),
    [
        ("---\ntitle: 2026\n---\nx", "2026", "x"),
        ("---\ntitle: on\n---\nx", "on", "x"),
        ("---\ntitle: 12:30\n---\nx", "12:30", "x"),
        ("\ufeff---\r\ntitle: A\r\n---\r\nx\r\ny\r\n", "A", "x\ny"),
        ("---  \ntitle: A\n---\t\n\n\n  x  \n\n", "A", "  x  "),
        ("---\ntitle: A\n---\nx\n---\ny", "A", "x\n---\ny"),
        ("---\ntitle: A\n---\n{{ not rendered }} {% at all %}", "A", "{{ not rendered }} {% at all %}"),
        ("---\ntitle: ${WHO}\n---\nAsk ${WHO}. $5, $${WHO}", "Bo", "Ask Bo. $5, ${WHO}"),
        ("---\ntitle: A\n---\n\t\n  \n  x  \n \ny\n   \n", "A", "  x  \n \ny"),
        ("---\ntitle: 'Größe: \U0001f600'\n---\nx", "Größe: \U0001f600", "x"),
    ],
)
def test_text_arrives_as_it_is_written(text: str, title: str, content: str, tmp_path: Path) -> None:
    spec = scenario(text, tmp_path, WHO="Bo")
    assert (spec.title, spec.content) == (title, content)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("No front matter.", "one.md: has no front matter; begin the file with a line ---"),
        ("---\ntitle: A\n", "one.md: has a front matter without an end; write a line ---"),
        ("---\n- A\n---\nx", "one.md: has a front matter that is not a mapping"),
        ("---\n---\nx", "one.md: has a front matter that is not a mapping"),
        ("---\nchannels: []\n---\nx", "line 1, column 1: title: is required"),
        ("---\ntitle:\n---\nx", "line 2, column 7: title: must be text"),
        ("---\ntitle: A\ntitel: B\n---\nx", "line 3, column 1: titel: is not a field; did you mean title?"),
        ("---\ntitle: A\ntitle: B\n---\nx", "line 3, column 1"),
        ("---\ntitle: A\nchannels: [phone]\n---\nx", "line 3, column 11: channels: 'phone' is not a channel"),
        ("---\ntitle: A\ntype: other\n---\nx", "line 3, column 7: type:"),
        ("---\ntitle: A\ndraft: maybe\n---\nx", "line 3, column 8: draft: must be true or false; read maybe"),
        ("---\ntitle: A\nkey: a b\n---\nx", "line 3, column 6: key: must be up to 200 letters"),
        ("---\ntitle: A\nend_time: 2026-01-01\n---\nx", "line 3, column 11: end_time: must be a time in ISO 8601"),
        ("---\ntitle: A\nmetadata: {airflow_key: x}\n---\nx", "metadata: holds 'airflow_key', which this provider"),
        ("---\ntitle: A\n---\n \n", "content: is empty; write it after the second line ---"),
        ("---\ntitle: A\n---\n\n\u200b\n", "line 5, column 1: content: holds nothing that can be seen; read \\u200b"),
        (
            "---\ntitle: A\ncontent: B\n---\nx",
            "line 3, column 1: content: is the text below the second line ---; move it",
        ),
        ("---\ntitle: A\n---\nx\n${NOBODY}", "line 5, column 1: content: there is no variable NOBODY; no variable is"),
        (
            "---\ntitle: ${NOBODY}\n---\nx",
            "line 2, column 8: title: there is no variable NOBODY; no variable is known. Give",
        ),
        ("---\ntitle: A\nkey: 'b/'\nis_draft: x\n---\nx", "line 4, column 11: is_draft: must be true or false"),
        ("---\ntitle: [\n---\nx", "invalid YAML"),
        ("---\ntitle: 'x\x00'\n---\nx", "one.md"),
    ],
)
def test_problem_names_its_place(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(OpenCXFleetFileError) as error:
        scenario(text, tmp_path)
    assert problem in str(error.value)
    assert str(error.value).startswith("scenarios: ")
    assert "agent" not in str(error.value)
    assert "fleet" not in str(error.value)


@pytest.mark.parametrize("path", ["my file", "Rückgabe", "_drafts/a", "a; b", "x" * 201])
def test_path_that_is_no_key_asks_for_one(path: str, tmp_path: Path) -> None:
    file = tmp_path / f"{path}.md"
    file.parent.mkdir(exist_ok=True)
    file.write_text("---\ntitle: A\n---\nx")
    with pytest.raises(OpenCXFleetFileError) as error:
        parse_scenarios(read_scenarios(tmp_path))
    [problem] = error.value.problems
    assert (problem["line"], problem["field"], problem["remedy"]) == (1, "key", "write key: into the front matter")
    file.write_text("---\ntitle: A\nkey: a\n---\nx")
    assert [spec.key for spec in parse_scenarios(read_scenarios(tmp_path))] == ["a"]


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ("title: Suite #5", "one.md, line 2, column 8: title: the value ends before '#5'"),
        ("title: A\nend_time:", "one.md, line 3, column 10: end_time is null, which means no limit."),
        ("title: A\ndirectory_id: # dir_1", "one.md, line 3, column 14: directory_id is null, which means no folder."),
        ("title: A # a comment\nend_time: null", None),
    ],
)
def test_what_is_probably_not_meant_is_logged(
    fields: str, warning: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    declarations = read_scenarios(written(tmp_path, one=f"---\n{fields}\n---\nx"))
    assert [message.startswith(warning or "-") for message in caplog.messages] == [True] * (warning is not None)
    assert len(declarations.warnings) == len(caplog.messages)


def test_files_in_a_zip_file_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "dags.zip", "w") as archive:
        archive.writestr("training/billing/late.md", "---\ntitle: Late\n---\nx")
    assert [spec.key for spec in parse_scenarios(read_scenarios(f"{tmp_path}/dags.zip/training"))] == ["billing/late"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("x" * 10_000_000, "one.md: is larger than 10 MB; a training scenario is shorter"),
        ("${LONG}" * 30, "one.md: expands to more than 250,000 values, or 25,000,000 characters"),
    ],
)
def test_what_is_too_large_is_one_clear_problem(body: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(OpenCXFleetFileError) as error:
        scenario(f"---\ntitle: A\n---\n{body}", tmp_path, LONG="x" * 1_000_000)
    assert problem in str(error.value)
    assert "fleet" not in str(error.value)


def test_too_many_files_are_one_clear_problem(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "dags.zip", "w") as archive:
        for number in range(10_001):
            archive.writestr(f"t/{number}.md", "")
    with pytest.raises(OpenCXFleetFileError, match="holds more than 10,000 files and folders; put the scenarios into"):
        read_scenarios(f"{tmp_path}/dags.zip/t")


def test_links_do_not_lead_out_and_no_file_is_read_twice(tmp_path: Path) -> None:
    written(tmp_path, outside="---\ntitle: A\n---\nx", t__in="---\ntitle: B\n---\nx")
    (tmp_path / "t/link.md").symlink_to(tmp_path / "outside.md")
    with pytest.raises(OpenCXFleetFileError, match="is a link that leads out of the folder"):
        read_scenarios(tmp_path / "t", root=tmp_path / "t")
    with pytest.raises(OpenCXFleetFileError, match="is named twice"):
        read_scenarios([tmp_path / "t/in.md", tmp_path / "t"], root=tmp_path)


def test_two_of_one_key_or_title_are_named_with_both_places(tmp_path: Path) -> None:
    written(
        tmp_path, a="---\ntitle: A\nkey: k\n---\nx", b="---\ntitle: 'A '\nkey: K\n---\nx", c="---\ntitle: C\n---\nx"
    )
    with pytest.raises(OpenCXFleetFileError, match="because of 2 problems") as error:
        parse_scenarios(read_scenarios(tmp_path))
    assert "the key 'k' is declared 2 times: in " in str(error.value)
    assert f"{tmp_path}/a.md, line 2; {tmp_path}/b.md, line 2" in str(error.value)


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ("nowhere", "nowhere: is not the path of a .md file, nor of a folder of them"),
        ("empty", "empty: holds no .md file; put the scenarios there"),
        ("readme", "readme: holds no scenario beside its README.md"),
        ("*.txt", "no .md file matches it"),
    ],
)
def test_path_that_leads_to_nothing(named: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    written(tmp_path / "readme", README="x")
    with pytest.raises(OpenCXFleetFileError) as error:
        read_scenarios(str(tmp_path / named))
    assert problem in str(error.value)


def test_declarations_in_a_dag_are_checked_by_their_number() -> None:
    good = {"key": "a", "title": "A", "content": "x", "restricted_to_channels": ["sms"], "is_draft": True}
    [spec] = parse_scenarios([good])
    assert (spec.channels, spec.draft) == (["sms"], True)
    with pytest.raises(OpenCXArgumentError, match=r"scenarios: number 2 \('B'\): key: is required") as error:
        parse_scenarios([good, {"title": "B", "content": "x"}, {**good, "key": "c"}])
    assert "the title 'A' is declared 2 times (number 1, 3)" in str(error.value)


@pytest.mark.parametrize("key", ["a", "template", "TEMPLATE"])
def test_key_is_declared_once_whatever_it_is(key: str) -> None:
    declared = [{"key": key, "title": "A", "content": "x"}, {"key": key.lower(), "title": "B", "content": "x"}]
    with pytest.raises(OpenCXArgumentError, match=r"is declared 2 times \(number 1, 2\)"):
        parse_scenarios(declared)


def test_literal_declarations_are_checked_while_a_dag_is_parsed() -> None:
    def is_literal(value: object) -> bool:
        return "{{" not in json.dumps(value)

    check_literal_scenarios([{"key": "{{ k }}", "title": "A", "content": "{{ c }}"}, "{{ more }}"], is_literal)
    check_literal_scenarios([{"key": "{{ k }}", "title": "{{ t }}", "content": "x"}] * 2, is_literal)
    check_literal_scenarios([{"key": key, "title": key, "content": "x"} for key in ("TEMPLATE", "{{ k }}")], is_literal)
    with pytest.raises(OpenCXArgumentError, match="channels: 'fax' is not a channel"):
        check_literal_scenarios([{"key": "{{ k }}", "title": "A", "content": "x", "channels": ["fax"]}], is_literal)


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(title=TEXT, content=TEXT, channels=st.lists(st.sampled_from(CHANNELS), unique=True))
def test_what_json_says_in_a_front_matter_is_read(
    title: str, content: str, channels: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    front = f"title: {json.dumps(title, ensure_ascii=False)}\nchannels: {json.dumps(channels)}".replace("${", "$${")
    text = f"---\n{front}\n---\n{content.replace('${', '$${')}"
    try:
        expected = ScenarioSpec(key="one", title=title, content=content.strip("\n"), channels=channels)
    except OpenCXArgumentError:
        return
    spec = scenario(text, tmp_path_factory.mktemp("files"))
    assert (spec.title, spec.content, spec.channels) == (expected.title, expected.content, channels)
