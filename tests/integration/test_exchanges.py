"""Tests that one exchange has one deadline, whatever arrives, and that a dropped idle connection costs no poll."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from airflow.sdk import DAG

from airflow_provider_opencx.client import exchange, transport
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.exceptions import OpenCXResponseError, OpenCXUnreachableError
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec, create_phone_agent, list_phone_agents
from airflow_provider_opencx.sensors import waiting
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.simulator.faults.connections import (
    CloseBeforeHandling,
    ForgetIdleConnections,
    SlowBody,
    SlowResponse,
)
from airflow_provider_opencx.simulator.faults.dribbles import (
    DribblingFault,
    EndlessGzipHeader,
    EndlessInformation,
    SlowChunks,
    SlowHeaders,
)
from airflow_provider_opencx.simulator.faults.fault import Fault, TimedFault

SPEC = PhoneAgentSpec(name="a")
FAR = 600.0
"""Seconds that no test waits for."""

FORK = """
import os, sys
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.resources.phone_agents import list_phone_agents

client = OpenCXClient(ClientSettings(sys.argv[1], "test-key", max_retries=0, coordination="process"))
list_phone_agents(client)
if child := os.fork():
    sys.exit(os.waitpid(child, 0)[1])
list_phone_agents(client)
"""

DRIBBLES = [
    SlowHeaders(FAR),
    SlowChunks(FAR, part="size"),
    SlowChunks(FAR, part="extension"),
    SlowChunks(FAR, part="trailer"),
    EndlessInformation(FAR, status=103),
    EndlessInformation(FAR, status=100, between=0),
    EndlessGzipHeader(FAR),
    SlowBody(FAR),
]


def client_of(simulator: Simulator, *, timeout: float = 60, max_retries: int = 0) -> OpenCXClient:
    """Return a client whose timeout of a single read no test waits for."""
    settings = ClientSettings(
        simulator.url, "test-key", timeout, max_retries, requests_per_minute=100_000, coordination="process"
    )
    return OpenCXClient(settings)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the deadline of an exchange pass soon: after 1 s where a single read may take 60 s."""
    monkeypatch.setattr(transport, "DEADLINE_FACTOR", 1 / 60)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("fault", DRIBBLES, ids=repr)
def test_exchange_ends_at_its_deadline_whatever_arrives(fault: TimedFault, opencx_simulator: Simulator) -> None:
    opencx_simulator.add_agent("there")
    opencx_simulator.fail("listPhoneAgents", fault)
    opencx_simulator.fail("createPhoneAgent", fault)
    with client_of(opencx_simulator) as client:
        began = time.monotonic()
        with pytest.raises(OpenCXUnreachableError, match=r"exchange was not complete after 1 s") as read:
            list_phone_agents(client)
        with pytest.raises(OpenCXUnreachableError, match=r"exchange was not complete after 1 s") as created:
            create_phone_agent(client, SPEC)
        assert time.monotonic() - began < FAR / 10
    assert read.value.request_sent
    assert created.value.request_sent
    assert [record.method for record in opencx_simulator.requests] == ["GET", "POST"]


def test_search_for_the_address_ends_at_the_deadline(
    opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *arguments, **options: found.wait(FAR) or [])
    monkeypatch.setattr(transport, "DEADLINE_FACTOR", 0.005)
    with (
        client_of(opencx_simulator) as client,
        pytest.raises(OpenCXUnreachableError, match=r"exchange was not complete after 0\.3 s") as error,
    ):
        list_phone_agents(client)
    found.set()
    assert not error.value.request_sent


@pytest.mark.parametrize(
    "fault",
    [
        SlowHeaders(0.2),
        SlowChunks(0.2, part="extension"),
        EndlessInformation(0.2),
        EndlessGzipHeader(0.2),
        SlowBody(0.2),
    ],
    ids=repr,
)
def test_response_that_is_slow_and_in_time_is_read(fault: Fault, opencx_simulator: Simulator) -> None:
    opencx_simulator.add_agent("there")
    opencx_simulator.fail("listPhoneAgents", fault)
    with client_of(opencx_simulator) as client:
        assert [agent.name for agent in list_phone_agents(client)] == ["there"]


@pytest.mark.parametrize("fault", [EndlessGzipHeader(FAR, block=65536, between=0), EndlessInformation(FAR, between=0)])
def test_bytes_that_say_nothing_are_limited(
    fault: DribblingFault, opencx_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "MAX_RECEIVED_BYTES", 2 << 20)
    opencx_simulator.fail("listPhoneAgents", fault)
    with client_of(opencx_simulator) as client, pytest.raises(OpenCXResponseError, match="over 2 MiB as it arrives"):
        list_phone_agents(client)


@pytest.mark.parametrize("fault", [SlowHeaders(FAR), SlowResponse(FAR)], ids=repr)
def test_timeout_of_a_sensor_holds_while_it_pokes(
    fault: Fault, dag: DAG, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_LEAST_SECONDS_OF_A_POLL", 0.1)
    simulator.fail("listPhoneAgents", fault, times=None)
    with dag:
        sensor = OpenCXPhoneNumberSensor(task_id="wait", agent_name="a", timeout=1, poke_interval=FAR)
    began = time.monotonic()
    with pytest.raises(AirflowSensorTimeout, match="No number yet for phone agent"):
        sensor.execute({})
    assert time.monotonic() - began < FAR / 10


class TestKeptConnection:
    @pytest.mark.parametrize("mode", ["silent", "reset", "close"])
    def test_read_is_sent_again_on_a_new_one_where_it_was_forgotten(
        self, mode: str, opencx_simulator: Simulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        opencx_simulator.add_agent("there")
        opencx_simulator.fail("listPhoneAgents", ForgetIdleConnections(mode=mode), times=None)  # type: ignore[arg-type]
        with client_of(opencx_simulator, timeout=1) as client, caplog.at_level("INFO"):
            for _ in range(3):
                assert [agent.name for agent in list_phone_agents(client)] == ["there"]
        assert caplog.text.count("on a kept connection. Sent again on a new one.") == 2

    def test_failure_on_a_new_one_is_an_error(self, opencx_simulator: Simulator) -> None:
        with client_of(opencx_simulator, timeout=1) as client:
            list_phone_agents(client)
            opencx_simulator.fail("listPhoneAgents", SlowResponse(FAR), times=2)
            with pytest.raises(OpenCXUnreachableError):
                list_phone_agents(client)
        assert opencx_simulator.count("listPhoneAgents") == 3

    def test_create_uses_none(self, opencx_simulator: Simulator) -> None:
        opencx_simulator.fail("createPhoneAgent", ForgetIdleConnections(mode="close"), times=None)
        with client_of(opencx_simulator, timeout=1) as client:
            list_phone_agents(client)
            create_phone_agent(client, SPEC)
        assert len(opencx_simulator.agents()) == 1

    def test_create_uses_none_among_other_threads(self, opencx_simulator: Simulator) -> None:
        """A connection that another thread has used since the create began is no new one either."""
        opencx_simulator.fail("createPhoneAgent", ForgetIdleConnections(mode="close"), times=None)

        def list_and_create(number: int) -> None:
            list_phone_agents(client)
            create_phone_agent(client, PhoneAgentSpec(name=f"agent {number}"))

        with client_of(opencx_simulator) as client, ThreadPoolExecutor(16) as threads:
            list(threads.map(list_and_create, range(150)))
        assert len(opencx_simulator.agents()) == 150
        assert opencx_simulator.count("createPhoneAgent") == 150

    def test_create_that_fails_is_never_sent_again(self, opencx_simulator: Simulator) -> None:
        opencx_simulator.fail("createPhoneAgent", CloseBeforeHandling())
        with client_of(opencx_simulator, timeout=1) as client:
            list_phone_agents(client)
            with pytest.raises(OpenCXUnreachableError) as error:
                create_phone_agent(client, SPEC)
        assert error.value.request_sent
        assert opencx_simulator.agents() == []

    def test_it_is_used_again(self, opencx_simulator: Simulator) -> None:
        with client_of(opencx_simulator) as client:
            list_phone_agents(client)
            opencx_simulator.fail("listPhoneAgents", ForgetIdleConnections(mode="close"))
            list_phone_agents(client)
        assert opencx_simulator.faults_met().total() == 1

    def test_it_is_not_used_in_a_fork(self, opencx_simulator: Simulator) -> None:
        opencx_simulator.fail("listPhoneAgents", ForgetIdleConnections(mode="close"), times=None)
        command = [sys.executable, "-W", "ignore", "-c", FORK, opencx_simulator.url]
        assert subprocess.run(command, check=False, timeout=120).returncode == 0
        assert opencx_simulator.count("listPhoneAgents") == 2
