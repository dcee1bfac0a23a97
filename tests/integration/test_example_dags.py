"""Tests that the example Dags are parsed without a request, and do what they say."""

from __future__ import annotations

import asyncio
import csv
import html
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.secrets.environment_variables import EnvironmentVariablesBackend
from airflow_standalone import EXAMPLE_DAGS, connection_json
from mail_server import mail_server

from airflow_provider_opencx.simulator import Simulator

from .conftest import API_KEY, Run

ALL = {
    "opencx_outbound_agent",
    "opencx_weekly_campaign",
    "opencx_update_greeting",
    "opencx_approved_fleet",
    "opencx_drift_alarm",
    "opencx_number_events",
    "opencx_support_team",
    "opencx_follow_up_calls",
    "opencx_outbound_campaign",
    "opencx_conversations_to_storage",
    "opencx_conversations_in_duckdb",
    "opencx_renewals_number",
    "opencx_publish_number",
}
# Those need what came with Airflow 3.1.
NEED_REQUIRED_ACTIONS = {"opencx_approved_fleet", "opencx_follow_up_calls", "opencx_outbound_campaign"}
AT_ANY_TIME = "00:00-24:00"


@pytest.fixture
def examples(read_dags: Callable[[Path], Any], simulator: Simulator) -> Any:
    return read_dags(EXAMPLE_DAGS)


def test_example_dags_parse_without_requests(
    examples: Any, simulator: Simulator, airflow_version: tuple[int, ...]
) -> None:
    if airflow_version >= (3, 1):
        assert examples.import_errors == {}
        assert set(examples.dags) == ALL
    else:
        assert {Path(file).stem for file in examples.import_errors} == NEED_REQUIRED_ACTIONS
        assert all("needs Airflow 3.1" in error for error in examples.import_errors.values())
        assert set(examples.dags) == ALL - NEED_REQUIRED_ACTIONS
    assert all(dag.doc_md for dag in examples.dags.values())
    assert simulator.requests == []


def test_example_dags_keep_outbound_agent_as_declared(
    examples: Any, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    dag = examples.dags["opencx_outbound_agent"]
    run = run_dag(dag)
    assert run.xcom("await_number") == simulator.agents()[0]
    assert [write.method for write in simulator.writes] == ["POST"]
    agent_id = str(simulator.agents()[0]["id"])
    simulator.change_agent(agent_id, first_message="Changed by hand", handoff_phone_number="+15550000000")
    assert run_dag(dag).state == "success"
    assert simulator.agents()[0]["handoff_phone_number"] == "+14155550100"
    assert simulator.agents()[0]["first_message"] == "Changed by hand"
    assert [write.method for write in simulator.writes] == ["POST", "PATCH"]


def test_example_dags_declare_distinct_agents() -> None:
    fleets = [yaml.safe_load(file.read_text())["agents"] for file in EXAMPLE_DAGS.glob("*.yaml")]
    names = [agent["name"] for fleet in fleets for agent in fleet]
    assert len(fleets) == 2
    assert len(set(names)) == len(names)


def test_example_dags_campaign_writes_call_list(
    examples: Any, run_dag: Callable[..., Any], simulator: Simulator, tmp_path: Path
) -> None:
    simulator.provision_after = "3reads"
    fleet = yaml.safe_load((EXAMPLE_DAGS / "campaign_fleet.yaml").read_text())["agents"]
    call_list = tmp_path / "call_list.csv"
    dag = examples.dags["opencx_weekly_campaign"]
    dag.task_dict["await_number"].partial_kwargs["poke_interval"] = 0.05
    run = run_dag(dag, conf={"call_list": str(call_list)})
    assert run.state == "success"
    names = sorted(agent["name"] for agent in fleet)
    assert sorted(run.labels("upsert_agent")) == sorted(run.labels("await_number")) == names
    numbers = {str(agent["name"]): str(agent["phone_number"]) for agent in simulator.agents()}
    header, *rows = csv.reader(call_list.open())
    assert header == ["name", "phone_number"]
    assert [name for name, _ in rows] == [agent["name"] for agent in fleet]
    assert dict(rows) == numbers


def test_example_dags_change_only_greeting(examples: Any, run_dag: Callable[..., Any], simulator: Simulator) -> None:
    simulator.add_agent("Appointment reminder", type="outbound", language=["en", "es"])
    dag = examples.dags["opencx_update_greeting"]
    assert run_dag(dag).state == "success"
    assert run_dag(dag).state == "success"
    [write] = simulator.writes
    assert set(write.body) == {"first_message"}
    assert write.body["first_message"].startswith("Good ")


def test_example_dags_support_team_makes_knowledge_then_agents_then_numbers(
    read_dags: Callable[[Path], Any], run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.provision_after = "2reads"
    for _ in range(2):
        dag = read_dags(EXAMPLE_DAGS).dags["opencx_support_team"]
        dag.task_dict["await_number"].partial_kwargs["poke_interval"] = 0.05
        run = run_dag(dag)
        assert run.state == "success"
    ids = {scenario["title"]: scenario["id"] for scenario in simulator.training()}
    known = {agent["name"]: agent["instructions"] for agent in simulator.agents()}
    assert known == {
        "Front desk of the support team": [ids["How we speak"], ids["Refund policy"], ids["Late order"]],
        "Call back of the support team": [ids["How we speak"], ids["Refund policy"]],
    }
    assert all(agent["phone_number"] for agent in simulator.agents())
    assert "${" not in str(simulator.training())
    assert [write.method for write in simulator.writes] == ["POST"] * 6


def test_example_dags_alarm_tells_of_changes_and_of_lost_numbers_by_mail(
    read_dags: Callable[[Path], Any], run_dag: Callable[..., Any], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state() -> str:
        """Return how a run ends of the Dag as it is read anew, as in production: a notifier keeps what it rendered."""
        dag = read_dags(EXAMPLE_DAGS).dags["opencx_drift_alarm"]
        dag.task_dict["compare"].retries = 0
        return str(run_dag(dag).state)

    fleet = yaml.safe_load((EXAMPLE_DAGS / "campaign_fleet.yaml").read_text())["agents"]
    first, second, *_ = (simulator.add_agent(**{"type": "outbound", **fields}) for fields in fleet)
    with mail_server() as mailbox:
        settings = {"conn_type": "smtp", "host": "127.0.0.1", "port": mailbox.port, "extra": {"disable_ssl": True}}
        settings["extra"] |= {"disable_tls": True}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(settings))
        assert state() == "success"
        assert mailbox.messages == []

        simulator.change_agent(str(second["id"]), first_message="Changed by hand.")
        assert state() == "failed"
        simulator.change_agent(str(second["id"]), first_message=second["first_message"])

        simulator.take_number(str(first["id"]))
        assert [state() for _ in range(2)] == ["failed"] * 2
        simulator.give_number(str(first["id"]), str(first["phone_number"]))
        assert state() == "success"
    changed, *lost = [message.get_payload(0).get_payload(decode=True).decode() for message in mailbox.messages]
    assert str(second["name"]) in changed
    assert "(first_message)" in changed
    assert len(lost) == 2
    assert all("1 of 3 agents have lost their phone numbers" in html.unescape(each) for each in lost)
    assert all(f"'{first['phone_number']}' is gone" in html.unescape(each) for each in lost)
    assert not simulator.writes


def test_example_dags_number_events_says_what_the_watcher_has_fired(examples: Any, simulator: Simulator) -> None:
    simulator.provision_after = "never"
    agent_id = str(simulator.add_agent("Front desk")["id"])
    dag = examples.dags["opencx_number_events"]
    [asset] = dag.schedule
    [watcher] = asset.watchers
    watcher.trigger.poll_interval = 0.05

    async def events() -> list[Any]:
        fired, running = [], watcher.trigger.run()
        for change in (
            lambda: simulator.give_number(agent_id, "+15550000001"),
            lambda: simulator.give_number(agent_id, "+15550000002"),
            lambda: simulator.take_number(agent_id),
        ):
            fires = asyncio.ensure_future(anext(running))
            polled = simulator.count("listPhoneAgents")
            while simulator.count("listPhoneAgents") < polled + 2:
                await asyncio.sleep(0.01)
            change()
            fired.append(SimpleNamespace(extra={"payload": (await fires).payload}))
        await running.aclose()
        return fired

    tell = dag.task_dict["tell"].python_callable
    assert tell(triggering_asset_events={asset.name: asyncio.run(asyncio.wait_for(events(), 30))}) == [
        "Front desk can be reached at +15550000001.",
        "Front desk can be reached at +15550000002, and no longer at +15550000001.",
        "Front desk has lost its number +15550000002.",
    ]


@pytest.fixture
def follow_up_calls(
    examples: Any, store_dag: Callable[[Any], None], airflow_version: tuple[int, ...]
) -> Callable[[], Run]:
    """Runs the example of calls, as if it had been approved, at a time of day at which everybody may be called."""
    if airflow_version < (3, 1):
        pytest.skip("Airflow 3.1 brings the approval")
    dag = examples.dags["opencx_follow_up_calls"]
    dag.task_dict["preview"].op_kwargs["calling_hours"] = AT_ANY_TIME
    for task_id in ("hours", "call"):
        dag.task_dict[task_id].calling_hours = AT_ANY_TIME
        dag.task_dict[task_id].retries = 0

    def run() -> Run:
        store_dag(dag)
        return Run(dag.test(mark_success_pattern="approve"))

    return run


CALL_LIST = [row["phone_number"] for row in csv.DictReader((EXAMPLE_DAGS / "follow_up_calls.csv").open())]


def test_example_dags_follow_up_calls_each_person_once_but_whom_nobody_may_call(
    follow_up_calls: Callable[[], Run], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    not_called, *called = CALL_LIST
    monkeypatch.setenv("AIRFLOW_VAR_OPENCX_DO_NOT_CALL", json.dumps([not_called]))
    agent = simulator.add_agent("Appointment reminder", type="outbound")
    run = follow_up_calls()
    assert run.state == "success"
    assert [dialed.phone_number for dialed in simulator.dialed()] == called
    assert {dialed.agent_id for dialed in simulator.dialed()} == {agent["id"]}
    assert [each["status"] for each in run.xcom("call")] == ["called"] * len(called)
    shown = run.pushed("preview")["markdown"]
    for line in (
        f"#### {len(called)} people to call",
        "- Agent: `Appointment reminder`",
        f"- From the number: `{agent['phone_number']}`",
        "- Hours: every day 00:00 to 24:00, by the clock in America/",
        "- On the do-not-call list: 1",
    ):
        assert line in shown


def test_example_dags_follow_up_calls_reads_the_do_not_call_list_again_after_the_approval(
    follow_up_calls: Callable[[], Run], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.add_agent("Appointment reminder", type="outbound")
    monkeypatch.setenv("AIRFLOW_VAR_OPENCX_DO_NOT_CALL", "[]")
    reads = EnvironmentVariablesBackend.get_variable

    def get_variable(backend: Any, key: str, *arguments: Any, **keywords: Any) -> str | None:
        """Return the list as it was for the first read, and with a person more for the next."""
        value = reads(backend, key, *arguments, **keywords)
        monkeypatch.setenv("AIRFLOW_VAR_OPENCX_DO_NOT_CALL", json.dumps([CALL_LIST[0]]))
        return value

    monkeypatch.setattr(EnvironmentVariablesBackend, "get_variable", get_variable)
    run = follow_up_calls()
    assert run.pushed("preview")["to_call"] == len(CALL_LIST)
    assert [dialed.phone_number for dialed in simulator.dialed()] == CALL_LIST[1:]
    assert [each["status"] for each in run.xcom("call")] == ["do_not_call"] + ["called"] * (len(CALL_LIST) - 1)


@pytest.mark.parametrize("task_id", ["preview", "approve"])
def test_example_dags_follow_up_calls_reads_and_asks_only_once(
    task_id: str, follow_up_calls: Callable[[], Run], examples: Any
) -> None:
    task = examples.dags["opencx_follow_up_calls"].task_dict[task_id]
    assert task.retries == 0
    task._pre_execute_hook({"ti": SimpleNamespace(try_number=1)})
    with pytest.raises(AirflowFailException, match="Start a new Dag run"):
        task._pre_execute_hook({"ti": SimpleNamespace(try_number=2)})


def test_example_dags_follow_up_calls_asks_nobody_where_all_are_left_out(
    follow_up_calls: Callable[[], Run], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.add_agent("Appointment reminder", type="outbound")
    monkeypatch.setenv("AIRFLOW_VAR_OPENCX_DO_NOT_CALL", json.dumps(CALL_LIST))
    run = follow_up_calls()
    assert run.states("approve") == run.states("call") == ["skipped"]
    assert not simulator.dialed()


def test_example_dags_follow_up_calls_nobody_over_a_connection_without_the_switch(
    examples: Any, follow_up_calls: Callable[[], Run], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    examples.dags["opencx_follow_up_calls"].task_dict["call"].on_failure_callback = [
        lambda context: said.append(str(context["exception"]))
    ]
    simulator.add_agent("Appointment reminder", type="outbound")
    monkeypatch.setenv("AIRFLOW_VAR_OPENCX_DO_NOT_CALL", "[]")
    off = connection_json(simulator.url, API_KEY, requests_per_minute=100_000, allow_calls=False)
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", off)
    assert follow_up_calls().states("call") == ["failed"]
    assert not simulator.dialed()
    assert simulator.count("makeOutboundCall") == 0
    [sentence] = said
    assert "not sent, because this connection does not allow calls" in sentence
    assert "switch on its extra allow_calls" in sentence


CAMPAIGN = EXAMPLE_DAGS / "outbound_campaign"
CALLED_BY_CAMPAIGN = [row["phone_number"] for row in csv.DictReader((CAMPAIGN / "people.csv").open())]


@pytest.fixture
def outbound_campaign(
    read_dags: Callable[[Path], Any],
    store_dag: Callable[[Any], None],
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    airflow_version: tuple[int, ...],
    tmp_path: Path,
) -> Callable[..., Run]:
    """Runs the example of a campaign, as if it had been approved, at a time of day at which everybody may be called."""
    if airflow_version < (3, 1):
        pytest.skip("Airflow 3.1 brings the approval")
    shutil.copytree(CAMPAIGN, tmp_path / "campaign")
    simulator.step_takes = 0.05
    for number in CALLED_BY_CAMPAIGN:
        simulator.add_contact(number)
    monkeypatch.setenv("AIRFLOW_VAR_OPENCX_DO_NOT_CALL", "[]")

    def run(meanwhile: Callable[[Path], object] = lambda folder: None) -> Run:
        """Run it.

        :param meanwhile: is done while a person thinks about the approval, with the folder of the campaign.
        """
        dag = read_dags(tmp_path / "campaign").dags["opencx_outbound_campaign"]
        dag.task_dict["preview"].op_kwargs["calling_hours"] = AT_ANY_TIME
        for task_id in ("sequence", "hours", "start"):
            dag.task_dict[task_id].calling_hours = AT_ANY_TIME
            dag.task_dict[task_id].retries = 0
        for task_id in ("number", "ended"):
            dag.task_dict[task_id].poke_interval = 0.05
        dag.task_dict["hours"]._pre_execute_hook = lambda context: meanwhile(tmp_path / "campaign")
        store_dag(dag)
        return Run(dag.test(mark_success_pattern="approve"))

    return run


def test_example_dags_outbound_campaign_calls_everybody_once_from_knowledge_to_result(
    outbound_campaign: Callable[..., Run], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    not_called, *called = CALLED_BY_CAMPAIGN
    monkeypatch.setenv("AIRFLOW_VAR_OPENCX_DO_NOT_CALL", json.dumps([not_called]))
    simulator.provision_after = "2reads"
    run = outbound_campaign()
    assert run.state == "success"
    assert sorted(str(dialed.phone_number) for dialed in simulator.dialed()) == called
    [agent], [sequence] = simulator.agents(), simulator.sequences()
    knows = {scenario["id"]: scenario["title"] for scenario in simulator.training()}
    assert [knows[known] for known in agent["instructions"]] == ["How we call about renewals", "Renewal offer"]
    assert "Acme Gym" in str(simulator.training())
    assert {dialed.from_number for dialed in simulator.dialed()} == {agent["phone_number"]}
    assert {dialed.sequence_id for dialed in simulator.dialed()} == {sequence["id"]}
    assert simulator.started() == [sequence["id"]]
    shown = run.pushed("preview")
    assert shown["summary"] == f"{len(called)} people to call, 1 left out."
    for line in (
        f"#### {len(called)} people to call",
        f"- Agent: `Membership renewal` from `{agent['phone_number']}`",
        "every day 00:00 to 24:00, by the clock in America/",
        "- On the do-not-call list: 1",
    ):
        assert line in shown["markdown"]
    times = {time: sequence[time] for time in ("started_at", "ended_at")}
    steps = [{time: step[time] for time in ("started_at", "ended_at")} for step in sequence["steps"]]
    assert run.xcom("result") == {"sequence_id": sequence["id"], "people": len(called), **times, "steps": steps}
    assert all(times.values())


def test_example_dags_outbound_campaign_starts_what_was_approved_though_the_file_has_changed(
    outbound_campaign: Callable[..., Run], simulator: Simulator
) -> None:
    def add_a_person(folder: Path) -> None:
        with (folder / "people.csv").open("a") as file:
            file.write("Emmy,+14155550107\n")

    simulator.add_contact("+14155550107")
    assert outbound_campaign(add_a_person).state == "success"
    assert sorted(str(dialed.phone_number) for dialed in simulator.dialed()) == CALLED_BY_CAMPAIGN


def test_example_dags_outbound_campaign_does_not_wait_for_people_who_were_left_out(
    outbound_campaign: Callable[..., Run], simulator: Simulator, tmp_path: Path
) -> None:
    with (tmp_path / "campaign" / "people.csv").open("a") as file:
        file.write("Ida,+80055501010\n")  # in no time zone
    run = outbound_campaign()
    assert run.state == "success"
    assert run.xcom("sequence")["left_out"] == {"unknown_zone": 1}
    assert sorted(str(dialed.phone_number) for dialed in simulator.dialed()) == CALLED_BY_CAMPAIGN


@pytest.mark.parametrize(
    "change",
    [
        {"filter": {"or": [{"and": [{"type": "all_contacts"}]}]}},
        {"steps": [{"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": "pa_000002"}}}]},
    ],
    ids=["people", "agent"],
)
def test_example_dags_outbound_campaign_refuses_a_sequence_that_was_changed_after_the_approval(
    change: dict[str, Any], outbound_campaign: Callable[..., Run], simulator: Simulator
) -> None:
    run = outbound_campaign(lambda folder: simulator.update_sequence(simulator.sequences()[0]["id"], **change))
    assert run.states("start") == ["failed"]
    assert run.states("ended") == run.states("result") == ["upstream_failed"]
    assert simulator.started() == []
    assert not simulator.dialed()


@pytest.mark.parametrize("task_id", ["preview", "approve"])
def test_example_dags_outbound_campaign_shows_and_asks_only_once(
    task_id: str, outbound_campaign: Callable[..., Run], examples: Any
) -> None:
    task = examples.dags["opencx_outbound_campaign"].task_dict[task_id]
    assert task.retries == 0
    task._pre_execute_hook({"ti": SimpleNamespace(try_number=1)})
    with pytest.raises(AirflowFailException, match="Start a new Dag run"):
        task._pre_execute_hook({"ti": SimpleNamespace(try_number=2)})


def test_example_dags_outbound_campaign_makes_no_sequence_where_nobody_is_left(
    outbound_campaign: Callable[..., Run], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_OPENCX_DO_NOT_CALL", json.dumps(CALLED_BY_CAMPAIGN))
    run = outbound_campaign()
    assert {*run.states("sequence"), *run.states("approve"), *run.states("start")} == {"skipped"}
    assert simulator.sequences() == []
