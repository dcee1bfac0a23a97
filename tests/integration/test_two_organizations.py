"""Tests one folder of knowledge and agents with two organizations, in which every id is different."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow_standalone import connection_json

from airflow_provider_opencx.__main__ import main
from airflow_provider_opencx.operators.phone_agent import OpenCXSyncPhoneAgentsOperator
from airflow_provider_opencx.operators.training import OpenCXSyncTrainingScenariosOperator
from airflow_provider_opencx.simulator import Simulator

SCENARIOS, AGENTS = 30, 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "training").mkdir()
    for number in range(SCENARIOS):
        text = f"---\ntitle: Scenario {number}\nchannels: [phone_voice]\n---\nDo {number}.\n"
        (tmp_path / f"training/{number:02}.md").write_text(text)
    agents = [
        {
            "name": f"Agent {number}",
            "voice": "Bruno",
            "training_scenarios": [f"Scenario {each}" for each in range(number, SCENARIOS, AGENTS)],
            "actions": ["Look up order"] if number % 2 else [],
        }
        for number in range(AGENTS)
    ]
    (tmp_path / "agents.json").write_text(json.dumps({"agents": agents}))
    return tmp_path


def sync(folder: Path, conn_id: str) -> None:
    OpenCXSyncTrainingScenariosOperator(
        task_id="knowledge", scenarios=f"{folder}/training", opencx_conn_id=conn_id
    ).execute({})
    OpenCXSyncPhoneAgentsOperator(task_id="agents", agents=f"{folder}/agents.json", opencx_conn_id=conn_id).execute({})


def test_folder_serves_two_organizations_and_a_second_run_writes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Simulator(requests_per_minute=None) as first, Simulator(requests_per_minute=None) as second:
        services = {"opencx_first": first, "opencx_second": second}
        for number, (conn_id, service) in enumerate(services.items()):
            connection = connection_json(service.url, "test-key", requests_per_minute=100_000)
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection)
            service.set_voices([{"voice_id": f"voice {number}", "name": "Bruno"}])
            service.set_actions([{"name": "Look up order", "enabled_on_channel": {"channels": ["phone_voice"]}}])
            sync(folder, conn_id)
        ids = [{str(item["id"]) for item in (*each.training(), *each.actions())} for each in services.values()]
        assert not ids[0] & ids[1]
        for service in services.values():
            titles = {scenario["id"]: scenario["title"] for scenario in service.training()}
            known = {agent["name"]: [titles[each] for each in agent["instructions"]] for agent in service.agents()}  # type: ignore[union-attr,index]
            assert known == {
                f"Agent {number}": [f"Scenario {each}" for each in range(number, SCENARIOS, AGENTS)]
                for number in range(AGENTS)
            }
            [action] = service.actions()
            assert [agent["actionIds"] for agent in service.agents()] == [[], [action["id"]]] * (AGENTS // 2)
            assert len({agent["voice_id"] for agent in service.agents()}) == 1
            assert len(service.writes) == SCENARIOS + AGENTS
        for conn_id, service in services.items():
            service.forget_requests()
            sync(folder, conn_id)
            assert service.writes == []
            assert service.count("listTrainings") == 4  # two for what is declared, two for what the agents name
        assert_export_by_name_of_each_serves_both(folder, [*services.values()], monkeypatch, capsys)


def assert_export_by_name_of_each_serves_both(
    folder: Path,
    services: list[Simulator],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    capsys.readouterr()
    monkeypatch.setenv("OPENCX_API_KEY", "test-key")
    exported = set()
    for service in services:
        monkeypatch.setenv("OPENCX_API_URL", service.url)
        assert main(["export", "--by-name"]) == 0
        exported.add(capsys.readouterr().out)
    [text] = exported
    assert "training_scenarios: [Scenario 1, Scenario 11, Scenario 21]" in text
    (folder / "exported.yaml").write_text(text)
    for service in services:
        monkeypatch.setenv("OPENCX_API_URL", service.url)
        assert main(["plan", f"{folder}/exported.yaml", "--detailed-exitcode"]) == 0
