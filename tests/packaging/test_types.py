"""Tests what a type checker reports about a Dag: nothing if it is correct, and each mistake if it is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="the dependency group dev is not installed")

RIGHT = """
from datetime import timedelta

from airflow_provider_opencx.operators.phone_agent import (
    LEFT_OUT,
    OpenCXCreatePhoneAgentOperator,
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor

agent = OpenCXUpsertPhoneAgentOperator(
    task_id="agent",
    name="a",
    language=["en", "es"],
    first_message=None,
    voice_id=LEFT_OUT,
    use_org_knowledgebase="{{ params.knows }}",
    on_mismatch="warn",
    wait_for_phone_number=True,
    timeout=timedelta(hours=1),
    retries=2,
    retry_delay=timedelta(minutes=1),
    opencx_conn_id="{{ params.conn_id }}",
    max_active_tis_per_dag=LEFT_OUT,
)
OpenCXCreatePhoneAgentOperator(task_id="create", name=agent.output["name"], max_active_tis_per_dag=2, pool="one")
OpenCXUpdatePhoneAgentOperator(task_id="update", agent_id=agent.output, new_name="b", max_active_tis_per_dag=1)
OpenCXPhoneNumberSensor(task_id="number", agent_id=agent.output["id"], mode="reschedule", soft_fail=True, timeout=60)
OpenCXPhoneNumberSensor(task_id="numbers", agent_id=["1", {"id": "2"}], start_from_trigger=True)
plan = OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=[{"name": "a"}], fail_on_changes="{{ params.alarm }}")
OpenCXSyncPhoneAgentsOperator(task_id="fleet", agents="f.yaml", approved_plan=plan.output, max_active_tis_per_dag=None)
"""

WRONG = """
from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator

OpenCXUpsertPhoneAgentOperator(task_id="one", name=5)
OpenCXUpsertPhoneAgentOperator(task_id="two", name="a", langauge="en")
OpenCXUpsertPhoneAgentOperator(task_id="three", name="a", on_mismatch="nope")
OpenCXUpsertPhoneAgentOperator(task_id="four", name="a", max_active_tis_per_dag="1")
"""


@pytest.mark.parametrize(
    ("source", "errors"),
    [
        (RIGHT, []),
        (WRONG, ['"name"', '"langauge"', '"on_mismatch"', '"max_active_tis_per_dag"']),
        (
            "from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor as S\nS(agent_id='1')",
            ["task_id"],
        ),
    ],
    ids=["right", "wrong", "without task_id"],
)
def test_mypy_finds_wrong_arguments(source: str, errors: list[str], project: Path, tmp_path: Path) -> None:
    (tmp_path / "dag.py").write_text(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file=", "dag.py"]
    cache = f"--cache-dir={project / '.mypy_cache' / 'dags'}"  # of the same files again and again
    done = subprocess.run([*command, cache], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    found = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(found) == len(errors), done.stdout
    assert [error for error, line in zip(errors, found, strict=True) if error not in line] == [], done.stdout
