"""Tests that the bill of materials of a release lists what is installed with the provider, and is reproducible."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from airflow_provider_opencx import __version__

pytest.importorskip("cyclonedx_py", reason="the dependency group dev is not installed")

from sbom import write_sbom


@pytest.fixture(scope="module")
def file(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sbom(built[0], tmp_path_factory.mktemp("sbom"), validate=False)


@pytest.fixture(scope="module")
def sbom(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def test_sbom_is_of_this_provider(file: Path, sbom: dict[str, Any]) -> None:
    assert file.name == f"airflow-provider-opencx-{__version__}.cdx.json"
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    root = sbom["metadata"]["component"]
    assert (root["name"], root["version"]) == ("airflow-provider-opencx", __version__)
    assert [each["license"]["id"] for each in root["licenses"]] == ["Apache-2.0"]


def test_sbom_has_each_direct_dependency_as_pinned(project: Path, sbom: dict[str, Any]) -> None:
    told = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    lines = [*told["dependencies"], *(line for extra in told["optional-dependencies"].values() for line in extra)]
    pins = dict(line.split("==") for line in (project / "constraints.txt").read_text().splitlines())
    expected = {name: pins[name] for name in (canonicalize_name(Requirement(line).name) for line in lines)}
    found = {each["bom-ref"]: (canonicalize_name(each["name"]), each["version"]) for each in sbom["components"]}
    needs = {each["ref"]: each.get("dependsOn", []) for each in sbom["dependencies"]}
    assert dict(found[ref] for ref in needs[sbom["metadata"]["component"]["bom-ref"]]) == expected


def test_sbom_names_licenses_and_nothing_of_this_machine(file: Path, sbom: dict[str, Any]) -> None:
    unlicensed = [each["name"] for each in sbom["components"] if not each.get("licenses")]
    assert len(unlicensed) < len(sbom["components"]) / 20, unlicensed
    assert "file://" not in file.read_text()


def test_sbom_is_the_same_again(file: Path, built: tuple[Path, Path], tmp_path: Path) -> None:
    again = write_sbom(built[0], tmp_path, validate=False)
    assert again.read_bytes() == file.read_bytes()


def test_sbom_is_not_among_what_is_uploaded(project: Path) -> None:
    makefile = (project / "Makefile").read_text()
    assert "dev/sbom.py dist/*.whl sbom\n" in makefile
    assert {"/dist/", "/sbom/"} <= set((project / ".gitignore").read_text().splitlines())
