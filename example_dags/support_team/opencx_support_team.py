"""A support team from one folder: what its agents know, then the agents, then their phone numbers.

The folder is one that a person keeps in git: a Markdown file for each training scenario in ``training``, a YAML file
for each agent in ``agents``. The agents name what they know by its title, and their voice by its name, so the same
folder serves every organization, whatever the ids there are.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXSyncPhoneAgentsOperator
from airflow_provider_opencx.operators.training import OpenCXSyncTrainingScenariosOperator
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

with DAG(
    dag_id="opencx_support_team",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=2)},
    doc_md=__doc__,
    tags=["opencx"],
):
    knowledge = OpenCXSyncTrainingScenariosOperator(
        task_id="sync_knowledge",
        scenarios="training/",
        collection="support_team",
        variables={"SHOP": "Acme"},
        on_removed="draft",
    )
    agents = OpenCXSyncPhoneAgentsOperator(task_id="sync_agents", agents="agents/", max_creates=5)
    numbers = OpenCXPhoneNumberSensor.partial(
        task_id="await_number",
        deferrable=True,
        poke_interval=10,
        timeout=timedelta(hours=6),
        map_index_template="{{ task.agent_id['name'] }}",
    ).expand(agent_id=agents.output)
    knowledge >> agents
