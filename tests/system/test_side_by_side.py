"""Tests parallel runs of one Dag: no run delays another, and a create of a killed task is known to its next try."""

from __future__ import annotations

from airflow_standalone import AirflowStandalone, wait_for

from airflow_provider_opencx.simulator import Simulator

RUNS = 4


def test_runs_whose_upsert_waits_do_not_hold_up_one_another(airflow: AirflowStandalone, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    agents = [simulator.add_agent(name, type="outbound") for name in ("in_worker", "deferred")]
    run_ids = [airflow.start_dag("waiting_upserts") for _ in range(RUNS)]

    def waiting() -> bool | None:
        tasks = [(run_id, ti) for run_id in run_ids for ti in airflow.task_instances("waiting_upserts", run_id)]
        states = sorted(str(ti["state"]) for _, ti in tasks)
        logs = ("".join(airflow.task_log("waiting_upserts", run_id, ti["task_id"])) for run_id, ti in tasks)
        wait_together = states == ["deferred"] * RUNS + ["running"] * RUNS
        return True if wait_together and all("Waiting for the number of" in log for log in logs) else None

    wait_for("runs that wait together", waiting, within=300)
    for agent in agents:
        simulator.give_number(str(agent["id"]))
    assert {airflow.end_state("waiting_upserts", run_id, within=300) for run_id in run_ids} == {"success"}
    assert simulator.writes == []


def test_task_killed_with_its_create_is_known_to_the_next_try(airflow: AirflowStandalone) -> None:
    run_id = airflow.run_dag("killed_create", within=300)
    [instance] = airflow.task_instances("killed_create", run_id)
    assert instance["try_number"] == 2
    assert airflow.xcom("killed_create", run_id, "create") == {"found": ["a"], "is_retry": False}
