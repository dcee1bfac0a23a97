"""Tests that log lines, errors and plans show every character of others' texts, so that none passes for ours.

Each scenario lets one text stand for all that a service or a person writes: names, ids, numbers, keys, values, error
messages, paths and ids of connections.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import tracemalloc
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import DAG
from pydantic import JsonValue

import airflow_provider_opencx
from airflow_provider_opencx import visible_text
from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.connection.settings import client_settings
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.hooks.opencx import OpenCXHook, connection_not_found
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.phone_agents import reconcile
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.reconciliation import creates, listing, progress
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentChanges, PhoneAgentSpec
from airflow_provider_opencx.secret import Secret
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.text import is_invisible
from airflow_provider_opencx.triggers.connections import PolledConnection
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger
from airflow_provider_opencx.visible_text import identifier, in_quotes, visible, visible_repr, whole_in_quotes

from .replies import Replies

HOSTILE = {
    "line breaks": "a\nFORGED\r\nFORGED\x0bFORGED\x85FORGED\u2028FORGED",
    "terminal codes": "\x1b[2J\x1b]0;a\x07\x9b2J",
    "directions": "a\u202egnp.exe\u2066b\u200f",
    "invisible": "a\u200bb\ufe0fc\u3164d\u034fe\U000e0041f\u00adg\u2800h",
    "marks": "Z" + "\u0336\u0489\u0301" * 200 + "e\u0301",
    "blanks": "a\u00a0\u2003b\tc",
    "quotes": "a') is fine. Phone agent 'b\" (c",
    "long": "x" * 300_000,
    "long marks": "Z\u0301" * 20_000,
}
UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}
LONGEST_MESSAGE = 50_000
NO_PAUSES = SimpleNamespace(sleep=lambda seconds: None, monotonic=time.monotonic, time=time.time)
TASK_INSTANCE = SimpleNamespace(
    get_first_reschedule_date=lambda _: None, xcom_push=lambda **_: None, try_number=1, max_tries=0
)
PACKAGE = str(Path(airflow_provider_opencx.__file__).parent)


class Collector(logging.Handler):
    """Collects what the package logs, and what it raises."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.pathname.startswith(PACKAGE):
            self.messages.append(record.getMessage())

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Go on after an error, and collect it."""
        try:
            yield
        except Exception as error:
            if isinstance(error, AssertionError | NameError | KeyError):
                raise
            self.messages.append(str(error))


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for module in (creates, listing, progress):
        monkeypatch.setattr(module, "time", NO_PAUSES)
    monkeypatch.setattr(progress, "CONFIRM_AFTER", (0,))
    collector = Collector()
    root = logging.getLogger()
    before = root.level
    root.addHandler(collector)
    root.setLevel(logging.DEBUG)
    yield collector
    root.setLevel(before)
    root.removeHandler(collector)


def assert_shown(message: str, *, lines_of_our_own: bool = False) -> None:
    """Check that a message holds nothing that hides, moves or breaks out, and is bounded."""
    for line in message.split("\n") if lines_of_our_own else [message]:
        hidden = [
            f"U+{ord(each):04X}"
            for each in line
            if each != " " and (unicodedata.category(each) in UNSEEN or is_invisible(each) or each == "\u2800")
        ]
        assert not hidden, (hidden, line[:500])
        assert not line.startswith("FORGED")
        assert not re.search("[\u0300-\u036f\u0489]{3}", line)
    assert len(message) <= LONGEST_MESSAGE
    # The whole of such a text is nowhere, so the messages that have its beginning say how much they leave out.
    if "x" * 40 in message or "Z\u0301" * 15 in message:
        assert re.search(r"[\d,]{3,} (more )?characters", message), message[:500]


def existing(text: str, **fields: object) -> dict[str, Any]:
    return {
        "id": text[:1000],
        "name": text,
        "org_id": text,
        "phone_number": text,
        "type": "outbound",
        "model": text,
        "first_message": text,
        "handoff_phone_number": text,
        text: text,
        **fields,
    }


def service(
    agents: Sequence[Mapping[str, Any]], write: Callable[[Request], Response] | None = None
) -> Callable[[Request], Response]:
    def respond(request: Request) -> Response:
        if request.operation.method == "GET" or write is None:
            body: JsonValue = [dict(agent) for agent in agents]
            response = Response(200, {}, json.dumps(body).encode())
        else:
            response = write(request)
        return Response(response.status_code, response.headers, response.body, request.over("connection 'c'"), "secret")

    return respond


def refusal(text: str, status: int = 400) -> Callable[[Request], Response]:
    body = json.dumps({"statusCode": status, "message": [text, text], "error": text}).encode()
    return lambda request: Response(status, {"x-request-id": text[:300]}, body)


def writes_of_one_agent(text: str, seen: Collector) -> None:
    spec = PhoneAgentSpec.parse({"name": text, "first_message": "b", "additional_fields": {text: [text, {text: text}]}})
    renamed = PhoneAgentChanges.parse({"name": f"{text}3", "accent": text})
    for agents, write in [
        ([existing(text)], None),  # the list never shows the update
        ([existing(text)], refusal(text)),
        ([existing(text)], lambda request: Response(200, {}, json.dumps(existing(text)).encode())),
        ([existing(text), existing(text, id=f"2{text}"[:1000])], None),
        ([existing(f"{text} ".upper())], None),
        ([], refusal(text)),
        ([], refusal(text, 502)),
        ([], lambda request: Response(201, {}, json.dumps(existing(text, name=f"{text}2")).encode())),
        ([], lambda request: Response(201, {}, b"")),
        ([existing(text, type="inbound")], None),
        ([existing(text, type=text)], None),
    ]:
        client = Replies(service(agents, write))
        for call in (
            partial(reconcile.upsert, client, spec),
            partial(reconcile.upsert, client, spec, on_mismatch="warn", allow_near_name=True),
            partial(reconcile.create, client, spec),
            partial(reconcile.create, client, spec, "fail", allow_near_name=True),
            partial(reconcile.update, client, renamed, agent_id=text),
            partial(reconcile.update, client, PhoneAgentChanges.parse({"name": text}), agent_name="another"),
            partial(reconcile.update, client, PhoneAgentChanges.parse({"model": "other"}), agent_name=text),
        ):
            with seen.raised():
                call()


def fleets(text: str, seen: Collector) -> None:
    others = [existing(f"{text}{number}", id=f"{number}{text}"[:1000]) for number in range(4)]
    declared = [
        {"name": f"{text}{number}", "first_message": text, "additional_fields": {text: "new"}} for number in range(8)
    ]
    client = Replies(service([*others, existing(f"{text} ", id=f"9{text}"[:1000])], refusal(text, 500)))
    for allow_near_name in (False, True):
        plan = reconcile.plan_fleet(client, parse_fleet(declared), connection=text, allow_near_name=allow_near_name)
        approved = json.loads(json.dumps(plan.as_dict()))
        for change in ({}, {"agents": []}, {"org_id": f"{text}!"}, {"org_id": None, "undeclared": []}):
            with seen.raised():
                reconcile.apply_fleet(client, plan, connection=text, approved={**approved, **change})
        with seen.raised():
            plan.check()
        with seen.raised():
            plan.check_drift()
        with seen.raised():
            reconcile.apply_fleet(Replies(service([], refusal(text))), plan, connection=f"{text}!")


def waits(text: str, seen: Collector) -> None:
    polls: list[PhoneAgents | OpenCXError] = [
        PhoneAgents([]),
        PhoneAgents(map(PhoneAgent.from_response, [existing(text)])),
        PhoneAgents(map(PhoneAgent.from_response, [existing(f"{text} "), existing("another")])),
        PhoneAgents(map(PhoneAgent.from_response, [existing(text), existing(text, id=f"2{text}"[:1000])])),
        PhoneAgents(map(PhoneAgent.from_response, [existing(text, phone_number="+1 415 555 0100")])),
    ]
    for selector in ({"agent_id": text}, {"agent_name": text}, {"agent_name": [text, f"{text}2"]}):
        for poll in polls:
            with pytest.MonkeyPatch.context() as patch:
                agents = [*poll] if isinstance(poll, PhoneAgents) else []
                patch.setattr(OpenCXHook, "list_phone_agents", lambda _hook, agents=agents: agents)
                for mode in ("poke", "reschedule"):
                    sensor = OpenCXPhoneNumberSensor(task_id="a", mode=mode, poke_interval=0, timeout=0, **selector)
                    sensor.execution_timeout = timedelta(seconds=1)
                    with seen.raised():
                        sensor.execute({"ti": TASK_INSTANCE})  # type: ignore[typeddict-item]
                    seen.messages.append(sensor._waiting.described)
                sensor = OpenCXPhoneNumberSensor(task_id="a", deferrable=True, **selector)
                for event in (
                    asyncio.run(fired(selector, poll)),
                    {"status": "timeout", "progress": sensor._waiting.progress},
                ):
                    with seen.raised():
                        sensor.execute_complete({}, event)
                with suppress(TaskDeferred):
                    sensor.execute({})


async def fired(selector: Mapping[str, Any], poll: PhoneAgents | OpenCXError) -> Any:
    """Return the event of a trigger whose polls are all the same."""

    async def polled(_connection: object, _read: object) -> PhoneAgents | OpenCXError:
        return poll

    trigger = OpenCXPhoneNumberTrigger("c", **selector, poll_interval=0.001, timeout=0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PolledConnection, "poll", polled)
        return (await anext(trigger.run())).payload


def connections(text: str, seen: Collector) -> None:
    for hook in (OpenCXHook(text), OpenCXHook("opencx_default")):
        hook.__dict__["_client"] = Replies(service([], refusal(text)))
        for call in (
            lambda hook=hook: hook.get_phone_agent(text),
            lambda hook=hook: hook.find_phone_agent(text),
            lambda hook=hook: hook.list_voices(),
            lambda hook=hook: hook.get_conn().request("POST", f"/phone/{text}", json=text),
            lambda hook=hook: hook.get_conn().request("GET", text),
        ):
            with seen.raised():
                call()
        with pytest.MonkeyPatch.context() as patch:
            refusing = Replies(lambda request: Response(403, {}, refusal(text, 403)(request).body, str(request)))
            patch.setattr(OpenCXHook, "get_conn", lambda _hook, client=refusing: client)
            seen.messages.append(hook.test_connection()[1])
    seen.messages.append(str(connection_not_found(text, ValueError(text))))
    for fields in ({"conn_type": text}, {"host": text}, {"extra": json.dumps({"timeout": text})}, {"password": text}):
        usual = {"conn_id": text, "conn_type": "opencx", "host": "", "port": None, "schema": "", "extra": ""}
        connection: Any = type("Connection", (), {**usual, "password": "key", **fields})
        with seen.raised():
            client_settings(connection, user_agent="test")


def arguments(text: str, seen: Collector) -> None:
    for fields in (
        {"name": text, "handoff_phone_number": text},
        {"name": text, "language": text},
        {"name": text, "language": ["en", text]},
        {"name": text, "language": ["en", "pl-" + "-".join(["abcdefgh"] * 50_000)]},
        {"name": text, "additional_fields": {text: "\0"}},
        {"name": text, "additional_fields": {text: float("nan")}},
        {"name": text, "flow": {text: {text: object()}}},
        {"name": text, "type": text},
        {"name": text, "speed": text},
        {"name": text, "data_collection_webhook_url": text},
        {"name": text, "first_message": "{{ a." + text + " }}"},
        {"name": text, "first_message": "{{ a | nofilter }} " + text, "opencx_conn_id": "{% " + text},
        {"name": text, "additional_fields": {text: "{% x"}},
    ):
        for operator in (OpenCXCreatePhoneAgentOperator, OpenCXUpsertPhoneAgentOperator):
            with seen.raised():
                operator(task_id="a", **fields)  # type: ignore[arg-type]
        for declarations in ([fields], [fields, fields], [{**fields, text: 1}]):
            with seen.raised():
                OpenCXPlanPhoneAgentsOperator(task_id="a", agents=declarations)
    with seen.raised():
        OpenCXSyncPhoneAgentsOperator(task_id="a", agents=text)
    with seen.raised():
        OpenCXUpdatePhoneAgentOperator(task_id="a", agent_id=text, accent=text, agent_name=text)
    with DAG("d", schedule=None):
        task = OpenCXUpsertPhoneAgentOperator(
            task_id="a",
            name=text,
            first_message="{{ unknown | default('') }}" + text,
            additional_fields={text: {text: "{{ params[1/0] }}" + text}},
        )
    with seen.raised():
        task.render_template_fields({"params": {}})  # type: ignore[typeddict-item, typeddict-unknown-key]


LINE_ABOUT_A_FILE = re.compile(
    r"agents: |\w+\.\w+, line \d+, column \d+: |\w+\.\w+: |and \d+ more|No file of the fleet uses the variables A$|$"
)


def fleet_files(text: str, seen: Collector, folder: Path) -> None:
    quoted = json.dumps(text)
    for number, (content, suffix) in enumerate(
        [
            (f"- {quoted}: 1\n  name: {quoted}\n  speed: {quoted}\n  handoff_phone_number: null", "yaml"),
            (f"- {{name: {quoted}, name: {quoted}}}", "yaml"),
            (f"- {{name: {quoted}, {quoted}: 1, {quoted}: 2}}", "yaml"),
            (f"- name: {quoted}\n- name: {quoted}", "yaml"),
            (f"- name: !{text} a", "yaml"),
            (f"- name: &{text} a", "yaml"),
            (f"- name: a #{text}", "yaml"),
            (f"- name: {text}: {text}", "yaml"),
            (f"- name: [{quoted}, {{{quoted}: 1}}]\n  speed: {{{quoted}: 2}}", "yaml"),
            (f"- ? [{quoted}]\n  : 1", "yaml"),
            (f"{text}: [", "yaml"),
            (text, "yaml"),
            (f'[{{"name": {quoted}, "name": {quoted}, {quoted}: 1}}]', "json"),
            (f'[{{"name": {quoted}, "speed": {quoted}, "action_ids": null}}]', "json"),
            (f"[{text}", "json"),
            (f"{quoted}: 1\nagents: []\nvariables: {{{quoted}: a}}\nignore: {{a: {quoted}}}", "yaml"),
            (f"defaults: {{{quoted}: 1, speed: {quoted}}}\nagents: [{{name: {quoted}}}]", "yaml"),
            (f"- name: {quoted}\n  accent: {json.dumps('${' + text)}\n  speed: ${{A}}", "yaml"),
            (f"- name: {quoted}\n  first_message_file: {quoted}\n  instructions_files: {{{quoted}: 1}}", "yaml"),
            (f"- {{name: {quoted}, id: {quoted}}}\n- {{name: b, id: {quoted}}}", "yaml"),
            (f"- {{name: {quoted}}}\n- {{name: b, previous_name: {quoted}}}", "yaml"),
            (f"- {{name: b, previous_name: {quoted}}}\n- {{name: c, previous_name: {quoted}}}", "yaml"),
        ]
    ):
        file = folder / f"{number}.{suffix}"
        file.write_text(content)
        with seen.raised():
            seen.messages.append(str(parse_fleet(read_fleet(file, variables={"A": text})))[:0])
    for path in (f"{text}.yaml", f"{text}.txt", f"{text}/*.yaml", text):
        with seen.raised(), suppress(ValueError):
            read_fleet(Path(path))


SCENARIOS = {
    "writes": writes_of_one_agent,
    "fleets": fleets,
    "waits": waits,
    "connections": connections,
    "arguments": arguments,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_no_message_hides_anything(scenario: Callable[[str, Collector], None], text: str, collector: Collector) -> None:
    scenario(text, collector)
    assert len(collector.messages) > 5
    for message in collector.messages:
        assert_shown(message)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_message_about_a_file_hides_anything(text: str, collector: Collector, tmp_path: Path) -> None:
    fleet_files(text, collector, tmp_path)
    assert len(collector.messages) > 5
    for message in collector.messages:
        assert_shown(message, lines_of_our_own=True)
        assert all(LINE_ABOUT_A_FILE.match(line) for line in message.split("\n")), message[:2000]


# The functions themselves.


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (in_quotes("it's"), '"it\'s"'),
        (in_quotes("""it's "so" """), """'it\\'s "so" '"""),
        (in_quotes("a\x1b[2J\n"), "'a\\u001b[2J\\n'"),
        (in_quotes("x" * 1_048_576, 9), "'xxxxxxxxx'... (1,048,567 more characters)"),
        (in_quotes(""), "''"),
        (identifier("pa_1"), "pa_1"),
        (identifier("+14155550100"), "+14155550100"),
        (identifier("pa 1"), "'pa 1'"),
        (identifier("pa_1\n"), "'pa_1\\n'"),
        (identifier("x" * 1000, 9), "'xxxxxxxxx'... (991 more characters)"),
        (identifier(""), "''"),
        (visible("\n" * 5, 2), "\\n\\n... (3 more characters)"),
        (visible_repr(repr("\\x1b \x1b \ufe0f \u200b")), "'\\\\x1b \\u001b \\ufe0f \\u200b'"),
        (whole_in_quotes("+1 (no)"), "'+1 (no)'"),
        (whole_in_quotes("s" * 41), "a text of 41 characters"),
        (whole_in_quotes("secret\\"), "a text of 7 characters"),
    ],
)
def test_text_is_shown_as_it_is(shown: str, wanted: str) -> None:
    assert shown == wanted


def test_work_grows_with_the_text_and_not_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    normalized: list[int] = []

    def normalize(form: Any, text: str) -> str:
        normalized.append(len(text))
        return unicodedata.normalize(form, text)

    counted = SimpleNamespace(normalize=normalize, category=unicodedata.category)
    monkeypatch.setattr(visible_text, "unicodedata", counted)
    assert len(visible("a" + "\u0301" * 40_000)) < 40_000 * len("\\u0301") + 10
    assert max(normalized) == 2
    assert len(normalized) <= 40_000


def test_only_what_is_shown_of_a_long_text_is_worked_on() -> None:
    text = "a\u0301\n" * 3_000_000
    tracemalloc.start()
    shown = [in_quotes(text), identifier(text), visible(text, 100), whole_in_quotes(text)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(map(len, shown)) < 1000
    assert peak < 100_000


SECRETS = ["ocx_live_s3cret-" + "k" * 24, "ocx\\live's3cret-" + "k" * 24]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before", ["", "x" * 290, "\\", "\x1b[2J"])
def test_key_that_the_service_repeats_is_taken_out_before_its_text_is_cut_and_shown(secret: str, before: str) -> None:
    body = json.dumps({"statusCode": 400, "message": f"{before}{secret} is wrong"}).encode()
    client = Replies(lambda request: Response(400, {}, body, str(request), Secret(secret)), api_key=secret)
    with pytest.raises(OpenCXError) as error:
        client.request("POST", "/phone")
    assert "***" in str(error.value)
    assert "cret" not in str(error.value)


@pytest.mark.parametrize("secret", SECRETS)
def test_key_in_the_wrong_field_is_taken_out_before_it_is_cut_and_shown(secret: str) -> None:
    fields = {"conn_id": "c", "conn_type": "x" * 95 + secret, "host": "", "port": None, "schema": "", "extra": ""}
    connection: Any = type("Connection", (), {**fields, "password": secret})
    with pytest.raises(OpenCXError) as error:
        client_settings(connection, user_agent="test")
    assert "ocx" not in str(error.value)
