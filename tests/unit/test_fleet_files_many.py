"""Tests a fleet of several files: a folder, a glob, a list, and texts in files that never leave the root."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_opencx.declared_files import limits
from airflow_provider_opencx.declared_files.beside_dag import fleet_paths
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXFleetFileError
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet


def write(folder: Path, **files: str) -> None:
    """Write files; two underscores in a name are a slash, and one before the suffix is the dot."""
    for name, text in files.items():
        path = folder / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def zipped(folder: Path) -> Path:
    """Move all files of a folder into a zip file, and return its path."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    with zipfile.ZipFile(folder / "dags.zip", "w") as packed:
        for path in files:
            packed.write(path, path.relative_to(folder))
            path.unlink()
    return folder / "dags.zip"


def names(fleet: Any) -> list[str]:
    return [entry["name"] for entry in fleet]


def refusal(agents: Any, **options: Any) -> str:
    with pytest.raises(OpenCXFleetFileError) as error:
        parse_fleet(read_fleet(agents, **options))
    return str(error.value)


@pytest.fixture(params=["folder", "zip"])
def fleets(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of fleets, on the disk or in a zip file."""
    write(tmp_path, fleets__b_yaml="name: B", fleets__a_json='[{"name": "A"}]', fleets__c__d_yml="- name: D")
    write(tmp_path, fleets__notes_md="x", fleets__c__e_txt="x", other_yaml="- name: O")
    write(tmp_path, **{"fleets__.hidden_yaml": "- x", "fleets__.git__x_yaml": "- x"})
    return (zipped(tmp_path) if request.param == "zip" else tmp_path) / "fleets"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", ["A", "B", "D"]),
        ("*.yaml", ["B"]),
        ("*", ["A", "B"]),
        ("**/*.y*ml", ["B", "D"]),
        ("**", ["A", "B", "D"]),
        ("?/[de].yml", ["D"]),
        ("c", ["D"]),
        ("../fleets/a.json", ["A"]),
    ],
)
def test_files_are_found_in_order(path: str, found: list[str], fleets: Path) -> None:
    if ".." in path and ".zip" in str(fleets):
        pytest.skip("a path in a zip file has no ..")
    fleet = read_fleet(fleets / path)
    assert names(fleet) == found
    assert len(fleet.files) == len(found)


def test_list_is_read_in_its_order(fleets: Path) -> None:
    assert names(read_fleet([fleets / "c" / "d.yml", str(fleets / "*.json")])) == ["D", "A"]


@pytest.mark.parametrize(
    ("agents", "says"),
    [
        ("gone.yaml", "gone.yaml: cannot be read: No such file"),
        ("empty", "empty: holds no .yaml, .yml or .json file; put the fleet there, or name another folder"),
        ("empty/*.yaml", "no .yaml, .yml or .json file matches it; check the pattern and the folder"),
        ("nowhere/*.yaml", "no .yaml, .yml or .json file matches it"),
        ("a.txt", "a.txt: is not the path of a .yaml, .yml or .json file, nor of a folder of them"),
        (["a.yaml", "a.yaml"], "a.yaml: is named twice, by links, or in a list; name it once"),
        (["a.yaml", "*.yaml"], "a.yaml: is named twice, by a.yaml and by *.yaml; name it once"),
        (["a.yaml", "link.yaml"], "link.yaml: is named twice, by a.yaml and by link.yaml"),
    ],
)
def test_what_cannot_be_found_says_what_to_do(
    agents: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, a_yaml="- name: A")
    if "link.yaml" in agents:
        (tmp_path / "link.yaml").symlink_to("a.yaml")
    (tmp_path / "empty").mkdir()
    assert says in refusal(agents)


@pytest.mark.parametrize("agents", [[], "", " ", None, 5, [5], [""], b"a.yaml"])
def test_other_agents_are_refused(agents: Any) -> None:
    with pytest.raises(OpenCXArgumentError, match=r"^agents: "):
        read_fleet(agents)


def test_folder_of_very_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        (tmp_path / f"{number}.txt").touch()
    monkeypatch.setattr("airflow_provider_opencx.declared_files.files.MAX_FILES", 10)
    assert "holds more than 10 files and folders; put the fleet into a folder of its own" in refusal(tmp_path)


def test_all_files_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a_yaml="- name: A # " + "x" * 600, b_yaml="- name: B # " + "x" * 600)
    monkeypatch.setattr(limits, "MAX_FLEET_BYTES", 1000)
    assert "b.yaml: the files of the fleet are larger than" in refusal(tmp_path)


def test_problems_of_all_files_are_named(tmp_path: Path) -> None:
    write(tmp_path, a_yaml="- {name: A, speed: fast}", b_yaml="- {name: [", c__a_yaml="- {name: A, accent: '${X}'}")
    write(tmp_path, c__b_yaml="- name: E", d_yaml="- name: E")
    lines = refusal(tmp_path).split("\n")
    assert lines[0] == f"agents: 4 files in {tmp_path} cannot be used, because of 4 problems:"
    assert [line.split(": ")[0] for line in lines[1:]] == [
        "a.yaml, line 1, column 20",
        "b.yaml, line 2, column 1",
        "c/a.yaml, line 1, column 22",
        "d.yaml, line 1, column 9",
    ]
    assert lines[4].endswith(f"'E' is declared 2 times: in {tmp_path}/c/b.yaml, line 1; {tmp_path}/d.yaml, line 1")


def test_text_stands_in_its_own_file(fleets: Path) -> None:
    folder = fleets.parent.parent if fleets.parent.suffix else fleets.parent
    write(folder, t__fleet_yaml="- {name: A, first_message_file: ../x/a.md, instructions_files: ../x/a.md}\n")
    write(
        folder, x__a_md="\ufeffHi ${A}\r\n # {{x}} \n\n", t__b_json='{"name": "B", "instructions_files": ["../x/a.md"]}'
    )
    (folder / "dags.zip").unlink(missing_ok=True)
    root = zipped(folder) if fleets.parent.suffix else folder
    first, second = read_fleet(root / "t", variables={"A": "you\n"}, root=root)
    text = "Hi you\n\r\n # {{x}} \n"
    assert first == {"name": "B", "instructions": [text]}
    assert second == {"name": "A", "first_message": text, "instructions": [text]}


WRONG_TEXTS = [
    ("../outside.md", "'../outside.md' leads out of"),
    ("/etc/passwd", "'/etc/passwd' must be a relative path"),
    ("link.md", "'link.md' leads out of"),
    ("linked/outside.md", "'linked/outside.md' leads out of"),
    ("gone.md", "'gone.md' cannot be read: No such file"),
    ("folder", "'folder' cannot be read: it is not a file"),
    ("pipe", "'pipe' cannot be read: it is not a file"),
    ("latin.md", "'latin.md' is not text in UTF-8"),
    ("large.md", "'large.md' is larger than 10 MB; a text of an agent is shorter"),
    ("nul.md", "holds a NUL, which cannot be stored"),
    ('"a\\0b"', "'a\\u0000b' is not the path of a file"),
    ("''", "'' is not the path of a file"),
    ("x" * 300, "cannot be read: File name too long"),
]


@pytest.mark.parametrize(("named", "says"), WRONG_TEXTS)
@pytest.mark.parametrize("key", ["first_message_file", "instructions_files"])
def test_wrong_text_file_is_refused(named: str, says: str, key: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(tmp_path, outside_md="secret", root__fleet_yaml=f"- name: A\n  {key}: {named}\n  speed: fast\n")
    (root / "link.md").symlink_to("../outside.md")
    (root / "linked").symlink_to("..")
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    (root / "latin.md").write_bytes("ü".encode("latin-1"))
    (root / "large.md").write_bytes(b"x" * 10_000_001)
    (root / "nul.md").write_bytes(b"a\nb\0")
    message = refusal(root / "fleet.yaml", root=root)
    assert says in message
    assert (
        "nul.md, line 2, column 2: agent 'A'" in message
        or f"line 2, column {len(key) + 5}: agent 'A': {key}" in message
    )
    assert "must be a number" in message
    assert "secret" not in message


def test_problem_in_text_file_names_its_line(tmp_path: Path) -> None:
    write(tmp_path, fleet_yaml="- {name: A, first_message_file: a.md}\n- {name: B, first_message_file: a.md}")
    write(tmp_path, a_md="Hi\n  you ${NOPE}")
    with pytest.raises(OpenCXFleetFileError) as error:
        read_fleet(tmp_path / "fleet.yaml")
    [problem] = error.value.problems
    assert (problem["file"], problem["line"], problem["column"]) == (str(tmp_path / "a.md"), 2, 7)


@pytest.mark.parametrize("written", ["[a.md, b.md]", "{a: b}", "null"])
def test_first_message_is_in_one_file(written: str, tmp_path: Path) -> None:
    write(tmp_path, fleet_yaml=f"- {{name: A, first_message_file: {written}}}")
    assert "first_message_file: must be the path of a file; read" in refusal(tmp_path / "fleet.yaml")


def test_root_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, revision__dags__fleet_yaml="- {name: A, first_message_file: ../texts/a.md}")
    write(tmp_path, revision__texts__a_md="Hi")
    (tmp_path / "link").symlink_to("revision")
    for root, file in (("link", "link"), ("link", "revision"), ("revision", "link")):
        assert read_fleet(tmp_path / file / "dags" / "fleet.yaml", root=tmp_path / root)[0]["first_message"] == "Hi"  # type: ignore[index]


def test_root_is_folder_of_file_or_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a__fleet_yaml="- {name: A, first_message_file: ../b/a.md}", b__a_md="Hi")
    file = tmp_path / "a" / "fleet.yaml"
    monkeypatch.chdir("/")
    assert "leads out of" in refusal(file)
    monkeypatch.chdir(tmp_path / "b")
    assert "leads out of" in refusal(file)
    assert "leads out of" in refusal(file, root=tmp_path / "b")  # the fleet file is outside of the root
    monkeypatch.chdir(tmp_path)
    assert len(read_fleet(file)) == 1


def test_link_in_folder_that_leads_out_is_refused(tmp_path: Path) -> None:
    write(tmp_path, outside_yaml="- name: X", fleets__a_yaml="- name: A")
    (tmp_path / "fleets" / "b.yaml").symlink_to("../outside.yaml")
    assert "b.yaml: is a link that leads out of the folder" in refusal(tmp_path / "fleets", root=tmp_path / "fleets")
    (tmp_path / "fleets" / "a.yaml").unlink()
    assert "b.yaml: is a link that leads out of the folder" in refusal(tmp_path / "fleets", root=tmp_path / "fleets")


def test_text_never_leaves_the_zip_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        fleet_yaml="- {name: A, first_message_file: ../a.md}",
        d__fleet_yaml="- {name: A, first_message_file: ../../../a.md}",
    )
    root = zipped(tmp_path)
    write(tmp_path, a_md="secret")
    for file in ("fleet.yaml", "d/fleet.yaml"):
        assert f"leads out of {root}; put the text into the zip file" in refusal(root / file, root=tmp_path)


def dag_of(file: Path, relative: str | None) -> DAG:
    dag = DAG("a")
    dag.fileloc = str(file)
    if relative is not None:
        dag.relative_fileloc = relative
    return dag


@pytest.mark.parametrize(
    ("relative", "root"),
    [("b/c/dag.py", "a"), ("dag.py", "a/b/c"), ("other.py", "a/b/c"), (None, "a/b/c")],
)
def test_root_is_folder_of_bundle(relative: str | None, root: str, tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    found = fleet_paths(["x.yaml", "y/*.yaml"], dag_of(tmp_path / "a" / "b" / "c" / "dag.py", relative))
    assert found.root == tmp_path / root
    assert found.paths == (str(tmp_path / "a/b/c/x.yaml"), str(tmp_path / "a/b/c/y/*.yaml"))


def test_root_is_dags_folder_where_dag_file_is_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path))
    (tmp_path / "team").mkdir()
    assert fleet_paths("x.yaml", dag_of(tmp_path / "team" / "dag.py", None)).root == tmp_path


def test_paths_without_a_dag_stay() -> None:
    assert fleet_paths(["a", "b"], None) == fleet_paths(("a", "b"), None)
    assert fleet_paths("a", None).root is None
