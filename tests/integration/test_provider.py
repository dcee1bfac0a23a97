"""Tests what Airflow knows about this provider, and how much time and memory that costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
from airflow.exceptions import AirflowProviderDeprecationWarning
from jsonschema import Draft7Validator
from wtforms import BooleanField, IntegerField, StringField

from airflow_provider_opencx import __version__
from airflow_provider_opencx.connection import form
from airflow_provider_opencx.get_provider_info import get_provider_info
from airflow_provider_opencx.hooks.opencx import OpenCXHook

try:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime as Hooks
except ImportError:  # before Airflow 3.2
    from airflow.providers_manager import ProvidersManager as Hooks

AIRFLOW = Path(sys.executable).with_name("airflow")


def names_printed_by(probe: str) -> set[str]:
    """Run some Python in a process of its own, and return the names in its last line."""
    printed = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    return set(printed.splitlines()[-1].split())


def test_provider_appears_in_airflow() -> None:
    listed = subprocess.run([AIRFLOW, "providers", "list", "-o", "json"], capture_output=True, text=True, check=True)
    providers = {row["package_name"]: row for row in json.loads(listed.stdout)}
    assert providers["airflow-provider-opencx"]["version"] == __version__


def test_provider_info_matches_airflow_schema() -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
    assert list(Draft7Validator(schema).iter_errors(get_provider_info())) == []


def test_provider_info_names_existing_modules() -> None:
    info = get_provider_info()
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for integration in info[kind]:  # type: ignore[attr-defined]  # a list, as the schema says
            for module in integration["python-modules"]:
                assert __import__(module, fromlist=["_"])
    for transfer in info["transfers"]:  # type: ignore[attr-defined]
        assert __import__(transfer["python-module"], fromlist=["_"])


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers", "transfers"])
def test_provider_info_names_every_module_with_a_class_for_users(kind: str) -> None:
    of_kind: list[dict[str, Any]] = get_provider_info().get(kind, [])  # type: ignore[assignment]  # as the schema says
    named = [name for group in of_kind for name in group.get("python-modules", [group.get("python-module")])]
    package = files("airflow_provider_opencx").joinpath(kind)
    modules = [file for file in package.iterdir() if file.name.endswith(".py")] if package.is_dir() else []
    assert sorted(named) == sorted(
        f"airflow_provider_opencx.{kind}.{module.name.removesuffix('.py')}"
        for module in modules
        if re.search("^class OpenCX", module.read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_form_shows_key_url_and_extras() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", AirflowProviderDeprecationWarning)
        [form] = [kind for kind in HookMetaService.hook_meta_data() if kind.connection_type == "opencx"]
    assert form.hook_name == "OpenCX"
    assert form.standard_fields is not None
    shown = {name: field for name, field in form.standard_fields.model_dump().items() if field}
    assert {name: field["title"] for name, field in shown.items() if not field["hidden"]} == {
        "password": "API key",
        "host": "Base URL",
    }
    assert {name for name, field in shown.items() if field["hidden"]} == {"url_schema", "login", "port"}
    assert shown["host"]["placeholder"] == "https://api.open.cx"
    assert "phone:write" in shown["password"]["placeholder"]
    assert form.extra_fields is not None
    assert {name: (field["schema"]["title"], field["value"]) for name, field in form.extra_fields.items()} == {
        "timeout": ("Timeout (seconds)", 30),
        "max_retries": ("Retries of a request", 4),
        "requests_per_minute": ("Requests a minute", 90),
        "coordination": ("Coordination", "machine"),
        "allow_calls": ("Allow calls", False),
        "call_body_style": ("Keys of a call's body", "camel"),
        "dashboard_url": ("Dashboard", ""),
        "allow_insecure_http": ("Allow plain http", False),
    }
    assert all(field["description"] for field in form.extra_fields.values())


def test_form_has_test_button() -> None:
    hook = Hooks().hooks["opencx"]
    assert hook is not None
    assert hook.connection_testable


def test_form_widgets_match_provider_info() -> None:
    widgets = OpenCXHook.get_connection_form_widgets()
    fields = form.conn_fields()
    kinds = {"number": StringField, "string": StringField, "integer": IntegerField, "boolean": BooleanField}
    assert {
        name: (widget.field_class, *widget.args, widget.kwargs["description"], widget.kwargs["default"])
        for name, widget in widgets.items()
    } == {
        name: (kinds[field["schema"]["type"][0]], field["label"], field["description"], field["schema"]["default"])
        for name, field in fields.items()
    }
    assert list(widgets) == list(fields)
    [kind] = get_provider_info()["connection-types"]
    declared = {name.replace("-", "_"): value for name, value in kind["ui-field-behaviour"].items()}
    assert OpenCXHook.get_ui_field_behaviour() == declared


@pytest.mark.parametrize(
    "task",
    [
        "operators.phone_agent.OpenCXUpsertPhoneAgentOperator(task_id='a', name='x')",
        "operators.phone_agent.OpenCXUpsertPhoneAgentOperator(task_id='a', name='x', handoff_phone_number='{{ x }}')",
        "operators.phone_agent.OpenCXUpdatePhoneAgentOperator(task_id='a', agent_name='x', first_message='Hi')",
        "operators.phone_agent.OpenCXSyncPhoneAgentsOperator(task_id='a', agents=[{'name': 'x'}])",
        "sensors.phone_number.OpenCXPhoneNumberSensor(task_id='a', agent_name='x', deferrable=True)",
        "sensors.sequence.OpenCXSequenceSensor(task_id='a', sequence_id='x', deferrable=True)",
        "operators.conversation.OpenCXConversationReportOperator(task_id='a', created_after='2026-03-02T00:00:00Z')",
        "transfers.opencx_to_object_storage.OpenCXToObjectStorageOperator(task_id='a', resource='conversations',"
        " object_storage_path='/tmp/{{ ds }}.jsonl')",
        "sensors.conversation.OpenCXConversationSensor(task_id='a', phone_number='{{ x }}', since='{{ x }}')",
    ],
)
def test_parse_of_a_task_does_not_load_the_client(task: str) -> None:
    probe = (
        "import sys; from airflow.sdk import DAG, BaseOperator, BaseSensorOperator;"
        "before = set(sys.modules);"  # Airflow 3.1 loads phonenumbers itself, where it is installed
        f"import airflow_provider_opencx.{task.partition('.OpenCX')[0]};"
        f"airflow_provider_opencx.{task};"
        "print(*set(sys.modules) - before)"
    )
    loaded = names_printed_by(probe)
    client = {"airflow_provider_opencx.client.client", "httpx_retries", "pyrate_limiter"}
    assert not (client | {"phonenumbers"}) & loaded


@pytest.mark.parametrize(
    "module",
    [
        "operators.phone_agent",
        "operators.conversation",
        "sensors.phone_number",
        "sensors.sequence",
        "sensors.conversation",
        "transfers.opencx_to_object_storage",
        "get_provider_info",
    ],
)
def test_import_loads_nothing_heavy(module: str) -> None:
    probe = (
        "import sys, airflow.sdk; from airflow.sdk import DAG, BaseOperator, BaseSensorOperator;"
        "before = set(sys.modules);"
        f"import airflow_provider_opencx.{module};"
        "print(*set(sys.modules) - before)"
    )
    imported = names_printed_by(probe)
    ours = {name for name in imported if name.startswith("airflow_provider_opencx.")}
    heavy = (
        "client",
        "resources",
        "phone_agents",
        "hooks",
        "triggers",
        "simulator",
        "conversations",
        "connection.settings",
        "airflow_arguments",
    )
    assert not {name for name in ours if name.removeprefix("airflow_provider_opencx.").startswith(heavy)}
    assert not {"httpx_retries", "pyrate_limiter", "fastapi", "airflow.triggers.base"} & imported
