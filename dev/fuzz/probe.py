"""Tries one example, and checks that nothing forbidden happens."""

from __future__ import annotations

import gc
import json
import logging
import os
import re
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, cast
from unittest.mock import patch

from airflow_standalone import connection_json
from pydantic import JsonValue

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.locks import forget_intents
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.client.transport import Attempt
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec, create_phone_agent, list_phone_agents
from fuzz.actions import ACTIONS
from fuzz.independent import UnreadableError, is_shown, items_of
from fuzz.measures import Watchdog, begin_peak, open_files, peak, resident
from fuzz.replies import Example
from fuzz.secrecy import API_KEY, control_character_in, json_text, spelling_in
from fuzz.server import RawServer
from fuzz.service import Service, own_id

TIMEOUT = 0.3
"""The timeout of the client, in seconds."""

EXCHANGE_TIMEOUT_FACTOR = 4
"""What one exchange may take at most, as a multiple of the timeout."""

MARGIN = 2.0
"""Seconds that a busy machine may add."""

ABANDON_AFTER = 20.0
"""Seconds after which the server ends an example that does not end."""

MOST_MEMORY = 256 * 1024 * 1024
"""Bytes by which an example may grow: a body of the largest size, as bytes, as text and decoded."""

LONGEST_PAUSE = 1.0
"""Seconds for which no other thread may be kept from running."""

LONGEST_SLEEP = 3600.0
"""Seconds that the provider may sleep at once."""

LONGEST_MESSAGE = 2000
LONGEST_EVENT = 10_000
LONGEST_ID = 1000

MOST_FOLLOWING = 5
"""Requests that follow an example until one of them has a response."""

_SWALLOWED = re.compile(r"failed with (\w+)\. The triggerer's log")

_sleep = time.sleep


@dataclass(frozen=True)
class Finding:
    """What should not be.

    :param kind: what it is, the same for all findings of one kind.
    :param detail: what was seen.
    """

    kind: str
    detail: str = ""


@dataclass
class Outcome:
    """What came of an example.

    :param ending: the class of the error, or ``result``.
    :param seconds: how long all of it took.
    :param slowest: the longest exchange, in seconds.
    :param memory: bytes by which the process grew at most.
    :param requests: how many requests were sent.
    :param findings: what should not be.
    """

    ending: str = ""
    seconds: float = 0.0
    slowest: float = 0.0
    memory: int = 0
    requests: int = 0
    findings: list[Finding] = field(default_factory=list)

    def find(self, kind: str, detail: object = "") -> None:
        """Add a finding, once of each kind."""
        if all(finding.kind != kind for finding in self.findings):
            self.findings.append(Finding(kind, str(detail)[:600]))


class _Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[tuple[str, str]] = []
        self._format = logging.Formatter("%(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record.name.partition(".")[0], self._format.format(record)))


class Probe:
    """Tries examples, one after the other, against a server of its own. A context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._records = _Records()
        self._background: list[str] = []

    def __enter__(self) -> Self:
        self._server = self._stack.enter_context(RawServer())
        self._watchdog = Watchdog(self._server.drop, ABANDON_AFTER)
        connection = connection_json(self._server.url, API_KEY)
        self._stack.enter_context(patch.dict(os.environ, AIRFLOW_CONN_OPENCX_DEFAULT=connection))
        self._stack.enter_context(patch.object(sys, "unraisablehook", self._on_unraisable))
        self._stack.enter_context(patch.object(threading, "excepthook", self._on_thread_error))
        for name, level in (("airflow_provider_opencx", logging.DEBUG), ("httpx", logging.INFO)):
            logger = logging.getLogger(name)
            for attribute, value in (("level", level), ("propagate", False), ("disabled", False)):
                self._stack.enter_context(patch.object(logger, attribute, value))
            logger.addHandler(self._records)
            self._stack.callback(logger.removeHandler, self._records)
        logging.getLogger("airflow_provider_opencx").manager._clear_cache()  # type: ignore[attr-defined]
        # What is loaded by the first requests is no leak, and need not be looked at after each example.
        for action in ACTIONS:
            self._run(Example(action), Outcome())
        gc.collect()
        gc.freeze()
        self._stack.callback(gc.unfreeze)
        self._files, self._threads = open_files(), threading.active_count()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def try_example(self, example: Example) -> Outcome:
        """Try an example, and return what came of it."""
        outcome = Outcome()
        for reply in example.replies:
            reply.raw()  # what is compressed now need not be while the client waits
        self._records.records.clear()
        self._background.clear()
        begin_peak()
        before = resident()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", ResourceWarning)
            self._run(example, outcome)
            outcome.memory = peak() - before
            gc.collect()
        for warning in warned:
            outcome.find("warning of a leak", warning.message)
        self._check_costs(outcome)
        self._check_left(outcome)
        for logger, message in self._records.records:
            self._check_text(outcome, f"log record of {logger}", message)
        for sentence in self._background:
            outcome.find("error in a thread or a destructor", sentence)
        return outcome

    def _run(self, example: Example, outcome: Outcome) -> None:
        action = ACTIONS[example.action]
        service = Service(example.replies, action.existing)
        self._server.begin(service.respond)
        forget_intents()
        attempts: list[Attempt] = []
        sleeps: list[float] = []
        settings = ClientSettings(
            base_url=self._server.url,
            api_key=API_KEY,
            timeout=TIMEOUT,
            max_retries=example.max_retries,
            requests_per_minute=1_000_000,
            name="connection 'opencx_default'",
            coordination="process",
        )
        self._watchdog.begin()
        began = time.monotonic()
        with patch.object(time, "sleep", sleeps.append), OpenCXClient(settings, attempts.append) as client:
            result: JsonValue = None
            raised: Exception | None = None
            try:
                result = action.perform(client)
            except Exception as error:
                raised = error
            outcome.seconds = time.monotonic() - began
            outcome.requests = len(service.exchanges)
            outcome.ending = "result" if raised is None else type(raised).__name__
            if isinstance(raised, OpenCXError):
                self._check_error(outcome, raised)
            elif raised is not None:
                detail = "".join(traceback.format_exception(raised)[-4:])
                outcome.find(f"untyped error ({type(raised).__name__})", detail)
            else:
                self._check_result(outcome, example, service, result)
            self._check_repr(outcome, client)
            _check_creates(outcome, service)
            self._follow(outcome, example, service, client)
        abandoned, pause = self._watchdog.end()
        if abandoned:
            outcome.find("does not end", f"over {ABANDON_AFTER:g} s")
        if pause > LONGEST_PAUSE:
            outcome.find("interpreter held", f"{pause:.1f} s")
        outcome.slowest = max((attempt.seconds for attempt in attempts), default=0.0)
        longest = max(sleeps, default=0.0)
        if not 0 <= longest <= LONGEST_SLEEP:
            outcome.find("long sleep", f"{longest:g} s")

    def _check_costs(self, outcome: Outcome) -> None:
        most = EXCHANGE_TIMEOUT_FACTOR * TIMEOUT + MARGIN
        if outcome.slowest > most:
            outcome.find("exchange too slow", f"{outcome.slowest:.1f} s, and {most:g} s are allowed")
        if outcome.seconds > (outcome.requests + 1) * most:
            outcome.find("example too slow", f"{outcome.seconds:.1f} s for {outcome.requests} requests")
        if outcome.memory > MOST_MEMORY:
            outcome.find("memory", f"{outcome.memory >> 20} MiB")

    def _check_left(self, outcome: Outcome) -> None:
        """Look for connections and threads that stay behind when the client is closed."""
        ends_at = time.monotonic() + EXCHANGE_TIMEOUT_FACTOR * TIMEOUT + MARGIN
        while self._server.connections() or threading.active_count() > self._threads:
            if time.monotonic() > ends_at:
                names = sorted(thread.name for thread in threading.enumerate())
                outcome.find("connection or thread left", f"{self._server.connections()} connections; {names}")
                self._server.drop()
                _sleep(0.2)
                self._threads = max(self._threads, threading.active_count())
                return
            _sleep(0.0005)
        if (files := open_files()) > self._files:
            outcome.find("file left open", f"{files - self._files}")
            self._files = files

    def _follow(self, outcome: Outcome, example: Example, service: Service, client: OpenCXClient) -> None:
        """Send one more request over the client: its response must be its own."""
        if example.then != "create" and any(reply.after and reply.pause for reply in example.replies):
            return  # what is sent later, and arrives after the next request, passes for the response to it
        service.is_followed = True
        before = len(service.exchanges)
        failure: OpenCXError | None = None
        for _ in range(MOST_FOLLOWING):
            try:
                if example.then == "create":
                    created = create_phone_agent(client, PhoneAgentSpec.parse({"name": "own"}))
                    ids = [] if created is None else [created.id]
                else:
                    ids = [agent.id for agent in list_phone_agents(client)]
            except OpenCXError as error:
                # On a busy machine, a sound response may be late.
                failure = failure if "timed out" in str(error) else error
                continue
            except Exception as error:
                outcome.find(f"untyped error in the next request ({type(error).__name__})", repr(error))
                return
            # Of a request that was sent once more, on another connection, either may arrive first.
            if ids not in ([own_id(number)] for number in range(before, len(service.exchanges))):
                outcome.find(f"response of another request ({example.then})", f"{ids} is not own")
            elif failure is not None:
                outcome.find("next request fails once", failure)
            return
        outcome.find("next requests fail", failure)

    def _check_error(self, outcome: Outcome, error: OpenCXError) -> None:
        self._check_text(outcome, "message", str(error), LONGEST_MESSAGE)
        self._check_text(outcome, "repr of an error", repr(error))
        self._check_text(outcome, "traceback", "".join(traceback.format_exception(error)), may_have_lines=True)
        event = json_text(error.to_event())
        self._check_text(outcome, "event", event, LONGEST_EVENT)
        for name, value in vars(error).items():
            if isinstance(value, str):
                self._check_text(outcome, f"attribute {name}", value, LONGEST_MESSAGE)
        again = OpenCXError.from_event(json.loads(event))
        if type(again) is not type(error) or str(again) != (str(error) if str(error).strip() else str(again)):
            outcome.find("event is not the error", repr(again))

    def _check_result(self, outcome: Outcome, example: Example, service: Service, result: JsonValue) -> None:
        text = json_text(result)
        if example.action == "trigger" and isinstance(result, dict) and result["status"] != "success":
            outcome.ending = f"event: {result.get('error', result['status'])}"
            message = str(result.get("message", result.get("progress")))
            self._check_text(outcome, "message", message, LONGEST_MESSAGE)
            self._check_text(outcome, "event", text, LONGEST_EVENT)
            if swallowed := _SWALLOWED.search(message):
                outcome.find(f"untyped error in a poll ({swallowed[1]})", message)
            return
        # What another request returns is what the service sent, whatever it is.
        if not example.action.startswith("other") and (spelling := spelling_in(text)):
            outcome.find(f"key in result ({spelling})", _around_key(text))
        _check_truth(outcome, example, service, result)

    def _check_repr(self, outcome: Outcome, client: OpenCXClient) -> None:
        for thing in (client, client.settings, vars(client)):
            self._check_text(outcome, "repr of the client", repr(thing))

    def _check_text(
        self, outcome: Outcome, where: str, text: str, longest: int | None = None, *, may_have_lines: bool = False
    ) -> None:
        if spelling := spelling_in(text):
            outcome.find(f"key in {where} ({spelling})", _around_key(text))
        if longest is not None and len(text) > longest:
            outcome.find(f"long {where}", f"{len(text)} characters: {text[:200]}")
        if not may_have_lines and (character := control_character_in(text)):
            outcome.find(f"control character in {where}", f"{character} in {text[:400]!r}")

    def _on_unraisable(self, unraisable: Any) -> None:
        self._background.append(f"{unraisable.err_msg}: {unraisable.exc_value!r} in {unraisable.object!r}")

    def _on_thread_error(self, error: threading.ExceptHookArgs) -> None:
        lines = traceback.format_exception(error.exc_type, error.exc_value, error.exc_traceback)
        self._background.append(f"{error.thread.name if error.thread else ''}: {''.join(lines[-3:])}")


def _around_key(text: str) -> str:
    place = max(text.lower().find("7f3kq9zt"), 0)
    return text[max(0, place - 150) : place + 60]


def _check_creates(outcome: Outcome, service: Service) -> None:
    """Look for a create that was sent again although the first may have been handled."""
    may_be_handled: set[object] = set()
    for exchange in service.exchanges:
        received = exchange.received
        if received.method != "POST":
            continue
        body = json.loads(received.body)
        name = body.get("name", received.path)
        if name in may_be_handled:
            outcome.find("POST sent twice", f"{name!r}")
        if not exchange.proves_unhandled:
            may_be_handled.add(name)


def _check_truth(outcome: Outcome, example: Example, service: Service, result: JsonValue) -> None:
    """Compare the agents of a result with what the service sent, read independently."""
    last = {exchange.received.target: exchange for exchange in service.exchanges}  # a page that was read again counts
    shown: list[object] = []
    unreadable = ""
    for exchange in last.values() if ACTIONS[example.action].lists else service.exchanges:
        try:
            shown += items_of(exchange.reply.sent())[0]
        except UnreadableError as error:
            unreadable = str(error)
    returned = [value for value in _flat(result) if isinstance(value, dict) and value.keys() >= {"id", "phone_number"}]
    for agent in returned:
        if not is_shown(agent, shown):
            outcome.find("untrue result", f"{json_text(agent)[:300]} was not shown; {unreadable}")
    if ACTIONS[example.action].lists:
        ids = {item["id"] for item in shown if isinstance(item, dict) and _is_id(item.get("id"))}
        if unreadable or ids != {agent["id"] for agent in returned}:
            outcome.find("incomplete list", f"{unreadable or ids}; {json_text(returned)[:300]}")


def _is_id(value: object) -> bool:
    """Return whether an item with this id is among the agents; another is left out, with a warning."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID


def _flat(result: JsonValue) -> Sequence[JsonValue]:
    if isinstance(result, dict):
        agents = [result.get("agent"), *cast("list[JsonValue]", result.get("agents") or [])]
        return [result, *agents] if "status" in result else [result]
    if isinstance(result, list):
        return [part for value in result for part in (_flat(value) if isinstance(value, list) else [value])]
    return []
