"""Tests that the Dags of the pages about conversations write and read the files that the pages describe."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from airflow_provider_opencx.simulator import Simulator


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the Variable of the pages names."""
    monkeypatch.setenv("AIRFLOW_VAR_OPENCX_FILES", str(tmp_path))
    return tmp_path


@pytest.fixture
def run(
    examples: Path,
    read_dag: Callable[[Path], Any],
    store_dag: Callable[[Any], None],
    opencx_default: Simulator,
    files: Path,
) -> Callable[..., Any]:
    """Runs a Dag of the pages, and returns the run."""

    def run(dag_id: str, **how: Any) -> Any:
        dag = read_dag(examples / "dags" / f"{dag_id}.py")
        for task in dag.tasks:
            task.retries = 0
        store_dag(dag)
        dag_run = dag.test(**how)
        assert str(dag_run.state) == "success"
        return dag_run

    return run


def test_conversations_page_writes_the_file_of_an_hour(
    run: Callable[..., Any], opencx_default: Simulator, files: Path, examples: Path
) -> None:
    made = opencx_default.add_conversation(updated_at="2026-03-01T12:30:00+00:00", sentiment="happy")
    run("conversations_each_hour", logical_date=datetime(2026, 3, 1, 13, tzinfo=UTC))
    hour = files / "20260301T120000.jsonl.gz"
    assert [json.loads(line) for line in gzip.decompress(hour.read_bytes()).splitlines()] == [made]

    opencx_default.update_conversation(
        str(made["id"]), updated_at="2026-03-01T15:00:00+00:00", status="closed_resolved"
    )
    run("conversations_each_hour", logical_date=datetime(2026, 3, 1, 16, tzinfo=UTC))
    newest = (examples / "sql" / "newest.sql").read_text().replace("conversations/*", f"{files}/*")
    columns = duckdb.sql(newest).columns
    [row] = duckdb.sql(newest).fetchall()
    assert dict(zip(columns, row, strict=True))["status"] == "closed_resolved"


def test_conversations_page_writes_parts_of_a_given_time(
    run: Callable[..., Any], opencx_default: Simulator, files: Path
) -> None:
    made = opencx_default.add_conversations(20)
    dag_run = run("conversations_since_yesterday")
    [folder] = files.iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    [part] = manifest["parts"]
    rows = [json.loads(line) for line in (folder / part["path"]).read_text().splitlines()]
    assert {row["id"] for row in rows} <= {*made}
    assert len(rows) == manifest["count"] >= 19
    counted = next(ti for ti in dag_run.get_task_instances() if ti.task_id == "count_rows")
    assert counted.xcom_pull("count_rows") == len(rows)


def test_hook_page_makes_frames(run: Callable[..., Any], opencx_default: Simulator) -> None:
    for sentiment in ("happy", "happy", "angry"):
        opencx_default.add_conversation(sentiment=sentiment, updated_at="2026-03-01T12:00:00+00:00")
    opencx_default.add_contact("+14155550101", name="Ada")
    opencx_default.add_contact("+14155550102")
    opencx_default.provision_after = "never"
    opencx_default.add_agent("Front desk")
    results = {ti.task_id: ti.xcom_pull(ti.task_id) for ti in run("conversations_as_frames").get_task_instances()}
    assert results["sentiments"] == {"happy": 2, "angry": 1}
    assert results["contacts_without_name"] == 1
    assert results["agents_without_number"] == ["Front desk"]
    assert results["by_status"] == {"open": 3}
    assert results["last_change"].startswith("2026-03-01T12:00:00")
