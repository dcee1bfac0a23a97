"""Tests the form of an OpenCX connection, which a person fills in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from airflow_standalone import AirflowStandalone
from playwright.sync_api import expect

from airflow_provider_opencx.connection.form import EXTRA_FIELDS
from airflow_provider_opencx.simulator import Simulator

from .conftest import API_KEY, REVOKED_KEY
from .pages import AirflowPages

HELP = {field.label: field.description for field in EXTRA_FIELDS}


def test_form_shows_fields_defaults_and_help(pages: AirflowPages) -> None:
    form = pages.add_connection("opencx_default")
    expect(form.base_url).to_have_attribute("placeholder", "https://api.open.cx")
    expect(form.key).to_have_attribute("placeholder", re.compile("^from the OpenCX dashboard"))
    assert form.labels() == ["Connection ID", "Connection Type", "Description", "Base URL", "API key"]
    form.key.fill(API_KEY)
    expect(form.key).to_have_attribute("type", "password")
    pages.take_picture("connection-form", height=800)

    form.section("Extra Fields")
    expect(form.base_url).to_be_hidden()  # the other section closes slowly
    for label, default in {
        "Timeout (seconds)": "30",
        "Retries of a request": "4",
        "Requests a minute": "90",
        "Coordination": "machine",
    }.items():
        expect(form.field(label)).to_have_value(default)
        expect(form.dialog.get_by_text(HELP[label])).to_be_visible()
    expect(form.field("Allow plain http")).not_to_be_checked()
    expect(form.dialog.get_by_text(HELP["Allow plain http"])).to_be_visible()
    assert form.labels()[2:] == list(HELP)
    pages.take_picture("connection-form-extra-fields", height=1440)


@pytest.mark.parametrize(
    ("key", "title", "sentence"),
    [
        (API_KEY, "Test Connection Successful", "OpenCX accepted the API key, and its phone agents can be read."),
        (
            REVOKED_KEY,
            "Test Connection Failed",
            "The API key was rejected: check it. In Airflow, it is the connection's password.",
        ),
    ],
    ids=["accepted", "rejected"],
)
def test_form_test_button_reports_key_status(
    pages: AirflowPages, connect: Callable[..., None], key: str, title: str, sentence: str
) -> None:
    connect(key=key)
    said = pages.test_connection("opencx_default")
    assert said.startswith(title)
    assert said.endswith(sentence)
    assert API_KEY not in pages.page.content()


def test_form_edit_hides_and_keeps_key(
    pages: AirflowPages, connect: Callable[..., None], airflow: AirflowStandalone, simulator: Simulator
) -> None:
    connect()
    form = pages.edit_connection("opencx_default")
    expect(form.base_url).to_have_value(simulator.url)
    expect(form.key).to_have_value("***")
    form.section("Extra Fields")
    form.field("Timeout (seconds)").fill("60")
    form.save()

    form = pages.edit_connection("opencx_default")
    expect(form.key).to_have_value("***")
    form.section("Extra Fields")
    expect(form.field("Timeout (seconds)")).to_have_value("60")
    assert json.loads(airflow.call("GET", "/connections/opencx_default")["extra"])["timeout"] == 60

    simulator.add_agent(name="Appointment reminder")
    airflow.run_dag("opencx_update_greeting", within=300)
    [agent] = simulator.agents()
    assert "I am calling about your appointment." in str(agent["first_message"])
