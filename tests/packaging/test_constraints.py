"""Tests that the provider can be installed with an Airflow without changing what is installed with it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[2]
FILES = sorted((PROJECT / "constraints").glob("airflow-*.txt"))
COMMON_COMPAT = "apache-airflow-providers-common-compat"


@pytest.fixture(scope="module")
def needs() -> dict[str, Requirement]:
    """What the provider needs, with its extras, by name."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_pins_beside_an_airflow_are_what_the_provider_needs(file: Path, needs: dict[str, Requirement]) -> None:
    pins = [line.partition(" ;")[0].split("==") for line in file.read_text().splitlines()]
    assert needs.keys() <= {name for name, _ in pins}
    for name, version in pins:
        assert name not in needs or needs[name].specifier.contains(version, prereleases=True), (name, version)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        *[(COMMON_COMPAT, version) for version in ("1.12.0", "1.14.1", "1.14.2", "1.15.0", "1.19.0", "1.23.0")],
        *[("httpx", version) for version in ("0.27.0", "0.28.1")],
        *[("pydantic", version) for version in ("2.11.7", "2.13.4")],
        *[("redis", version) for version in ("5.2.1", "6.4.0")],
        *[("asgiref", version) for version in ("3.8.1", "3.9.1")],
        *[("fastapi", version) for version in ("0.116.1", "0.137.1")],
    ],
)
def test_provider_takes_what_airflow_publishes(name: str, version: str, needs: dict[str, Requirement]) -> None:
    """The versions are of the time of Airflow 3.0 to 3.3, whose constraints files pin them, or one near."""
    assert needs[name].specifier.contains(version)


def test_provider_lifts_no_common_compat_but_that_of_airflow_3_0() -> None:
    chosen = {
        file.stem: line.partition("==")[2]
        for file in FILES
        for line in file.read_text().splitlines()
        if line.startswith(f"{COMMON_COMPAT}==")
    }
    assert chosen == {
        "airflow-3.0.6": "1.12.0",  # the oldest that the provider takes
        "airflow-3.1.8": "1.14.2",
        "airflow-3.2.2": "1.15.0",
        "airflow-3.4.0b2": "1.23.0",
    }


def test_pins_install_on_the_first_release_of_python_3_11() -> None:
    """A distribution keeps the first releases for years: Debian 12 has 3.11.2."""
    resolve = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--python-version", "3.11.0"]
    needed = ["--extra", "simulator", "--extra", "redis", "--group", "dev", "--constraint", "constraints.txt"]
    done = subprocess.run([*resolve, *needed], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
