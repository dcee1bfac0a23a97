"""Tests that messages about a person who may have been called are true, and name the person."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_opencx.campaigns.calls import CallBatch, CallPolicy, CallSender
from airflow_provider_opencx.campaigns.guards import Guards
from airflow_provider_opencx.campaigns.ledger import Entry, NoLedger, slots_by_name
from airflow_provider_opencx.exceptions import OpenCXCallsNotAllowedError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.simulator import LoseResponse, Simulator

ADA = "+14155550101"


def task(**arguments: Any) -> OpenCXPlaceCallOperator:
    return OpenCXPlaceCallOperator(task_id="call", agent_name="Caller", calling_hours=None, **arguments)


def test_person_who_may_have_been_called_is_not_said_to_be_not_called(opencx_default: Simulator) -> None:
    opencx_default.add_agent("Caller", type="outbound")
    opencx_default.fail("makeOutboundCall", LoseResponse())
    with pytest.raises(AirflowSkipException) as skipped:
        task(phone_number=ADA, on_unknown="skip").execute({})
    assert [dialed.phone_number for dialed in opencx_default.dialed()] == [ADA]
    assert str(skipped.value).startswith(f"{ADA} may or may not have been called: ")
    assert "not called" not in str(skipped.value)


def test_reason_of_a_result_does_not_name_the_person_again(opencx_default: Simulator) -> None:
    opencx_default.add_agent("Caller", type="outbound")
    opencx_default.fail("makeOutboundCall", LoseResponse())
    [result] = task(contacts=[ADA], on_unknown="skip").execute({})
    assert result["reason"].startswith("may or may not have been called: ")


def test_call_that_somebody_else_makes_is_logged_with_the_person(
    opencx_default: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    class Overtaken(NoLedger):
        """A ledger in which another task records its intent first."""

        def begin(self, slot: str, entry: Entry, *, after: Entry | None) -> Entry:
            return Entry(entry.to, "2026-03-02T17:00:00.000+00:00", "try 1 of another")

    agent_id = str(opencx_default.add_agent("Caller", type="outbound")["id"])
    client = OpenCXHook().get_conn()
    sender = CallSender(client, lambda: agent_id, lambda *_: {})
    made = CallBatch(client, Overtaken(), slots_by_name, CallPolicy(Guards()), sender).call([Callee(ADA)])
    assert f"{ADA} is being called, or may have been, by try 1 of another" in caplog.text
    assert str(made.error).count(ADA) == 1
    assert not opencx_default.dialed()


def test_connection_that_does_not_allow_calls_counts_people_in_words(
    opencx_default: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    opencx_default.add_agent("Caller", type="outbound")
    monkeypatch.setattr(OpenCXHook, "_calls_allowed", lambda self: False)
    with pytest.raises(OpenCXCallsNotAllowedError, match=r"for 1 person over connection"):
        task(phone_number=ADA).execute({})
    with pytest.raises(OpenCXCallsNotAllowedError, match=r"for 2 people over connection"):
        task(contacts=[ADA, "+14155550102"]).execute({})
