"""Tests that one setting switches the page of agents on, and that it costs nothing when it is off."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_opencx.plugins.addresses import EXISTS, is_page_on, page_url
from airflow_provider_opencx.plugins.opencx import OpenCXPlugin

HEAVY = {"fastapi", "jinja2", "pydantic", "httpx", "airflow_provider_opencx.hooks.opencx"}


@pytest.fixture
def switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OPENCX__AGENTS_PAGE", "True")


def test_page_is_off_by_default() -> None:
    assert not is_page_on()
    assert page_url("opencx_default") is None


@pytest.mark.usefixtures("switched_on")
def test_page_exists_from_airflow_3_1_on() -> None:
    assert is_page_on() is EXISTS
    assert (page_url("a/b") or "").endswith("/opencx/connections/a%2Fb/agents" if EXISTS else "")
    try:
        OpenCXPlugin.on_load()
        assert len(OpenCXPlugin.fastapi_apps) == len(OpenCXPlugin.external_views) == int(EXISTS)
    finally:
        OpenCXPlugin.fastapi_apps, OpenCXPlugin.external_views = [], []


@pytest.mark.usefixtures("switched_on")
def test_plugin_imports_nothing_of_the_page() -> None:
    probe = (
        "import airflow.plugins_manager, sys; from airflow.providers.common.compat.sdk import conf;"
        " conf.get('core', 'executor'); before = set(sys.modules);"
        " from airflow_provider_opencx.plugins.opencx import OpenCXPlugin; OpenCXPlugin.on_load();"
        " print(*(set(sys.modules) - before))"
    )
    printed = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    loaded = {name for name in printed.splitlines()[-1].split() if name.startswith("airflow_provider_opencx.plugins.")}
    assert {name.rpartition(".")[2] for name in loaded} == {"addresses", "opencx"}
    assert not HEAVY & {*printed.split()}
