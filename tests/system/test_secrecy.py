"""Tests that Airflow writes the key nowhere, after runs that fail in every possible way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_standalone import AirflowStandalone
from sqlalchemy import MetaData, create_engine, select

from airflow_provider_opencx.simulator import Fault, Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body

SECRET = b"s3cret-of-the-system-tests"


class RepeatTheKey(Fault):
    """Refuse a key with a message that repeats it."""

    async def respond(self, call: Any, handle: Any) -> Any:
        _, _, key = call.authorization.partition(" ")
        return await Respond(401, error_body(401, f"{key} is not a key of ours")).respond(call, handle)


def test_key_stays_out_of_everything_airflow_writes(airflow: AirflowStandalone, simulator: Simulator) -> None:
    simulator.fail("listPhoneAgents", RepeatTheKey(), times=None)
    run_id = airflow.start_dag("failing")
    assert airflow.end_state("failing", run_id, within=400) == "failed"
    instances = airflow.task_instances("failing", run_id)
    assert {ti["state"] for ti in instances} == {"failed"}
    tries = {ti["task_id"]: ti["try_number"] for ti in instances}
    assert (tries["upsert_opencx_rejected"], tries["upsert_opencx_unreachable"]) == (1, 2)

    written = [path for path in Path(airflow.home).rglob("*") if path.is_file()]
    logs = [path for path in written if path.suffix == ".log" and "dag_id=failing" in str(path)]
    assert len(logs) >= len(instances)
    assert any(b"'*** is not a key of ours'. The API key was rejected" in path.read_bytes() for path in logs)
    assert any(b"no response from http://127.0.0.1:1" in path.read_bytes() for path in logs)
    assert [str(path) for path in written if SECRET in path.read_bytes()] == []
    rows = list(stored(airflow))
    assert [row for row in rows if run_id in row]
    assert [row for row in rows if SECRET.decode() in row] == []


def stored(airflow: AirflowStandalone) -> Iterator[str]:
    """Return all that Airflow keeps in its database."""
    engine, tables = create_engine(airflow.database), MetaData()
    tables.reflect(engine)
    with engine.connect() as database:
        yield from (repr(row) for table in tables.tables.values() for row in database.execute(select(table)))
    engine.dispose()
