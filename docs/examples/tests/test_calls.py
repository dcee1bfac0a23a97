"""A task that calls people, against a simulated OpenCX: who is called, and who is not."""

import pytest

from airflow_provider_opencx.exceptions import OpenCXUnknownCallOutcomeError
from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.simulator import LoseResponse, Simulator


def call_task() -> OpenCXPlaceCallOperator:
    return OpenCXPlaceCallOperator(
        task_id="call",
        agent_name="Appointment reminder",
        contacts=["+14155550101", "+14155550102"],
        do_not_call=["+1 (415) 555-0102"],
        calling_hours="00:00-24:00",  # whenever the test runs
    )


def test_calls_whom_it_may(opencx_default: Simulator) -> None:
    opencx_default.add_agent("Appointment reminder", type="outbound")
    results = call_task().execute({})
    assert [result["status"] for result in results] == ["called", "do_not_call"]
    assert [dialed.phone_number for dialed in opencx_default.dialed()] == ["+14155550101"]


def test_says_who_may_have_been_called(opencx_default: Simulator) -> None:
    opencx_default.add_agent("Appointment reminder", type="outbound")
    opencx_default.fail("makeOutboundCall", LoseResponse())
    with pytest.raises(OpenCXUnknownCallOutcomeError) as error:
        call_task().execute({})
    assert error.value.contacts == ["+14155550101"]
