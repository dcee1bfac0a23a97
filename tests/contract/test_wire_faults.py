"""Tests the faults below the level of agents: which bytes each sends, read from a socket."""

from __future__ import annotations

import json
import queue
import re
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from airflow_provider_opencx.simulator import (
    CompressedResponse,
    DecompressionBomb,
    EndlessGzipHeader,
    EndlessInformation,
    Fault,
    ForgetIdleConnections,
    LargeHeaders,
    Respond,
    Simulator,
    SlowBody,
    SlowChunks,
    SlowHeaders,
    SlowResponse,
)

KEY = "a-key-that-nobody-may-see"
LIMIT = 60
"""Seconds after which a test gives up."""


@pytest.fixture
def lines() -> queue.Queue[str]:
    """The lines that the simulator writes, one when it is done with a request."""
    return queue.Queue()


@pytest.fixture
def simulator(lines: queue.Queue[str]) -> Iterator[Simulator]:
    with Simulator((KEY,), requests_per_minute=None, on_request=lines.put) as simulator:
        simulator.add_agent("Support")
        yield simulator


def connect(simulator: Simulator) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(simulator.url.rsplit(":", 1)[1])), timeout=LIMIT)


def send(connection: socket.socket, method: str = "GET", body: str = "") -> None:
    """Send a request for the list of agents, or for a new one."""
    connection.sendall(
        f"{method} /phone HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )


@dataclass
class Received:
    """What came until the connection was closed.

    :param content: the bytes
    :param pieces: in how many pieces they came
    :param seconds: how long that took
    """

    content: bytes
    pieces: int
    seconds: float


def receive_all(connection: socket.socket) -> Received:
    began_at = time.monotonic()
    pieces = list(iter(lambda: connection.recv(65536), b""))
    return Received(b"".join(pieces), len(pieces), time.monotonic() - began_at)


def agents_in(body: bytes) -> list[str]:
    """Return the names of the agents in a body."""
    return [agent["name"] for agent in json.loads(body)]


def unzipped(body: bytes) -> bytes:
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    content = decompressor.decompress(body) + decompressor.flush()
    assert (decompressor.eof, decompressor.unused_data) == (True, b"")
    return content


OK = rb"HTTP/1\.1 200 OK\r\n"
HEADERS = rb"(?:[a-z-]+: [^\r\n]+\r\n)+\r\n"
LENGTH = rb"content-length: [0-9]+\r\n"
JSON = rb"(?P<body>\[.*\])"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (SlowHeaders(0.3, between=0.01), OK + rb"x-padding: x{3,}\r\n" + LENGTH + HEADERS + JSON),
        (
            SlowChunks(0.3, between=0.01),
            OK + HEADERS + rb"[0-9a-f]+;padding=x{3,}\r\n" + JSON + rb"\r\n0\r\n\r\n",
        ),
        (SlowChunks(0.3, "size", between=0.01), OK + HEADERS + rb"0{3,}[0-9a-f]+\r\n" + JSON + rb"\r\n0\r\n\r\n"),
        (
            SlowChunks(0.3, "trailer", between=0.01),
            OK + HEADERS + rb"[0-9a-f]+\r\n" + JSON + rb"\r\n0\r\nx-padding: x{3,}\r\n\r\n",
        ),
        (
            EndlessInformation(0.3, between=0.01),
            rb"(?:HTTP/1\.1 103 Early Hints\r\n\r\n){3,}" + OK + LENGTH + HEADERS + JSON,
        ),
        (EndlessInformation(0.3, 100, between=0.01), rb"(?:HTTP/1\.1 100 Continue\r\n\r\n){3,}" + OK + HEADERS + JSON),
        (
            EndlessInformation(0.3, 102, between=0.01),
            rb"(?:HTTP/1\.1 102 Processing\r\n\r\n){3,}" + OK + HEADERS + JSON,
        ),
        (
            EndlessGzipHeader(0.3, between=0.01),
            OK + HEADERS + rb"(?P<gzip>\x1f\x8b\x08\x08.{6}x{3,}\0.+)",
        ),
        (
            EndlessGzipHeader(0.3, block=100_000, between=0),
            OK + HEADERS + rb"(?P<gzip>\x1f\x8b\x08\x08.{6}x{300000,}\0.+)",
        ),
    ],
)
def test_wire_fault_dribbles_then_sends_the_response(simulator: Simulator, fault: Fault, expected: bytes) -> None:
    simulator.fail("listPhoneAgents", fault)
    with connect(simulator) as connection:
        send(connection)
        received = receive_all(connection)
    found = re.fullmatch(expected, received.content, re.DOTALL)
    assert found, received.content[:2000]
    parts = found.groupdict()
    assert agents_in(unzipped(parts["gzip"]) if "gzip" in parts else parts["body"]) == ["Support"]
    assert b"\r\nconnection: close\r\n" in received.content
    assert received.seconds >= 0.29
    assert received.pieces >= 3
    assert (simulator.requests[0].status, simulator.requests[0].fault) == (200, type(fault).__name__)


@pytest.mark.parametrize(
    "fault",
    [SlowHeaders(0.2), SlowChunks(0.2), SlowChunks(0.2, "size"), SlowChunks(0.2, "trailer"), EndlessInformation(0.2)],
)
def test_wire_fault_is_a_response_that_clients_read(simulator: Simulator, fault: Fault) -> None:
    simulator.fail("createPhoneAgent", fault)
    headers = {"Authorization": f"Bearer {KEY}"}
    response = httpx.post(f"{simulator.url}/phone", json={"name": "Made"}, headers=headers, timeout=LIMIT)
    assert (response.status_code, response.json()["name"]) == (200, "Made")


@pytest.mark.parametrize("fault", [SlowChunks(0.1), SlowChunks(0.1, "size"), SlowChunks(0.1, "trailer")])
def test_wire_fault_chunks_of_a_response_without_a_body(simulator: Simulator, fault: Fault) -> None:
    simulator.generation = "2024"
    simulator.fail("updatePhoneAgent", fault)
    headers = {"Authorization": f"Bearer {KEY}"}
    response = httpx.patch(f"{simulator.url}/phone/pa_000001", json={"name": "Sales"}, headers=headers, timeout=LIMIT)
    assert (response.status_code, response.content) == (200, b"")


LONG = 600.0


@pytest.mark.parametrize(
    "fault",
    [
        SlowHeaders(LONG),
        SlowChunks(LONG),
        SlowChunks(LONG, "size"),
        SlowChunks(LONG, "trailer"),
        EndlessInformation(LONG),
        EndlessGzipHeader(LONG),
        EndlessGzipHeader(LONG, block=100_000, between=0),
        SlowBody(LONG),
    ],
)
@pytest.mark.parametrize("ended_by", ["client", "stop"])
def test_wire_fault_handles_at_once_and_ends(
    simulator: Simulator, lines: queue.Queue[str], fault: Fault, ended_by: str
) -> None:
    simulator.fail("createPhoneAgent", fault)
    with closing(connect(simulator)) as connection:
        send(connection, "POST", '{"name": "Made"}')
        assert connection.recv(1)
        assert [agent["name"] for agent in simulator.agents()] == ["Support", "Made"]
        if ended_by == "client":
            connection.close()
        else:
            began_at = time.monotonic()
            simulator.stop()
            assert time.monotonic() - began_at < 4
    assert lines.get(timeout=LIMIT).startswith("POST /phone 200 ")


def test_wire_fault_slow_response_ends_with_its_client(simulator: Simulator, lines: queue.Queue[str]) -> None:
    simulator.fail("createPhoneAgent", SlowResponse(LONG))
    with connect(simulator) as connection:
        send(connection, "POST", '{"name": "Made"}')
    assert lines.get(timeout=LIMIT).startswith("POST /phone dropped ")


MADE = '{"name": "Made"}'


def receive_response(connection: socket.socket) -> bytes:
    """Receive one response whose Content-Length is that of its body."""
    received = b""
    while not (found := re.search(rb"content-length: ([0-9]+)\r\n.*?\r\n\r\n", received, re.DOTALL)) or len(
        received
    ) < found.end() + int(found[1]):
        piece = connection.recv(65536)
        assert piece, f"the connection was closed after {received!r}"
        received += piece
    return received


@pytest.mark.parametrize(
    ("mode", "ending"), [("reset", ConnectionResetError), ("close", b""), ("silent", TimeoutError)]
)
def test_wire_fault_forgets_a_connection_that_was_used(
    simulator: Simulator, lines: queue.Queue[str], mode: Any, ending: bytes | type[OSError]
) -> None:
    simulator.fail("createPhoneAgent", ForgetIdleConnections(mode=mode), times=None)
    with connect(simulator) as connection:
        send(connection, "POST", MADE)
        assert receive_response(connection).startswith(b"HTTP/1.1 200 ")
        send(connection, "POST", MADE)
        if isinstance(ending, bytes):
            assert connection.recv(1) == ending
        else:
            connection.settimeout(0.3 if ending is TimeoutError else LIMIT)
            with pytest.raises(ending):
                connection.recv(1)
    assert [lines.get(timeout=LIMIT).split()[2] for _ in range(2)] == ["200", "dropped"]
    with connect(simulator) as connection:
        send(connection, "POST", MADE)
        assert receive_response(connection).startswith(b"HTTP/1.1 200 ")
    assert len(simulator.agents()) == 3
    assert [(record.fault, record.status) for record in simulator.writes] == [
        (None, 200),
        ("ForgetIdleConnections", None),
        (None, 200),
    ]


@pytest.mark.parametrize(("after", "statuses"), [(0, ["200", "dropped"]), (3600, ["200", "200"])])
@pytest.mark.parametrize("plan", [{}, {"probability": 1}])
def test_wire_fault_forgets_a_connection_that_was_idle_for_long(
    simulator: Simulator, lines: queue.Queue[str], after: float, statuses: list[str], plan: dict[str, float]
) -> None:
    simulator.fail("listPhoneAgents", ForgetIdleConnections(after, "close"), **plan)
    with connect(simulator) as connection:
        send(connection)
        receive_response(connection)
        send(connection)
        connection.recv(1)
        assert [lines.get(timeout=LIMIT).split()[2] for _ in range(2)] == statuses


def test_wire_fault_that_does_not_apply_leaves_the_next(simulator: Simulator) -> None:
    simulator.fail("listPhoneAgents", ForgetIdleConnections(mode="close"))
    simulator.fail("listPhoneAgents", Respond(503))
    with connect(simulator) as connection:
        send(connection)
        assert receive_response(connection).startswith(b"HTTP/1.1 503 ")
        send(connection)
        assert connection.recv(1) == b""


def test_wire_fault_silent_connection_ends_at_once_when_stopped(simulator: Simulator, lines: queue.Queue[str]) -> None:
    simulator.fail("listPhoneAgents", ForgetIdleConnections())
    with connect(simulator) as connection:
        send(connection)
        receive_response(connection)
        send(connection)
        while not simulator.faults_met():
            time.sleep(0.01)
        began_at = time.monotonic()
        simulator.stop()
        assert time.monotonic() - began_at < 4
    assert [lines.get(timeout=LIMIT).split()[2] for _ in range(2)] == ["200", "dropped"]


def exchange(simulator: Simulator) -> tuple[list[tuple[str, str]], bytes]:
    """Read the list once; return the headers and the body of the response as they came."""
    with connect(simulator) as connection:
        send(connection)
        received = receive_response(connection)
    head, body = received.split(b"\r\n\r\n", 1)
    status_line, *headers = head.decode().split("\r\n")
    assert status_line == "HTTP/1.1 200 OK"
    return [(name, value) for name, value in (header.split(": ", 1) for header in headers)], body


@pytest.mark.parametrize(
    ("fault", "header", "layers"),
    [
        (CompressedResponse(), "gzip", [unzipped]),
        (CompressedResponse(times=3), "gzip, gzip, gzip", [unzipped] * 3),
        (CompressedResponse("deflate"), "deflate", [zlib.decompress]),
        (CompressedResponse("deflate", 2), "deflate, deflate", [zlib.decompress] * 2),
        (CompressedResponse(header="br"), "br", [unzipped]),
        (CompressedResponse(header=""), None, [unzipped]),
        (CompressedResponse(times=0, header="gzip"), "gzip", []),
        (CompressedResponse(times=0), None, []),
    ],
)
def test_wire_fault_compresses_the_body(
    simulator: Simulator, fault: Fault, header: str | None, layers: list[Callable[[bytes], bytes]]
) -> None:
    simulator.fail("listPhoneAgents", fault)
    headers, body = exchange(simulator)
    assert dict(headers).get("content-encoding") == header
    assert dict(headers)["content-type"] == "application/json"
    for decompress in layers:
        body = decompress(body)
    assert agents_in(body) == ["Support"]


@pytest.mark.parametrize(
    ("megabytes", "layers", "largest"), [(1, 1, 2_000), (20, 1, 25_000), (20, 3, 800), (1000, 3, 1_000)]
)
def test_wire_fault_decompression_bomb(simulator: Simulator, megabytes: int, layers: int, largest: int) -> None:
    simulator.fail("listPhoneAgents", DecompressionBomb(megabytes, layers))
    headers, body = exchange(simulator)
    assert dict(headers)["content-encoding"] == ", ".join(["gzip"] * layers)
    assert len(body) < largest
    for _ in range(layers - 1):
        body = unzipped(body)
    if megabytes <= 20:
        content = unzipped(body)
        assert agents_in(content) == ["Support"]
        assert megabytes * 2**20 < len(content) < megabytes * 2**20 + 5_000
    assert int.from_bytes(body[-4:], "little") > megabytes * 2**20  # as gzip says at its end


def test_wire_fault_decompression_bomb_is_made_without_what_it_becomes(simulator: Simulator) -> None:
    simulator.fail("listPhoneAgents", DecompressionBomb(640))
    tracemalloc.start()
    exchange(simulator)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 * 2**20


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_wire_fault_large_headers(simulator: Simulator, count: int) -> None:
    simulator.fail("listPhoneAgents", LargeHeaders(100, count))
    headers, body = exchange(simulator)
    padding = [value for name, value in headers if name.startswith("x-padding-")]
    assert len(padding) == count
    assert 100 * 1024 - count < sum(map(len, padding)) <= 100 * 1024
    assert agents_in(body) == ["Support"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SlowHeaders(-1), "-1"),
        (lambda: SlowHeaders(1, between=float("inf")), "inf"),
        (lambda: SlowChunks(1, "body"), "trailer"),
        (lambda: EndlessInformation(1, 101), "101"),
        (lambda: EndlessGzipHeader(1, block=0), "1 byte"),
        (lambda: CompressedResponse("br"), "gzip, deflate"),
        (lambda: CompressedResponse(times=-1), "-1 times"),
        (lambda: CompressedResponse(header="gzip\r\nX-Other: 1"), "Content-Encoding"),
        (lambda: DecompressionBomb(0), "megabyte"),
        (lambda: DecompressionBomb(1, 0), "layer"),
        (lambda: LargeHeaders(1, 0), "at least one header"),
        (lambda: LargeHeaders(1, 2000), "at least one byte"),
        (lambda: ForgetIdleConnections(-1), "-1"),
        (lambda: ForgetIdleConnections(mode="drop"), "silent, reset, close"),
    ],
)
def test_wire_fault_rejects_invalid_arguments(make: Callable[[], Fault], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
