"""One task alone, against a simulated OpenCX: it needs no Dag, no database and no running Airflow."""

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.simulator import LoseResponse, Simulator


def test_makes_no_second_agent_when_the_response_is_lost(opencx_default: Simulator) -> None:
    opencx_default.fail("createPhoneAgent", LoseResponse())
    task = OpenCXUpsertPhoneAgentOperator(task_id="agent", name="Appointment reminder")
    agent = task.execute({})
    assert opencx_default.agents() == [agent]
    assert opencx_default.faults_met() == {"LoseResponse": 1}
