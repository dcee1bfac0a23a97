"""Tests that ``make`` says in plain words what it installs, and says nothing if everything is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import debian_packages
import pytest


@pytest.fixture
def clone(project: Path, tmp_path: Path) -> Path:
    """What make needs of a clone, with a Python and a uv that do nothing."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(project / name, tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "uv"):
        program = tmp_path / ".venv" / "bin" / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return tmp_path


def make(target: str, clone: Path) -> list[str]:
    # As in a terminal, and not within the make that runs the tests.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(["make", target], cwd=clone, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("target", ["demo", "ui"])
def test_make_says_that_it_installs_the_first_time_alone(target: str, clone: Path) -> None:
    first = make(target, clone)
    assert first[0] == "Installing Airflow, the provider and what its tests need into .venv."
    assert first[2] == "Installed."
    assert make(target, clone) == first[3:] == [f".venv/bin/python dev/{target}.py"]


def test_programs_that_are_installed_are_named_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = iter([["chromium", "postgres"], []])
    sent: list[list[str]] = []
    monkeypatch.setattr(debian_packages, "_missing", lambda: next(missing))
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: sent.append(command))
    debian_packages.main()
    said = capsys.readouterr().out
    assert said.startswith("Installing Debian's packages of programs that some tests drive: chromium, postgresql.\n")
    assert [command[-1] for command in sent] == ["update", "chromium", "postgresql"]


def test_nothing_is_said_where_all_programs_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(debian_packages, "_missing", list)
    debian_packages.main()
    assert capsys.readouterr().out == ""
