"""Tests the connection form that a running Airflow serves."""

from __future__ import annotations

from airflow_standalone import AirflowStandalone
from ui import connection_to

from airflow_provider_opencx.simulator import Simulator

from .conftest import API_KEY


def test_form_from_running_airflow_has_all_fields(airflow: AirflowStandalone) -> None:
    [form] = [kind for kind in airflow.call("GET", "/ui/connections/hook_meta") if kind["connection_type"] == "opencx"]
    assert form["hook_name"] == "OpenCX"
    standard = form["standard_fields"]
    assert standard["password"]["title"] == "API key"
    assert standard["host"]["title"] == "Base URL"
    assert standard["host"]["placeholder"] == "https://api.open.cx"
    assert {name for name, field in standard.items() if field and field.get("hidden")} == {
        "url_schema",
        "login",
        "port",
    }
    extras = {name: (field["schema"]["title"], field["value"]) for name, field in form["extra_fields"].items()}
    assert extras == {
        "timeout": ("Timeout (seconds)", 30),
        "max_retries": ("Retries of a request", 4),
        "requests_per_minute": ("Requests a minute", 90),
        "coordination": ("Coordination", "machine"),
        "allow_calls": ("Allow calls", False),
        "call_body_style": ("Keys of a call's body", "camel"),
        "dashboard_url": ("Dashboard", ""),
        "allow_insecure_http": ("Allow plain http", False),
    }
    assert all(field["description"] for field in form["extra_fields"].values())
    log = airflow.log_file.read_text()
    assert not [line for line in log.splitlines() if "opencx" in line.lower() and "deprecat" in line.lower()]


def test_form_test_button_names_error(airflow: AirflowStandalone) -> None:
    tested = airflow.call(
        "POST",
        "/connections/test",
        {"connection_id": "new", "conn_type": "opencx", "host": "http://api.example.com", "password": "some-key"},
    )
    assert tested["status"] is False
    assert "plain http to api.example.com" in tested["message"]
    assert "some-key" not in tested["message"]


def test_connection_of_make_ui_is_in_the_list_and_passes_its_test(
    airflow: AirflowStandalone, simulator: Simulator
) -> None:
    made = {**connection_to(simulator.url), "connection_id": "of_make_ui", "password": API_KEY}
    airflow.call("POST", "/connections", made)
    listed = {each["connection_id"]: each for each in airflow.call("GET", "/connections")["connections"]}["of_make_ui"]
    # The list's Test button sends the row as it is, with port 0 where there is none.
    sent = {name: "" if value is None else value for name, value in listed.items() if name != "team_name"}
    tested = airflow.call("POST", "/connections/test", {**sent, "port": listed["port"] or 0})
    assert tested["status"] is True, tested["message"]
