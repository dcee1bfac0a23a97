"""A Dag that waits for one agent after the other, each in another way. It is for the benchmark of worker processes."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG
from requests import Response

from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

POLL_INTERVAL = 20


def has_number(agent_name: str, response: Response) -> bool:
    """Return whether an agent has its number: what this provider's sensor does by itself."""
    return any(agent["name"] == agent_name and agent["phone_number"] for agent in response.json())


with DAG(
    "awaited_agent", schedule=None, start_date=datetime(2026, 1, 1), default_args={"poke_interval": POLL_INTERVAL}
):
    for task_id, arguments in {
        "opencx_triggerer": {"start_from_trigger": True, "end_from_trigger": True},
        "opencx_deferrable": {"deferrable": True},
        "opencx_reschedule": {"mode": "reschedule"},
        "opencx_poke": {"mode": "poke"},
    }.items():
        OpenCXPhoneNumberSensor(task_id=task_id, agent_name=task_id, **arguments)
    for task_id, arguments in {
        "http_deferrable": {"deferrable": True},
        "http_reschedule": {"mode": "reschedule"},
        "http_poke": {"mode": "poke"},
    }.items():
        HttpSensor(task_id=task_id, endpoint="phone", response_check=partial(has_number, task_id), **arguments)
