"""Tests which data a task adds to the events of its assets, for the Dags that are scheduled on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias, task

from airflow_provider_opencx.assets import agent_asset, agents_asset, phone_number_asset, sequence_asset, training_asset
from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.operators.conversation import OpenCXConversationReportOperator
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.operators.sequence import (
    OpenCXAddContactsToSequenceOperator,
    OpenCXCancelSequenceOperator,
    OpenCXCreateSequenceOperator,
    OpenCXStartSequenceOperator,
    phone_step,
)
from airflow_provider_opencx.operators.training import (
    OpenCXPlanTrainingScenariosOperator,
    OpenCXSyncTrainingScenariosOperator,
)
from airflow_provider_opencx.sensors.conversation import OpenCXConversationSensor
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.sensors.sequence import OpenCXSequenceSensor
from airflow_provider_opencx.simulator import Simulator

AGENT, NUMBER = agent_asset("Renewals"), phone_number_asset("Renewals")
MODES: dict[str, dict[str, Any]] = {
    "poke": {"deferrable": False},
    "reschedule": {"mode": "reschedule", "deferrable": False},
    "deferrable": {"deferrable": True},
    "end_from_trigger": {"end_from_trigger": True},
}
PEOPLE = ["+14155550101", "+14155550102"]

Events = Callable[[Any], list[Any]]


@pytest.fixture
def new_events(asset_events: Events) -> Events:
    """Returns the extras of the events of an asset that this test has made."""
    before: dict[str, int] = {}
    for asset in (AGENT, NUMBER, agent_asset("Winbacks"), agents_asset(), training_asset(), sequence_asset("spring")):
        before[asset.name] = len(asset_events(asset))
    return lambda asset: asset_events(asset)[before.get(asset.name, 0) :]


def agent_of(simulator: Simulator, name: str = "Renewals") -> dict[str, Any]:
    [agent] = [agent for agent in simulator.agents() if agent["name"] == name]
    return {key: agent[key] for key in ("id", "name", "phone_number")}


@pytest.mark.parametrize(
    "operator",
    [
        lambda **how: OpenCXCreatePhoneAgentOperator(name="Renewals", **how),
        lambda **how: OpenCXUpsertPhoneAgentOperator(name="Renewals", **how),
        lambda **how: OpenCXUpdatePhoneAgentOperator(agent_name="Renewals", first_message="Hi", **how),
        *(
            lambda how_it_waits=how_it_waits, **how: OpenCXPhoneNumberSensor(
                agent_name="Renewals", poke_interval=0, **how_it_waits, **how
            )
            for how_it_waits in MODES.values()
        ),
        lambda **how: OpenCXUpsertPhoneAgentOperator(name="Renewals", wait_for_phone_number=True, **how),
    ],
    ids=["create", "upsert", "update", *MODES, "upsert and wait"],
)
def test_event_has_id_name_and_number_of_the_agent(
    operator: Callable[..., Any], dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, new_events: Events
) -> None:
    agent = simulator.add_agent("Renewals", type="outbound")
    simulator.give_number(str(agent["id"]))
    other = Asset(f"agent_of_{dag.dag_id}")
    with dag:
        operator(task_id="agent", outlets=[AGENT, NUMBER, other, AssetAlias(f"alias_of_{dag.dag_id}")])
    assert run_dag(dag).state == "success"
    expected = agent_of(simulator)
    assert expected["phone_number"]
    assert [new_events(asset) for asset in (AGENT, NUMBER, other)] == [[expected]] * 3


def test_event_of_an_agent_without_a_number_says_so(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, new_events: Events
) -> None:
    simulator.provision_after = "never"
    with dag:
        OpenCXUpsertPhoneAgentOperator(task_id="agent", name="Renewals", outlets=[AGENT])
    run_dag(dag)
    assert new_events(AGENT) == [{**agent_of(simulator), "phone_number": None}]


def test_event_of_a_fleet_says_how_much_was_changed_and_that_of_an_agent_is_about_it(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, new_events: Events
) -> None:
    simulator.add_agent("Renewals", type="outbound", first_message="Hi")
    simulator.add_agent("Winbacks", type="outbound", first_message="Hi")
    agents = [{"name": name, "type": "outbound", "first_message": "Hello"} for name in ("Winbacks", "Surveys")]
    agents.append({"name": "Renewals", "type": "outbound", "first_message": "Hi"})
    outlets = [agents_asset(), AGENT, agent_asset("Winbacks")]
    with dag:
        OpenCXSyncPhoneAgentsOperator(task_id="fleet", agents=agents, outlets=outlets)
    run_dag(dag)
    run_dag(dag)
    names = ["Winbacks", "Surveys", "Renewals"]
    first, again = new_events(agents_asset())
    assert (first["changes"], again["changes"]) == (2, 0)
    assert (again["count"], again["agents"]) == (3, [agent_of(simulator, name) for name in names])
    assert new_events(AGENT)[-1] == agent_of(simulator)
    assert new_events(agent_asset("Winbacks"))[-1] == agent_of(simulator, "Winbacks")


def test_event_of_many_agents_counts_all_and_names_a_hundred(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, new_events: Events
) -> None:
    for number in range(120):
        simulator.give_number(str(simulator.add_agent(f"Agent {number}", type="outbound")["id"]))
    names = [f"Agent {number}" for number in range(120)]
    with dag:
        OpenCXPhoneNumberSensor(task_id="numbers", agent_name=names, poke_interval=0, outlets=[agents_asset()])
    run_dag(dag)
    [event] = new_events(agents_asset())
    assert (event["count"], [agent["name"] for agent in event["agents"]]) == (120, names[:100])


def test_event_of_a_plan_says_how_much_would_be_changed(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, asset_events: Events
) -> None:
    agents, knowledge = Asset(f"agents of {dag.dag_id}"), Asset(f"knowledge of {dag.dag_id}")
    simulator.add_agent("Renewals", type="outbound")
    with dag:
        OpenCXPlanPhoneAgentsOperator(
            task_id="agents", agents=[{"name": "Renewals"}, {"name": "Surveys"}], outlets=[agents]
        )
        OpenCXPlanTrainingScenariosOperator(
            task_id="knowledge",
            scenarios=[{"key": "refund", "title": "Refund", "content": "Yes."}],
            outlets=[knowledge],
        )
    assert run_dag(dag).state == "success"
    assert asset_events(agents) == [{"changes": 1, "count": 2}]
    assert asset_events(knowledge) == [{"changes": 1, "count": 1}]


def test_event_of_training_says_how_much_was_changed(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, new_events: Events
) -> None:
    scenarios = [{"key": key, "title": key, "content": "Say yes."} for key in ("refund", "delay")]
    with dag:
        OpenCXSyncTrainingScenariosOperator(task_id="sync", scenarios=scenarios, outlets=[training_asset()])
    run_dag(dag)
    run_dag(dag)
    assert new_events(training_asset()) == [{"changes": 2, "count": 2}, {"changes": 0, "count": 2}]


def test_events_of_a_campaign_count_people_and_name_none(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, asset_events: Events
) -> None:
    agent = simulator.add_agent("Renewals", type="outbound")
    simulator.give_number(str(agent["id"]))
    for number in PEOPLE:
        simulator.add_contact(phone_number=number)
    simulator.leave_conversations(after=0)
    outlets = {name: Asset(f"{name} of {dag.dag_id}") for name in ("made", "started", "over", "call", "talk", "report")}

    def updates(name: str) -> dict[str, Any]:
        return {"task_id": name, "outlets": [outlets[name]]}

    with dag:
        made = OpenCXCreateSequenceOperator(
            name="Spring", steps=[phone_step(str(agent["id"]))], contacts_from=PEOPLE, **updates("made")
        )
        started = OpenCXStartSequenceOperator(sequence_id=made.output, calling_hours=None, **updates("started"))
        call = OpenCXPlaceCallOperator(
            agent_name="Renewals", phone_number=PEOPLE[0], calling_hours=None, **updates("call")
        )

        @task
        def an_hour_later(called: str) -> str:
            simulator.advance(3600)
            return called

        later = an_hour_later(call.output["called_at"])
        over = OpenCXSequenceSensor(sequence_id=started.output, poke_interval=0, **updates("over"))
        talk = OpenCXConversationSensor(
            phone_number=PEOPLE[0], since=call.output["called_at"], poke_interval=0, **updates("talk")
        )
        report = OpenCXConversationReportOperator(created_after="2020-01-01T00:00:00Z", **updates("report"))
        started >> call
        later >> over >> talk >> report
    run = run_dag(dag)
    assert run.state == "success"
    events = {name: asset_events(asset) for name, asset in outlets.items()}
    sequence = {key: run.xcom("made")[key] for key in ("id", "custom_id", "name")}
    assert events["made"] == [{**sequence, "status": run.xcom("made")["status"], "people": 2}]
    assert events["started"] == [{**sequence, "status": run.xcom("started")["status"]}]
    assert events["over"] == [{key: sequence[key] for key in ("id", "custom_id")}]
    assert events["call"] == [{"called": 1, "people": 1}]
    assert events["talk"] == [{key: run.xcom("talk")[key] for key in ("id", "status")}]
    assert events["report"] == [{"conversations": run.xcom("report")["conversations"]}]
    assert not [number for number in PEOPLE if number in str(events)]


def test_events_of_a_continuous_sequence_count_who_was_added(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, asset_events: Events
) -> None:
    agent = simulator.add_agent("Renewals", type="outbound")
    simulator.give_number(str(agent["id"]))
    simulator.continuous_begin = False
    everybody = {"or": [{"and": [{"type": "all_contacts"}]}]}
    sequence = simulator.create_sequence(
        name="Onboarding", filter=everybody, steps=[phone_step(str(agent["id"]))], is_continuous=True
    )
    added, canceled = Asset(f"added of {dag.dag_id}"), Asset(f"canceled of {dag.dag_id}")
    with dag:
        add = OpenCXAddContactsToSequenceOperator(
            task_id="add", sequence_id=sequence["id"], contacts=PEOPLE, calling_hours=None, outlets=[added]
        )
        add >> OpenCXCancelSequenceOperator(task_id="cancel", sequence_id=sequence["id"], outlets=[canceled])
    run = run_dag(dag)
    assert run.state == "success"
    [of_added], [of_canceled] = asset_events(added), asset_events(canceled)
    assert (of_added["id"], of_added["added"]) == (sequence["id"], 2)
    assert (of_canceled["id"], of_canceled["status"]) == (sequence["id"], run.xcom("cancel")["status"])


def test_task_that_fails_makes_no_event(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, new_events: Events
) -> None:
    simulator.add_agent("Renewals")
    simulator.add_agent("Renewals")
    with dag:
        OpenCXUpsertPhoneAgentOperator(task_id="agent", name="Renewals", outlets=[AGENT])
    assert run_dag(dag).state == "failed"
    assert new_events(AGENT) == []


def test_extra_that_the_dag_gives_stays(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, new_events: Events
) -> None:
    def add_team(context: Any) -> None:
        context["outlet_events"][AGENT].extra["team"] = "sales"

    with dag:
        OpenCXUpsertPhoneAgentOperator(task_id="agent", name="Renewals", outlets=[AGENT], pre_execute=add_team)
    run_dag(dag)
    assert new_events(AGENT) == [{"team": "sales", **agent_of(simulator)}]


def test_reference_to_no_asset_does_not_fail_a_task_that_has_called(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator, new_events: Events
) -> None:
    simulator.add_agent("Renewals", type="outbound")
    simulator.give_number(agent_of(simulator)["id"])
    with dag:
        OpenCXPlaceCallOperator(
            task_id="call",
            agent_name="Renewals",
            phone_number=PEOPLE[0],
            calling_hours=None,
            outlets=[Asset.ref(name=f"no_asset_of_{dag.dag_id}"), AGENT],
        )
    assert run_dag(dag).state == "success"
    assert simulator.count("makeOutboundCall") == 1
    assert new_events(AGENT) == [{"called": 1, "people": 1}]
