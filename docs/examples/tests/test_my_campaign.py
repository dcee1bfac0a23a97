"""The campaign against a simulated OpenCX: as it should be, and when things go wrong."""

from __future__ import annotations

import pytest

from airflow_provider_opencx.simulator import LoseResponse, Simulator


@pytest.fixture
def run(monkeypatch):
    """Run the campaign once, in this process, and return the Dag run."""
    from my_campaign import dag, number

    # dag.test() waits as long as the Dag says. A test polls more often, and in place: without a trigger.
    monkeypatch.setattr(number, "poke_interval", 0.1)
    monkeypatch.setattr(number, "deferrable", False)
    return dag.test


def states(dag_run) -> dict[str, str]:
    return {instance.task_id: str(instance.state) for instance in dag_run.get_task_instances()}


def test_makes_one_agent_as_declared(run, opencx_default: Simulator) -> None:
    assert run().state == "success"
    [agent] = opencx_default.agents()
    assert agent["language"] == ["en", "es"]
    assert agent["type"] == "outbound"
    assert agent["phone_number"]


def test_writes_nothing_where_nothing_has_changed(run, opencx_default: Simulator) -> None:
    assert run().state == run().state == "success"
    assert [request.method for request in opencx_default.writes] == ["POST"]


def test_makes_no_second_agent_when_the_response_is_lost(run, opencx_default: Simulator) -> None:
    opencx_default.fail("createPhoneAgent", LoseResponse())
    assert run().state == "success"
    assert len(opencx_default.agents()) == 1
    assert opencx_default.faults_met() == {"LoseResponse": 1}


def test_waits_for_a_number_that_comes_late(run, opencx_default: Simulator) -> None:
    opencx_default.provision_after = "2reads"
    dag_run = run()
    assert states(dag_run) == {
        "agent": "success",
        "number": "success",
        "announce": "success",
    }
    assert opencx_default.agents()[0]["phone_number"]
