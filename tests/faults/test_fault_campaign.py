"""However often anything fails: exactly one agent, no write lost, and no error without a type."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from fault_campaign.campaign import run_many

from airflow_provider_opencx import procedures
from airflow_provider_opencx.reconcile import PhoneAgents

DEV = Path(__file__).resolve().parents[2] / "dev"
FAULTS = (
    "Answer",
    "AnswerInGeneration",
    "CloseBeforeHandling",
    "EmptyAnswer",
    "HandleLate",
    "IgnoreMembers",
    "LoseAnswer",
    "MalformedAnswer",
    "ProxyPage",
    "RefuseConnections",
    "SlowAnswer",
    "SlowBody",
    "TooManyRequests",
    "TruncateAnswer",
    "worker killed",
)


def test_hundreds_of_runs_under_faults_break_no_promise() -> None:
    command = [sys.executable, "-m", "fault_campaign", "--seed", "2026", "--runs", "300"]
    campaign = subprocess.run(command, cwd=DEV, capture_output=True, text=True, check=False, timeout=1500)
    print(campaign.stdout, campaign.stderr)
    assert campaign.returncode == 0
    lines = re.findall(r"^ +([\d,]+)  (.+)$", campaign.stdout, re.MULTILINE)
    counts = {name: int(count.replace(",", "")) for count, name in lines}
    assert (counts["runs"], counts["duplicates"], counts["lost writes"], counts["untyped errors"]) == (300, 0, 0, 0)
    assert [fault for fault in FAULTS if not counts.get(fault)] == [], "these never happened"
    assert counts["success"] > counts["tasks"] / 2, "most tasks get through"


def test_a_run_is_the_same_whenever_it_is_repeated() -> None:
    assert run_many(7, range(4)) == run_many(7, range(4))


def without_looking(*_: object) -> Generator[None, None, PhoneAgents]:
    return PhoneAgents([])
    yield


def with_one_look(*_: object) -> Generator[object, object, PhoneAgents]:
    return (yield from procedures._list())


@pytest.mark.parametrize(("mistake", "runs"), [(without_looking, [0, 1, 2]), (with_one_look, [13])])
def test_a_mistake_in_the_provider_would_be_noticed(
    mistake: object, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procedures, "_list_before_creating", mistake)
    tally = run_many(1, runs)
    assert tally.broken["duplicates"] > 0
    assert tally.sentences
