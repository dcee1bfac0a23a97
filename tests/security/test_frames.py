"""Tests that an error tracker gets no secret: from the locals of an error's frames, or from the errors before it."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn
from urllib.parse import quote

import pytest
from airflow.models import Connection
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXCreatePhoneAgentOperator,
    OpenCXSyncPhoneAgentsOperator,
    OpenCXUpdatePhoneAgentOperator,
    OpenCXUpsertPhoneAgentOperator,
)
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges, PhoneAgentSpec
from airflow_provider_opencx.sensors.phone_number import OpenCXPhoneNumberSensor
from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger, PhoneNumbers
from airflow_provider_opencx.triggers.polling import SharedPolls


def _beside(name: str) -> ModuleType:
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


frames = _beside("frames")

KEY = 'ocx_live_fr4mes/of+"the"%41tests'
PASSWORD = "r3dis/p@ss+word"
PROXY_PASSWORD = "pr0xy/p@ss+word"
SECRETS = [KEY, PASSWORD, PROXY_PASSWORD]

QUICK = {"max_retries": 0, "requests_per_minute": 100_000, "timeout": 1, "allow_calls": True}


def redis_url(port: int = 1, password: str = PASSWORD) -> str:
    return f"redis://worker:{quote(password, safe='')}@127.0.0.1:{port}/0"


def as_json(**fields: object) -> str:
    fields = {"conn_type": "opencx", "host": "http://127.0.0.1:1", "password": KEY, **fields}
    return json.dumps(
        {
            **fields,
            "extra": {**QUICK, **fields["extra"]}
            if isinstance(fields.get("extra"), dict)
            else fields.get("extra", QUICK),
        }
    )


def as_uri(rest: str) -> str:
    return f"opencx://:{quote(KEY, safe='')}@{rest}"


WRONG_CONNECTIONS: dict[str, str] = {
    "type": as_json(conn_type="http"),
    "type that is the key": as_json(conn_type=KEY),
    "host": as_json(host="ht!tp://x"),
    "host with the key": as_json(host=f"https://{KEY}@api.open.cx"),
    "host and key swapped": as_json(host=KEY, password="https://api.open.cx"),
    "host that is no text": as_json(host={"key": KEY}),
    "plain http": as_json(host="http://api.open.cx"),
    "schema": as_json(schema="ftp"),
    "schema that is the key": as_json(schema=KEY),
    "port": as_json(port=99999),
    "port that is text": as_json(port="many"),
    "port of another host": as_json(host="http://127.0.0.1:8010", port=8011),
    "no key": as_json(password=""),
    "key of two lines": as_json(password=f"{KEY}\n{KEY}"),
    "key with a letter that no key has": as_json(password=f"{KEY}é"),
    "key with a blank": as_json(password=f"Bearer {KEY}"),
    "key that is no text": as_json(password={"key": KEY}),
    "extra that is no JSON": as_json(extra=f"{{'api_key': '{KEY}'"),
    "extra that is a list": as_json(extra=json.dumps([KEY])),
    "extra nested too deeply": as_json(extra="[" * 100_000),
    **{
        f"extra {name}={value!r:.20}": as_json(extra={name: value})
        for name in ("timeout", "max_retries", "requests_per_minute", "allow_insecure_http", "coordination")
        for value in ("soon", KEY, [KEY], -1, True)
        if not (name == "allow_insecure_http" and value is True)
    },
    "extra named like a field": as_json(extra={"api_key": KEY}),
    "extra nearly named": as_json(extra={"time_out": KEY}),
    "extra about TLS": as_json(extra={"verify": KEY}),
    "extra named by the key": as_json(extra={f"verify{KEY}": 1}),
    "Redis of no scheme": as_json(extra={"coordination": f"tcp://:{PASSWORD}@host"}),
    "Redis of a wrong port": as_json(extra={"coordination": f"redis://:{quote(PASSWORD, safe='')}@host:99999"}),
    "Redis of no host": as_json(extra={"coordination": f"redis://:{quote(PASSWORD, safe='')}@"}),
    "Redis of a broken host": as_json(extra={"coordination": f"redis://:{quote(PASSWORD, safe='')}@[::1"}),
    "Redis and a wrong timeout": as_json(extra={"coordination": redis_url(), "timeout": "soon"}),
    "URI with a path": as_uri("gateway.example.com/opencx"),
    "URI with a port": as_uri("127.0.0.1:99999"),
    "URI with a wrong extra": as_uri("?timeout=soon"),
    "URI with two hosts": as_uri("https://https://api.open.cx"),
    "URI that is broken": as_uri("[::1"),
    "JSON that is broken": f'{{"conn_type": "opencx", "password": {json.dumps(KEY)}',
    "JSON with a field that no connection has": as_json(api_key=KEY),
}
"""Connections that the hook refuses, or that Airflow itself cannot read."""


class RawService:
    """A service that answers each request with bytes, made from the request.

    :param reply: makes them; ``None`` says nothing at all.
    """

    def __init__(self, reply: Callable[[bytes], bytes | None]) -> None:
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with suppress(OSError):
            while request := client.recv(65536):
                self.requests += 1
                reply = self._reply(request)
                if reply is None:
                    continue
                client.sendall(reply)
                if not reply.startswith((b"+", b"-", b"*", b"%")):  # of a Redis, which goes on
                    client.shutdown(socket.SHUT_RDWR)
                    return

    def close(self) -> None:
        for opened in (self._listener, *self._open):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()


@pytest.fixture
def raw_service() -> Iterator[Callable[[Callable[[bytes], bytes | None]], RawService]]:
    """Starts a :class:`RawService`."""
    started: list[RawService] = []

    def start(reply: Callable[[bytes], bytes | None]) -> RawService:
        started.append(RawService(reply))
        return started[-1]

    yield start
    for service in started:
        service.close()


def http(status: str, body: bytes | str, *headers: str, length: int | None = None) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(content) if length is None else length}", "", ""]
    return "\r\n".join(head).encode() + content


def problem(status: int, request: bytes) -> str:
    """A response of the service itself, which repeats the request."""
    return json.dumps({"statusCode": status, "message": f"not for {request.decode()}", "key": KEY})


RESPONSES: dict[str, Callable[[bytes], bytes | None]] = {
    **{
        f"{status} of the service": lambda sent, status=status: http(f"{status} X", problem(status, sent))  # type: ignore[misc]
        for status in (301, 400, 401, 403, 404, 408, 422, 500, 503)
    },
    **{
        f"{status} of a proxy": lambda sent, status=status: http(f"{status} X", b"<html>" + sent)  # type: ignore[misc]
        for status in (302, 400, 401, 403, 404, 502)
    },
    "429 for an hour": lambda sent: http("429 X", problem(429, sent), "Retry-After: 3600", f"X-Request-Id: {KEY}"),
    "redirect with the key": lambda sent: http("302 X", "", f"Location: https://example.com/?{quote(KEY)}"),
    "headers with the key": lambda sent: http("500 X", "", f"X-Request-Id: {KEY}", f"X-Echo: Bearer {KEY}"),
    "broken JSON": lambda sent: http("200 OK", json.dumps({"key": KEY})[:-1]),
    "JSON in no UTF-8": lambda sent: http("200 OK", KEY.encode() + b"\xff"),
    "number that is none": lambda sent: http("200 OK", f'[{{"{KEY[:8]}": NaN, "key": {json.dumps(KEY)}}}]'),
    "text for a list": lambda sent: http("200 OK", json.dumps(f"Bearer {KEY}")),
    "object for a list": lambda sent: http("200 OK", json.dumps({"items": KEY})),
    "agents that are none": lambda sent: http("200 OK", json.dumps([KEY])),
    "truncated": lambda sent: http("200 OK", json.dumps([KEY]), length=1000),
    "truncated, with the key in its headers": lambda sent: http("200 OK", "[", f"X-Echo: {KEY}", length=1000),
    "broken compression": lambda sent: http("200 OK", KEY, "Content-Encoding: gzip"),
    "truncated compression": lambda sent: http("200 OK", gzip.compress(sent)[:-9], "Content-Encoding: gzip"),
    "broken chunks": lambda sent: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent,
    "no HTTP": lambda sent: sent,
    "illegal header": lambda sent: b"HTTP/1.1 200 OK\r\nX:\x00" + sent,
    "header without end": lambda sent: b"HTTP/1.1 200 OK\r\nX: " + sent[:9] + KEY.encode() * 10_000,
    "nothing": lambda sent: b"",
    "silence": lambda sent: None,
}
"""What a service may say, with as much of the request in it as it can hold."""

READ: Callable[[OpenCXHook], object] = lambda hook: hook.list_phone_agents()  # noqa: E731


def operator(**fields: Any) -> OpenCXUpsertPhoneAgentOperator:
    return OpenCXUpsertPhoneAgentOperator(task_id="upsert", name="a", **fields)


USES: dict[str, Callable[[OpenCXHook], object]] = {
    "hook": READ,
    "voices": lambda hook: hook.list_voices(),
    "upsert": lambda hook: hook.upsert_phone_agent(PhoneAgentSpec(name="a")),
    "update": lambda hook: hook.update_phone_agent(agent_id="pa_1", changes=PhoneAgentChanges(first_message="Hi")),
    "fleet": lambda hook: hook.apply_plan(hook.plan_phone_agents([PhoneAgentSpec(name="a")])),
    **{
        f"request {method}": lambda hook, method=method: hook.get_conn().request(method, "/other")  # type: ignore[misc]
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    },
    "call": lambda hook: hook.place_call(agent_id="pa_1", phone_number="+14155550101"),
    "operator that calls": lambda hook: OpenCXPlaceCallOperator(
        task_id="call", agent_id="pa_1", phone_number="+14155550101", calling_hours=None
    ).execute({}),  # type: ignore[typeddict-item]
    "operator": lambda hook: operator().execute({}),  # type: ignore[typeddict-item]
    "sensor": lambda hook: OpenCXPhoneNumberSensor(task_id="wait", agent_name="a").poke({}),  # type: ignore[typeddict-item]
    "sensor that reschedules": lambda hook: OpenCXPhoneNumberSensor(
        task_id="wait", agent_name="a", mode="reschedule"
    ).poke({}),  # type: ignore[typeddict-item]
    "poll of the trigger": lambda hook: polled(),
    "trigger": lambda hook: event_of(OpenCXPhoneNumberTrigger("opencx_default", agent_name="a", poll_interval=1)),
}
"""What sends requests."""


def polled() -> None:
    async def poll() -> object:
        async with SharedPolls.join("opencx_default", 3600, PhoneNumbers()) as polls:
            return (await polls.after(None)).poll

    polled = asyncio.run(poll())
    if isinstance(polled, BaseException):
        raise polled


def event_of(trigger: OpenCXPhoneNumberTrigger) -> None:
    """Fire a trigger, and raise what a task raises that goes on with its event."""

    async def fire() -> Any:
        return await anext(aiter(trigger.run()))

    trigger.started_by_worker = False
    [event] = [asyncio.run(asyncio.wait_for(fire(), 30))]
    shown = json.dumps(event.payload)
    assert not [secret for secret in SECRETS if any(spelling in shown for spelling in frames.spellings(secret))]
    OpenCXPhoneNumberSensor(task_id="wait", agent_name="a").execute_complete({}, event.payload)  # type: ignore[typeddict-item]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, fresh_tls: None) -> None:
    """No pause where a read is repeated, and few of the polls of a trigger that does not give up at once."""
    from airflow_provider_opencx import waiting
    from airflow_provider_opencx.reconciliation import creates, listing, progress

    class NoPauses(ModuleType):
        def __getattr__(self, name: str) -> Any:
            import time

            return (lambda seconds: None) if name == "sleep" else getattr(time, name)

    for module in (creates, listing, progress):
        monkeypatch.setattr(module, "time", NoPauses("time"))
    monkeypatch.setattr(waiting, "TOLERATED_FAILED_POLLS", 0)


def connect(monkeypatch: pytest.MonkeyPatch, connection: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection)


def shows_no_secret(use: Callable[[OpenCXHook], object], kinds: type[BaseException] = OpenCXError) -> BaseException:
    """Use a hook, and walk the error that comes of it."""
    with pytest.raises(kinds) as raised:
        use(OpenCXHook())
    assert frames.frames_of(raised.value)
    assert frames.found_in(raised.value, SECRETS) == []
    return raised.value


@pytest.mark.parametrize("use", ["hook", "upsert", "operator", "sensor", "poll of the trigger", "trigger"])
@pytest.mark.parametrize("connection", WRONG_CONNECTIONS)
def test_frames_of_wrong_connection(connection: str, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, WRONG_CONNECTIONS[connection])
    shows_no_secret(USES[use])


STORED = {name: json.loads(written) for name, written in WRONG_CONNECTIONS.items() if name.startswith("extra ")}
"""Those with an extra that is wrong here alone: Airflow itself stores none that is not a JSON object."""


@pytest.mark.parametrize("connection", [name for name in STORED if isinstance(STORED[name]["extra"], dict)])
def test_frames_of_wrong_connection_of_the_database(connection: str) -> None:
    """As ``airflow connections test`` and Airflow's own processes have it."""
    fields = STORED[connection]
    stored = Connection(conn_id="stored", **{**fields, "extra": json.dumps(fields["extra"])})
    shows_no_secret(lambda hook: hook.settings_of(stored))


@pytest.mark.parametrize("connection", WRONG_CONNECTIONS)
def test_connection_test_says_no_secret(connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, WRONG_CONNECTIONS[connection])
    passed, said = OpenCXHook().test_connection()
    assert not passed
    assert not [secret for secret in SECRETS if any(spelling in said for spelling in frames.spellings(secret))]


@pytest.mark.parametrize("use", ["hook", "operator", "sensor", "poll of the trigger"])
def test_frames_of_failing_secrets_backend(use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_conn_value(backend: Any, conn_id: str, **arguments: Any) -> NoReturn:
        token = f"token for {KEY}"
        try:
            json.loads(token)
        except ValueError as broken:
            raise ConnectionError(f"the vault refused {token}") from broken

    monkeypatch.setattr(EnvironmentVariablesBackend, "get_conn_value", get_conn_value)
    shows_no_secret(USES[use])


@pytest.mark.parametrize("use", ["hook", "request POST", "poll of the trigger"])
@pytest.mark.parametrize("response", RESPONSES)
def test_frames_of_response(response: str, use: str, raw_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service = raw_service(RESPONSES[response])
    connect(monkeypatch, as_json(host=f"http://127.0.0.1:{service.port}"))
    if use == "request POST" and response in RETURNED:
        returned = OpenCXHook().get_conn().request("POST", "/x")
        assert frames.found_in_value(returned, SECRETS) == []
        with suppress(OpenCXError):
            returned.json()
            return
        with pytest.raises(OpenCXError) as unreadable:
            returned.json()
        assert frames.found_in(unreadable.value, SECRETS) == []
        return
    shows_no_secret(USES[use])
    assert service.requests


RETURNED = {"broken JSON", "JSON in no UTF-8", "number that is none", "text for a list", "object for a list",
            "agents that are none"}  # fmt: skip
"""Responses that a request of the user's own returns: what its body means is not checked."""


@pytest.mark.parametrize("use", [use for use in USES if use != "trigger"])
@pytest.mark.parametrize("response", ["401 of the service", "500 of the service", "no HTTP"])
def test_frames_of_each_use(response: str, use: str, raw_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, as_json(host=f"http://127.0.0.1:{raw_service(RESPONSES[response]).port}"))
    shows_no_secret(USES[use])


PLACES: dict[str, dict[str, object]] = {
    "refused": {},
    "unknown host": {"host": "https://no-such-host.invalid"},
    "path that is none": {"host": "https://no-such-host.invalid/" + "x" * 900},
}


@pytest.mark.parametrize("use", ["hook", "request POST", "operator", "sensor", "poll of the trigger"])
@pytest.mark.parametrize("place", PLACES)
def test_frames_of_unreachable_service(place: str, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, as_json(**PLACES[place]))
    shows_no_secret(USES[use])


@pytest.mark.parametrize("path", ["/\x00", f"/{'x' * 70_000}", "//host", "/?x=1"])
def test_frames_of_wrong_path(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, as_json())
    shows_no_secret(lambda hook: hook.get_conn().request("GET", path))


def test_frames_of_distrusted_certificate(serve: Any, certificates: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, as_json(host=serve(certificate=certificates.service).url))
    shows_no_secret(READ)


PROXIES: dict[str, str] = {
    "that cannot be read": f"http://user:{quote(PROXY_PASSWORD, safe='')}@[::1",
    "of a wrong port": f"http://user:{quote(PROXY_PASSWORD, safe='')}@proxy:port",
    "of another kind": f"socks5://user:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:1",
    "that is away": f"http://user:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:1",
    "that refuses": f"http://user:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:{{port}}",
    "over TLS that it has not": f"https://user:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:{{port}}",
}


@pytest.mark.parametrize("use", ["hook", "poll of the trigger"])
@pytest.mark.parametrize("proxy", PROXIES)
def test_frames_of_proxy(proxy: str, use: str, raw_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service = raw_service(lambda sent: b"HTTP/1.1 407 Proxy Authentication Required\r\nX-Echo: " + sent + b"\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", PROXIES[proxy].format(port=service.port))
    connect(monkeypatch, as_json(host="https://api.open.cx"))
    shows_no_secret(USES[use])


def test_frames_of_missing_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    connect(monkeypatch, as_json())
    shows_no_secret(READ)


REDISES: dict[str, Callable[[bytes], bytes | None]] = {
    "that wants another password": lambda sent: b"-WRONGPASS invalid username-password pair " + sent[:9] + b"\r\n",
    "that is none": lambda sent: b"HTTP/1.1 400 Bad Request\r\n\r\n" + sent,
    "that leaves": lambda sent: b"",
    "that is silent": lambda sent: None,
}


@pytest.mark.parametrize("use", ["upsert", "operator", "fleet"])
@pytest.mark.parametrize("redis", REDISES)
def test_frames_of_redis(redis: str, use: str, raw_service: Any, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_opencx.client.locks.REDIS_RESPONDS_WITHIN", 0.5)
    coordination = redis_url(raw_service(REDISES[redis]).port)
    connect(monkeypatch, as_json(host=serve().url, extra={"coordination": coordination}))
    shows_no_secret(USES[use])


@pytest.mark.parametrize("use", ["upsert", "operator"])
def test_frames_of_redis_without_library(use: str, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, as_json(host=serve().url, extra={"coordination": redis_url()}))
    monkeypatch.setitem(sys.modules, "redis", None)
    shows_no_secret(USES[use], Exception)


class Ended(BaseException):
    """As Airflow ends a task whose time is over, in the middle of whatever it does."""


@pytest.mark.parametrize("waits_for", ["service", "redis"])
def test_frames_of_task_ended_from_outside(
    waits_for: str, raw_service: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = raw_service(lambda sent: None)
    extra = {"timeout": 20, "coordination": redis_url(silent.port) if waits_for == "redis" else "process"}
    host = f"http://127.0.0.1:{silent.port}" if waits_for == "service" else serve().url
    connect(monkeypatch, as_json(host=host, extra=extra))

    def end(number: int, frame: FrameType | None) -> None:
        raise Ended

    # The limiter asks the same Redis, and goes on alone when it does not respond.
    monkeypatch.setattr("airflow_provider_opencx.client.rate_limit.RESPONSE_TIMEOUT", 0.1)
    before = signal.signal(signal.SIGALRM, end)

    def use(hook: OpenCXHook) -> None:
        client = hook.get_conn()
        if waits_for == "redis":
            signal.setitimer(signal.ITIMER_REAL, 1)
            with client.lock(["a"]):
                pass
        else:
            threading.Thread(target=alarm_when_asked, daemon=True).start()
            hook.list_phone_agents()

    def alarm_when_asked() -> None:
        while not silent.requests:
            threading.Event().wait(0.01)
        signal.setitimer(signal.ITIMER_REAL, 0.1)

    try:
        shows_no_secret(use, Ended)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


DECLARED: dict[str, object] = {
    "agent_name": f"Agent {KEY}",
    "voice_id": KEY,
    "first_message": f"Key {KEY}, thank you",
    "instructions": ["x", PASSWORD],
    "language": KEY,
    "handoff_phone_number": KEY,
    "action_ids": [KEY],
    "data_collection_fields": [f"{KEY}\n"],
    "data_collection_webhook_url": f"https://example.com/?key={KEY}",
    "flow": {"nodes": [{KEY: 1}]},
    "additional_fields": {"newer": {"deep": [KEY]}},
}
"""Fields of a declaration with a secret in it."""


def renamed(field: str) -> dict[str, object]:
    return {"name" if field == "agent_name" else field: DECLARED[field]}


def operator_of(kind: type[Any], field: str, **fields: object) -> Any:
    """An operator whose field a template has filled, after the Dag was parsed."""
    made = kind(task_id="declare", first_message="Hi", **fields)
    made.agent = {**made.agent, **renamed(field)}
    return made


def sync_operator_of(field: str) -> Any:
    made = OpenCXSyncPhoneAgentsOperator(task_id="declare", agents=[{"name": "a"}])
    made.agents = [{"name": "a", **renamed(field)}]  # by a template, after the Dag was parsed
    return made


def declared(field: str) -> PhoneAgentSpec:
    return PhoneAgentSpec(**{"name": "a", **renamed(field)})  # type: ignore[arg-type]


DECLARING: dict[str, Callable[[str], object]] = {
    "create": lambda field: OpenCXHook().create_phone_agent(declared(field)),
    "upsert": lambda field: OpenCXHook().upsert_phone_agent(declared(field)),
    "update": lambda field: OpenCXHook().update_phone_agent(agent_id="pa_1", changes=declared(field)),
    "upsert operator": lambda field: operator_of(OpenCXUpsertPhoneAgentOperator, field, name="a").execute({}),
    "create operator": lambda field: operator_of(OpenCXCreatePhoneAgentOperator, field, name="a").execute({}),
    "update operator": lambda field: operator_of(OpenCXUpdatePhoneAgentOperator, field, agent_id="pa_1").execute({}),
    "sync operator": lambda field: sync_operator_of(field).execute({}),
    "plan": lambda field: OpenCXHook().plan_phone_agents([declared(field)]),
}


@pytest.mark.parametrize("way", DECLARING)
@pytest.mark.parametrize("field", DECLARED)
def test_frames_of_declared_secret(field: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, as_json(extra={"coordination": redis_url()}))
    error = shows_no_secret(lambda hook: DECLARING[way](field))
    own_check = {"language": "is not the code", "handoff_phone_number": "has letters"}
    assert own_check.get(field, "holds a secret of connection 'opencx_default'") in str(error)
