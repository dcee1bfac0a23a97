"""Tests arbitrary input: only this package's errors are raised, and accepted values can be stored."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import msgspec
import pytest
from airflow.sdk import Connection
from airflow.secrets.environment_variables import EnvironmentVariablesBackend
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from airflow_provider_opencx.client import locks, pagination, transport
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.operation import Response
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.connection.settings import client_settings
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXConfigError,
    OpenCXError,
    OpenCXResponseError,
    OpenCXServerError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.phone_agents import reconcile
from airflow_provider_opencx.reconciliation import creates, listing, progress
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgent,
    PhoneAgentChanges,
    PhoneAgentSpec,
    create_phone_agent,
    list_phone_agents,
    ping,
)
from airflow_provider_opencx.resources.voices import list_voices
from airflow_provider_opencx.secret import Secret
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.triggers.phone_number import result_of

from .replies import Replies

KEY = "ocx_live_s3cret"
NO_PAUSES = SimpleNamespace(monotonic=time.monotonic, time=time.time, sleep=lambda seconds: None)
LONGEST_MESSAGE = 3000

thrown = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def nested(levels: int, inside: object = None) -> object:
    """A list in a list in a list."""
    value = inside
    for _ in range(levels):
        value = [value]
    return value


NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([2**63, -(2**63) - 1, 2**64, float("nan"), float("inf"), 1e308]),
    st.builds(pow, st.just(-10), st.sampled_from([400, 4201])),
)
TEXTS = st.one_of(
    st.text(st.characters()),
    st.sampled_from(["", " ", "\x00", "\ud800", "a\udfffb", "\x1b[31m", "\n", "{{ a }}", "1e999"]),
    st.builds("x".__mul__, st.just(20_000)),
)
DEPTHS = st.sampled_from([100, 200])  # Hypothesis itself cannot show what is much deeper
JSON_LIKE = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)
ODDITIES = st.one_of(
    JSON_LIKE,
    st.binary(max_size=20),
    st.builds(nested, DEPTHS),
    st.sampled_from([{1: 2}, {None: "x"}, (1, 2), {3}, object(), {"\ud800": b""}]),
    st.builds(["\ud800"].__mul__, st.just(300)),
)


def assert_kind(error: OpenCXError, secret: object = KEY) -> None:
    """The error can be read, logged and stored, and does not tell too much."""
    message = str(error)
    assert message.strip()
    assert len(message) <= LONGEST_MESSAGE
    assert secret != KEY or KEY not in message
    message.encode()
    stored = json.loads(json.dumps(error.to_event(), allow_nan=False))
    assert str(OpenCXError.from_event(stored)) == message


def assert_whole(error: OpenCXError) -> None:
    """The error says something, and works like one that was raised in this process."""
    assert str(error).strip()
    assert str(error.with_message("more")) == "more"
    assert error.to_event()["message"] == str(error)


def assert_storable(value: object) -> None:
    """The value is plain JSON that a UTF-8 database takes, and that Airflow can hand on to it."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert json.loads(text) == value
    assert "\\u0000" not in text.replace("\\\\", "")
    msgspec.msgpack.encode(value)  # how a worker hands it to Airflow


FIELDS = [*PhoneAgentSpec.model_fields, "actionIds"]
WRITTEN = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), ODDITIES, max_size=4).map(lambda fields: {"name": "a", **fields}),
    st.builds(lambda value: {"name": "a", "additional_fields": value}, st.dictionaries(TEXTS, ODDITIES, max_size=2)),
    st.dictionaries(TEXTS, ODDITIES, max_size=3),
    ODDITIES,
)


class TestDeclaration:
    @thrown
    @given(WRITTEN)
    @pytest.mark.parametrize("declared", [PhoneAgentSpec, PhoneAgentChanges])
    def test_can_be_sent_or_raises_provider_error(self, declared: type[PhoneAgentChanges], fields: Any) -> None:
        try:
            declaration = declared.parse(fields)
        except OpenCXError as error:
            assert_kind(error)
            return
        body = declaration.body()
        assert_storable(body)
        sent = httpx.Request("POST", "https://api.open.cx/phone", json=body)
        assert json.loads(sent.content) == body
        assert declaration.only(set(declaration.declared_fields)).body() == body

    @thrown
    @given(st.dictionaries(st.sampled_from(FIELDS[:-1]), ODDITIES, max_size=4))
    def test_can_be_rendered_or_raises_at_parse_time(self, fields: dict[str, Any]) -> None:
        fields = {"name": "a", **fields}
        try:
            operator = OpenCXUpsertPhoneAgentOperator(task_id="upsert", **fields)
        except OpenCXError as error:
            assert_kind(error)
        else:
            assert operator.agent.keys() == fields.keys()

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"name": "a\ud800"}, "name: holds a NUL, or half of a character"),
            ({"first_message": "\x00"}, "first_message: holds a NUL"),
            ({"additional_fields": {"\ud800": 1}}, r"'\\ud800': holds a NUL"),
            ({"instructions": ["\ud83d"]}, "instructions: holds a NUL, or half"),
            ({"flow": {"a": [float("inf")]}}, "flow: holds a number that is not finite"),
            ({"flow": 2**64}, "flow: holds a whole number of more than 64 bits"),
            ({"flow": nested(300)}, "flow"),
            ({"flow": nested(5000)}, "flow"),
            ({"speed": True}, "speed: must be a number"),
            ({"action_ids": [None] * 1000}, "action_ids.0: must be text"),
            ({"flow": [b""] * 50}, "and 45 more"),
        ],
    )
    def test_refuses_known_bad_value_by_name(self, fields: dict[str, object], says: str) -> None:
        with pytest.raises(OpenCXArgumentError, match=says):
            PhoneAgentSpec.parse({"name": "a", **fields})

    @pytest.mark.parametrize(
        ("operator", "arguments"),
        [
            (OpenCXUpsertPhoneAgentOperator, {"name": "a", "flow": nested(5000)}),
            (OpenCXUpsertPhoneAgentOperator, {"name": "a", "on_mismatch": nested(5000)}),
            (OpenCXPhoneNumberSensor, {"agent_id": nested(5000)}),
        ],
    )
    def test_refuses_endless_nesting_at_parse_time(self, operator: Any, arguments: dict[str, object]) -> None:
        with pytest.raises(OpenCXArgumentError):
            operator(task_id="upsert", **arguments)

    @thrown
    @given(ODDITIES)
    @pytest.mark.parametrize(
        ("operator", "argument"),
        [
            (partial(OpenCXUpsertPhoneAgentOperator, name="a"), "on_mismatch"),
            (partial(OpenCXCreatePhoneAgentOperator, name="a"), "if_exists"),
            (partial(OpenCXUpdatePhoneAgentOperator, new_name="a"), "agent_id"),
            (partial(OpenCXUpdatePhoneAgentOperator, new_name="a"), "agent_name"),
            (OpenCXPhoneNumberSensor, "agent_id"),
            (OpenCXPhoneNumberSensor, "agent_name"),
            (partial(OpenCXPhoneNumberSensor, agent_name="a"), "opencx_conn_id"),
            (partial(OpenCXUpsertPhoneAgentOperator, name="a"), "opencx_conn_id"),
            (partial(OpenCXUpsertPhoneAgentOperator, name="a"), "wait_for_phone_number"),
            (partial(OpenCXUpsertPhoneAgentOperator, name="a"), "poke_interval"),
            (partial(OpenCXUpsertPhoneAgentOperator, name="a"), "timeout"),
            (OpenCXPlanPhoneAgentsOperator, "agents"),
            (partial(OpenCXPlanPhoneAgentsOperator, agents=[]), "fail_on_changes"),
            (partial(OpenCXSyncPhoneAgentsOperator, agents=[]), "approved_plan"),
        ],
    )
    def test_argument_is_accepted_or_raises_at_parse_time(self, operator: Any, argument: str, value: Any) -> None:
        try:
            operator(task_id="task", **{argument: value})
        except OpenCXError as error:
            assert_kind(error)


FIELDS = st.fixed_dictionaries(
    {"password": st.one_of(st.just(KEY), ODDITIES)},
    optional={
        "host": st.one_of(
            ODDITIES,
            st.sampled_from(
                [
                    f"https://user:{KEY}@exam\u2100ple.com",
                    f"https://{KEY}",
                    f"http://{KEY.upper()}.example.com",
                    "https://[::1",
                    "https://[fe80::1%eth0]",
                    "https://example.com/a b/\u00fc/%zz",
                ]
            ),
            st.builds("https://example.com/{}".format, st.builds("x".__mul__, st.just(70_000))),
            st.builds("https://{}".format, TEXTS),
        ),
        "port": st.one_of(st.integers(-1, 70_000), ODDITIES),
        "schema": st.one_of(st.sampled_from(["", "http", "https"]), ODDITIES),
    },
)
EXTRA_VALUES = st.one_of(
    ODDITIES,
    st.sampled_from(["1e300", 1e300, "0x1", KEY, True, " 5 ", "machine", f"redis://:{KEY}@[::1]:6379/0"]),
    st.builds("redis://{}".format, TEXTS),
)
EXTRA_NAMES = st.one_of(
    st.sampled_from(["timeout", "max_retries", "requests_per_minute", "coordination", "allow_calls", "verify"]),
    TEXTS,
)
EXTRAS = st.one_of(
    st.dictionaries(EXTRA_NAMES, EXTRA_VALUES, max_size=4).map(lambda extra: json.dumps(extra, default=str)),
    st.sampled_from(['{"timeout": 1e999}', '{"timeout": NaN}', '{"timeout": ']),
    st.builds("[".__mul__, st.just(100_000)),
    st.builds('{"timeout": '.__mul__, st.just(5000)),
    TEXTS,
    ODDITIES,
)


def json_of(value: object) -> str:
    """The value in JSON, as far as there is one."""
    return json.dumps(value, default=str, skipkeys=True)


def as_airflow_reads_it(variable: str) -> Any:
    """The connection of an environment variable ``AIRFLOW_CONN_C``."""
    return EnvironmentVariablesBackend().deserialize_connection("c", variable)


class TestConnection:
    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"password": 12345}, r"the API key \(password\) must be text"),
            ({"host": 5}, r"the Base URL \(host\) must be text"),
            ({"extra": ["timeout"]}, "the extra must be text"),
            ({"extra": "[" * 100_000}, "the extra is not JSON"),
            ({"extra": json.dumps({"timeout": KEY})}, r'timeout must be .* got "\*\*\*"'),
            ({"extra": '{"timeout": 1e300}'}, "timeout must be a number from 1 to 3600"),
            ({"extra": '{"max_retries": 101}'}, "max_retries must be a whole number from 0 to 100, got 101"),
            ({"host": f"https://user:{KEY}@exam\u2100ple.com"}, r"the Base URL \(host\) must be an http"),
            ({"host": "https://[::1"}, r"the Base URL \(host\) must be an http"),
            ({"host": "https://[fe80::1%eth0]"}, r"the Base URL \(host\) must be an http"),
            ({"host": "https://example.com/" + "x" * 70_000}, r"the Base URL \(host\) must be an http"),
            ({"host": "example.com", "port": True}, "the port"),
            ({"host": "example.com", "port": "443"}, "the port"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_refuses_known_bad_field(self, fields: dict[str, Any], says: str) -> None:
        with pytest.raises(OpenCXConfigError, match=f"Connection 'c': .*{says}") as error:
            client_settings(
                Connection(**{"conn_id": "c", "conn_type": "opencx", "password": KEY, **fields}), user_agent="test"
            )
        assert_kind(error.value)

    def check(self, connection: Any) -> None:
        try:
            made = client_settings(connection, user_agent="test")
        except OpenCXError as error:
            assert_kind(error, secret=connection.password)
            return
        with OpenCXClient(made) as client, socket.socket() as probe:
            probe.settimeout(made.timeout)
            request = client._http.build_request("GET", "/phone")
            assert request.url.host

    @thrown
    @given(FIELDS, EXTRAS)
    def test_makes_client_or_raises_provider_error(self, fields: dict[str, Any], extra: Any) -> None:
        self.check(Connection(conn_id="c", conn_type="opencx", extra=extra, **fields))

    @thrown
    @given(FIELDS, EXTRAS)
    def test_json_makes_client_or_raises_provider_error(self, fields: dict[str, Any], extra: Any) -> None:
        try:
            connection = as_airflow_reads_it(json_of({**fields, "conn_type": "opencx", "extra": extra}))
        except Exception:  # Airflow's own errors, before the provider is asked
            assume(False)
        self.check(connection)

    @thrown
    @given(TEXTS, TEXTS, st.dictionaries(EXTRA_NAMES, TEXTS, max_size=3))
    def test_uri_makes_client_or_raises_provider_error(self, host: str, path: str, extra: dict[str, str]) -> None:
        def spelled(text: str) -> str:
            return quote(text, safe="[]:", errors="surrogatepass")

        query = urlencode(extra, errors="surrogatepass")
        try:
            uri = f"opencx://:{KEY}@{spelled(host)}/{spelled(path)}?{query}"
            connection = as_airflow_reads_it(uri)
        except Exception:  # Airflow's own errors, before the provider is asked
            assume(False)
        self.check(connection)


def encoded(value: object) -> bytes:
    """The value as a service would spell it, and any that nobody can spell as brackets without end."""
    try:
        return json.dumps(value).encode()
    except (RecursionError, ValueError):
        return b"[" * 5000


AGENTS = st.fixed_dictionaries(
    {"id": st.one_of(st.sampled_from(["pa_1", "pa_2"]), TEXTS)},
    optional={
        "name": st.one_of(st.just("a"), TEXTS),
        "type": st.one_of(st.just("outbound"), JSON_LIKE),
        "language": JSON_LIKE,
        "phone_number": st.one_of(st.just("+14155550100"), JSON_LIKE),
        "instructions": JSON_LIKE,
        "newer": JSON_LIKE,
        "model_extra": JSON_LIKE,
    },
)
LISTS = st.lists(AGENTS, max_size=3)
PAGES = st.fixed_dictionaries({"items": LISTS}, optional={"next": JSON_LIKE})
KNOWN_BODIES = {
    "infinity": b'[{"id": "1", "speed": 1e999}]',
    "infinity below": b'[{"id": "1", "newer": -1e999}]',
    "half an emoji": b'[{"id": "1", "first_message": "Hi \\ud83d"}]',
    "half an emoji in bytes": b'[{"id": "1", "first_message": "Hi \xed\xa0\xbd"}]',
    "NUL": b'[{"id": "1", "name": "\\u0000\\\\u0000"}]',
    "65 bits": b'[{"id": "1", "newer": 18446744073709551616}]',
    "400 digits": b'[{"id": "1", "newer": %s}]' % (b"1" * 400),
    "5000 digits": b'[{"id": "1", "newer": %s}]' % (b"1" * 5000),
    "400 levels": b'[{"id": "1", "newer": %s%s}]' % (b"[" * 400, b"]" * 400),
    "200 levels": b'[{"id": "1", "newer": %s%s}]' % (b"[" * 200, b"]" * 200),
    "100,000 levels": b"[" * 100_000,
    "a long id": b'[{"id": "%s", "name": "a"}]' % (b"1" * 100_000),
    "long names": b'[{"id": "1", "name": "%s"}, {"id": "2", "name": "a"}]' % (b"a" * 100_000),
    "a long list of what should be text": b'[{"id": "1", "language": [%s1]}]' % (b"1," * 10_000),
    "UTF-16": "[]".encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf[]",
    "nothing": b"",
}
RAW_BODIES = st.sampled_from(sorted(KNOWN_BODIES)).map(KNOWN_BODIES.__getitem__)
ERROR_BODIES = st.builds(lambda message: {"message": message}, st.one_of(JSON_LIKE, st.builds(nested, DEPTHS)))
BODIES = st.one_of(
    st.binary(max_size=50),
    RAW_BODIES,
    st.one_of(AGENTS, LISTS, PAGES, ERROR_BODIES, JSON_LIKE).map(encoded),
)
STATUSES = st.one_of(st.sampled_from([200, 200, 200, 201, 204, 400, 429, 500]), st.integers(100, 999))
RETRY_AFTERS = st.one_of(
    st.text(st.characters(codec="latin-1"), max_size=40),
    st.integers().map(str),
    st.builds("9".__mul__, st.just(5000)),
    st.sampled_from(
        [
            "Mon, 01 Jan 99999999999 00:00:00 GMT",
            "Mon, 01 Jan 2100 00:00:00",
            "Mon, 01 Jan 2100 00:00:00 +9999999999",
            "Mon, 99 Foo 0000 99:99:99 GMT",
            "1e999",
            "\u0663",
            ",",
        ]
    ),
)
HEADERS = st.fixed_dictionaries(
    {}, optional={"retry-after": RETRY_AFTERS, "x-request-id": st.text(st.characters(codec="latin-1"))}
)
ANSWERS = st.lists(
    st.builds(Response, STATUSES, HEADERS, BODIES, st.just("connection 'c'"), st.just(Secret(KEY))),
    min_size=1,
    max_size=6,
)


def assert_kept(outcome: object) -> None:
    """Whatever agent there is in what a call returned can be handed on to the next task."""
    for item in outcome if isinstance(outcome, list) else [getattr(outcome, "agent", outcome)]:
        if isinstance(item, PhoneAgent):
            assert_storable(item.as_dict())


def outcome_of(request_of: Callable[[OpenCXClient], Any], responses: list[Response]) -> Any:
    """Return what these responses become, the last of them for ever, without a wait."""
    replies = chain(responses, repeat(responses[-1]))
    with Replies(lambda request: next(replies), api_key=KEY) as client, pytest.MonkeyPatch.context() as monkeypatch:
        for module in (creates, listing, progress):
            monkeypatch.setattr(module, "time", NO_PAUSES)
        monkeypatch.setattr(locks, "_intents", {})
        return request_of(client)


DECLARED = PhoneAgentSpec.parse({"name": "a", "language": "en", "first_message": "Hi"})
REQUESTS: dict[str, Callable[[OpenCXClient], object]] = {
    "list agents": list_phone_agents,
    "list voices": list_voices,
    "ping": ping,
    "create once": lambda client: create_phone_agent(client, DECLARED),
    "create": lambda client: reconcile.create(client, DECLARED, is_retry=True),
    "upsert": lambda client: reconcile.upsert(client, DECLARED),
    "update": lambda client: reconcile.update(client, DECLARED, agent_id="pa_1"),
    "rename": lambda client: reconcile.update(client, PhoneAgentChanges.parse({"name": "b"}), agent_name="a"),
}


class TestResponse:
    @thrown
    @given(ANSWERS)
    @pytest.mark.parametrize("request_of", REQUESTS)
    def test_is_storable_or_raises_provider_error(self, request_of: str, answers: list[Response]) -> None:
        try:
            outcome = outcome_of(REQUESTS[request_of], answers)
        except OpenCXError as error:
            assert_kind(error)
            return
        assert_kept(outcome)

    @pytest.mark.parametrize("status", [200, 400])
    @pytest.mark.parametrize("body", KNOWN_BODIES)
    def test_known_bad_body_is_storable_or_raises(self, body: str, status: int) -> None:
        try:
            outcome = outcome_of(list_phone_agents, [Response(status, body=KNOWN_BODIES[body])])
        except OpenCXError as error:
            assert_kind(error)
        else:
            assert_kept(outcome)

    @pytest.mark.parametrize(
        ("told", "read"),
        [
            ("Hi \\ud83d", "Hi \N{REPLACEMENT CHARACTER}"),
            ("\\ud83d\\ude00", "\N{GRINNING FACE}"),
            ("\\u0000", "\N{REPLACEMENT CHARACTER}"),
            ("\\\\ud83d \\\\u0000", "\\ud83d \\u0000"),
        ],
    )
    def test_replaces_lone_surrogate_or_nul(self, told: str, read: str) -> None:
        answer = Response(200, body=b'[{"id": "1", "first_message": "%s"}]' % told.encode())
        assert outcome_of(list_phone_agents, [answer])[0].first_message == read

    @pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "1" * 400, "1" * 5000])
    def test_refuses_number_beyond_bounds(self, number: str) -> None:
        with pytest.raises(OpenCXResponseError, match="not JSON"):
            outcome_of(list_phone_agents, [Response(200, body=b'[{"id":"1","n":%s}]' % number.encode())])

    @pytest.mark.parametrize("cursor", [b"{}", b'{"a": 1}', b'"%s"' % (b"x" * 70_000), b"1.5"])
    def test_treats_invalid_cursor_as_end_or_error(self, cursor: bytes) -> None:
        answer = Response(200, body=b'{"items": [], "next": %s}' % cursor)
        if cursor == b"{}":
            assert outcome_of(list_phone_agents, [answer]) == []
        else:
            with pytest.raises(OpenCXResponseError, match="its cursor cannot be read"):
                outcome_of(list_phone_agents, [answer])

    @pytest.mark.parametrize(
        ("page", "says"), [(b'[{"id": "1"}]', "over 1000 pages"), (b'[{"id": "1"}%s]' % (b" " * 5000), "over 1 MiB")]
    )
    def test_cuts_off_endless_pages(self, page: bytes, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pagination, "MAX_LIST_BYTES", 1024 * 1024)
        answers = [
            Response(200, body=b'{"items": %s, "next": "%d"}' % (page, number))
            for number in range(pagination.MAX_PAGES + 1)
        ]
        with pytest.raises(OpenCXResponseError, match=f"does not end: {says}"):
            outcome_of(list_phone_agents, answers)


class TestEvent:
    @thrown
    @given(
        st.one_of(
            ODDITIES,
            st.fixed_dictionaries(
                {"status": st.sampled_from(["success", "error", None])},
                optional={
                    "agent": ODDITIES,
                    "error": st.one_of(st.sampled_from(["OpenCXAPIError", "OpenCXPlanRefusedError"]), ODDITIES),
                    "message": TEXTS,
                    "attributes": st.one_of(
                        ODDITIES, st.dictionaries(st.sampled_from(["status_code", "args", "saying"]), JSON_LIKE)
                    ),
                },
            ),
        )
    )
    def test_becomes_agent_or_provider_error(self, event: Any) -> None:
        try:
            agent = result_of(event)
        except OpenCXError as error:
            assert_whole(error)
        else:
            assert isinstance(agent, dict)

    def test_endless_nesting_becomes_provider_error(self) -> None:
        event = {"status": "error", "error": nested(5000), "message": nested(5000), "attributes": nested(5000)}
        with pytest.raises(OpenCXError) as error:
            result_of(event)
        assert_whole(error.value)


class RawService:
    """A service on a socket that answers every request with the same bytes, and then hangs up.

    :param raw: the answer, its head and all.
    :param dribbles: whether a byte follows now and then, until the client hangs up.
    """

    def __init__(self, raw: bytes = b"", *, dribbles: bool = False) -> None:
        self.raw = raw
        self.requests = 0
        self._dribbles = dribbles
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> RawService:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        with socket.create_connection(self._listener.getsockname()):
            pass
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, suppress(OSError):
                if self._closed.is_set():
                    return
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as request:
            head = list(iter(request.readline, b"\r\n"))
            length = [line.split(b":")[1] for line in head if line.lower().startswith(b"content-length:")]
            request.read(int(length[0]) if length else 0)
        self.requests += 1
        connection.sendall(self.raw)
        while self._dribbles and not self._closed.wait(0.02):
            connection.sendall(b" ")


def run(request_of: Callable[[OpenCXClient], object], settings: ClientSettings) -> None:
    """Send what is sent with a client of these settings."""
    with OpenCXClient(settings) as client:
        request_of(client)


HEADER_LINES = st.one_of(
    st.sampled_from(
        [
            b"Content-Length: 5",
            b"Content-Length: -1",
            b"Content-Length: 99999999999999999999",
            b"Content-Length: 1\r\nContent-Length: 2",
            b"Transfer-Encoding: chunked",
            b"Content-Encoding: gzip",
            b"Content-Encoding: deflate",
            b"Content-Encoding: br, gzip",
            b"Content-Type: application/json; charset=\xff",
            b"Set-Cookie: a=b; Expires=Mon, 99 Foo 99999999999 00:00:00 GMT; Path=\xff; Domain=.; Version=x",
            b"Set-Cookie: ;;;=;\xff",
            b"Location: http://[::1",
            b"Retry-After: Mon, 01 Jan 99999999999 00:00:00 GMT",
            b"X-Request-Id: " + KEY.encode(),
            b"Connection: upgrade\r\nUpgrade: websocket",
            b": no name",
            b"\xff: x",
        ]
    ),
    st.binary(max_size=20),
)
WIRE_BODIES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"[]",
            b"ffffffffffffffff\r\n",
            b"5\r\n[]   \r\n0\r\n\r\n",
            b"-5\r\n",
            gzip.compress(b"[]"),
            gzip.compress(b"[]")[:-4],
            json.dumps({"message": f"the key was {KEY}"}).encode(),
            json.dumps({"message": f"the key was {KEY}"}).replace("_", "\\u005f").encode(),
        ]
    ),
)
RAW_ANSWERS = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda status, headers, body: b"\r\n".join([b"HTTP/1.1 %d OK" % status, *headers, b"", body]),
        st.sampled_from([100, 101, 200, 201, 204, 302, 304, 401, 429, 500, 999]),
        st.lists(HEADER_LINES, max_size=3),
        WIRE_BODIES,
    ),
    st.builds(b"HTTP/1.1 200 OK\r\nX: {}".__add__, st.builds(b"x".__mul__, st.just(200_000))),
    st.builds(b"HTTP/1.1 103 Early Hints\r\n\r\n".__mul__, st.just(500)),
)


class TestWire:
    def test_become_result_or_provider_error(self) -> None:
        with RawService() as service:
            settings = ClientSettings(service.url, KEY, timeout=5, max_retries=0, requests_per_minute=100_000)

            @thrown
            @given(RAW_ANSWERS, st.sampled_from(["list agents", "ping", "create once"]))
            def throw(raw: bytes, request_of: str) -> None:
                service.raw = raw
                try:
                    run(REQUESTS[request_of], settings)
                except OpenCXError as error:
                    assert_kind(error)

            throw()

    def test_key_repeated_in_body_is_hidden(self) -> None:
        body = json.dumps({"message": f"{KEY} is no key"}).replace("_", "\\u005f").encode()
        with RawService(b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as service:
            settings = ClientSettings(service.url, KEY, requests_per_minute=100_000)
            with pytest.raises(OpenCXError, match=r"'\*\*\* is no key'"):
                run(ping, settings)

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 400 Bad\r\nBearer %s\r\n\r\n",
            b"HTTP/1.1 Bearer %s\r\n\r\n",
            b"HTTP/1.1 400 Bad\r\nX-Request-Id: %s\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 400 %s\r\nContent-Length: 0\r\n\r\n",
        ],
        ids=["in no header", "as the status", "as the id of the request", "as the reason"],
    )
    def test_key_repeated_in_head_is_hidden(self, head: bytes) -> None:
        with RawService(head % KEY.encode()) as service:
            settings = ClientSettings(service.url, KEY, max_retries=0, requests_per_minute=100_000)
            with pytest.raises(OpenCXError) as error:
                run(ping, settings)
        assert KEY not in json.dumps(error.value.to_event())

    @pytest.mark.parametrize(
        "asked", ["Mon, 01 Jan 99999999999 00:00:00 GMT", "Mon, 01 Jan 2100 00:00:00 +9999999999", "soon", "-1", "\xff"]
    )
    def test_unreadable_retry_after_does_not_stop_retry(self, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("httpx_retries.Retry.backoff_strategy", lambda self: 0.01)
        head = f"HTTP/1.1 503 Busy\r\nRetry-After: {asked}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
        with RawService(head) as service:
            settings = ClientSettings(service.url, KEY, max_retries=1, requests_per_minute=100_000)
            with pytest.raises(OpenCXServerError) as error:
                run(ping, settings)
            assert (service.requests, error.value.retry_after) == (2, None)

    @pytest.mark.parametrize(
        ("request_of", "sent"), [(list_phone_agents, 2), (lambda client: create_phone_agent(client, DECLARED), 1)]
    )
    def test_endless_body_times_out(
        self, request_of: Callable[[OpenCXClient], object], sent: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("httpx_retries.Retry.backoff_strategy", lambda self: 0.01)
        monkeypatch.setattr(transport, "DEADLINE_FACTOR", 0.02)  # no piece is late, only the whole of it
        with RawService(b"HTTP/1.1 200 OK\r\n\r\n[", dribbles=True) as service:
            settings = ClientSettings(service.url, KEY, timeout=10, max_retries=1, requests_per_minute=100_000)
            with pytest.raises(OpenCXUnreachableError, match=r"exchange was not complete after 0\.2 s") as error:
                run(request_of, settings)
            assert (service.requests, error.value.request_sent) == (sent, True)

    def test_proxy_that_dribbles_times_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "DEADLINE_FACTOR", 0.02)
        with RawService(b"HTTP/1.1 200 OK\r\nX-Padding: ", dribbles=True) as service:
            monkeypatch.setenv("HTTPS_PROXY", service.url)
            settings = ClientSettings("https://api.open.cx", KEY, timeout=10, max_retries=0)
            with pytest.raises(OpenCXUnreachableError, match=r"exchange was not complete after 0\.2 s"):
                run(ping, settings)
            assert service.requests == 1
