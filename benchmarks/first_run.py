"""Measures the first run of a Dag that creates agents: its requests and its time in a real ``airflow standalone``."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from report import Section, Table, seconds, show
from simulated_service import SimulatedService, simulated_service

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "dev"))

from airflow_standalone import AirflowStandalone  # noqa: E402 - it lies beside, for demo, UI and tests

LIMIT = 100
"""The requests that the service takes in a minute."""

WAYS = {
    "one_at_a_time": "mapped `OpenCXUpsertPhoneAgentOperator`",
    "side_by_side": "the same, `max_active_tis_per_dag=None`",
    "one_sync": "`OpenCXSyncPhoneAgentsOperator`",
}
"""Each Dag, and how it creates the agents."""

WITHIN = 15 * 60

NOTES = """
- A real `airflow standalone` with its LocalExecutor, which runs eight tasks at once, on an empty organization. Each
  Dag has a service and a connection of its own, with the defaults of the connection. The time is that from the start
  of the run to the success of its last task, so most of it is Airflow's: a worker process for each mapped task.
- *Refused* counts the requests that the service answered with 429: it takes {limit} a minute.
"""


@dataclass
class Ran:
    """What one run came to.

    :param agents: the agents that there are.
    :param requests: the requests that were sent.
    :param refused: how many of them met a 429.
    :param state: how it ended.
    :param took: seconds.
    """

    agents: int
    requests: int
    refused: int
    state: str
    took: float


def measure(quick: bool) -> Section:
    """Run each Dag once."""
    agents = 8 if quick else 30
    with ExitStack() as running:
        services = {dag_id: running.enter_context(simulated_service(requests_per_minute=LIMIT)) for dag_id in WAYS}
        variables = {
            f"AIRFLOW_CONN_OPENCX_{dag_id.upper()}": service.connections(paced=True)["AIRFLOW_CONN_OPENCX_DEFAULT"]
            for dag_id, service in services.items()
        }
        home = Path(os.environ["AIRFLOW_HOME"]) / "standalone"
        airflow = running.enter_context(
            AirflowStandalone(home, HERE / "dags", variables={**variables, "FIRST_RUN_AGENTS": str(agents)})
        )
        ran = {dag_id: _run(airflow, dag_id, service) for dag_id, service in services.items()}
    one_by_one = ran["one_at_a_time"]
    return Section(
        "A first run",
        [
            f"A first run of {agents} mapped upserts takes {seconds(one_by_one.took)} and {one_by_one.requests} requests"
            f" one at a time, {seconds(ran['side_by_side'].took)} side by side; one sync of the same agents takes"
            f" {seconds(ran['one_sync'].took)} and {ran['one_sync'].requests} requests."
        ],
        [
            Table(
                f"{agents} new agents",
                ("Tasks", "Requests", "Refused", "Agents", "Time", "Ended in"),
                [
                    [how, str(run.requests), str(run.refused), str(run.agents), seconds(run.took), run.state]
                    for how, run in zip(WAYS.values(), ran.values(), strict=True)
                ],
            )
        ],
        NOTES.format(limit=LIMIT),
    )


def _run(airflow: AirflowStandalone, dag_id: str, service: SimulatedService) -> Ran:
    """Run a Dag and count what its service has met."""
    airflow.unpause(dag_id)  # also waits until Airflow knows the Dag
    started = time.monotonic()
    run_id = airflow.start_dag(dag_id)
    state = airflow.end_state(dag_id, run_id, within=WITHIN)
    took = time.monotonic() - started
    responses = service.responses() or {}
    return Ran(service.count_agents(), sum(responses.values()), responses.get("429", 0), state, took)


if __name__ == "__main__":
    show(measure)
