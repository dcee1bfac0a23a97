"""Tests that a command finds its connection in the environment or in Airflow, and shows the key nowhere."""

from __future__ import annotations

import json
from base64 import b64encode
from urllib.parse import quote

import pytest

from airflow_provider_opencx.__main__ import main
from airflow_provider_opencx.simulator import ErrorResponse, Simulator

KEY = "ocx/live+s3cret-of-the/command line".replace(" ", "=")


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.delenv("OPENCX_API_KEY", raising=False)
    monkeypatch.delenv("OPENCX_API_URL", raising=False)
    with Simulator(api_keys=(KEY,), requests_per_minute=None) as simulator:
        yield simulator


def connection(simulator: Simulator, **fields: object) -> str:
    return json.dumps({"conn_type": "opencx", "host": simulator.url, "password": KEY, **fields})


def test_key_in_the_environment_is_used_alone(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENCX_API_KEY", KEY)
    monkeypatch.setenv("OPENCX_API_URL", simulator.url)
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", "opencx://:other@127.0.0.1%3A1")
    assert main(["voices"]) == 0
    shown = capsys.readouterr()
    assert shown.err == f"Using the key in OPENCX_API_KEY, at {simulator.url}.\n"
    assert "voice_aria" in shown.out


@pytest.mark.parametrize(("typed", "conn_id"), [([], "opencx_default"), (["--conn-id", "mine"], "mine")])
def test_connection_of_airflow_is_used(
    typed: list[str],
    conn_id: str,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if typed:  # a named connection goes over a key in the environment
        monkeypatch.setenv("OPENCX_API_KEY", "another-key")
        monkeypatch.setenv("OPENCX_API_URL", "http://127.0.0.1:1")
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection(simulator))
    assert main(["voices", *typed]) == 0
    shown = capsys.readouterr()
    assert f"Using connection '{conn_id}', at {simulator.url}.\n" in shown.err
    assert "voice_aria" in shown.out


def test_connection_is_read_from_the_database_of_airflow(
    airflow_database: None, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Connection("stored", "opencx", host=simulator.url, password=KEY))
    try:
        assert main(["voices", "--conn-id", "stored"]) == 0
    finally:
        with create_session() as session:
            session.delete(session.query(Connection).filter_by(conn_id="stored").one())
    assert "Using connection 'stored'" in capsys.readouterr().err


@pytest.mark.parametrize("key", [None, "", "  "], ids=repr)
def test_missing_connection_is_an_error_that_names_all_ways(
    key: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], simulator: Simulator
) -> None:
    if key is not None:
        monkeypatch.setenv("OPENCX_API_KEY", key)
    assert main(["agents"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    for way in (
        "Error: Connection 'opencx_default' is not defined",
        "AIRFLOW_CONN_OPENCX_DEFAULT",
        "secrets backend",
        "airflow connections add opencx_default",
        "OPENCX_API_KEY" + ("" if key is None else " (which is set, and empty)"),
    ):
        assert way in shown.err


def test_unreadable_variable_is_named(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MINE", connection(simulator)[:-1])
    assert main(["agents", "--conn-id", "mine"]) == 1
    assert "AIRFLOW_CONN_MINE (which is set, but is not a connection as JSON or as a URI)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"OPENCX_API_URL": "http://example.com"}, "OPENCX_API_URL: the Base URL (host) is plain http to example.com"),
        ({"OPENCX_API_URL": "ftp://example.com"}, "OPENCX_API_URL: the Base URL (host) must be an http or https URL"),
        ({"OPENCX_API_URL": f"https://:{KEY}@example.com"}, "OPENCX_API_URL: "),
        ({"OPENCX_API_KEY": f"{KEY} {KEY}"}, "OPENCX_API_KEY: the API key (password) holds characters"),
    ],
    ids=["plain http", "another scheme", "key in it", "blank in the key"],
)
def test_wrong_variable_is_named(
    variables: dict[str, str],
    says: str,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {"OPENCX_API_KEY": KEY, "OPENCX_API_URL": simulator.url, **variables}.items():
        monkeypatch.setenv(name, value)
    assert main(["agents"]) == 1
    shown = capsys.readouterr()
    assert f"Error: {says}" in shown.err
    assert simulator.requests == []
    assert_no_key(shown.out + shown.err)


WRONG_CONNECTIONS: dict[str, dict[str, object]] = {
    "a rejected key": {"password": f"{KEY}-rejected"},
    "an extra that is no JSON": {"extra": f'{{"timeout": {KEY}'},
    "a key in an extra": {"extra": json.dumps({"timeout": KEY})},
    "a key that names an extra": {"extra": json.dumps({f"verify{KEY}": 1})},
    "a key in the host": {"host": f"https://{KEY}", "extra": json.dumps({"max_retries": 0})},
    "a key as the type": {"conn_type": KEY},
    "a key in two lines": {"password": f"{KEY}\n{KEY}"},
    "nobody there": {"host": "http://127.0.0.1:1", "extra": json.dumps({"max_retries": 0})},
    "a key in the path": {"host": f"http://127.0.0.1:1/{KEY}", "extra": json.dumps({"max_retries": 0})},
}


@pytest.mark.parametrize("debug", [[], ["--debug"]], ids=["", "debug"])
@pytest.mark.parametrize("fields", WRONG_CONNECTIONS.values(), ids=WRONG_CONNECTIONS.keys())
def test_key_is_in_no_output(
    fields: dict[str, object],
    debug: list[str],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MINE", connection(simulator, **fields))
    assert main(["agents", "--conn-id", "mine", *debug]) == 1
    shown = capfd.readouterr()
    assert shown.out == ""
    assert ("Traceback" in shown.err) == bool(debug)
    assert ("Error" in shown.err) is True
    assert_no_key(shown.err)


def test_debug_shows_requests_without_headers_and_bodies(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator.fail("listPhoneAgents", ErrorResponse(500))
    monkeypatch.setattr("httpx_retries.Retry.backoff_strategy", lambda self: 0.01)
    monkeypatch.setenv("OPENCX_API_KEY", KEY)
    monkeypatch.setenv("OPENCX_API_URL", simulator.url)
    assert main(["agents", "--debug"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Debug: GET /phone ")]
    assert ["500 after" in line or "200 after" in line for line in lines] == [True, True]
    assert all(line.endswith(" ms.") for line in lines)
    assert_no_key("\n".join(lines))


def assert_no_key(shown: str) -> None:
    for spelling in (KEY, quote(KEY), quote(KEY, safe=""), json.dumps(KEY)[1:-1], b64encode(KEY.encode()).decode()):
        assert spelling not in shown
