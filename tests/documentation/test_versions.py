"""Tests that the pages name the tested versions, and that a release can be made as its page says."""

from __future__ import annotations

import ast
import re
import tomllib
from typing import Any

from page_examples import DOCS, PROJECT

ROW = re.compile(r"^\| (\d+\.\d+)(, not released yet)? \| (\S+) \| ([\d., ]+) \| ([\d., ]+) \|$", re.M)


def nox(name: str) -> Any:
    """Return what noxfile.py assigns to a name; importing it would change the PATH and print at the end."""
    tree = ast.parse((PROJECT / "noxfile.py").read_text())
    [value] = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    ]
    return ast.literal_eval(value)


def whole_airflow_pairs() -> set[tuple[str, str]]:
    """The pairs of which noxfile.py says, partly by its tags, that they run a whole Airflow."""
    [line] = re.findall(r"^WITH_WHOLE_AIRFLOW = \{\*TAGS, (.*)\}$", (PROJECT / "noxfile.py").read_text(), re.M)
    return {*nox("TAGS"), *ast.literal_eval(f"({line},)")}


def test_page_names_each_pair_that_is_tested() -> None:
    rows = ROW.findall((DOCS / "reference" / "upgrading.md").read_text())
    assert {airflow: tuple(pythons.split(", ")) for _, _, airflow, pythons, _ in rows} == nox("AIRFLOWS")
    assert {(airflow, python) for *_, airflow, _, whole in rows for python in whole.split(", ")} == (
        whole_airflow_pairs()
    )
    for series, unreleased, airflow, *_ in rows:
        assert airflow.startswith(f"{series}.")
        assert bool(unreleased) == bool(re.search("[a-z]", airflow))


def test_metadata_names_each_python_that_is_tested() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    named = {line.rpartition(" ")[2] for line in project["classifiers"] if re.search(r"Python :: 3\.\d+$", line)}
    assert named == {python for pythons in nox("AIRFLOWS").values() for python in pythons}


def test_page_of_common_compat_has_what_each_airflow_is_tested_with() -> None:
    page = (DOCS / "reference" / "upgrading.md").read_text()
    airflows, versions = re.findall(r"^\| Airflow \| (3\.0\.6.*) \|\n\|.*\n\| `common-compat` \| (.*) \|$", page, re.M)[
        0
    ]
    stated = dict(zip(airflows.split(" | "), versions.split(" | "), strict=True))
    assert stated.keys() == nox("AIRFLOWS").keys()
    for airflow, version in stated.items():
        file = PROJECT / "constraints" / f"airflow-{airflow}.txt"
        pins = (file if file.exists() else PROJECT / "constraints.txt").read_text().splitlines()
        assert f"apache-airflow-providers-common-compat=={version}" in pins, airflow


def test_page_of_releases_names_what_there_is() -> None:
    page = (DOCS / "reference" / "releases.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", page)) <= targets
    for path in ("CHANGELOG.md", ".github/workflows/publish.yml", "airflow_provider_opencx/__init__.py"):
        assert f"`{path}`" in page
        assert (PROJECT / path).exists()


def test_changelog_is_as_keep_a_changelog_has_it() -> None:
    changelog = (PROJECT / "CHANGELOG.md").read_text()
    assert changelog.startswith("# Changelog\n")
    unreleased, *released = re.findall(r"^## (.*)$", changelog, re.M)
    assert unreleased == "[Unreleased]"
    assert [title for title in released if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", title)] == []
    kinds = set(re.findall(r"^### (.*)$", changelog, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
