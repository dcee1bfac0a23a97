"""Runs a short part of the fuzz run and of the soak run, which ``make`` runs for longer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DEV = Path(__file__).resolve().parents[2] / "dev"


def run(*command: str) -> str:
    ended = subprocess.run(
        [sys.executable, *command], cwd=DEV, capture_output=True, text=True, check=False, timeout=600
    )
    print(ended.stdout, ended.stderr)
    assert ended.returncode == 0
    return ended.stdout


def test_fuzz_finds_nothing() -> None:
    report = run("-m", "fuzz", "--seed", "7", "--examples", "30")
    assert len(re.findall(r"^ +[0-9,]+  (?:result|event: \w+|OpenCX\w+)$", report, re.MULTILINE)) > 3, (
        "they ended in several ways"
    )


def test_soak_polls_without_growth() -> None:
    report = run("soak.py", "--polls", "60")
    assert report.count("longest pause of the event loop") == 1
    assert report.count("objects from 15 to 60 polls") == 2
