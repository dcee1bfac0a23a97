"""Tests waiting tasks in a real triggerer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from airflow_standalone import AirflowStandalone, wait_for

from airflow_provider_opencx.simulator import Simulator

WITHOUT_A_WORKER = 200
FROM_A_WORKER = 8
POLL_INTERVAL = 5.0
MODES = ("poke", "reschedule", "deferrable", "end_from_trigger", "no_worker")


def worker_logs(airflow: AirflowStandalone, dag_id: str, task_id: str) -> list[str]:
    """Return the names of the logs that a worker wrote for a task: those of triggerers have a longer name."""
    logs = (airflow.home / "logs" / f"dag_id={dag_id}").glob(f"run_id=*/task_id={task_id}/**/attempt=*.log")
    return [log.name for log in logs if ".trigger." not in log.name]


def test_wait_of_two_hundred_tasks_needs_no_worker(airflow: AirflowStandalone, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    for number in range(WITHOUT_A_WORKER):
        simulator.add_agent(f"waiting {number}", type="outbound")
    run_id = airflow.start_dag("two_hundred_waiting")

    def instances() -> list[dict[str, Any]]:
        path = f"/dags/two_hundred_waiting/dagRuns/{run_id}/taskInstances?limit=100&offset="
        pages = [airflow.call("GET", f"{path}{offset}")["task_instances"] for offset in range(0, WITHOUT_A_WORKER, 100)]
        return [instance for page in pages for instance in page]

    def all_deferred() -> bool | None:
        states = [ti["state"] for ti in instances()]
        return True if states == ["deferred"] * WITHOUT_A_WORKER else None

    wait_for("200 deferred tasks", all_deferred, within=300)
    wait_for("a poll", lambda: simulator.count("listPhoneAgents") or None, within=120)
    polls = simulator.count("listPhoneAgents")
    wait_for("more polls", lambda: simulator.count("listPhoneAgents") >= polls + 3 or None, within=60)
    simulator.provision_after = "now"
    assert airflow.end_state("two_hundred_waiting", run_id, within=300) == "success"

    times = [request.time for request in simulator.requests]
    assert {request.operation for request in simulator.requests} == {"listPhoneAgents"}
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.9 * POLL_INTERVAL
    waited = times[-1] - times[0]
    assert len(times) <= waited / POLL_INTERVAL + 1
    assert {(ti["try_number"], ti["pid"], ti["hostname"]) for ti in instances()} == {(1, None, "")}
    assert worker_logs(airflow, "two_hundred_waiting", "await_*") == []
    agents = {agent["name"]: agent for agent in simulator.agents()}
    for number in (0, WITHOUT_A_WORKER - 1):
        result = airflow.xcom("two_hundred_waiting", run_id, f"await_{number}")
        assert result == agents[f"waiting {number}"]
    print(f"{WITHOUT_A_WORKER} tasks waited {waited:.0f} s for {len(times)} requests")


def test_wait_returns_agents_with_existing_numbers(airflow: AirflowStandalone, simulator: Simulator) -> None:
    for number in range(FROM_A_WORKER):
        simulator.add_agent(f"waiting {number}", type="outbound")
    run_id = airflow.run_dag("deferred_by_workers", within=400)
    results = [airflow.xcom("deferred_by_workers", run_id, "await_number", index) for index in range(FROM_A_WORKER)]
    assert results == simulator.agents()
    tries = [ti["try_number"] for ti in airflow.task_instances("deferred_by_workers", run_id)]
    print(f"{tries.count(1)} of {FROM_A_WORKER} tasks that resumed as soon as they could needed one try")


def test_wait_result_is_same_in_every_mode(airflow: AirflowStandalone, simulator: Simulator) -> None:
    simulator.provision_after = "10s"
    run_id = airflow.run_dag("every_mode", within=400)
    agent, other = sorted(simulator.agents(), key=lambda agent: str(agent["name"]))
    assert agent["phone_number"]
    for mode in MODES:
        assert airflow.xcom("every_mode", run_id, mode) == agent, mode
        for key in ("id", "name", "phone_number"):
            assert airflow.xcom("every_mode", run_id, mode, key=key) == agent[key], (mode, key)
        assert airflow.xcom("every_mode", run_id, f"{mode}_many") == [agent, agent], mode
        assert airflow.xcom_keys("every_mode", run_id, f"{mode}_many") == {"return_value"}, mode
    assert airflow.xcom("every_mode", run_id, "upsert_waits") == other
    assert airflow.xcom("every_mode", run_id, "upsert_waits", key="phone_number") == other["phone_number"]
    assert airflow.xcom("every_mode", run_id, "number_of") == agent["phone_number"]
    assert worker_logs(airflow, "every_mode", "no_worker*") == []
    for task_id in ("deferrable_many", "no_worker_many"):
        assert "Waiting for the numbers of 2 phone agents." in "".join(airflow.task_log("every_mode", run_id, task_id))


def test_deferrable_does_not_retry_timeouts_or_errors(airflow: AirflowStandalone, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    for _ in range(2):
        simulator.add_agent("twice")
    run_id = airflow.start_dag("deferred_timeouts")
    airflow.end_state("deferred_timeouts", run_id, within=300)
    instances = {ti["task_id"]: ti for ti in airflow.task_instances("deferred_timeouts", run_id)}
    assert {task_id: (ti["state"], ti["try_number"]) for task_id, ti in instances.items()} == {
        "soft_fail_False": ("failed", 1),
        "soft_fail_True": ("skipped", 1),
        "ambiguous": ("failed", 1),
        "rejected": ("failed", 1),
        "upsert_waits": ("failed", 2),  # the agent is there, so another try only waits again
        "execution_timeout": ("failed", 2),  # it ends a try, and timeout the task
    }
    assert "The execution_timeout of 0:00:20 is over" in "".join(
        airflow.task_log("deferred_timeouts", run_id, "execution_timeout", try_number=2)
    )
    [*_, agent] = simulator.agents()
    assert f"'without a number' ({agent['id']}) has got no phone number in 30 s" in "".join(
        airflow.task_log("deferred_timeouts", run_id, "upsert_waits", try_number=2)
    )
    assert airflow.xcom("deferred_timeouts", run_id, "upsert_waits", key="id") == agent["id"]
    assert "OpenCXAmbiguousNameError" in "".join(airflow.task_log("deferred_timeouts", run_id, "ambiguous"))
    assert "OpenCXAuthenticationPermanentError" in "".join(airflow.task_log("deferred_timeouts", run_id, "rejected"))
