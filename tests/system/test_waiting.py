"""Waiting in a real triggerer."""

from __future__ import annotations

from itertools import pairwise

from airflow_standalone import AirflowStandalone, wait_for

from airflow_provider_opencx.simulator import Simulator

WAITING_TASKS = 50
POLL_INTERVAL = 5.0


def test_fifty_waiting_tasks_cost_one_request_an_interval(airflow: AirflowStandalone, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    for number in range(WAITING_TASKS):
        simulator.add_agent(f"waiting {number}", type="outbound")
    run_id = airflow.start_dag("fifty_waiting")

    def all_deferred() -> bool | None:
        states = [ti["state"] for ti in airflow.task_instances("fifty_waiting", run_id)]
        return True if states == ["deferred"] * WAITING_TASKS else None

    wait_for("50 deferred tasks", all_deferred, within=400)
    polls = simulator.count("listPhoneAgents")
    wait_for("more polls", lambda: simulator.count("listPhoneAgents") >= polls + 3 or None, within=60)
    simulator.provision_after = "now"
    assert airflow.end_state("fifty_waiting", run_id, within=400) == "success"

    times = [request.time for request in simulator.requests]
    assert {request.operation for request in simulator.requests} == {"listPhoneAgents"}
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.9 * POLL_INTERVAL
    waited = times[-1] - times[0]
    assert len(times) <= waited / POLL_INTERVAL + 1
    results = [airflow.xcom("fifty_waiting", run_id, "await_number", index) for index in range(WAITING_TASKS)]
    assert results == simulator.agents()
    print(f"{WAITING_TASKS} tasks waited {waited:.0f} s for {len(times)} requests")


def test_fifty_agents_that_have_their_numbers_already_are_handed_on(
    airflow: AirflowStandalone, simulator: Simulator
) -> None:
    for number in range(WAITING_TASKS):
        simulator.add_agent(f"waiting {number}", type="outbound")
    run_id = airflow.run_dag("fifty_waiting", within=400)
    results = [airflow.xcom("fifty_waiting", run_id, "await_number", index) for index in range(WAITING_TASKS)]
    assert results == simulator.agents()
    tries = [ti["try_number"] for ti in airflow.task_instances("fifty_waiting", run_id)]
    print(f"{tries.count(1)} of {WAITING_TASKS} tasks that resumed as soon as they could needed one try")


def test_every_mode_ends_with_the_same_result(airflow: AirflowStandalone, simulator: Simulator) -> None:
    simulator.provision_after = "10s"
    run_id = airflow.run_dag("every_mode", within=300)
    [agent] = simulator.agents()
    assert agent["phone_number"]
    for mode in ("poke", "reschedule", "deferrable"):
        assert airflow.xcom("every_mode", run_id, mode) == agent


def test_a_deferred_timeout_fails_or_skips_as_asked_and_is_not_retried(
    airflow: AirflowStandalone, simulator: Simulator
) -> None:
    run_id = airflow.start_dag("deferred_timeouts")
    airflow.end_state("deferred_timeouts", run_id, within=300)
    instances = {ti["task_id"]: ti for ti in airflow.task_instances("deferred_timeouts", run_id)}
    assert {task_id: (ti["state"], ti["try_number"]) for task_id, ti in instances.items()} == {
        "soft_fail_False": ("failed", 1),
        "soft_fail_True": ("skipped", 1),
    }
