"""Runs the tests that depend on Airflow and Python on every supported pair: ``nox``, or ``make matrix``.

Each pair has an environment of its own. ``nox --list`` names the pairs. Tags choose among them: ``nox --tags oldest
newest`` runs the two ends of the range, ``nox --tags airflow-3.1.8`` all Pythons of an Airflow. With ``-- ci`` at the
end, a pair leaves out what ``LEFT_OUT_IN_CI`` names. What was run stands in a table at the end.
"""

from __future__ import annotations

import atexit
import os
import time
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import nox

AIRFLOWS = {
    "3.0.6": ("3.11", "3.12"),
    "3.1.8": ("3.11", "3.12", "3.13"),
    "3.2.2": ("3.11", "3.12", "3.13"),
    "3.3.2": ("3.11", "3.12", "3.13"),
    "3.4.0b2": ("3.13",),
}
"""The Pythons that each Airflow and this provider run on; of one that is not released yet, the newest."""

TAGS = {("3.0.6", "3.11"): "oldest", ("3.3.2", "3.13"): "newest"}

PACKAGES_UNTIL = {"3.0.6": "2025-09-15", "3.1.8": "2026-03-31", "3.2.2": "2026-06-15", "3.4.0b2": "2026-11-28"}
"""The day whose packages an Airflow is run with, unless constraints.txt is for it.

Two weeks after its release: so they are about those of the constraints that Airflow publishes.
"""

NAMED = {
    "3.0.6": ("httpx==0.27.0",),  # the oldest that the provider takes
    "3.4.0b2": ("apache-airflow-core==3.4.0b2", "apache-airflow-task-sdk==1.4.0b2"),  # uv takes only named pre-releases
}
"""What is chosen by name beside an Airflow."""

TESTS = ("tests/unit", "tests/security", "tests/integration")
"""The tests that depend on Airflow. Those of the simulator, which imports nothing of it, are part of ``make test``."""

TESTS_OF_PYTHON = (
    "tests/unit",
    "tests/security",
    "tests/integration/test_trigger.py",
    "tests/integration/test_sensor.py",
    "tests/integration/test_calls.py",
    "tests/integration/test_sequences.py",
    "tests/integration/test_start_and_end.py",
    "tests/integration/test_training.py",
    "tests/integration/test_phone_agent_events.py",
)
"""The tests that depend on Python: all that an Airflow is run with that ``make test`` runs the others with."""

WHOLE_AIRFLOW_TESTS = (
    "tests/system/test_deferrable_run.py",
    "tests/system/test_logs.py",
    "tests/system/test_metrics.py",
    "tests/system/test_phone_agent_events.py",
    "tests/system/test_retry_policy.py",
)
"""Tests that start scheduler, triggerer and API server, which take a minute and the whole machine."""

WITH_WHOLE_AIRFLOW = {*TAGS, ("3.1.8", "3.12"), ("3.2.2", "3.12"), ("3.4.0b2", "3.13")}
"""The pairs that run them too: one of each Airflow."""

LEFT_OUT_IN_CI = {
    "oldest": (
        "tests/integration/test_one_writer.py",
        "tests/integration/test_pacing.py::test_pacing_lets_sixteen_processes_avoid_429",
        "tests/system/test_phone_agent_events.py",
        "tests/unit/test_agent_changes.py",
        "tests/unit/test_lost_numbers.py",
        "tests/unit/test_names.py",
        "tests/unit/test_plan.py",
        "tests/unit/test_plan_words.py",
        "tests/unit/test_text.py",
    ),
    "newest": tuple(test for test in WHOLE_AIRFLOW_TESTS if test != "tests/system/test_deferrable_run.py"),
}
"""What a pair does not run in CI, where ``make test`` has just run all tests on Airflow 3.3.2 and Python 3.11.

``oldest`` has the same Python and older packages. It leaves out plans, names and words, which no package makes, and
tests that mostly wait: of sixteen processes side by side, and of a triggerer that is killed; shorter tests of the same
locks, limits and triggers stay. Files and models stay as well: they are read with the oldest YAML and pydantic.

``newest`` has the same packages and a newer Python. It leaves out what the parts of a whole Airflow tell each other and
the outside, and runs one Dag through all of them.

Without ``-- ci``, as before a release, each pair runs everything.
"""

nox.needs_version = ">=2026.2"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["tests"]

# Where pyenv keeps its interpreters; those on the PATH come first.
os.environ["PATH"] = os.pathsep.join(
    [os.environ["PATH"], *(str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.*/bin")))]
)

table = [("Airflow", "Python", "passed", "failed", "skipped", "seconds", "outcome")]


def pairs() -> list[nox.param]:
    """Return each pair of an Airflow and a Python, with its name and its tags."""
    return [
        nox.param(
            python,
            airflow,
            id=f"airflow-{airflow}, python-{python}",
            tags=[f"airflow-{airflow}", f"python-{python}", *filter(None, [TAGS.get((airflow, python))])],
        )
        for airflow, pythons in AIRFLOWS.items()
        for python in pythons
    ]


@nox.session
@nox.parametrize(("python", "airflow"), pairs())
def tests(session: nox.Session, airflow: str) -> None:
    """Run the tests on an Airflow and a Python; with ``-- ci``, without those that ``make test`` runs as well."""
    if session.posargs not in ([], ["ci"]):
        session.error(f"after -- comes nothing or ci, and not {' '.join(session.posargs)}")
    pair = (airflow, str(session.python))
    left_out = LEFT_OUT_IN_CI.get(TAGS.get(pair, ""), ()) if session.posargs else ()
    if gone := [test for test in left_out if not Path(test.partition("::")[0]).exists()]:
        session.error(f"LEFT_OUT_IN_CI names files that are gone: {', '.join(gone)}")
    began = time.monotonic()
    outcome = "failed"
    report = Path(session.create_tmp()) / "tests.xml"
    report.unlink(missing_ok=True)
    own = TESTS if airflow in PACKAGES_UNTIL else TESTS_OF_PYTHON
    whole_airflow = WHOLE_AIRFLOW_TESTS if pair in WITH_WHOLE_AIRFLOW else ()
    try:
        session.install(
            *("--compile-bytecode", "--constraint", constraints_of(airflow)),
            *("--editable", ".[simulator,redis]", "--group", "test", f"apache-airflow=={airflow}"),
        )
        session.run(
            *("python", "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "--durations", "5"),
            *("--numprocesses", "3", f"--junit-xml={report}", *own, *whole_airflow),
            *(f"--deselect={test}" for test in left_out),
        )
        outcome = "passed"
    finally:
        cells = (airflow, session.python, *counts(report), f"{time.monotonic() - began:.0f}", outcome)
        table.append(tuple(map(str, cells)))


@nox.session(default=False)
def constraints(session: nox.Session) -> None:
    """Choose again which packages the Airflows are run with that constraints.txt is not for."""
    for airflow, until in PACKAGES_UNTIL.items():
        file = Path(constraints_of(airflow))
        file.unlink(missing_ok=True)
        requirements = Path(session.create_tmp()) / "airflow.in"
        requirements.write_text("\n".join((f"apache-airflow=={airflow}", *NAMED.get(airflow, ()))))
        compile_into = (
            *("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
            *("--no-header", "--no-annotate", "--output-file", str(file), str(requirements)),
        )
        session.run(*compile_into, "--exclude-newer", until, external=True)
        # Of what is in the file already, uv changes what it has to. Of the rest, the provider gets the oldest it takes.
        needs = ("pyproject.toml", "--extra", "simulator", "--extra", "redis")
        session.run(*compile_into, *needs, "--resolution", "lowest-direct", external=True)
        session.run(*compile_into, *needs, "--group", "test", external=True)


def constraints_of(airflow: str) -> str:
    """Return the name of the file with the versions of the packages that an Airflow is run with."""
    return f"constraints/airflow-{airflow}.txt" if airflow in PACKAGES_UNTIL else "constraints.txt"


class Counts(NamedTuple):
    """How many tests passed, failed and were skipped."""

    passed: int
    failed: int
    skipped: int


def counts(report: Path) -> Counts:
    """Read pytest's report of a pair; of one whose tests did not begin, there is none."""
    if not report.exists():
        return Counts(0, 0, 0)
    suite = ElementTree.parse(report).getroot()[0].attrib  # noqa: S314 - pytest has just written it
    failed = int(suite["failures"]) + int(suite["errors"])
    skipped = int(suite["skipped"])
    return Counts(int(suite["tests"]) - failed - skipped, failed, skipped)


@atexit.register
def print_table() -> None:
    """Print what was run, after nox has."""
    if len(table) > 1:
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
