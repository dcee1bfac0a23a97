"""Tests the command line in a real terminal: the colours of a plan, a question and a progress bar, and a picture."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import demo
import pytest
from airflow_standalone import EXAMPLE_DAGS
from playwright.sync_api import Browser
from terminal import Terminal, page_of

from airflow_provider_opencx.simulator import Simulator, SlowResponse

API_KEY = "ocx_live_typed-in-a-terminal"
DEMO = demo.__file__
FLEET = """\
defaults:
  language: en
  handoff_phone_number: "+14155550100"
agents:
  - name: Renewal, English
    previous_name: Renewal EN
    first_message: |
      Hello! This is your gym.
      Your contract ends in May. Until Easter, you get 20 % off a new one.
  - name: Reminder
    first_message: Hello! You have an appointment tomorrow.
  - name: Survey
    first_message: Hello! May I ask two questions about your visit?
"""
OLD_GREETING = "Hello! This is your gym.\nYour contract ends in March. Until Easter, you get 20 % off a new one.\n"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(api_keys=(API_KEY,), requests_per_minute=None) as running:
        yield running


def environment(folder: Path, **commands: str) -> dict[str, str]:
    """Return an environment without Airflow, in which a command is Python with some arguments."""
    (folder / "bin").mkdir()
    for name, arguments in commands.items():
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}\n')
        (folder / "bin" / name).chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "TMPDIR": os.environ["TMPDIR"]}


def take_picture(terminal: Terminal, chromium: Browser, name: str) -> None:
    """Take a picture of what a terminal shows; does nothing unless there is a folder for it."""
    if pictures := os.environ.get("SCREENSHOTS"):
        page = chromium.new_page(viewport={"width": 1100, "height": 800}, device_scale_factor=1.5)
        page.set_content(page_of(terminal.screen(with_colours=True)))
        page.locator("main").screenshot(path=Path(pictures) / f"{name}.png")


@pytest.fixture
def terminal(simulator: Simulator, tmp_path: Path, program: Callable[[str], Path]) -> Iterator[Terminal]:
    """A terminal in a folder with a fleet file, whose environment has a key and no Airflow."""
    program("tmux")
    (tmp_path / "fleet.yaml").write_text(FLEET)
    service = {"OPENCX_API_KEY": API_KEY, "OPENCX_API_URL": simulator.url}
    with Terminal(tmp_path, environment(tmp_path, python='"$@"') | service, columns=118, rows=52) as running:
        yield running


def test_fleet_is_planned_and_applied_in_a_terminal(
    terminal: Terminal, simulator: Simulator, chromium: Browser
) -> None:
    agent = simulator.add_agent("Renewal EN", type="outbound", language=["en"], first_message=OLD_GREETING)
    simulator.fail("createPhoneAgent", SlowResponse(1), times=None)

    terminal.type("python -m airflow_provider_opencx apply fleet.yaml")
    asking = terminal.wait_for("Apply these 3 changes? Type yes:")
    assert "- Your contract ends in March" in asking.replace("“", "")
    assert "+ Your contract ends in May" in asking.replace("“", "")
    assert not simulator.writes

    terminal.type("yes")
    terminal.wait_for("/3")  # the progress bar
    terminal.wait_for("writes a minute, at most")
    applied = terminal.wait_for_prompt()
    assert [write.method for write in simulator.writes] == ["POST", "POST", "PATCH"]
    renamed = next(each for each in simulator.agents() if each["id"] == agent["id"])
    assert (renamed["name"], renamed["phone_number"]) == ("Renewal, English", agent["phone_number"])
    assert all(str(each["id"]) in applied for each in simulator.agents())

    terminal.type("python -m airflow_provider_opencx plan fleet.yaml --detailed-exitcode; echo exit code $?")
    screen = terminal.wait_for("exit code 0")
    assert API_KEY not in screen
    assert "\x1b[" in terminal.screen(with_colours=True)
    take_picture(terminal, chromium, "command-line")


def test_demo_ends_with_who_was_called_by_whom_and_how_often(
    tmp_path: Path, program: Callable[[str], Path], chromium: Browser
) -> None:
    program("tmux")
    with Terminal(tmp_path, environment(tmp_path, make=f'"{DEMO}"'), columns=118, rows=46) as terminal:
        terminal.type("make demo")
        terminal.wait_for("times called", seconds=900)
        screen = terminal.wait_for_prompt()
        take_picture(terminal, chromium, "demo")
    table = re.findall(r"^Membership renewal +(\+1555\d+) +\w+, (\+1415555\d+) +(\d+)$", screen, re.M)
    with (EXAMPLE_DAGS / "outbound_campaign" / "people.csv").open() as file:
        people = [row["phone_number"] for row in csv.DictReader(file)]
    assert [number for _, number, _ in table] == people
    assert {times for *_, times in table} == {"1"}
    assert "Sequences started: 1." in screen


def test_answer_that_is_not_yes_sends_nothing(terminal: Terminal, simulator: Simulator) -> None:
    terminal.type("python -m airflow_provider_opencx apply fleet.yaml; echo exit code $?")
    terminal.wait_for("Type yes:")
    terminal.type("y")
    terminal.wait_for("exit code 1")
    terminal.clear()
    terminal.type("python -m airflow_provider_opencx apply fleet.yaml; echo interrupted: $?")
    terminal.wait_for("Type yes:")
    terminal.press("C-c")
    terminal.wait_for("interrupted: 130")
    assert not simulator.writes
