"""Tests each Dag of the documentation: it is parsed without a request, runs, and leaves the agents of its page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow_standalone import connection_json

from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet
from airflow_provider_opencx.simulator import Simulator

AIRFLOW_THAT_HAS_IT = {"braces.py": "3.1", "no_worker.py": "3.3", "patient_retries.py": "3.3"}

# What the agents are after a run, field by field; what is not written here is as the service chooses.
LEFT_BEHIND = {
    "braces": [
        {"name": "Raw", "first_message": "Hi {{ name }} in Boston"},
        {"name": "Text", "first_message": "Hi {{ name }} in Boston"},
        {"name": "Literal", "first_message": "Hi {{ name }}"},
    ],
    "create_agent": [{"name": "Front desk", "type": "inbound", "language": ["en"]}],
    "fleet_from_file": [
        {"name": "Reminder, English and Spanish", "language": ["en", "es"], "handoff_phone_number": "+14155550100"},
        {"name": "Reminder, Norwegian", "language": ["no"], "type": "outbound"},
    ],
    "fleet_in_the_dag": [
        {"name": "Reminder, en", "first_message": "Hello!"},
        {"name": "Reminder, de", "first_message": "Guten Tag!"},
        {"name": "Reminder, fr", "first_message": "Bonjour !"},
    ],
    "many_agents": [
        {"name": "Clinic, Austin", "language": ["en"]},
        {"name": "Clinic, Boston", "language": ["en"]},
        {"name": "Clinic, Denver", "language": ["en"]},
    ],
    "mapped_agents": [
        {"name": "Clinic, Boston", "first_message": "Hello, Boston!"},
        {"name": "Clinic, Austin", "first_message": "Howdy, Austin!"},
    ],
    "agent_fields": [
        {
            "name": "Spring offer, German",
            "language": ["de"],
            "first_message": "Guten Tag! Bis Ostern: 20 % off.",
            "handoff_phone_number": "+4930555010",
            "use_org_knowledgebase": True,
            "actionIds": [],
        }
    ],
    "my_campaign": [{"name": "Appointment reminder", "language": ["en", "es"]}],
    "no_worker": [{"name": "Appointment reminder"}],
    "one_task": [{"name": "Appointment reminder", "language": ["en", "es"]}],
    "one_pool": [{"name": "Appointment reminder", "type": "outbound"}],
    "operator_of_your_own": [{"name": "Front desk"}],
    "patient_retries": [{"name": "Appointment reminder"}],
    "reminders": [{"name": "Appointment reminder", "language": ["en", "es"], "first_message": "Hello!"}],
    "task_of_your_own": [{"name": "Support", "language": ["en"]}],
    "update_agent": [{"name": "Front desk", "first_message": "Hello! Our clinic is closed today."}],
}
EXIST_BEFORE = {"operator_of_your_own": "Front desk", "update_agent": "Front desk"}


@pytest.fixture
def load(examples: Path, read_dag: Callable[[Path], Any], airflow_version: tuple[int, ...]) -> Callable[[str], Any]:
    """Parses the file of a Dag as Airflow does, and returns the Dag."""

    def load(dag_id: str) -> Any:
        file = examples / "dags" / f"{dag_id}.py"
        needed = AIRFLOW_THAT_HAS_IT.get(file.name, "3.0")
        if airflow_version < tuple(map(int, needed.split("."))):
            pytest.skip(f"Airflow {needed} brings what {file.name} shows")
        return read_dag(file)

    return load


@pytest.mark.parametrize("dag_id", LEFT_BEHIND)
def test_docs_dag_leaves_agents_as_declared(
    dag_id: str, load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator
) -> None:
    dag = load(dag_id)
    assert opencx_default.requests == []
    if dag_id in EXIST_BEFORE:
        opencx_default.add_agent(EXIST_BEFORE[dag_id])
    for _ in range(2):  # the second run finds everything done
        run = run_dag(dag)
        assert str(run.state) == "success"
    agents = {agent["name"]: agent for agent in opencx_default.agents()}
    wanted = {fields["name"]: fields for fields in LEFT_BEHIND[dag_id]}
    assert len(opencx_default.agents()) == len(agents)
    assert agents.keys() == wanted.keys()
    for name, fields in wanted.items():
        assert {field: agents[name][field] for field in fields} == fields
    assert len(opencx_default.writes) == (0 if dag_id == "operator_of_your_own" else len(agents))


def test_docs_dags_are_all_tested(examples: Path) -> None:
    tested = LEFT_BEHIND.keys() | {"drift_alarm", "environments", "guarded_fleet", "knowledge", "knowledge_alarm"}
    tested |= {"failure_callback", "wait_for_sequence"}
    files = {file.stem for file in (examples / "dags").glob("*.py")}
    # test_calls_pages.py, test_campaigns_page.py, test_conversation_report_page.py and test_conversations_pages.py
    elsewhere = ("call_", "sequence_", "conversation_", "conversations_")
    assert {file for file in files if not file.startswith(elsewhere)} == tested


KEYS = {"staging": "key-of-staging", "production": "key-of-production"}


def test_docs_environments_are_two_organizations_and_one_file(
    load: Callable[[str], Any], run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def state_in(environment: str) -> str:
        """Return how a run ends of the Dag as it is read anew, as in production: it keeps what was rendered."""
        return str(run_dag(load("environments"), environment=environment).state)

    with Simulator(api_keys=[*KEYS.values()], requests_per_minute=None) as simulator:
        for environment, key in KEYS.items():
            simulator.set_voices([{"voice_id": f"voice of {environment}", "name": "Bruno"}], api_key=key)
            org_id = simulator.add_agent("Front desk", api_key=key)["org_id"]
            handoff = {"staging": "+14155550100", "production": "+4930555010"}[environment]
            monkeypatch.setenv(f"AIRFLOW_CONN_OPENCX_{environment.upper()}", connection_json(simulator.url, key))
            monkeypatch.setenv(f"AIRFLOW_VAR_OPENCX_HANDOFF_{environment.upper()}", handoff)
            monkeypatch.setenv(f"AIRFLOW_VAR_OPENCX_ORG_ID_{environment.upper()}", str(org_id))
        for _ in range(2):
            for environment in KEYS:
                assert state_in(environment) == "success"
        fields = ("name", "voice_id", "handoff_phone_number", "language")
        assert {
            environment: [[agent[field] for field in fields] for agent in simulator.agents(key)[1:]]
            for environment, key in KEYS.items()
        } == {
            "staging": [
                ["Test: Renewal", "voice of staging", "+14155550100", ["en"]],
                ["Test: Reminder", "voice of staging", "+14155550100", ["en"]],
            ],
            "production": [
                ["Renewal", "voice of production", "+4930555010", ["en"]],
                ["Reminder", "voice of production", "+4930555010", ["en"]],
            ],
        }
        assert len(simulator.writes) == 4
        monkeypatch.setenv(
            "AIRFLOW_CONN_OPENCX_PRODUCTION", connection_json(simulator.url, KEYS["staging"])
        )  # the key of the other organization
        assert state_in("production") == "failed"
        assert len(simulator.writes) == 4


def test_docs_guarded_fleet_is_refused_in_another_organization(
    load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    org_id = opencx_default.add_agent("Front desk")["org_id"]
    monkeypatch.setenv("AIRFLOW_VAR_OPENCX_ORG_ID", "another")
    assert str(run_dag(load("guarded_fleet")).state) == "failed"
    assert not opencx_default.writes
    monkeypatch.setenv("AIRFLOW_VAR_OPENCX_ORG_ID", str(org_id))
    assert str(run_dag(load("guarded_fleet")).state) == "success"
    assert len(opencx_default.writes) == 2


def test_docs_drift_alarm_goes_off_where_agent_was_changed(
    load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator
) -> None:
    alarm = load("drift_alarm")
    alarm.get_task("compare").retries = 0
    assert str(run_dag(load("fleet_from_file")).state) == "success"
    opencx_default.forget_requests()
    assert str(run_dag(alarm).state) == "success"
    opencx_default.change_agent(str(opencx_default.agents()[0]["id"]), language=["fr"])
    assert str(run_dag(alarm).state) == "failed"
    assert opencx_default.writes == []


@pytest.mark.parametrize(("act", "state"), [("start", "success"), ("cancel", "failed")])
def test_docs_dag_waits_for_sequence(
    act: str, state: str, load: Callable[[str], Any], run_dag: Callable[..., Any], opencx_default: Simulator
) -> None:
    dag = load("wait_for_sequence")
    assert opencx_default.requests == []
    everybody = {"or": [{"and": [{"type": "all_contacts"}]}]}
    steps = [{"action": {"type": "make_phone_calls", "data": {}}}]
    made = opencx_default.create_sequence(name="Spring", filter=everybody, steps=steps, is_continuous=False)
    getattr(opencx_default, f"{act}_sequence")(str(made["id"]))
    opencx_default.advance(60)
    run = run_dag(dag, sequence_id=made["id"])
    assert str(run.state) == state
    assert opencx_default.writes == []


@pytest.mark.parametrize(
    ("names", "reported"), [([], None), (["Appointment reminder"] * 2, "agent (act now): OpenCXAmbiguousNameError: ")]
)
def test_docs_callback_reports_failure(
    names: list[str],
    reported: str | None,
    load: Callable[[str], Any],
    run_dag: Callable[..., Any],
    opencx_default: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dag = load("failure_callback")
    [callback] = dag.get_task("agent").on_failure_callback
    printed: list[str] = []
    monkeypatch.setitem(callback.__globals__, "print", printed.append)
    for name in names:
        opencx_default.add_agent(name)
    assert str(run_dag(dag).state) == ("failed" if reported else "success")
    assert [line[: len(reported or "")] for line in printed] == ([reported] if reported else [])


def test_docs_fleet_is_same_in_yaml_and_json(examples: Path) -> None:
    dags = examples / "dags"
    assert read_fleet(dags / "fleet.yaml") == read_fleet(dags / "fleet.json")
