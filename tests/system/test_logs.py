"""Tests the log of a task: one line for each decision, and none for polls that decide nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from airflow_standalone import AirflowStandalone, wait_for

from airflow_provider_opencx.simulator import LoseResponse, Respond, Simulator
from airflow_provider_opencx.triggers.start import STARTS

OLD, NEW, OTHER, NEWEST = (f"phone agent {name!r} ({{{name}_id}})" for name in ("old", "new", "other", "newest"))
LISTED = "GET /phone over connection 'opencx_default'"
WAITING = "info: Waiting for the number of phone agent named 'new'."
SEEN = f"info: Number {{new_number}}: {NEW} has it."

EXPECTED = {
    "lost": [
        f"info: {LISTED}: 429. Sent again in 1.0 s, retry 1 of 4.",
        "warning: The outcome is not known yet: create phone agent 'new'. POST /phone for phone agent 'new' over"
        " connection 'opencx_default': no response from {url}: RemoteProtocolError (Server disconnected without sending"
        " a response.). Check the network and the Base URL; another try may succeed.",
        f"info: Created {NEW}: it has appeared in the list.",
    ],
    "created": [f"info: Created {OTHER}."],
    "adopted": [f"info: Adopted {OTHER}: nothing differs."],
    "adopted_as_it_is": [
        f"warning: Adopted {OTHER} as it is. It is not as declared: language: ['en'] -> ['fr'].",
    ],
    "updated": [f"info: Updated {OTHER}: language: ['en'] -> ['es']; first_message: 'Hello?' -> 'Hi'."],
    "unchanged": [f"info: Unchanged {OTHER}: nothing differs."],
    "fleet": [
        """\
info: Plan: 1 to create, 1 to update, 1 unchanged; 1 not declared and left alone.
Organization “org_000001”, connection “opencx_default”, service “{url}”

Was an agent renamed?
    1 agent will be created, and 1 agent outside this fleet exists already: see the end.
    If it is the same agent under a new name, reject this plan: the new agent would get another phone number. \
Write the old name into its declaration as previous_name, or its id as id: then it is renamed, and keeps its number.

“newest” will be created
    kind: makes calls (outbound)
    language: “en”

“other” will be changed
    no phone number yet, id “{other_id}”
    language: from “es” to “de”

1 agent outside this fleet stays as it is
    “old”: phone number “{old_number}”, id “{old_id}”

1 agent of this fleet stays as it is""",
        f"info: 1 of 2: Created {NEWEST}.",
        f"info: 2 of 2: Updated {OTHER}: language: ['es'] -> ['de'].",
    ],
    "poke": [WAITING, SEEN],
    "reschedule": [WAITING, SEEN],
    "deferred": [WAITING, SEEN],
    "ended_in_triggerer": [WAITING, SEEN],
    "no_worker": [WAITING, SEEN],
    "several": [
        "info: Waiting for the numbers of 2 phone agents.",
        "info: 1 of 2 phone agents is still without a number: 'new'.",
        f"info: All 2 phone agents have their numbers: {OLD} {{old_number}}, {NEW} {{new_number}}.",
    ],
}


WAITING_TASKS = [task_id for task_id in EXPECTED if "Waiting" in EXPECTED[task_id][0]]
if not STARTS:
    WAITING_TASKS.remove("no_worker")


def all_wait(airflow: AirflowStandalone, run_id: str) -> bool:
    """Return whether each task that waits has begun, and the one for several agents has seen the number of one."""
    logs = {task_id: "".join(airflow.task_log("logged", run_id, task_id)) for task_id in WAITING_TASKS}
    return all("Waiting for" in log for log in logs.values()) and "1 of 2" in logs["several"]


@dataclass
class Ended:
    """The run, after its end.

    :param tries: how often each task was tried.
    :param says: what stands in the lines for what only a run knows.
    """

    airflow: AirflowStandalone
    run_id: str
    tries: dict[str, int]
    says: dict[str, str]

    def events(self, task_id: str) -> list[dict[str, Any]]:
        """Return the events in the log of the last try of a task, in order of time."""
        return self.airflow.task_events("logged", self.run_id, task_id, try_number=max(self.tries[task_id], 1))


@pytest.fixture(scope="module")
def ended(airflow: AirflowStandalone, start_over: Callable[[], Simulator]) -> Ended:
    simulator = start_over()
    simulator.give_number(str(simulator.add_agent("old", type="outbound")["id"]))
    simulator.provision_after = "never"
    simulator.fail("listPhoneAgents", Respond(429, headers={"Retry-After": "1"}))
    simulator.fail("createPhoneAgent", LoseResponse())
    run_id = airflow.start_dag("logged")
    wait_for("tasks that wait", lambda: all_wait(airflow, run_id) or None, within=300)
    [new] = [agent for agent in simulator.agents() if agent["name"] == "new"]
    simulator.give_number(str(new["id"]))
    assert airflow.end_state("logged", run_id, within=400) == "success"
    says = {"url": simulator.url}
    for agent in simulator.agents():
        says |= {f"{agent['name']}_id": str(agent["id"]), f"{agent['name']}_number": str(agent["phone_number"])}
    tries = {ti["task_id"]: ti["try_number"] for ti in airflow.task_instances("logged", run_id)}
    return Ended(airflow, run_id, tries, says)


@pytest.mark.parametrize("task_id", EXPECTED)
def test_log_has_one_line_per_decision(task_id: str, ended: Ended) -> None:
    if task_id == "no_worker" and not STARTS:
        pytest.skip("needs Airflow 3.0 or 3.3, which start tasks in the triggerer")
    written = [event for event in ended.events(task_id) if "opencx" in str(event.get("logger"))]
    said = [f"{event['level']}: {event['event']}" for event in written if event["level"] != "debug"]
    of_airflow = "info: Success criteria met. Exiting."
    assert [line for line in said if line != of_airflow] == [line.format(**ended.says) for line in EXPECTED[task_id]]


@pytest.mark.parametrize("task_id", EXPECTED)
def test_log_omits_http_library(task_id: str, ended: Ended) -> None:
    if task_id != "no_worker" or STARTS:
        assert not [event for event in ended.events(task_id) if str(event.get("logger")).startswith("http")]
