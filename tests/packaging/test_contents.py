"""Tests that the wheel contains only the package, and that the sdist builds it again."""

from __future__ import annotations

import configparser
import email
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email.message import Message
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from page_examples import DOCS

from airflow_provider_opencx import __version__

DIST_INFO = f"airflow_provider_opencx-{__version__}.dist-info"
SDIST_ROOT = f"airflow_provider_opencx-{__version__}"


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def names_in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {member.name.removeprefix(f"{SDIST_ROOT}/") for member in archive.getmembers() if member.isfile()}


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return email.message_from_bytes(archive.read(f"{DIST_INFO}/METADATA"))


def test_wheel_contains_only_package(published: set[str], built: tuple[Path, Path]) -> None:
    package = {name for name in published if name.startswith("airflow_provider_opencx/")}
    information = {
        f"{DIST_INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    assert names_in(built[0]) == package | information
    assert {PurePosixPath(name).suffix for name in package} == {".css", ".jinja", ".json", ".py", ".typed", ".yaml"}
    assert {name for name in package if name.endswith(".json")} == {"airflow_provider_opencx/fleet.schema.json"}
    pages = {name for name in package if name.endswith((".css", ".jinja"))}
    assert {PurePosixPath(name).parent for name in pages} == {
        PurePosixPath("airflow_provider_opencx/plugins/templates")
    }
    documents = {name for name in package if name.endswith(".yaml")}
    assert documents == {f"airflow_provider_opencx/simulator/openapi/{year}.yaml" for year in (2024, 2025, 2026)}
    assert "airflow_provider_opencx/py.typed" in package


def test_wheel_is_universal_and_small(built: tuple[Path, Path]) -> None:
    assert built[0].name == f"airflow_provider_opencx-{__version__}-py3-none-any.whl"
    assert built[0].stat().st_size < 800_000


def test_wheel_registers_entry_points(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as archive:
        entry_points = configparser.ConfigParser()
        entry_points.read_string(archive.read(f"{DIST_INFO}/entry_points.txt").decode())
    assert {section: dict(entry_points[section]) for section in entry_points.sections()} == {
        "apache_airflow_provider": {
            "provider_info": "airflow_provider_opencx.get_provider_info:get_provider_info",
        },
        "airflow.plugins": {"opencx": "airflow_provider_opencx.plugins.opencx:OpenCXPlugin"},
        "pytest11": {"opencx_simulator": "airflow_provider_opencx.simulator.pytest_plugin"},
    }


def test_wheel_metadata_names_runtime_requirements(built: tuple[Path, Path]) -> None:
    told = metadata(built[0])
    assert (told["Name"], told["Version"]) == ("airflow-provider-opencx", __version__)
    assert (told["License-Expression"], told["Requires-Python"]) == ("Apache-2.0", ">=3.11")
    assert told.get_all("Provides-Extra") == ["redis", "simulator"]
    requirements = told.get_all("Requires-Dist") or []
    needed = {Requirement(requirement).name for requirement in requirements if "extra ==" not in requirement}
    assert needed == {
        "apache-airflow",
        "apache-airflow-providers-common-compat",
        "asgiref",
        "httpcore",
        "httpx",
        "httpx-retries",
        "phonenumbers",
        "pydantic",
        "pyrate-limiter",
        "pyyaml",
        "rich",
    }
    assert {"Framework :: Apache Airflow", "Framework :: Apache Airflow :: Provider"} <= set(told.get_all("Classifier"))
    assert {"airflow-provider", "integration", "opencx"} <= set(told["Keywords"].split(","))
    assert not any(tool in requirement for requirement in requirements for tool in ("pytest", "ruff", "hypothesis"))


def test_wheel_metadata_names_addresses_that_readers_need(built: tuple[Path, Path]) -> None:
    addresses = dict(line.split(", ") for line in metadata(built[0]).get_all("Project-URL") or [])
    assert list(addresses) == ["Homepage", "Documentation", "Repository", "Changelog", "Issues", "Security"]
    site, repository = addresses["Documentation"], addresses["Repository"]
    assert addresses["Homepage"] == site
    assert addresses["Changelog"] == f"{site}en/stable/reference/changelog.html"
    assert (DOCS / "reference" / "changelog.md").exists()
    assert all(addresses[name].startswith(f"{repository}/") for name in ("Issues", "Security"))


def test_sdist_contains_only_published_files(published: set[str], built: tuple[Path, Path]) -> None:
    assert names_in_sdist(built[1]) == published | {"PKG-INFO"}


def test_sdist_builds_same_wheel(
    built: tuple[Path, Path], build: Callable[[Path, Path], tuple[Path, Path]], tmp_path: Path
) -> None:
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    again, _ = build(tmp_path / SDIST_ROOT, tmp_path / "dist")
    assert again.read_bytes() == built[0].read_bytes()


def test_wheel_and_sdist_pass_twine_check(built: tuple[Path, Path]) -> None:
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *map(str, built)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.count("PASSED") == 2
