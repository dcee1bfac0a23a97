"""Tests that a compressed body is read within the limit of any body, and only in a requested coding."""

from __future__ import annotations

import tracemalloc

import pytest

from airflow_provider_opencx.client import body
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.exceptions import OpenCXResponseError
from airflow_provider_opencx.resources.phone_agents import list_phone_agents
from airflow_provider_opencx.simulator import Simulator
from airflow_provider_opencx.simulator.faults.encodings import CompressedResponse, DecompressionBomb
from airflow_provider_opencx.simulator.faults.fault import Fault

READ: list[Fault] = [
    CompressedResponse("gzip"),
    CompressedResponse("gzip", header="x-gzip"),
    CompressedResponse("gzip", header="identity, GZIP"),
    CompressedResponse(times=0, header="identity"),
    DecompressionBomb(megabytes=8, layers=1),
]
REFUSED: list[tuple[Fault, str]] = [
    (CompressedResponse("gzip", times=3), "in another way than gzip"),
    (CompressedResponse("deflate"), "in another way than gzip"),
    (CompressedResponse("gzip", header="br"), "in another way than gzip"),
    (CompressedResponse("gzip", header="zstd"), "in another way than gzip"),
    (CompressedResponse("deflate", header="gzip"), "cannot be decompressed: it is not gzip"),
    (CompressedResponse(times=0, header="gzip"), "cannot be decompressed: it is not gzip"),
    (DecompressionBomb(megabytes=3000), "in another way than gzip"),
    (DecompressionBomb(megabytes=1000, layers=1), "over 32 MiB"),
    (DecompressionBomb(megabytes=32, layers=1), "over 32 MiB"),
]


@pytest.fixture
def client(opencx_simulator: Simulator) -> OpenCXClient:
    opencx_simulator.add_agent("there")
    settings = ClientSettings(opencx_simulator.url, "test-key", 20, 0, 100_000, coordination="process")
    return OpenCXClient(settings)


@pytest.mark.parametrize("fault", READ, ids=repr)
def test_gzip_is_read(fault: Fault, client: OpenCXClient, opencx_simulator: Simulator) -> None:
    opencx_simulator.fail("listPhoneAgents", fault)
    assert [agent.name for agent in list_phone_agents(client)] == ["there"]
    assert opencx_simulator.requests[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(("fault", "reason"), REFUSED, ids=repr)
def test_anything_else_is_refused_before_it_is_large(
    fault: Fault, reason: str, client: OpenCXClient, opencx_simulator: Simulator
) -> None:
    list_phone_agents(client)
    opencx_simulator.fail("listPhoneAgents", fault)
    tracemalloc.start()
    try:
        with pytest.raises(OpenCXResponseError, match=reason):
            list_phone_agents(client)
        assert tracemalloc.get_traced_memory()[1] < 4 * body.MAX_BODY_BYTES
    finally:
        tracemalloc.stop()
    assert [agent.name for agent in list_phone_agents(client)] == ["there"]
