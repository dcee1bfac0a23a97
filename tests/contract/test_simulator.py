"""Tests the simulator as a server: in a test, and on the command line."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import Simulator, SlowResponse
from airflow_provider_opencx.simulator.resources.phone_agents.store import Store


def test_server_starts_and_stops_at_once() -> None:
    simulator = Simulator()
    with simulator, httpx.Client(base_url=simulator.url) as kept_alive:
        assert kept_alive.get("/phone").status_code == 401
        simulator.fail("listPhoneAgents", SlowResponse(60))
        with suppress(httpx.ReadTimeout):
            kept_alive.get("/phone", timeout=0.05)
        began = time.monotonic()
        simulator.stop()
        assert time.monotonic() - began < 4
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{simulator.url}/phone")


def test_server_reports_its_bugs(caplog: pytest.LogCaptureFixture) -> None:
    simulator = Simulator()
    simulator.state(Store).create("org_000001", {"name": "x", "model": "oppie-vox-99"})

    def read_the_list() -> None:
        with simulator:
            response = httpx.get(f"{simulator.url}/phone", headers={"Authorization": "Bearer test-key"})
            assert response.status_code == 500

    with pytest.raises(AssertionError, match="oppie-vox-99"):
        read_the_list()
    assert "listPhoneAgents" in caplog.text


def test_server_restarts_with_its_port_and_agents() -> None:
    simulator = Simulator()
    with simulator:
        simulator.add_agent("Still there")
        before = simulator.url
    with simulator:
        response = httpx.get(f"{simulator.url}/phone", headers={"Authorization": "Bearer test-key"})
    assert simulator.url == before
    assert [agent["name"] for agent in response.json()] == ["Still there"]


@pytest.mark.parametrize(
    "settings",
    [
        {"api_keys": ()},
        {"api_keys": "test-key"},
        {"generation": "2023"},
        {"provision_after": "soon"},
        {"page_size": 0},
        {"requests_per_minute": 0},
    ],
)
def test_server_rejects_invalid_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own message
        Simulator(**settings)


def test_fixture_opencx_simulator(opencx_simulator: Simulator) -> None:
    response = httpx.post(
        f"{opencx_simulator.url}/phone", headers={"Authorization": "Bearer test-key"}, json={"name": "Support"}
    )
    assert response.json()["phone_number"]


def test_fixture_plugin_imports_nothing() -> None:
    code = (
        "import sys, airflow_provider_opencx.simulator.pytest_plugin as _\n"
        "print(sorted({'fastapi', 'uvicorn', 'jsonschema', 'yaml', 'airflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


COMMAND = (sys.executable, "-m", "airflow_provider_opencx.simulator")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_command_prints_its_address_and_stops(ending: signal.Signals) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--api-key", "one", "--api-key", "two", "--generation", "2024", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"generation 2024.* (http://127\.0\.0\.1:[0-9]+) .*not the real service$", line)
        assert found, line
        for key in ("one", "two"):
            response = httpx.get(f"{found[1]}/phone", headers={"Authorization": f"Bearer {key}"})
            assert response.json() == {"items": [], "next": None}
        process.send_signal(ending)
        rest, problems = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, rest, problems) == (0, "", "")


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_command_prints_line_for_each_request(quiet: list[str]) -> None:
    with subprocess.Popen(
        [*COMMAND, "--port", "0", "--api-key", "s3cret", *quiet], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:[0-9]+", process.stdout.readline())
        assert found
        with httpx.Client(base_url=found[0], headers={"Authorization": "Bearer s3cret"}) as client:
            client.get("/phone", params={"limit": 100, "key": "s3cret"})
            client.post("/phone", json={"name": "Support"})
            client.get("/nowhere%0A")
            client.post("/_simulator/faults", json={"operation": "listPhoneAgents", "fault": {"type": "LoseResponse"}})
            with pytest.raises(httpx.RemoteProtocolError):
                client.get("/phone")
        process.terminate()
        printed = process.stdout.read()
    assert re.sub(r"[0-9]+ ms", "N ms", printed).splitlines() == (
        []
        if quiet
        else [
            "GET /phone?limit=100&key=*** 200 N ms",
            "POST /phone 200 N ms",
            "GET /nowhere%0A 404 N ms",
            "POST /_simulator/faults 201 N ms",
            "GET /phone dropped N ms",
        ]
    )


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ([], 100),
        (["--requests-per-minute", "7"], 7),
        (["--requests-per-minute", "0"], None),
        (["--requests-per-minute", "none", "--allow-remote-admin"], None),
    ],
)
def test_command_rate_limit(arguments: list[str], limit: int | None) -> None:
    command = [*COMMAND, "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:[0-9]+", process.stdout.readline())
        assert found
        headers = {"Host": "simulator.test"} if "--allow-remote-admin" in arguments else {}
        response = httpx.get(f"{found[0]}/_simulator/settings", headers=headers)
    finally:
        process.kill()
        process.wait()
    assert response.json()["requests_per_minute"] == limit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "--allow-remote"),
        (["--provision-after", "soon"], "write now, 5s"),
        (["--generation", "2023"], "2026"),
        (["--requests-per-minute", "-1"], "requests_per_minute"),
        (["--requests-per-minute", "few"], "not a number of requests"),
    ],
)
def test_command_rejects_invalid_options(arguments: list[str], message: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_command_port_is_taken() -> None:
    with Simulator() as simulator:
        port = simulator.url.rsplit(":", 1)[1]
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "jsonschema", "yaml"])
def test_command_names_the_missing_requirement(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import runpy; runpy.run_module('airflow_provider_opencx.simulator', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "pip install 'airflow-provider-opencx[simulator]'" in done.stderr
    assert "Traceback" not in done.stderr
