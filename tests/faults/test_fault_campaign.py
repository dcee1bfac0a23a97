"""However often anything fails: exactly one agent, no write lost, and no error without a type."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_campaign.campaign import run_many

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.phone_agents import apply
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.simulator.faults import FAULTS

DEV = Path(__file__).resolve().parents[2] / "dev"


def test_faults_break_no_guarantee() -> None:
    command = [sys.executable, "-m", "fault_campaign", "--seed", "7", "--runs", "300"]
    campaign = subprocess.run(command, cwd=DEV, capture_output=True, text=True, check=False, timeout=1500)
    print(campaign.stdout, campaign.stderr)
    assert campaign.returncode == 0
    lines = re.findall(r"^ +([\d,]+)  (.+)$", campaign.stdout, re.MULTILINE)
    counts = {name: int(count.replace(",", "")) for count, name in lines}
    assert (counts["runs"], counts["duplicates"], counts["lost writes"], counts["untyped errors"]) == (300, 0, 0, 0)
    assert [fault for fault in (*FAULTS, "worker killed") if not counts.get(fault)] == [], "these never happened"
    assert counts["success"] > counts["tasks"] / 2, "most tasks get through"


def test_faults_campaign_is_reproducible() -> None:
    assert run_many(7, range(4)) == run_many(7, range(4))


def without_list(*_: object) -> PhoneAgents:
    return PhoneAgents([])


def with_one_list(client: OpenCXClient, *_: object) -> PhoneAgents:
    return apply.list_agents(client)


def with_two_lists(
    client: OpenCXClient, list_agents: Callable[[OpenCXClient], PhoneAgents] = apply.list_agents
) -> PhoneAgents:
    list_agents(client)
    return list_agents(client)


def without_a_comparison(*_: object) -> tuple[()]:
    return ()


def with_a_bug(*_: object) -> None:
    raise RuntimeError("a bug")


def with_a_lie(agent: PhoneAgent, dump: Callable[[PhoneAgent], Any] = PhoneAgent.as_dict) -> dict[str, object]:
    return {**dump(agent), "first_message": "Good evening."}


@pytest.mark.parametrize(
    ("promise", "run", "place", "mistake"),
    [
        ("duplicates", 0, "phone_agents.reconcile._list_before_creating", without_list),
        ("duplicates", 229, "phone_agents.reconcile._list_before_creating", with_one_list),
        ("lost writes", 21, "phone_agents.writes.find_mismatches", without_a_comparison),
        ("untyped errors", 0, "phone_agents.reconcile.plan_upsert", with_a_bug),
        ("untrue results", 0, "resources.phone_agents.PhoneAgent.as_dict", with_a_lie),
        ("needless requests", 0, "phone_agents.apply.list_agents", with_two_lists),
    ],
)
def test_faults_campaign_detects_provider_bugs(
    promise: str, run: int, place: str, mistake: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"airflow_provider_opencx.{place}", mistake)
    tally = run_many(1, [run])
    assert tally.broken[promise] > 0
    assert any(sentence.startswith(promise) for sentence in tally.sentences[run])
