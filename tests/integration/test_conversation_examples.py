"""Tests the example Dags of conversations: each run writes its hour, and DuckDB gets the newest row of each."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.models.asset import AssetEvent, association_table
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow_standalone import EXAMPLE_DAGS
from sqlalchemy import event, select

from airflow_provider_opencx.simulator import Simulator

from .conftest import Run

TO_STORAGE, IN_DUCKDB = "opencx_conversations_to_storage", "opencx_conversations_in_duckdb"


class Examples:
    """Runs the two examples in this process: the second one as the scheduler does for the events of the asset."""

    def __init__(self, read_dags: Callable[[Path], Any], store_dag: Callable[[Any], None], folder: Path) -> None:
        self.files = folder / "files"
        self.database = folder / "calls.duckdb"
        self.events: list[int] = []
        self._read_dags = read_dags
        self._store_dag = store_dag

    def extract(self, hour: int) -> dict[str, Any]:
        """Extract an hour of the first of March, and return the extra of the event of the asset."""
        run = self._run(TO_STORAGE, {"folder": str(self.files)}, datetime(2026, 3, 1, hour + 1, tzinfo=UTC))
        assert run.state == "success"
        with create_session() as session:
            query = select(AssetEvent.id, AssetEvent.extra).where(AssetEvent.source_dag_id == TO_STORAGE)
            number, extra = session.execute(query.order_by(AssetEvent.id.desc())).first()
        self.events.append(number)
        return dict(extra)

    def load(self) -> tuple[int, list[dict[str, Any]]]:
        """Load what is new, and return how many rows that has changed, and what each day was like."""
        run = self._run(IN_DUCKDB, {"database": str(self.database)})
        assert run.state == "success"
        return run.xcom("load"), run.xcom("per_day")

    def attach(self, _: Any, connection: Any, run: DagRun) -> None:
        if run.dag_id == IN_DUCKDB and self.events:
            pairs = [{"dag_run_id": run.id, "event_id": number} for number in self.events]
            connection.execute(association_table.insert(), pairs)

    def _run(self, dag_id: str, conf: Mapping[str, object], logical_date: datetime | None = None) -> Run:
        dag = self._read_dags(EXAMPLE_DAGS / f"{dag_id}.py").dags[dag_id]
        for task in dag.tasks:
            task.retries = 0
        self._store_dag(dag)
        return Run(dag.test(run_conf=dict(conf), **({"logical_date": logical_date} if logical_date else {})))


@pytest.fixture
def examples(
    read_dags: Callable[[Path], Any], store_dag: Callable[[Any], None], simulator: Simulator, tmp_path: Path
) -> Iterator[Examples]:
    """The two examples; files and database are the test's own."""
    running = Examples(read_dags, store_dag, tmp_path)
    event.listen(DagRun, "after_insert", running.attach)
    yield running
    event.remove(DagRun, "after_insert", running.attach)


def at(time: str) -> str:
    return f"2026-03-01T{time}:00+00:00"


def test_conversation_examples_extract_calls_of_the_hour_alone(examples: Examples, simulator: Simulator) -> None:
    for time in ("11:59", "12:00", "12:59", "13:00"):
        simulator.add_conversation(updated_at=at(time), custom_data={"at": time})
    simulator.add_conversation(updated_at=at("12:30"), channel={"type": "web"})
    extra = examples.extract(12)
    [file] = examples.files.iterdir()
    assert file.name == "20260301T120000.jsonl.gz"
    assert extra["path"] == str(file)
    assert (extra["count"], extra["updated_after"], extra["updated_before"]) == (2, at("12:00"), at("13:00"))
    written = file.read_bytes()
    assert b'"at":"12:00"' in gzip.decompress(written)
    examples.extract(12)
    assert file.read_bytes() == written


def test_conversation_examples_answer_from_the_newest_row_of_each_conversation(
    examples: Examples, simulator: Simulator
) -> None:
    fields = {"created_at": at("12:10"), "updated_at": at("12:20")}
    simulator.add_conversation(**fields, status="closed_resolved", sentiment="happy")
    late = simulator.add_conversation(**fields)["id"]
    examples.extract(12)
    one_open = {"day": "2026-03-01", "calls": 2, "closed": 1, "resolved_percent": 100, "sentiments": {"happy": 1}}
    assert examples.load() == (2, [one_open])
    again = examples.load()[1]
    assert again == [one_open]

    simulator.update_conversation(str(late), status="closed_unresolved", sentiment="angry", updated_at=at("14:40"))
    of_noon, examples.events = examples.events, []
    assert examples.extract(14)["count"] == 1
    both_closed = one_open | {"closed": 2, "resolved_percent": 50, "sentiments": {"angry": 1, "happy": 1}}
    assert examples.load() == (1, [both_closed])
    # The older file once more, as a run does that is cleared or comes late: nothing goes back.
    examples.events = of_noon
    assert examples.load()[1] == [both_closed]
    examples.events = []
    assert examples.load() == (0, [both_closed])


def test_conversation_examples_load_an_hour_in_which_nobody_called(examples: Examples) -> None:
    assert examples.extract(3)["count"] == 0
    assert examples.load() == (0, [])
