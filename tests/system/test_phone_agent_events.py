"""Tests that a watcher fires each change of a phone agent, and nothing else, whatever happens to the triggerer."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow_standalone import AirflowStandalone, wait_for

from airflow_provider_opencx.simulator import Simulator

DAG_ID = "agent_events"
QUIET_FOR = float(os.environ.get("EVENTS_QUIET_SECONDS", "20"))
"""Seconds for which nothing may fire in the end."""

WITHIN = 200


class Watched:
    """What Airflow has of the events of the watcher.

    :param airflow: the running Airflow.
    """

    def __init__(self, airflow: AirflowStandalone) -> None:
        self._airflow = airflow
        self._earlier = len(self._all())

    def _all(self) -> list[dict[str, Any]]:
        return list(self._airflow.call("GET", "/assets/events?limit=100&order_by=timestamp")["asset_events"])

    def payloads(self) -> list[dict[str, Any]]:
        """The events in the database, in order."""
        return [event["extra"]["payload"] for event in self._all()[self._earlier :]]

    def ids(self) -> list[str]:
        """Their ids, each once: an event may be stored twice where the triggerer was killed in between."""
        return list(dict.fromkeys(payload["event_id"] for payload in self.payloads()))

    def event(self, kind: str) -> dict[str, Any]:
        """Wait for an event of a kind."""
        return wait_for(
            f"event {kind}",
            lambda: next((payload for payload in self.payloads() if payload["event"] == kind), None),
            within=WITHIN,
        )

    def seen_by_dag(self) -> set[str]:
        """The ids of the events that the runs of the Dag have looped over."""
        runs = self._airflow.call("GET", f"/dags/{DAG_ID}/dagRuns?limit=100")["dag_runs"]
        ended = [run["dag_run_id"] for run in runs if run["state"] == "success"]
        return {payload["event_id"] for run_id in ended for payload in self._airflow.xcom(DAG_ID, run_id, "seen")}


@pytest.fixture
def simulator(watched_service: Simulator) -> Simulator:
    """The simulator that the watcher polls."""
    return watched_service


@pytest.fixture
def watched(airflow: AirflowStandalone) -> Iterator[Watched]:
    """The watcher of the Dag, for as long as this is not paused."""
    yield Watched(airflow)
    airflow.call("PATCH", f"/dags/{DAG_ID}", {"is_paused": True})


def polls(simulator: Simulator, number: int) -> None:
    """Wait for some further polls."""
    wanted = simulator.count("listPhoneAgents") + number
    wait_for("polls", lambda: simulator.count("listPhoneAgents") >= wanted or None, within=WITHIN)


def test_watcher_fires_each_change_once_though_the_triggerer_is_killed(
    airflow: AirflowStandalone, simulator: Simulator, watched: Watched, airflow_version: tuple[int, ...]
) -> None:
    keeps_state = airflow_version >= (3, 3)
    simulator.provision_after = "never"
    agent_id = str(simulator.add_agent("Front desk")["id"])
    airflow.unpause(DAG_ID)
    polls(simulator, 3)  # the first of them is the baseline

    simulator.give_number(agent_id, "+15550000001")
    if keeps_state:
        fired = "Fired number_assigned"
        wait_for(
            fired, lambda: fired in airflow.log_file.read_text(errors="replace") or None, within=WITHIN, every=0.05
        )
    else:
        watched.event("number_assigned")
    airflow.kill_component("triggerer")
    simulator.give_number(agent_id, "+15550000002")
    airflow.start_component("triggerer")
    if keeps_state:
        watched.event("number_changed")
    else:
        polls(simulator, 3)

    simulator.take_number(agent_id)
    watched.event("number_lost")

    found = {payload["event_id"]: payload for payload in watched.payloads()}
    expected = [
        ("number_assigned", "+15550000001", None),
        ("number_changed", "+15550000002", "+15550000001"),
        ("number_lost", None, "+15550000002"),
    ]
    if not keeps_state:
        del expected[1]
    told = [(payload["event"], payload["phone_number"], payload["previous_phone_number"]) for payload in found.values()]
    assert told == expected
    assert {payload["agent_id"] for payload in found.values()} == {agent_id}
    wait_for("runs", lambda: watched.seen_by_dag() >= set(found) or None, within=WITHIN)

    stored = len(watched.payloads())
    polled = simulator.count("listPhoneAgents")
    time.sleep(QUIET_FOR)
    assert simulator.count("listPhoneAgents") > polled
    assert len(watched.payloads()) == stored
    assert watched.seen_by_dag() == set(found)
    print()
    for payload in watched.payloads():
        print(payload)
    print(f"then {simulator.count('listPhoneAgents') - polled} polls in {QUIET_FOR:.0f} seconds, and no event")
