"""How the calls of each day ended: loads each new file of conversations into DuckDB, and asks it in SQL.

``opencx_conversations_to_storage`` writes the files, and each run of it starts a run of this Dag. The event of the
asset says which file is new. A conversation that was changed later is in a later file again, so the newest row of each
id is kept. That makes it safe to load a file twice, or an old one after a new one.

It needs ``pip install "duckdb>=1.4"`` where the tasks run. The database is one file, which all workers must see; other
databases know ``MERGE`` as well. A run that you trigger by hand has no event: it loads nothing, and asks what is there.
To load a file of an earlier hour, clear the task that has written it: its event starts a run.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, ObjectStoragePath, Param, task

CONVERSATIONS = Asset("opencx_conversations")

TABLE = """
    CREATE TABLE IF NOT EXISTS conversations (
        id VARCHAR PRIMARY KEY, created_at TIMESTAMP, updated_at TIMESTAMP, status VARCHAR, sentiment VARCHAR
    )
"""

KEEP_THE_NEWEST = """
    MERGE INTO conversations USING (
        FROM read_json(
            $files,
            format = 'newline_delimited',
            columns = {
                id: 'VARCHAR', created_at: 'TIMESTAMP', updated_at: 'TIMESTAMP', status: 'VARCHAR', sentiment: 'VARCHAR'
            }
        )
        QUALIFY row_number() OVER (PARTITION BY id ORDER BY updated_at DESC) = 1
    ) AS new USING (id)
    WHEN MATCHED AND new.updated_at > conversations.updated_at THEN UPDATE
    WHEN NOT MATCHED THEN INSERT
"""

PER_DAY = """
    SELECT
        strftime(created_at, '%Y-%m-%d') AS day,
        count(*) AS calls,
        count(*) FILTER (starts_with(status, 'closed')) AS closed,
        round(100 * count(*) FILTER (status = 'closed_resolved') / nullif(closed, 0)) AS resolved_percent,
        histogram(sentiment) AS sentiments
    FROM conversations GROUP BY day ORDER BY day
"""


@task
def load(database: str, triggering_asset_events: Mapping[Asset, Sequence[Any]]) -> int:
    """Load the files that are new, and return how many rows of the table that has added or changed."""
    import duckdb

    paths = [ObjectStoragePath(event.extra["path"]) for event in triggering_asset_events.get(CONVERSATIONS, [])]
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(database) as connection:
        connection.execute(TABLE)
        files = []
        for path in paths:  # DuckDB does not know Airflow's connections, so it gets copies
            files.append(f"{folder}/{len(files)}.jsonl.gz")
            with path.open("rb") as stored, Path(files[-1]).open("wb") as copy:
                shutil.copyfileobj(stored, copy)
        return connection.execute(KEEP_THE_NEWEST, {"files": files}).fetchone()[0] if files else 0


@task
def per_day(database: str) -> list[dict[str, Any]]:
    """Return how many calls each day had, and how they ended. A call that nobody took may have left no conversation."""
    import duckdb

    with duckdb.connect(database, read_only=True) as connection:
        answer = connection.sql(PER_DAY)
        print(answer)  # a table in the log of the task
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()]


with DAG(
    dag_id="opencx_conversations_in_duckdb",
    schedule=[CONVERSATIONS],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,  # DuckDB lets one process write at a time
    default_args={"retries": 2, "retry_delay": timedelta(minutes=2)},
    params={"database": Param(str(Path(tempfile.gettempdir()) / "opencx_conversations.duckdb"), type="string")},
    doc_md=__doc__,
    tags=["opencx"],
):
    load("{{ params.database }}") >> per_day("{{ params.database }}")
