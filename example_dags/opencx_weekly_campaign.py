"""A weekly campaign: a fleet declared in a file becomes agents with numbers, handed on as a call list.

The fleet is in ``campaign_fleet.yaml`` beside this file. Each of its agents is one mapped task, so an agent that
fails is tried again alone; agents that exist and are as declared cost one read and no write.

When the Dag is unpaused, Airflow starts the last run that was due. A run that you trigger begins after it.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, Param, task

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

FLEET = Path(__file__).with_name("campaign_fleet.yaml")


@task
def read_fleet() -> list[object]:
    """Read the declarations when the task runs, so that parsing the Dag reads no other file."""
    from airflow_provider_opencx.phone_agents.fleet_files import reader

    return reader.read_fleet(FLEET)


@task
def write_call_list(agents: Iterable[dict[str, str]], path: str) -> str:
    """Write name and number of each agent to a CSV file, for whatever starts the calls."""
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "phone_number"])
        writer.writerows((agent["name"], agent["phone_number"]) for agent in agents)
    return path


with DAG(
    dag_id="opencx_weekly_campaign",
    schedule="0 6 * * MON",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=2)},
    params={"call_list": Param(str(Path(tempfile.gettempdir()) / "opencx_call_list.csv"), type="string")},
    doc_md=__doc__,
    tags=["opencx"],
):
    agents = OpenCXUpsertPhoneAgentOperator.partial(
        task_id="upsert_agent",
        map_index_template="{{ task.agent['name'] }}",
    ).expand_kwargs(read_fleet())
    awaited = OpenCXPhoneNumberSensor.partial(
        task_id="await_number",
        deferrable=True,
        poke_interval=10,
        timeout=timedelta(hours=6),
        map_index_template="{{ task.agent_id['name'] }}",
    ).expand(agent_id=agents.output)
    write_call_list(awaited.output, path="{{ params.call_list }}")
