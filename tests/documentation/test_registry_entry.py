"""Tests that the texts for lists of providers agree with the package."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from typing import Any

import pytest
from page_examples import DOCS, PROJECT

from airflow_provider_opencx.get_provider_info import get_provider_info
from airflow_provider_opencx.hooks.opencx import OpenCXHook

PAGE = (DOCS / "reference" / "registry_entry.md").read_text()
PACKAGE = "airflow_provider_opencx."
KINDS = {"Hook": "hooks", "Operators": "operators", "Sensors": "sensors", "Triggers": "triggers"}


@pytest.fixture(scope="module")
def info() -> dict[str, Any]:
    return get_provider_info()


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    told: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return told


def own(module: str) -> set[str]:
    """Return the provider's classes that a module defines, without those that others build on."""
    defined = vars(import_module(module)).items()
    return {name for name, value in defined if name.startswith("OpenCX") and value.__module__ == module}


def test_entry_names_each_class(info: dict[str, Any]) -> None:
    rows = re.findall(r"^\| (\w+) \| `([\w.]+)` \| (.*) \|$", PAGE, re.M)
    told = {(kind, f"{PACKAGE}{module}"): set(re.findall(r"`(\w+)`", classes)) for kind, module, classes in rows}
    modules = [(kind, name) for kind, key in KINDS.items() for each in info[key] for name in each["python-modules"]]
    modules += [("Transfers", each["python-module"]) for each in info["transfers"]]
    assert told == {(kind, module): own(module) for kind, module in modules}


def test_entry_has_what_metadata_says(info: dict[str, Any], project: dict[str, Any]) -> None:
    fields = dict(re.findall(r"^\| ([A-Z][\w ]+) \| ([^|]+) \|$", PAGE, re.M))
    [connection] = info["connection-types"]
    [airflow] = [line for line in project["dependencies"] if re.match(r"apache-airflow\W*>=", line)]
    pythons = [line.rpartition(" ")[2] for line in project["classifiers"] if re.search(r"Python :: 3\.\d+$", line)]
    assert fields == {
        "Field": "Text",
        "Name": info["name"],
        "Package": f"`{info['package-name']}`",
        "Summary": project["description"],
        "License": project["license"],
        "Connection type": f"`{connection['connection-type']}`",
        "Default connection": f"`{OpenCXHook.default_conn_name}`",
        "Airflow": f"{airflow.partition('>=')[2]} or newer",
        "Python": ", ".join(pythons),
        "Extras": ", ".join(f"`{extra}`" for extra in sorted(project["optional-dependencies"])),
    }


def test_line_for_ecosystem_page_has_name_link_and_one_sentence(project: dict[str, Any]) -> None:
    [(name, link, sentence)] = re.findall(r"^\[([^\]]+)\]\(([^)]+)\) - ([^.]+\.)$", PAGE, re.M)
    assert "OpenCX" in name
    assert link == project["urls"]["Repository"]
    assert len(sentence) < 200
