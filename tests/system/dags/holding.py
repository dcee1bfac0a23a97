"""Holds tasks at a moment that a test chooses, to kill them there. It contains no Dag."""

from __future__ import annotations

import os
import time
from itertools import count
from pathlib import Path
from typing import Any

from airflow_provider_opencx.call_ledgers import TaskStateLedger

HOLDS = Path(os.environ.get("AIRFLOW_HOME", ".")) / "holds"


def hold(moment: str) -> None:
    """Wait at a moment, if the test asks for it by a file of its name, until the test deletes what says who waits."""
    if (HOLDS / moment).exists():
        waits = HOLDS / f"{moment}.pid"
        waits.write_text(str(os.getpid()))
        (HOLDS / moment).unlink()  # the next try is not held
        while waits.exists():
            time.sleep(0.02)


class Held:
    """Stands before the operator among the bases of a class: a test can hold its tasks where they record something."""

    def execute(self, context: Any) -> Any:
        """Hold at the moments that the test names."""
        instance = context["ti"]
        name = instance.task_id if instance.map_index < 0 else f"{instance.run_id}.{instance.map_index}"
        HOLDS.mkdir(exist_ok=True)
        (HOLDS / f"{name}.pid").write_text(str(os.getpid()))
        hold(f"{name}.begins")
        self._hold_at_records(name)
        returned = super().execute(context)  # type: ignore[misc]  # the operator's
        hold(f"{name}.returns")
        return returned

    @staticmethod
    def _hold_at_records(name: str) -> None:
        """Hold where the ledger is written; this process runs no other task."""
        begin, finish = TaskStateLedger.begin, TaskStateLedger.finish
        begun = count(1)
        finished = count(1)

        def held_begin(self: TaskStateLedger, *arguments: Any, **named: Any) -> Any:
            recorded = begin(self, *arguments, **named)
            hold(f"{name}.recorded.{next(begun)}")
            return recorded

        def held_finish(self: TaskStateLedger, slot: str, entry: Any) -> None:
            number = next(finished)
            hold(f"{name}.answered.{number}")
            finish(self, slot, entry)
            hold(f"{name}.finished.{number}")

        TaskStateLedger.begin, TaskStateLedger.finish = held_begin, held_finish  # type: ignore[method-assign]
