"""Tests a sequence in a Dag: it is created as declared, and started once, only if it may be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import task

from airflow_provider_opencx.campaigns.ledger import Entry, NoLedger
from airflow_provider_opencx.campaigns.sequences import reading
from airflow_provider_opencx.campaigns.sequences import start as starts
from airflow_provider_opencx.campaigns.sequences.creation import make_sequence
from airflow_provider_opencx.campaigns.sequences.declaration import SequenceDeclaration
from airflow_provider_opencx.campaigns.sequences.filters import filter_of
from airflow_provider_opencx.campaigns.sequences.start import start_once
from airflow_provider_opencx.campaigns.sequences.steps import checked_steps
from airflow_provider_opencx.exceptions import (
    OpenCXSequenceCanceledError,
    OpenCXSequenceMismatchError,
    OpenCXSequenceRefusedError,
    OpenCXServerError,
    OpenCXUnknownStartError,
)
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator
from airflow_provider_opencx.operators.sequence import (
    OpenCXAddContactsToSequenceOperator,
    OpenCXCancelSequenceOperator,
    OpenCXCreateSequenceOperator,
    OpenCXStartSequenceOperator,
    phone_step,
)
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.resources.sequences import OutboundSequence, start_sequence
from airflow_provider_opencx.simulator import (
    EmptyResponse,
    ErrorResponse,
    Fault,
    HandleLate,
    LoseResponse,
    RefuseAfterHandling,
    Respond,
    Simulator,
    SlowResponse,
    TooManyRequests,
)
from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.responses import error_body

PEOPLE = ["+14155550101", "+14155550102", "+14155550103"]
AGENT = "pa_000001"
LISTED = {"or": [{"and": [{"type": "contacts_phone_number_in", "phone_number_in": PEOPLE}]}]}
NAMED = {"or": [{"and": [{"type": "contacts_name_in", "name_in": ["Ada"]}]}]}

has_task_state = pytest.mark.skipif(
    "NEVER_EXPIRE" not in __import__("airflow.sdk").sdk.__all__, reason="Airflow 3.3 has the first task state store"
)


@pytest.fixture
def calling(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A simulator with an agent that calls and three contacts, whose time passes where the provider waits."""
    simulator.add_agent("Caller", type="outbound")
    for number in PEOPLE:
        simulator.add_contact(number)
    simulator.starts_again = True  # nothing but the provider keeps a sequence from a second start
    monkeypatch.setattr(reading.time, "sleep", simulator.advance)
    return simulator


def called(simulator: Simulator) -> list[str]:
    simulator.advance(3600)
    return sorted(str(dialed.phone_number) for dialed in simulator.dialed())


def create(**arguments: Any) -> OpenCXCreateSequenceOperator:
    declared = {"task_id": "create", "name": "Spring", "steps": [phone_step(AGENT)], "retry_delay": 0}
    chosen = {} if "filter" in arguments else {"contacts_from": PEOPLE}
    return OpenCXCreateSequenceOperator(**{**declared, **chosen, **arguments})


def start(sequence_id: Any, **arguments: Any) -> OpenCXStartSequenceOperator:
    return OpenCXStartSequenceOperator(
        **{"task_id": "start", "sequence_id": sequence_id, "calling_hours": None, "retry_delay": 0, **arguments}
    )


def at_another_time() -> str:
    """Calling hours of one minute, which are hours away from now by every clock of the United States."""
    hour = (datetime.now(UTC).hour + 6) % 24
    return f"{hour:02}:00-{hour:02}:01"


def letters_of(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m|[^A-Za-z]", "", text)


def writes(simulator: Simulator) -> list[str | None]:
    return [record.operation for record in simulator.requests if record.method != "GET"]


def test_a_campaign_calls_the_people_of_a_file_once_each(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("phone_number,name\n" + "".join(f"{number},Ada\n" for number in [*PEOPLE, PEOPLE[0]]))
    with dag:
        agent = OpenCXUpsertPhoneAgentOperator(task_id="agent", name="Caller", language="en")
        sequence = create(steps=[phone_step(agent.output)], contacts_from=str(file))
        start(sequence.output)
    run = run_dag(dag)
    assert run.state == "success"
    assert called(calling) == PEOPLE
    [stored] = calling.sequences()
    assert stored["filter"] == {"or": [{"and": [{"type": "contacts_phone_number_in", "phone_number_in": PEOPLE}]}]}
    made, started = run.xcom("create"), run.xcom("start")
    assert {key: made[key] for key in ("id", "name", "people", "left_out", "zones")} == {
        "id": stored["id"],
        "name": "Spring",
        "people": 3,
        "left_out": {},
        "zones": ["America/Los_Angeles"],
    }
    assert run.pushed("create")["id"] == started["id"] == stored["id"]
    assert run.pushed("create")["zones"] == made["zones"]
    assert "filter" not in started
    assert not any(number in json.dumps([made, started]) for number in PEOPLE), "results hold no number of a person"


def test_a_put_without_a_body_has_no_content_type(dag: Any, run_dag: Callable[..., Any], calling: Simulator) -> None:
    """The service's framework refuses an empty body that is said to be JSON."""
    with dag:
        sequence = create()
        start(sequence.output) >> OpenCXCancelSequenceOperator(task_id="cancel", sequence_id=sequence.output)
    assert run_dag(dag).state == "success"
    puts = [record for record in calling.requests if record.method == "PUT"]
    assert [record.operation for record in puts] == ["startSequence", "cancelSequence"]
    assert not any("content-type" in record.headers for record in puts)


@pytest.mark.parametrize(
    ("arguments", "asked", "left_out"),
    [
        ({"do_not_call": PEOPLE[:1]}, PEOPLE[1:], {"do_not_call": 1}),
        ({"do_not_call": [{"contact_id": "con_000001"}]}, PEOPLE[1:], {"do_not_call": 1}),
        ({"contacts_from": [*PEOPLE, "+14155550109"], "missing_contacts": "leave_out"}, PEOPLE, {"missing": 1}),
        ({"contacts_from": [*PEOPLE, "+80055501010"], "missing_contacts": "leave_out"}, PEOPLE, {"unknown_zone": 1}),
    ],
    ids=["do-not-call list", "do-not-call list of contacts", "no contact", "no time zone"],
)
def test_people_who_must_not_be_called_are_not_in_the_filter(
    dag: Any,
    run_dag: Callable[..., Any],
    calling: Simulator,
    arguments: dict[str, Any],
    asked: Sequence[str],
    left_out: dict[str, int],
) -> None:
    with dag:
        start(create(**arguments).output)
    run = run_dag(dag)
    assert (run.state, called(calling)) == ("success", asked)
    assert (run.xcom("create")["people"], run.xcom("create")["left_out"]) == (len(asked), left_out)


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_contacts": 2},
        {"do_not_call": "/nowhere.csv"},
        {"contacts_from": [*PEOPLE, "+14155550109"]},
        {"contacts_from": [{"contact_id": "con_000001"}]},
        {"contacts_from": [*PEOPLE, "+61291234567"], "calling_hours": "09:00-10:00", "check_contacts": False},
        {"contacts_from": "{{ ti.xcom_pull('gone') }}"},
        {"filter": {"or": [{"and": [{"type": "all_contacts"}]}]}, "max_contacts": None},
        {"filter": {"or": [{"and": [{"type": "all_contacts"}]}]}, "unchecked": True},
        {"filter": NAMED},
        {"filter": LISTED, "do_not_call": PEOPLE[:1]},
        {"filter": LISTED, "do_not_call": "/nowhere.csv"},
        {"filter": NAMED, "unchecked": True, "do_not_call": PEOPLE[:1]},
        {"filter": "{{ none }}"},
        {"filter": {}, "unchecked": True, "max_contacts": None},
        {"filter": {"or": []}, "unchecked": True, "max_contacts": None},
        {"filter": {"or": [{"and": []}]}, "unchecked": True, "max_contacts": None},
        {"filter": {"or": [{"and": [{"type": "contact_id_in", "contact_ids": []}]}]}, "unchecked": True},
        {"filter": {"or": [{"and": [{"type": "x", "after": "{{ none }}", "before": None}]}]}, "unchecked": True},
        {"steps": []},
        {"steps": "{{ none }}"},
        {"steps": [{"action": {"type": "make_phone_calls"}}]},
        {"custom_id": "x" * 51},
        {"custom_id": "{{ none }}"},
        {"custom_id": "2026/spring"},
        {"custom_id": ".."},
        {"name": " "},
    ],
    ids=repr,
)
def test_what_must_not_be_created_is_not_sent(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, arguments: dict[str, Any]
) -> None:
    with dag:
        create(retries=2, **arguments)
    assert run_dag(dag).states("create") == ["failed"]
    assert writes(calling) == []


def test_a_contact_whose_number_is_on_the_list_is_not_in_the_filter(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    people = [{"contact_id": f"con_00000{number}"} for number in (1, 2)]
    with dag:
        start(create(contacts_from=people, unchecked=True, do_not_call=PEOPLE[:1]).output, unchecked=True)
    assert (run_dag(dag).state, called(calling)) == ("success", PEOPLE[1:2])


@pytest.mark.parametrize("check_contacts", [True, False])
def test_where_a_list_of_contacts_is_not_compared_with_numbers_is_said(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, caplog: pytest.LogCaptureFixture, check_contacts: bool
) -> None:
    do_not_call = [{"contact_id": "con_000001"}]
    with dag:
        sequence = create(check_contacts=check_contacts, do_not_call=do_not_call)
        start(sequence.output, do_not_call=do_not_call)
    assert run_dag(dag).state == "success"
    assert called(calling) == (PEOPLE[1:] if check_contacts else PEOPLE)
    warning = "1 contact without a number. Here they cannot be compared with people who are listed by a number"
    at_create, at_start = (f"{warning}: {end}" for end in ("such a person is called if", "the create has compared"))
    assert (at_create in caplog.text, at_start in caplog.text) == (not check_contacts, True)
    assert "they were compared" not in caplog.text


@pytest.mark.parametrize("unknown_zone", [None, "America/New_York"])
def test_an_assumed_zone_says_by_which_hours_contacts_are_called(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, unknown_zone: str | None
) -> None:
    guards = {"unchecked": True, "unknown_zone": unknown_zone}
    with dag:
        sequence = create(contacts_from=[{"contact_id": "con_000001"}], **guards)
        start(sequence.output, calling_hours=at_another_time(), **guards)
    run = run_dag(dag)
    assert run.xcom("create")["zones"] == ([unknown_zone] if unknown_zone else [])
    assert called(calling) == ([] if unknown_zone else PEOPLE[:1])


@pytest.mark.parametrize(
    ("stored", "arguments"),
    [
        ("+1 (415) 555-0101", {}),
        ("(415) 555-0101", {"default_region": "US"}),
        ("+1 (415) 555-0101", {"contacts_from": [{"contact_id": "con_000001"}, {"contact_id": "con_000004"}]}),
    ],
    ids=["in E.164", "national", "contacts by their ids"],
)
def test_a_number_of_several_contacts_is_refused(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, stored: str, arguments: dict[str, Any]
) -> None:
    """A sequence calls contacts: this number would ring twice."""
    calling.add_contact(stored)
    with dag:
        create(missing_contacts="leave_out", unchecked=True, **arguments)
    assert run_dag(dag).state == "failed"
    assert writes(calling) == []


@pytest.mark.parametrize("stored", ["+1 (415) 555-0109", "14155550109", "+1-415-555-0109"])
def test_a_contact_is_called_however_its_number_is_stored(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, stored: str
) -> None:
    """The simulator compares texts, and the service may."""
    calling.add_contact(stored)
    with dag:
        start(create(contacts_from=[*PEOPLE, "+14155550109"]).output)
    run = run_dag(dag)
    assert (run.state, run.xcom("create")["people"]) == ("success", 4)
    assert called(calling) == sorted([*PEOPLE, stored])


def test_a_written_custom_id_by_which_the_service_does_not_find_is_refused(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    """Another run with it would make, and start, one more."""
    calling.finds_sequences_by_custom_id = False
    with dag:
        start(create(custom_id="spring", retries=2).output)
    run = run_dag(dag)
    assert (run.states("create"), run.tries("create")) == (["failed"], 1)
    assert called(calling) == []


def test_a_filter_whose_people_are_compared_with_no_list_is_not_started(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    with dag:
        sequence = create(filter=NAMED, unchecked=True, do_not_call=[])
        start(sequence.output, unchecked=True, do_not_call=PEOPLE[:1])
    run = run_dag(dag)
    assert (run.states("create"), run.states("start"), called(calling)) == (["success"], ["failed"], [])


def test_mapped_creates_have_everybody_once(dag: Any, run_dag: Callable[..., Any], calling: Simulator) -> None:
    with dag:
        OpenCXCreateSequenceOperator.partial(task_id="create", name="Spring", steps=[phone_step(AGENT)]).expand(
            contacts_from=[PEOPLE[:2], PEOPLE[1:]]
        )
    assert "failed" in run_dag(dag).states("create")
    assert len(calling.sequences()) <= 1


def test_everybody_is_called_where_that_is_written(dag: Any, run_dag: Callable[..., Any], calling: Simulator) -> None:
    everybody = {"or": [{"and": [{"type": "all_contacts"}]}]}
    with dag:
        start(create(filter=everybody, max_contacts=None, unchecked=True).output, unchecked=True)
    run = run_dag(dag)
    assert (run.state, called(calling), run.xcom("create")["people"]) == ("success", PEOPLE, None)
    assert run.pushed("create")["zones"] == []


@pytest.mark.parametrize(
    ("dropped", "field"),
    [
        ("filter", "filter"),
        ("phone_number_in", "filter"),
        ("is_continuous", "is_continuous"),
        ("steps.action.data.aiPhoneAgentId", "steps"),
        ("steps.delay_in_minutes", "steps"),
    ],
)
def test_what_the_service_drops_without_a_word_is_not_started(
    dag: Any,
    run_dag: Callable[..., Any],
    calling: Simulator,
    capfd: pytest.CaptureFixture[str],
    dropped: str,
    field: str,
) -> None:
    calling.drops_sequence_fields = [dropped]
    calling.continuous_begin = False
    with dag:
        start(create(steps=[phone_step(AGENT, delay=5)], retries=2).output)
    run = run_dag(dag)
    assert (run.states("create"), run.states("start")) == (["failed"], ["upstream_failed"])
    assert run.tries("create") == 1
    assert called(calling) == []
    # Airflow 3.0 draws a frame around an error, and breaks its lines.
    assert letters_of(f"is not stored as declared: {field}") in letters_of("".join(capfd.readouterr()))


@pytest.mark.parametrize(
    "changed",
    [
        {"filter": None},
        {"filter": {"or": [{"and": [{"type": "contacts_phone_number_in", "phone_number_in": PEOPLE[:2]}]}]}},
        {"steps": [{"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": "pa_000002"}}}]},
        {"is_continuous": True},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_was_changed_after_the_create_is_not_started(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, changed: dict[str, Any]
) -> None:
    calling.add_agent("Other", type="outbound")

    with dag:

        @task(multiple_outputs=False)
        def somebody_changes(sequence: dict[str, Any]) -> dict[str, Any]:
            calling.update_sequence(sequence["id"], **changed)
            return sequence

        start(somebody_changes(create().output), retries=2)
    run = run_dag(dag)
    assert (run.states("start"), run.tries("start")) == (["failed"], 1)
    assert calling.started() == []
    assert called(calling) == []


def test_an_agent_that_somebody_adds_to_a_step_after_the_create_does_not_call(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    other = calling.add_agent("Other", type="outbound")["id"]
    with dag:

        @task(multiple_outputs=False)
        def somebody_adds(sequence: dict[str, Any]) -> dict[str, Any]:
            step = {"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": other}}}
            calling.update_sequence(sequence["id"], steps=[step])
            return sequence

        asked = create(steps=[{"action": {"type": "make_phone_calls", "data": {}}}])
        start(somebody_adds(asked.output), unchecked=True) >> create(
            task_id="cleared",
            custom_id="{{ ti.xcom_pull('create')['custom_id'] }}",
            trigger_rule="all_done",
            steps=[{"action": {"type": "make_phone_calls", "data": {}}}],
        )
    run = run_dag(dag)
    assert (run.states("start"), run.states("cleared"), called(calling)) == (["failed"], ["success"], [])


@pytest.mark.parametrize(
    "arguments",
    [
        {"do_not_call": PEOPLE[:1]},
        {"calling_hours": "at another time"},
        {"do_not_call": "/nowhere.csv"},
    ],
    ids=repr,
)
def test_a_guard_at_the_start_keeps_from_it(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, arguments: dict[str, Any]
) -> None:
    if "calling_hours" in arguments:
        arguments = {"calling_hours": at_another_time()}
    with dag:
        start(create().output, **arguments)
    assert run_dag(dag).states("start") == ["failed"]
    assert (calling.started(), calling.count("startSequence")) == ([], 0)


@pytest.mark.parametrize("agent", ["nobody", "inbound", "without a number"])
def test_agents_that_cannot_call_start_nothing(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, agent: str
) -> None:
    others = {
        "inbound": calling.add_agent("Inbound", type="inbound")["id"],
        "without a number": calling.add_agent("New", type="outbound", phone_number=None)["id"],
    }
    with dag:
        start(create(steps=[phone_step(others.get(agent, "pa_000009"))]).output)
    assert run_dag(dag).states("start") == ["failed"]
    assert calling.count("startSequence") == 0


NO_RESPONSE: dict[str, Fault] = {
    "lost": LoseResponse(),
    "late": HandleLate(5),
    "a 500 after it": RefuseAfterHandling(500),
    "a 400 after it": RefuseAfterHandling(400),
    "a 404 after it": RefuseAfterHandling(404),
    "no success": Respond(200, {"success": False}),
    "empty": EmptyResponse(),
    "a 503": ErrorResponse(503),
    "slow": SlowResponse(3),
}
"""What leaves open whether a request was handled."""


@pytest.mark.parametrize("fault", NO_RESPONSE)
def test_a_lost_create_makes_no_second_sequence_that_is_started(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, set_extra: Callable[..., None], fault: str
) -> None:
    set_extra(timeout=1)
    calling.fail("createSequence", NO_RESPONSE[fault])
    with dag:
        start(create(retries=2).output)
    run = run_dag(dag)
    assert (run.state, called(calling)) == ("success", PEOPLE)
    assert len(calling.started()) == 1
    assert len(calling.sequences()) == 1


@pytest.mark.parametrize("fault", NO_RESPONSE)
def test_a_start_of_unknown_outcome_is_read_and_not_sent_again(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, set_extra: Callable[..., None], fault: str
) -> None:
    set_extra(timeout=1)
    calling.fail("startSequence", NO_RESPONSE[fault])
    with dag:
        start(create().output, retries=3)
    run = run_dag(dag)
    is_handled = fault not in ("no success", "a 503")
    assert (run.states("start"), run.tries("start")) == (["success" if is_handled else "failed"], 1)
    assert (calling.count("startSequence"), len(calling.started())) == (1, int(is_handled))
    assert called(calling) == (PEOPLE if is_handled else [])


@pytest.mark.parametrize("ends", [False, True])
def test_a_start_of_unknown_outcome_that_is_canceled_before_it_began_is_no_success(
    calling: Simulator, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    def cancel(seconds: float) -> None:
        calling.cancel_sequence(made.id)
        calling.advance(seconds)

    calling.cancel_ends = ends
    client = OpenCXHook().get_conn()
    made = make_sequence(client, declared(*PEOPLE), NoLedger(), by="a script", must_be_found=True)
    calling.fail("startSequence", ErrorResponse(503))
    monkeypatch.setattr(reading.time, "sleep", cancel)
    with pytest.raises(OpenCXSequenceCanceledError, match="was canceled before it began"):
        start_once(client, made.id, NoLedger(), lambda sequence: None)
    assert (calling.started(), called(calling)) == ([], [])


REFUSED: dict[str, Fault] = {
    "a key": Respond(401, error_body(401, "Unauthorized")),
    "a scope": Respond(403, error_body(403, "Forbidden")),
    "a body": Respond(400, error_body(400, "body cannot be empty", "FST_ERR_CTP_EMPTY_JSON_BODY")),
    "a route": Respond(404, error_body(404, "Route PUT:/sequences/seq_000001/start not found")),
}


@pytest.mark.parametrize("refusal", REFUSED)
def test_a_refused_start_may_be_sent_again_by_a_clear(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, refusal: str
) -> None:
    calling.fail("startSequence", REFUSED[refusal])
    with dag:
        sequence = create()
        first = start(sequence.output, retries=3)
        first >> start(sequence.output, task_id="again", trigger_rule="all_done")
    run = run_dag(dag)
    assert (run.states("start"), run.tries("start")) == (["failed"], 1)
    assert (run.states("again"), called(calling)) == (["success"], PEOPLE)


def test_too_many_requests_are_waited_out(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_opencx.campaigns.rate_limited.time.sleep", calling.advance)
    for operation in ("createSequence", "startSequence"):
        calling.fail(operation, TooManyRequests(retry_after=5), times=2)
    with dag:
        start(create().output)
    assert run_dag(dag).state == "success"
    assert len(calling.started()) == 1


def test_two_tasks_that_start_one_sequence_start_it_once(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    with dag:
        sequence = create()
        start(sequence.output) >> start(sequence.output, task_id="other")
    run = run_dag(dag)
    assert (run.states("start"), run.states("other")) == (["success"], ["failed"])
    assert (len(calling.started()), called(calling)) == (1, PEOPLE)


def declared(*numbers: str) -> SequenceDeclaration:
    return SequenceDeclaration(
        "Spring", "spring", filter_of([Callee(number) for number in numbers]), checked_steps([phone_step(AGENT)])
    )


def test_runs_that_create_one_custom_id_at_once_create_one_sequence(calling: Simulator) -> None:
    together = Barrier(3)

    def create_and_start() -> str:
        client = OpenCXHook().get_conn()
        together.wait()
        made = make_sequence(client, declared(*PEOPLE), NoLedger())
        with suppress(OpenCXSequenceRefusedError):
            start_once(client, made.id, NoLedger(), lambda sequence: None)
        return made.id

    with ThreadPoolExecutor() as threads:
        ids = {future.result() for future in [threads.submit(create_and_start) for _ in range(3)]}
    assert (len(ids), len(calling.sequences()), len(calling.started())) == (1, 1, 1)
    assert called(calling) == PEOPLE


class Records(NoLedger):
    """Records that outlast a try."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def read(self, slot: str) -> Entry | None:
        return self.entries.get(slot)

    def begin(self, slot: str, entry: Entry, *, after: Entry | None) -> Entry | None:
        self.entries[slot] = entry
        return None

    def finish(self, slot: str, entry: Entry) -> None:
        self.entries[slot] = entry


def is_found(calling: Simulator) -> None:
    calling.finds_sequences_by_custom_id = True


def has_another(calling: Simulator) -> None:
    is_found(calling)
    calling.create_sequence(custom_id="spring", filter=LISTED, steps=[{"action": {"type": "x", "data": {}}}])


class ForCustomId(Respond):
    """A response to each read by the custom id "spring"."""

    def applies_to(self, call: Call) -> bool:
        return call.path_parameters["sequence_id"] == "spring"


def cannot_be_read(calling: Simulator) -> None:
    calling.fail("getSequence", ForCustomId(503, error_body(503, "away")), times=None)


@pytest.mark.parametrize(
    ("service", "error"),
    [
        (lambda calling: None, (OpenCXSequenceMismatchError, "does not find it by its custom id")),
        (has_another, (OpenCXSequenceMismatchError, "finds another one by its custom id")),
        (cannot_be_read, (OpenCXServerError, "503")),
        (is_found, None),
    ],
    ids=["is not found", "has another", "cannot be read", "is found"],
)
def test_each_try_with_a_written_custom_id_succeeds_only_where_every_run_finds_its_sequence(
    calling: Simulator, service: Callable[[Simulator], None], error: tuple[type[Exception], str] | None
) -> None:
    """A try that was killed has recorded its sequence, and the next one finds it by its own id."""
    client, records = OpenCXHook().get_conn(), Records()
    calling.finds_sequences_by_custom_id = False
    made = make_sequence(client, declared(*PEOPLE), records)
    service(calling)
    for _ in range(2):
        if error is None:
            assert make_sequence(client, declared(*PEOPLE), records, must_be_found=True).id == made.id
        else:
            with pytest.raises(error[0], match=error[1]):
                make_sequence(client, declared(*PEOPLE), records, must_be_found=True)
    assert writes(calling) == ["createSequence"]


def test_a_task_that_is_cleared_with_another_custom_id_has_another_sequence(calling: Simulator) -> None:
    client, records = OpenCXHook().get_conn(), Records()
    spring, summer = declared(*PEOPLE), replace(declared(*PEOPLE), custom_id="summer")
    first = make_sequence(client, spring, records)
    second = make_sequence(client, summer, records, must_be_found=True)
    assert (second.custom_id, second.id == first.id) == ("summer", False)
    assert make_sequence(client, summer, records, must_be_found=True).id == second.id


def test_a_service_that_refuses_the_form_of_a_custom_id_finds_none_by_it(calling: Simulator) -> None:
    refusal = ForCustomId(400, error_body(400, "params/id Invalid UUID", "FST_ERR_VALIDATION"))
    calling.fail("getSequence", refusal, times=None)
    client = OpenCXHook().get_conn()
    assert make_sequence(client, declared(*PEOPLE), Records()).id == calling.sequences()[0]["id"]
    with pytest.raises(OpenCXSequenceMismatchError, match="does not find it"):
        make_sequence(client, declared(*PEOPLE), Records(), must_be_found=True)


def test_a_sequence_is_not_changed_while_another_task_starts_it(
    calling: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = OpenCXHook().get_conn()
    made = make_sequence(client, declared(PEOPLE[0]), NoLedger())
    with ThreadPoolExecutor() as threads:
        changes: list[Future[OutboundSequence]] = []

        def others_change_it(*arguments: Any, **options: Any) -> Any:
            changes.append(
                threads.submit(lambda: make_sequence(OpenCXHook().get_conn(), declared(*PEOPLE[1:]), NoLedger()))
            )
            wait(changes, timeout=1)
            return start_sequence(*arguments, **options)

        monkeypatch.setattr(starts, "start_sequence", others_change_it)
        start_once(client, made.id, NoLedger(), lambda sequence: None)
        [change] = changes
        with pytest.raises(OpenCXSequenceRefusedError, match="has begun, and is not as declared"):
            change.result()
    assert called(calling) == PEOPLE[:1]


def test_a_custom_id_that_is_the_id_of_another_sequence_changes_nothing(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    steps = [{"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": AGENT}}}]
    other = calling.create_sequence(name="Of the dashboard", filter=None, steps=steps, is_continuous=False)
    with dag:
        start(create(custom_id=other["id"]).output)
    assert run_dag(dag).states("create") == ["failed"]
    assert (writes(calling), calling.sequences()) == ([], [other])


@pytest.mark.parametrize("has_path", [False, True])
def test_mapped_tasks_start_a_sequence_each(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, tmp_path: Path, has_path: bool
) -> None:
    with dag:
        sequences = OpenCXCreateSequenceOperator.partial(
            task_id="create", name="Spring", steps=[phone_step(AGENT)]
        ).expand(contacts_from=[PEOPLE[:1], PEOPLE[1:]])
        OpenCXStartSequenceOperator.partial(
            task_id="start", calling_hours=None, ledger_path=str(tmp_path) if has_path else None
        ).expand(sequence_id=sequences.output)
    assert run_dag(dag).states("start") == ["success"] * 2
    assert called(calling) == PEOPLE


@pytest.mark.parametrize(
    "odd",
    [
        Respond(403, "<html>No</html>"),
        Respond(401, error_body(401, "Unauthorized")),
        Respond(404, error_body(404, "Route GET:/sequences/seq_000001 not found")),
        Respond(200, "[]"),
        ErrorResponse(503),
    ],
    ids=repr,
)
def test_one_odd_read_after_a_start_is_not_believed(
    calling: Simulator, monkeypatch: pytest.MonkeyPatch, odd: Fault
) -> None:
    client = OpenCXHook().get_conn()
    made = make_sequence(client, declared(*PEOPLE), NoLedger())

    def then_an_odd_read(*arguments: Any, **options: Any) -> Any:
        handled = start_sequence(*arguments, **options)
        calling.fail("getSequence", odd)
        return handled

    monkeypatch.setattr(starts, "start_sequence", then_an_odd_read)
    assert start_once(client, made.id, NoLedger(), lambda sequence: None).has_begun


def test_a_start_that_was_accepted_and_does_not_show_is_not_to_be_sent_by_hand(calling: Simulator) -> None:
    client = OpenCXHook().get_conn()
    made = make_sequence(client, declared(*PEOPLE), NoLedger())
    calling.sequences_lag = "60m"
    calling.advance(3600)
    with pytest.raises(OpenCXUnknownStartError, match="do not start it a second time") as unknown:
        start_once(client, made.id, NoLedger(), lambda sequence: None)
    assert "start it there" not in str(unknown.value)
    assert len(calling.started()) == 1


def test_a_sequence_that_became_continuous_is_canceled(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    calling.drops_sequence_fields = ["is_continuous"]
    with dag:
        create(steps=[phone_step(AGENT, delay=1)], retries=2)
    run = run_dag(dag)
    assert (run.state, run.tries("create")) == ("failed", 1)
    assert (called(calling), calling.sequences()[0]["status"]) == ([], "canceled")


def test_a_result_that_was_changed_on_the_way_starts_nothing(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    with dag:

        @task(multiple_outputs=False)
        def changed(sequence: dict[str, Any]) -> dict[str, Any]:
            return {**sequence, "asked": {**sequence["asked"], "people": "3"}}

        start(changed(create().output), retries=2)
    run = run_dag(dag)
    assert (run.states("start"), run.tries("start"), calling.started()) == (["failed"], 1, [])


@has_task_state
def test_reads_that_lag_for_long_are_no_reason_for_another_sequence(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    calling.sequences_lag = "80s"
    with dag:
        create(retries=4)
    run = run_dag(dag)
    assert (run.state, len(calling.sequences())) == ("success", 1)


def test_a_service_that_does_not_find_by_custom_id_is_named_after_the_first_create(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    calling.finds_sequences_by_custom_id = False
    calling.fail("createSequence", LoseResponse())
    with dag:
        start(create(retries=1).output)
    run = run_dag(dag)
    assert (run.state, called(calling)) == ("success", PEOPLE)
    assert (len(calling.sequences()), len(calling.started())) == (2, 1)
    assert "does not find a sequence by its custom id" in caplog.text


def test_a_sequence_that_has_not_begun_is_changed_and_one_that_has_is_not(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    with dag:
        first = create(custom_id="spring", contacts_from=PEOPLE[:1])
        second = create(task_id="changed", custom_id="spring", contacts_from=PEOPLE[:2])
        begun = start(second.output)
        third = create(task_id="late", custom_id="spring", contacts_from=PEOPLE)
        same = create(task_id="same", custom_id="spring", contacts_from=PEOPLE[:2], trigger_rule="all_done")
        first >> second >> begun >> third >> same
    run = run_dag(dag)
    assert [run.states(task_id) for task_id in ("create", "changed", "start", "late", "same")] == [
        ["success"],
        ["success"],
        ["success"],
        ["failed"],
        ["success"],
    ]
    assert called(calling) == PEOPLE[:2]
    assert writes(calling) == ["createSequence", "updateSequence", "startSequence"]


def test_an_organization_without_sequences_is_named(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, capfd: pytest.CaptureFixture[str]
) -> None:
    calling.generation = "2024"
    with dag:
        create(check_contacts=False, retries=2)
    run = run_dag(dag)
    assert run.state == "failed"
    assert "The service of this organization has no such operation" in "".join(capfd.readouterr())


def test_an_id_alone_is_started_within_the_guards(dag: Any, run_dag: Callable[..., Any], calling: Simulator) -> None:
    listed = {"or": [{"and": [{"type": "contacts_phone_number_in", "phone_number_in": PEOPLE}]}]}
    steps = [{"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": AGENT}}}]
    everybody = calling.create_sequence(filter=None, steps=steps, is_continuous=False)["id"]
    calling.create_sequence(filter=listed, steps=steps, is_continuous=False, custom_id="of the dashboard")
    with dag:
        start(everybody, task_id="everybody", unchecked=True, max_contacts=None)
        start("of the dashboard", task_id="many", max_contacts=2) >> start(
            "of the dashboard", task_id="few", trigger_rule="all_done"
        )
    run = run_dag(dag)
    assert [run.states(task_id) for task_id in ("everybody", "many", "few")] == [["failed"], ["failed"], ["success"]]
    assert called(calling) == PEOPLE


@pytest.mark.parametrize(("kind", "starts"), [("make_phone_calls", True), ("send_emails", True), ("dial", False)])
def test_an_id_alone_whose_steps_do_not_tell_who_calls_is_started_where_that_is_meant(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, kind: str, starts: bool
) -> None:
    listed = {"or": [{"and": [{"type": "contacts_phone_number_in", "phone_number_in": PEOPLE}]}]}
    steps = [{"action": {"type": kind, "data": {"aiPhoneAgentId": AGENT}}}]
    one, other = (calling.create_sequence(filter=listed, steps=steps, is_continuous=False)["id"] for _ in range(2))
    with dag:
        start(one, task_id="checked")
        start(other, task_id="unchecked", unchecked=True)
    run = run_dag(dag)
    assert [run.states("checked"), run.states("unchecked")] == [["success" if starts else "failed"], ["success"]]


def test_steps_that_the_create_has_declared_are_started(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    with dag:
        start(create(steps=[{"action": {"type": "dial", "data": {"agent": AGENT}}}]).output)
    assert run_dag(dag).state == "success"


def test_a_teardown_cancels_what_a_failed_run_has_left(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    calling.step_takes = "1m"
    with dag:
        sequence = create(steps=[phone_step(AGENT, delay=1)])

        @task
        def fails() -> None:
            raise ValueError("something else")

        cancel = OpenCXCancelSequenceOperator(task_id="cancel", sequence_id=sequence.output)
        start(sequence.output) >> fails() >> cancel.as_teardown(setups=sequence)
    run = run_dag(dag)
    assert (run.state, run.states("cancel")) == ("failed", ["success"])
    assert (called(calling), calling.sequences()[0]["status"]) == ([], "canceled")


def test_a_cancel_needs_no_switch_and_survives_lost_responses(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, set_extra: Callable[..., None]
) -> None:
    steps = [{"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": AGENT}}}]
    sequence_id = calling.create_sequence(filter=None, steps=steps, is_continuous=False)["id"]
    set_extra(allow_calls=False, max_retries=0)
    calling.fail("cancelSequence", LoseResponse())
    with dag:
        cancel = OpenCXCancelSequenceOperator(task_id="cancel", sequence_id=sequence_id)
        cancel >> start(sequence_id, unchecked=True, max_contacts=None)
    run = run_dag(dag)
    assert (run.states("cancel"), run.states("start")) == (["success"], ["failed"])
    assert run.xcom("cancel")["status"] == "canceled"


def test_without_the_switch_nothing_is_created(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, set_extra: Callable[..., None]
) -> None:
    set_extra(allow_calls=False)
    with dag:
        create(retries=2)
    run = run_dag(dag)
    assert (run.state, run.tries("create"), writes(calling)) == ("failed", 1, [])


def continuous(simulator: Simulator, numbers: Sequence[str] | None = None) -> str:
    simulator.continuous_begin = False
    condition = (
        {"type": "contacts_phone_number_in", "phone_number_in": [*numbers]} if numbers else {"type": "all_contacts"}
    )
    steps = [{"action": {"type": "make_phone_calls", "data": {"aiPhoneAgentId": AGENT}}}]
    return str(simulator.create_sequence(filter={"or": [{"and": [condition]}]}, steps=steps, is_continuous=True)["id"])


def add(sequence_id: Any, **arguments: Any) -> OpenCXAddContactsToSequenceOperator:
    return OpenCXAddContactsToSequenceOperator(
        **{
            "task_id": "add",
            "sequence_id": sequence_id,
            "contacts": PEOPLE,
            "calling_hours": None,
            "batch_size": 2,
            "retry_delay": 0,
            **arguments,
        }
    )


def context_of_a_task() -> Any:
    """The context of one task, whose records survive from one try to the next."""

    class StateStore(dict[str, Any]):
        def set(self, key: str, value: Any, *, retention: Any = None) -> None:
            self[key] = value

    instance = SimpleNamespace(
        try_number=1, map_index=-1, dag_id="d", run_id="r", task_id="add", xcom_push=lambda key, value: None
    )
    return {"ti": instance, "task_state_store": StateStore()}


def enrolled(simulator: Simulator) -> list[str]:
    return sorted(str(each.phone_number) for each in simulator.enrolled())


def test_people_are_added_in_slices_each_once(dag: Any, run_dag: Callable[..., Any], calling: Simulator) -> None:
    with dag:
        add(continuous(calling), contacts=[*PEOPLE, "+1 415 555 0101"])
    run = run_dag(dag)
    result = run.xcom("add")
    assert (enrolled(calling), called(calling)) == (PEOPLE, PEOPLE)
    assert calling.count("addContactsToSequence") == 2
    assert (len(result["run_ids"]), result["added"], result["not_admitted"]) == (2, 3, 0)
    assert [each["status"] for each in result["contacts"]] == ["added"] * 3
    assert run.pushed("add")["added"] == result


def test_whom_the_filter_does_not_admit_is_named_and_not_added(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    with dag:
        add(continuous(calling, PEOPLE[:2]))
    run = run_dag(dag)
    assert (enrolled(calling), run.xcom("add")["not_admitted"]) == (PEOPLE[:2], 1)
    assert f"does not admit {PEOPLE[2]}" in caplog.text


def test_who_was_added_is_said_to_be_also_where_the_filter_has_changed_since(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, tmp_path: Path
) -> None:
    sequence_id = continuous(calling)
    calling.fail("addContactsToSequence", LoseResponse())
    kept = {"ledger_path": f"file://{tmp_path}", "once_per": "ever", "on_unknown": "skip", "contacts": PEOPLE[:2]}

    @task
    def edit() -> None:
        condition = {"type": "contacts_phone_number_in", "phone_number_in": PEOPLE[2:]}
        calling.update_sequence(sequence_id, filter={"or": [{"and": [condition]}]})

    with dag:
        first = add(sequence_id, batch_size=1, **kept)
        first >> edit() >> add(sequence_id, task_id="again", **{**kept, "contacts": [*PEOPLE[:2], "+14155550109"]})
    result = run_dag(dag).xcom("again")
    assert [each["status"] for each in result["contacts"]] == ["unknown", "added", "not_admitted"]
    assert (result["added"], result["not_admitted"]) == (1, 1)


def test_a_person_who_was_reached_by_something_else_is_left_out(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, tmp_path: Path
) -> None:
    ever = {"ledger_path": f"file://{tmp_path}", "once_per": "ever", "calling_hours": None}
    one, other = continuous(calling), continuous(calling)
    with dag:
        call = OpenCXPlaceCallOperator(task_id="call", agent_id=AGENT, contacts=PEOPLE[:1], **ever)
        first = add(one, contacts=PEOPLE[1:2], **ever)
        again, new = add(other, task_id="again", **ever), add(other, task_id="new", **ever)
        (
            call
            >> first
            >> again
            >> new
            >> OpenCXPlaceCallOperator(task_id="last", agent_id=AGENT, phone_number=PEOPLE[1], **ever)
        )
    run = run_dag(dag)
    for task_id in ("again", "new"):
        result = run.xcom(task_id)
        assert result["added"] == 1
        assert [(each["status"], each["sequence_id"]) for each in result["contacts"]] == [
            ("reached_elsewhere", None),
            ("reached_elsewhere", None),
            ("added", other),
        ]
        by_call, by_other, _ = (each["reason"] for each in result["contacts"])
        assert re.fullmatch(r"was called at 2\S+ by try 1 of call in the run '.*'", by_call)
        assert re.fullmatch(rf"was added to another sequence \({one}\) at 2\S+ by try 1 of add in .*", by_other)
    assert (run.states("last"), enrolled(calling)) == (["skipped"], PEOPLE[1:])


@has_task_state
def test_a_task_that_has_added_people_to_another_sequence_adds_nobody(calling: Simulator) -> None:
    one, other = continuous(calling), continuous(calling)
    context = context_of_a_task()
    assert add(one, contacts=PEOPLE[:2]).execute(context)["added"] == 2  # type: ignore[index,call-overload]
    with pytest.raises(OpenCXSequenceRefusedError, match=rf"was added to another sequence \({one}\) at .* new Dag run"):
        add(other, contacts=PEOPLE).execute(context)
    assert enrolled(calling) == PEOPLE[:2]
    assert add(one, contacts=PEOPLE).execute(context)["added"] == 3  # type: ignore[index,call-overload]


@has_task_state
def test_a_slice_of_unknown_outcome_is_not_sent_again(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator
) -> None:
    calling.fail("addContactsToSequence", LoseResponse())
    with dag:
        add(continuous(calling), retries=3)
    run = run_dag(dag)
    assert (run.state, run.tries("add")) == ("failed", 1)
    assert (enrolled(calling), calling.count("addContactsToSequence")) == (PEOPLE, 2)
    assert [each["status"] for each in run.pushed("add")["added"]["contacts"]] == ["unknown", "unknown", "added"]


@pytest.mark.parametrize("is_mapped", [False, True])
def test_guards_hold_where_people_are_added(
    dag: Any, run_dag: Callable[..., Any], calling: Simulator, is_mapped: bool
) -> None:
    sequence_id = continuous(calling)
    with dag:
        add(sequence_id, do_not_call=PEOPLE[:1], max_contacts=3)
        add(sequence_id, task_id="many", max_contacts=2)
        if is_mapped:
            OpenCXAddContactsToSequenceOperator.partial(
                task_id="mapped", sequence_id=sequence_id, calling_hours=None, max_contacts=2
            ).expand(contacts=[[number] for number in PEOPLE])
    run = run_dag(dag)
    assert (run.states("add"), run.states("many")) == (["success"], ["failed"])
    assert enrolled(calling) == PEOPLE[1:]


@pytest.mark.parametrize(
    ("operator", "arguments", "problem"),
    [
        (create, {"contacts_from": None}, "give contacts_from"),
        (create, {"filter": {}, "contacts_from": PEOPLE}, "give contacts_from"),
        (create, {"missing_contacts": "create"}, "missing_contacts"),
        (create, {"check_contacts": "no"}, "check_contacts"),
        (create, {"calling_hours": "9-5"}, "calling_hours"),
        (create, {"name": "{{ nothing"}, "name"),
        (start, {"sequence_id": ""}, "sequence_id"),
        (start, {"sequence_id": ["a", "b"]}, "sequence_id: must be one sequence"),
        (start, {"sequence_id": {"name": "x"}}, "sequence_id"),
        (start, {"sequence_id": "s", "outside_hours": "skip"}, "outside_hours"),
        (start, {"sequence_id": "s", "ledger_path": "here"}, "ledger_path"),
        (add, {"sequence_id": "s", "batch_size": 0}, "batch_size"),
        (add, {"sequence_id": "s", "once_per": "ever"}, "ledger_path"),
    ],
)
def test_wrong_argument_is_an_error_while_the_dag_is_parsed(
    operator: Callable[..., Any], arguments: dict[str, Any], problem: str
) -> None:
    from airflow_provider_opencx.exceptions import OpenCXArgumentError

    with pytest.raises(OpenCXArgumentError, match=problem):
        operator(**arguments)


@pytest.mark.parametrize("delay", ["soon", -1, float("nan"), 10**9])
def test_a_delay_that_is_none_is_an_error_while_the_dag_is_parsed(delay: Any) -> None:
    from airflow_provider_opencx.exceptions import OpenCXArgumentError

    with pytest.raises(OpenCXArgumentError, match="delay"):
        phone_step(AGENT, delay=delay)
