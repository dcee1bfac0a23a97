"""Tests what a person sees of a run in Airflow's UI: its success, its result, its failure, and its question."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import yaml
from airflow_standalone import EXAMPLE_DAGS, AirflowStandalone, wait_for
from demo import read_people
from playwright.sync_api import expect

from airflow_provider_opencx.simulator import Simulator

from .conftest import API_KEY, REVOKED_KEY
from .pages import AirflowPages

CAMPAIGN, APPROVED = (
    yaml.safe_load((EXAMPLE_DAGS / file).read_text())["agents"]
    for file in ("campaign_fleet.yaml", "approved_fleet.yaml")
)


def wait_for_scheduler(airflow: AirflowStandalone, task_id: str, run_id: str) -> None:
    """Wait until the scheduler has heard that the worker let go of a task.

    Airflow fails a task that is answered before that; no person is that quick.
    """
    told = ("Received executor event", f"task_id='{task_id}'", f"run_id='{run_id}'")

    def heard() -> bool | None:
        return any(all(part in line for part in told) for line in airflow.log_file.read_text().splitlines()) or None

    wait_for(f"scheduler that knows of {task_id}", heard, within=300)


def forbid(airflow: AirflowStandalone, number: str) -> None:
    """Put a number, and no other, on the do-not-call list."""
    variable = {"key": "opencx_do_not_call", "value": json.dumps([number])}
    create = {"action": "create", "action_on_existence": "overwrite", "entities": [variable]}
    airflow.call("PATCH", "/variables", {"actions": [create]})


def test_example_dags_campaign_shows_each_number(
    pages: AirflowPages,
    connect: Callable[..., None],
    airflow: AirflowStandalone,
    simulator: Simulator,
    tmp_path: Path,
) -> None:
    dag_id, run_id = "opencx_weekly_campaign", "spring-offer"
    names = [declared["name"] for declared in CAMPAIGN]
    connect()
    call_list = tmp_path / "call_list.csv"
    pages.trigger(dag_id, run_id, {"call_list": str(call_list)})
    assert airflow.end_state(dag_id, run_id, within=400) == "success"

    numbers = {str(agent["name"]): str(agent["phone_number"]) for agent in simulator.agents()}
    assert sorted(numbers) == sorted(names)
    assert all(number in call_list.read_text() for number in numbers.values())
    for map_index, name in enumerate(names):
        pages.open_task(dag_id, run_id, f"await_number/mapped/{map_index}")
        expect(pages.page.locator("body")).to_contain_text(f"Number {numbers[name]}: phone agent '{name}'")

    pages.open_task(dag_id, run_id, "upsert_agent/mapped")
    for name in names:
        expect(pages.row(name)).to_contain_text("Success")
    pages.take_picture("mapped-tasks", height=600)

    pages.open(f"dags/{dag_id}/runs/{run_id}")
    pages.show_graph()
    for task in ("read_fleet", "upsert_agent [3]", "await_number [3]", "write_call_list"):
        expect(pages.page.get_by_role("application").get_by_role("link", name=task)).to_be_visible()


def test_log_names_fix_for_rejected_key(
    pages: AirflowPages, connect: Callable[..., None], airflow: AirflowStandalone, simulator: Simulator
) -> None:
    connect("opencx_rejected", key=REVOKED_KEY)
    pages.trigger("rejected_key", "revoked-key")
    assert airflow.end_state("rejected_key", "revoked-key", within=300) == "failed"

    pages.open_task("rejected_key", "revoked-key", "appointment_reminder")
    error = pages.page.get_by_text("OpenCXAuthenticationPermanentError")
    expect(error).to_contain_text("The API key was rejected: check it. In Airflow, it is the connection's password.")
    assert API_KEY not in pages.page.content()
    assert [request.status for request in simulator.requests] == [401, 401, 401]
    error.click()  # folds the traceback up
    pages.take_picture("failed-task-log", height=600)


def test_approval_shows_plan_then_applies_it(
    pages: AirflowPages, connect: Callable[..., None], airflow: AirflowStandalone, simulator: Simulator
) -> None:
    dag_id, run_id = "opencx_approved_fleet", "monday"
    connect()
    english, german, turkish = APPROVED
    simulator.add_agent(**{**english, "type": "outbound"})
    simulator.add_agent(**{**german, "type": "outbound", "language": ["de"], "first_message": "Guten Tag!"})
    simulator.add_agent(name="Winter offer", type="outbound")

    pages.trigger(dag_id, run_id)
    wait_for_scheduler(airflow, "approve", run_id)
    pages.open_required_action("Phone agents: 1 to create, 1 to update, 1 unchanged; 1 not declared and left alone.")
    for heading in (f"{german['name']} will be changed", f"{turkish['name']} will be created"):
        expect(pages.page.get_by_role("heading", name=heading)).to_be_visible()
    items = pages.page.get_by_role("listitem")
    for shown in (
        f"first message: from Guten Tag! to {german['first_message']}",
        f"first message: {turkish['first_message']}",
        "If it is the same agent under a new name, reject this plan",
    ):
        expect(items.filter(has_text=shown)).to_be_visible()
    assert simulator.writes == []
    pages.take_picture("fleet-plan", height=1060)

    pages.page.get_by_role("button", name="Approve").click()
    expect(pages.said("approve response successful")).to_be_visible()
    assert airflow.end_state(dag_id, run_id, within=300) == "success"
    assert sorted(str(agent["name"]) for agent in simulator.agents()) == sorted(
        [*(declared["name"] for declared in APPROVED), "Winter offer"]
    )
    assert len(simulator.writes) == 2


def test_approval_shows_who_would_be_called_and_a_rejection_calls_nobody(
    pages: AirflowPages, connect: Callable[..., None], airflow: AirflowStandalone, simulator: Simulator
) -> None:
    dag_id, run_id = "opencx_follow_up_calls", "follow-up"
    connect(allow_calls=True)
    forbid(airflow, "+13125550103")
    agent = simulator.add_agent(name="Appointment reminder", type="outbound")

    pages.trigger(dag_id, run_id)
    wait_for_scheduler(airflow, "approve", run_id)
    pages.open_required_action("Follow-up calls: 4 people to call, 1 left out.")
    for heading in ("4 people to call", "1 person left out"):
        expect(pages.page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    items = pages.page.get_by_role("listitem")
    for shown in (
        f"Agent: {agent['name']} ({agent['id']})",
        f"From the number: {agent['phone_number']}",
        "Hours: Monday to Friday 09:00 to 20:00, Saturday 10:00 to 14:00, Sunday never",
        "On the do-not-call list: 1",
    ):
        expect(items.filter(has_text=shown)).to_be_visible()
    pages.take_picture("follow-up-calls", height=640)

    pages.page.get_by_role("button", name="Reject").click()
    expect(pages.said("approve response successful")).to_be_visible()
    assert airflow.end_state(dag_id, run_id, within=300) == "success"
    assert not simulator.dialed()


def test_approval_shows_campaign_and_a_rejection_starts_nothing(
    pages: AirflowPages, connect: Callable[..., None], airflow: AirflowStandalone, simulator: Simulator
) -> None:
    dag_id, run_id = "opencx_outbound_campaign", "renewals"
    connect(allow_calls=True)
    people = [number for _, number in read_people()]
    known = {contact["phone_number"] for contact in simulator.contacts()}
    for number in people:
        if number not in known:
            simulator.add_contact(number)
    forbid(airflow, people[0])

    pages.trigger(dag_id, run_id)
    wait_for_scheduler(airflow, "approve", run_id)
    pages.open_required_action(f"Outbound campaign: {len(people) - 1} people to call, 1 left out.")
    for heading in (f"{len(people) - 1} people to call", "1 person left out"):
        expect(pages.page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    [agent], [*_, sequence] = simulator.agents(), simulator.sequences()
    items = pages.page.get_by_role("listitem")
    for shown in (
        f"Sequence: Membership renewal ({sequence['id']})",
        f"Agent: {agent['name']} from {agent['phone_number']}",
        f"Step 1: a call by {agent['name']}",
        "Started only in these hours: Monday to Friday 09:00 to 20:00, Saturday 10:00 to 14:00, Sunday never",
        "On the do-not-call list: 1",
    ):
        expect(items.filter(has_text=shown)).to_be_visible()
    pages.take_picture("outbound-campaign", height=790)

    pages.page.get_by_role("button", name="Reject").click()
    expect(pages.said("approve response successful")).to_be_visible()
    assert airflow.end_state(dag_id, run_id, within=300) == "success"
    assert simulator.started() == []
