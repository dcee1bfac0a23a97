"""Tests that the examples of the page about the report on a campaign do what the page says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.conversations.report import Scope, count_conversations
from airflow_provider_opencx.resources.conversations import Conversation
from airflow_provider_opencx.simulator import Simulator

ADA, GRACE, SOMEBODY_ELSE = (f"+1415555010{digit}" for digit in (1, 2, 9))


def test_docs_dag_reports_on_yesterdays_calls(
    examples: Path,
    read_dag: Callable[[Path], Any],
    run_dag: Callable[..., Any],
    opencx_default: Simulator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dag = read_dag(examples / "dags" / "conversation_report.py")
    assert opencx_default.requests == []
    now = datetime.now(UTC)
    for number, hours in ((ADA, 1), (ADA, 23), (GRACE, 2), (GRACE, 25), (SOMEBODY_ELSE, 1)):
        created_at = (now - timedelta(hours=hours)).isoformat()
        opencx_default.add_conversation(created_at=created_at, contact={"phone_number": number})
    assert str(run_dag(dag).state) == "success"
    assert opencx_default.writes == []
    printed = capsys.readouterr().out
    assert "Yesterday's calls left 3 conversations." in printed
    assert "- People with a conversation: 2 of 3. With none: 1" in printed


def test_docs_report_is_what_the_task_writes(examples: Path) -> None:
    begin = datetime(2026, 3, 2, 6, tzinfo=UTC)
    said = (("closed_resolved", "resolved", "en"), ("closed_unresolved", None, "en"), ("open", None, "de"))
    conversations = [
        Conversation(
            id=status,
            created_at=(begin + timedelta(hours=9 * number)).isoformat(),
            status=status,
            ai_closure_type=closure,
            sentiment="neutral",
            language=language,
        )
        for number, (status, closure, language) in enumerate(said)
    ]
    scope = Scope(begin, begin + timedelta(days=1), "America/New_York", "phone_voice")
    shown = (examples / "conversations" / "report.txt").read_text()
    assert shown == count_conversations(conversations, scope).markdown + "\n"
