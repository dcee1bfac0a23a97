"""Tests the command ``doctor`` against the simulator, and against servers that are not OpenCX."""

from __future__ import annotations

import json
import re
import shlex
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from page_examples import examples_folder

from airflow_provider_opencx.__main__ import main
from airflow_provider_opencx.simulator import ErrorResponse, ProxyPage, Respond, Simulator, TooManyRequests
from airflow_provider_opencx.simulator.contract import GENERATIONS

KEY = "s3cret-key-of-the-doctor"
EXAMPLES = examples_folder()

Doctor = Callable[..., tuple[int, Any]]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs the command for a base URL and a key; returns its exit code, and its report as JSON."""

    def doctor(url: str, key: str = KEY, *arguments: str) -> tuple[int, Any]:
        monkeypatch.setenv("OPENCX_API_KEY", key)
        monkeypatch.setenv("OPENCX_API_URL", url)
        code = main(["doctor", "-o", "json", *arguments])
        return code, json.loads(capsys.readouterr().out)

    return doctor


def statuses(report: Any) -> dict[str, str]:
    return {check["name"]: check["status"] for check in report["checks"]}


def summary(report: Any, name: str) -> str:
    return next(str(check["summary"]) for check in report["checks"] if check["name"] == name)


def seeded(**settings: Any) -> Simulator:
    """A simulator whose agents have something to say."""
    simulator = Simulator((KEY, "few-scopes", "nobody"), requests_per_minute=None, **settings)
    simulator.add_agent("Spring offer", first_message="Hello Jane", handoff_phone_number="+14155550100")
    simulator.add_agent("Spring offer")
    simulator.add_agent("Waiting", phone_number=None)
    return simulator


@pytest.mark.parametrize("generation", GENERATIONS)
def test_doctor_names_the_generation(generation: str, doctor: Doctor) -> None:
    with seeded(generation=generation, page_size=2) as simulator:
        code, report = doctor(simulator.url)
        assert code == 0
        assert summary(report, "generation") == f"The responses are those of {generation}."
        assert statuses(report) == {
            "connection": "ok",
            "key": "ok",
            "clock": "ok",
            "rate-limit": "unknown",
            "operations": "ok",
            "generation": "ok",
            "agent-fields": "ok",
            "voice-fields": "ok",
            "agents": "warning",
        }
        assert "3 agents; there are duplicate names" in summary(report, "agents")
        assert {record.method for record in simulator.requests} == {"GET"}
        assert len(simulator.requests) == 18 + (generation != "2026")
    assert not re.search("Spring|Waiting|Jane|4155550|pa_0|voice_aria|org_0", json.dumps(report))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_doctor_reports_on_empty_organization(generation: str, doctor: Doctor) -> None:
    with Simulator((KEY,), generation=generation) as simulator:
        code, report = doctor(simulator.url)
    assert code == 0
    assert (statuses(report)["generation"], statuses(report)["agent-fields"]) == ("unknown", "unknown")
    assert "create one in the dashboard" in summary(report, "agents")


def test_doctor_reports_on_10_000_agents(doctor: Doctor) -> None:
    with Simulator((KEY,)) as simulator:
        for number in range(10_000):
            simulator.add_agent(f"agent {number}")
        code, report = doctor(simulator.url)
    assert code == 0
    assert summary(report, "agents") == "10,000 agents."


def test_doctor_ends_in_time_where_pages_do_not(doctor: Doctor) -> None:
    with Simulator((KEY,), generation="2024", page_size=1, requests_per_minute=None) as simulator:
        for number in range(120):
            simulator.add_agent(f"agent {number}")
        began = time.monotonic()
        code, report = doctor(simulator.url, KEY, "--time-limit", "5")
        assert time.monotonic() - began < 20
    assert code == 0
    assert re.search(r"\d+ agents; only the first \d+ were read: the time was over", summary(report, "agents"))


def test_doctor_says_which_scope_a_key_lacks(doctor: Doctor) -> None:
    with seeded(scopes={"few-scopes": ["phone:write"], "nobody": []}) as simulator:
        for key in ("few-scopes", "nobody"):
            code, report = doctor(simulator.url, key)
            assert code == 1
            assert statuses(report)["connection"] == "ok"
            assert statuses(report)["key"] == "problem"
            assert "lacks the scope phone:read (403)" in summary(report, "key")
            assert len(simulator.requests) == 18  # each once: a refusal is not asked for again
            simulator.forget_requests()


def test_doctor_says_that_a_key_is_rejected(doctor: Doctor) -> None:
    with seeded() as simulator:
        code, report = doctor(simulator.url, "another-key-altogether")
    assert code == 1
    assert "The key is rejected (401)" in summary(report, "key")


@pytest.mark.parametrize(
    ("fault", "name", "status", "said"),
    [
        (ProxyPage(200), "operations", "warning", "1 responded in another way"),
        (ErrorResponse(500, "no"), "agents", "unknown", "status 500"),
        (ErrorResponse(404, "Route GET:/phone not found"), "operations", "problem", "has no GET /phone"),
        (TooManyRequests(30), "rate-limit", "warning", "asked to wait (429) at request 1"),
        (Respond(200, [{"id": 5}], {}), "agents", "problem", "some cannot be read"),
    ],
)
def test_problem_of_one_operation_leaves_the_rest(
    fault: Any, name: str, status: str, said: str, doctor: Doctor
) -> None:
    with seeded() as simulator:
        simulator.fail("listPhoneAgents", fault, times=None)
        _, report = doctor(simulator.url)
    assert (statuses(report)[name], said in summary(report, name)) == (status, True), summary(report, name)
    assert len(report["checks"]) == 9
    assert len(report["open_points"]) == 8


def test_doctor_reports_on_closed_port(doctor: Doctor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    code, report = doctor(url)
    assert code == 1
    assert "Connection refused" in summary(report, "connection")


def test_doctor_follows_no_redirect(doctor: Doctor) -> None:
    with seeded() as elsewhere, seeded() as simulator:
        moved = Respond(302, "", {"Location": f"{elsewhere.url}/phone"})
        for operation in ("listPhoneAgents", "listPhoneVoices"):
            simulator.fail(operation, moved, times=None)
        _, report = doctor(simulator.url)
        assert elsewhere.requests == []
    assert {request["says"] for request in report["requests"][:2]} == {"302 redirect"}


def test_doctor_writes_yaml(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with seeded() as simulator:
        monkeypatch.setenv("OPENCX_API_KEY", KEY)
        monkeypatch.setenv("OPENCX_API_URL", simulator.url)
        assert main(["doctor", "-o", "yaml"]) == 0
    assert statuses(yaml.safe_load(capsys.readouterr().out))["connection"] == "ok"


@pytest.mark.parametrize("wrong", ["0", "soon", "nan", "1e9"])
def test_doctor_refuses_time_limit_that_is_none(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--time-limit", wrong])
    assert ended.value.code == 1
    assert "is not a number of seconds from 1 to 3600" in capsys.readouterr().err


def test_report_in_the_documentation_is_what_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [line] = (EXAMPLES / "console" / "doctor.sh").read_text().splitlines()
    program, option, module, *arguments = shlex.split(line)
    assert (program, option, module) == ("python", "-m", "airflow_provider_opencx")
    with seeded() as simulator:
        simulator.provision_after = "now"
        monkeypatch.setenv("OPENCX_API_KEY", KEY)
        monkeypatch.setenv("OPENCX_API_URL", simulator.url)
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        assert main() == 0
    printed = capsys.readouterr().out
    assert same(printed) == same((EXAMPLES / "doctor" / "report.txt").read_text())


def same(report: str) -> list[str]:
    """Return the lines of a report without what differs from run to run."""
    lines = [re.sub(r" +", " ", line) for line in report.splitlines()]
    for changing in (
        r"\d{4}-\d\d-\d\d .*",
        r"^python .*",
        r"http://[\d.:]+",
        r"[\d,]+ ms",
        r"latency: .*",
        r"[\d,]+ (s|minutes|hours|days)$",
        r"ahead: -?\d$",
    ):
        lines = [re.sub(changing, "~", line) for line in lines]
    return lines
