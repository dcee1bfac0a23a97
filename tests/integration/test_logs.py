"""What a task's log says: one line for each decision, and none for polls that decide nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_standalone import AirflowStandalone, connection_json, wait_for

from airflow_provider_opencx.simulator import Answer, LoseAnswer, Simulator
from airflow_provider_opencx.triggers.start import STARTS

API_KEY = "ocx_live_of-the-logs"

DAGS = """
from datetime import datetime, timedelta
from airflow.sdk import DAG, chain
from airflow_provider_opencx.operators.phone_agent import *
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.triggers.start import STARTS

# On a machine slow enough, Airflow may fail a task that comes back from the triggerer.
RETRYING = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG("logged", schedule=None, start_date=datetime(2026, 1, 1), default_args=RETRYING):
    lost = OpenCXUpsertPhoneAgentOperator(task_id="lost", name="new", language="en")
    lost >> [
        OpenCXPhoneNumberSensor(task_id=task_id, agent_name="new", timeout=900, **arguments)
        for task_id, arguments in {
            "poke": {"poke_interval": 2},
            "reschedule": {"poke_interval": 25, "mode": "reschedule"},
            "deferred": {"poke_interval": 2, "deferrable": True},
            "ended_in_triggerer": {"poke_interval": 2, "end_from_trigger": True},
            "no_worker": {"poke_interval": 2, "start_from_trigger": True, "end_from_trigger": True},
        }.items()
        if STARTS or task_id != "no_worker"
    ]
    lost >> OpenCXPhoneNumberSensor(task_id="several", agent_name=["old", "new"], poke_interval=2, timeout=900)
    chain(
        lost,
        OpenCXCreatePhoneAgentOperator(task_id="created", name="other", language="en"),
        OpenCXCreatePhoneAgentOperator(task_id="adopted", name="other", language="en"),
        OpenCXCreatePhoneAgentOperator(task_id="adopted_as_it_is", name="other", language="fr"),
        OpenCXUpdatePhoneAgentOperator(task_id="updated", agent_name="other", first_message="Hi", language="es"),
        OpenCXUpsertPhoneAgentOperator(task_id="unchanged", name="other", first_message="Hi"),
        OpenCXSyncPhoneAgentsOperator(
            task_id="fleet",
            agents=[{"name": "other", "language": "de"}, {"name": "new"}, {"name": "newest", "language": "en"}],
        ),
    )
"""

OLD, NEW, OTHER, NEWEST = (
    f"phone agent {name!r} (pa_00000{number})" for number, name in enumerate(("old", "new", "other", "newest"), 1)
)
LISTED = "GET /phone over connection 'opencx_default'"
WAITING = "info: Waiting for the number of phone agent named 'new'."
SEEN = f"info: Number {{new}}: {NEW} has it."

EXPECTED = {
    "lost": [
        f"info: {LISTED}: 429. Sent again in 1.0 s, retry 1 of 4.",
        "warning: The create of phone agent 'new' was not answered: POST /phone for phone agent 'new' over"
        " connection 'opencx_default': no answer from {url}: RemoteProtocolError (Server disconnected without sending a"
        " response.). Check the network and the Base URL; another try may succeed.",
        f"info: Created {NEW}: it has appeared in the list.",
    ],
    "created": [f"info: Created {OTHER}."],
    "adopted": [f"info: Adopted {OTHER} as it is: nothing differs."],
    "adopted_as_it_is": [
        f"warning: Adopted {OTHER} as it is. It is not as declared: language: ['en'] -> ['fr'].",
    ],
    "updated": [f"info: Updated {OTHER}: language: ['en'] -> ['es']; first_message: 'Hello?' -> 'Hi'."],
    "unchanged": [f"info: Left {OTHER} as it is: nothing differs."],
    "fleet": [
        """\
info: Plan: 1 to create, 1 to update, 1 unchanged; 1 not declared and left alone.
| agent      | action | member: old -> new           |
| ---------- | ------ | ---------------------------- |
| `'other'`  | update | `language: ['es'] -> ['de']` |
| `'newest'` | create | `type: None -> 'outbound'`   |
| `'newest'` | create | `language: None -> ['en']`   |""",
        f"info: Not declared, and left alone: {OLD}.",
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
        "info: 1 of 2 phone agents is still without a number.",
        f"info: All 2 phone agents have their numbers: {OLD} {{old}}, {NEW} {{new}}.",
    ],
}


WAITING_TASKS = [task_id for task_id in EXPECTED if "Waiting" in EXPECTED[task_id][0]]
if not STARTS:
    WAITING_TASKS.remove("no_worker")


@pytest.fixture(scope="module")
def service() -> Iterator[Simulator]:
    with Simulator(api_keys=(API_KEY,), requests_per_minute=None) as simulator:
        simulator.give_number(str(simulator.add_agent("old", type="outbound")["id"]))
        simulator.provision_after = "never"
        simulator.fail("listPhoneAgents", Answer(429, headers={"Retry-After": "1"}))
        simulator.fail("createPhoneAgent", LoseAnswer())
        yield simulator


def all_wait(airflow: AirflowStandalone, run_id: str) -> bool:
    """Return whether each task that waits has begun, and the one for several agents has seen the number of one."""
    logs = {task_id: "".join(airflow.task_log("logged", run_id, task_id)) for task_id in WAITING_TASKS}
    return all("Waiting for" in log for log in logs.values()) and "1 of 2" in logs["several"]


@pytest.fixture(scope="module")
def events(service: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[dict[str, Any]]]:
    """Returns the events in the log of the last try of a task, in order of time, after all tasks have ended."""
    folder = tmp_path_factory.mktemp("logs")
    (folder / "dags").mkdir()
    (folder / "dags" / "logged.py").write_text(DAGS)
    variables = {"AIRFLOW_CONN_OPENCX_DEFAULT": connection_json(service.url, API_KEY)}
    with AirflowStandalone(folder / "airflow", folder / "dags", variables) as airflow:
        run_id = airflow.start_dag("logged")
        wait_for("tasks that wait", lambda: all_wait(airflow, run_id) or None, within=300)
        [new] = [agent for agent in service.agents() if agent["name"] == "new"]
        service.give_number(str(new["id"]))
        assert airflow.end_state("logged", run_id, within=400) == "success"
        tries = {ti["task_id"]: ti["try_number"] for ti in airflow.task_instances("logged", run_id)}
    logs: Path = airflow.home / "logs" / "dag_id=logged" / f"run_id={run_id}"

    def read(task_id: str) -> list[dict[str, Any]]:
        files = (logs / f"task_id={task_id}").glob(f"attempt={max(tries[task_id], 1)}.log*")
        lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return sorted(lines, key=lambda event: str(event["timestamp"]))

    return read


@pytest.mark.parametrize("task_id", EXPECTED)
def test_each_decision_is_one_line(
    task_id: str, events: Callable[[str], list[dict[str, Any]]], service: Simulator
) -> None:
    if task_id == "no_worker" and not STARTS:
        pytest.skip("needs Airflow 3.0 or 3.3, which start tasks in the triggerer")
    numbers = {str(agent["name"]): agent["phone_number"] for agent in service.agents()}
    written = [event for event in events(task_id) if "opencx" in str(event.get("logger"))]
    said = [f"{event['level']}: {event['event']}" for event in written if event["level"] != "debug"]
    of_airflow = "info: Success criteria met. Exiting."
    assert [line for line in said if line != of_airflow] == [
        line.format(url=service.url, **numbers) if "{" in line else line for line in EXPECTED[task_id]
    ]


@pytest.mark.parametrize("task_id", EXPECTED)
def test_the_http_library_says_nothing(task_id: str, events: Callable[[str], list[dict[str, Any]]]) -> None:
    if task_id != "no_worker" or STARTS:
        assert not [event for event in events(task_id) if str(event.get("logger")).startswith("http")]
