"""Tests that input of limited size takes limited time and memory, whatever it contains."""

from __future__ import annotations

import json
import socket
import threading
import time
import tracemalloc
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_opencx.client import decoding, pagination
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.decoding import MAX_VALUES, decode, number_of_values
from airflow_provider_opencx.client.errors import error_of, is_from_service
from airflow_provider_opencx.client.operation import Request, Response, other_request
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXError, OpenCXResponseError, OpenCXServerError
from airflow_provider_opencx.normalization import LONGEST_NORMALIZED, MOST_MARKS, normalize_name, normalized
from airflow_provider_opencx.phone_agents.names import near_form, tidied
from airflow_provider_opencx.phone_agents.plan import Create, PhoneAgents, plan_upsert
from airflow_provider_opencx.reconciliation import sync
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgent,
    PhoneAgentChanges,
    PhoneAgentSpec,
    list_phone_agents,
)
from airflow_provider_opencx.resources.voices import list_voices
from airflow_provider_opencx.secret import Secret

from .replies import Replies

MANY = 1_100_000


def peak_of(call: Callable[[], object]) -> int:
    """Return the bytes that a call takes at most, whether it fails or not."""
    tracemalloc.start()
    try:
        call()
    except ValueError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def array(unit: bytes, times: int = MANY) -> bytes:
    return b"[" + (unit + b",") * times + unit + b"]"


TOO_MANY = {
    "lists": array(b"[]"),
    "objects": array(b"{}"),
    "numbers": array(b"0"),
    "texts": array(b'""'),
    "texts with escapes": array(b'"\\"\\\\"'),
    "objects with a value": array(b'{"a":1}'),
    "one name": b"{" + b'"a":1,' * MANY + b'"a":1}',
    "names": b"{" + b",".join(b'"%d":1' % number for number in range(MANY)) + b"}",
    "lists in lists": b"[" * MANY,
    "objects in objects": b'{"a":' * MANY,
    "quotes": b'"' * (5 * MANY),
    "lists after a text": b'["[,{\\\\",' + b"[]," * MANY + b"0]",
}


@pytest.mark.parametrize("body", TOO_MANY.values(), ids=TOO_MANY)
def test_json_of_too_many_values_is_not_decoded(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"over 750,000 values|Extra data"):
        decode(body)
    assert peak_of(lambda: decode(body)) < 3 * len(body) + 1_000_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.sampled_from('a,[{:}]"\\\n\u00e9'), max_size=6),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(st.sampled_from('a,[{"\\'), max_size=3), children, max_size=4)
    ),
    max_leaves=20,
)


def count(value: object) -> int:
    """Count the values within a value, and itself."""
    if isinstance(value, list | dict):
        return 1 + sum(map(count, value.values() if isinstance(value, dict) else value))
    return 1


@given(JSON, st.booleans())
def test_values_are_counted_as_they_are_decoded(value: object, ascii: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii).encode()
    assert count(value) - 1 <= number_of_values(body) <= 2 * count(value)
    assert decode(body) == value


def test_ten_thousand_agents_of_long_texts_are_few_values() -> None:
    text = 'Say, [hello], {name}: "yes", or, no; \\ ' * 60
    fields = {**PhoneAgent(id="1").as_dict(), "language": ["en", "fr"], "actionIds": ["a"] * 5, "instructions": [text]}
    body = json.dumps([{**fields, "id": str(number)} for number in range(10_000)]).encode()
    assert body.count(b",") > 2 * MAX_VALUES
    assert number_of_values(body) < MAX_VALUES / 1.5
    assert len(decode(body)) == 10_000  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "number", ["1" * 10_000_000, "-" + "1" * 1001, "1." + "1" * 1_000_000, "1e" + "9" * 1_000_000, "1" * 400]
)
def test_number_that_no_one_can_hold_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="is not a number that JSON can hold"):
        decode(f"[{number}]".encode())


@pytest.mark.parametrize("depth", [100, 400, 700, 900, 980, 3_000, 100_000])
@pytest.mark.parametrize("text", ["text", "\\u0041 secret of ours", "\\ud800"])
def test_body_that_is_nested_deeply_is_read_or_refused(depth: int, text: str) -> None:
    response = Response(200, body=f'{"[" * depth}"{text}"{"]" * depth}'.encode(), secret=Secret("A secret of ours"))
    try:
        assert response.decoded()
    except OpenCXResponseError:  # the only error that may come
        assert depth > 100


def test_characters_that_cannot_be_stored_are_replaced_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0

    class Counting:
        def sub(self, by: str, text: str) -> str:
            nonlocal longest
            longest = max(longest, len(text))
            return text.replace("\ud800", by)

    monkeypatch.setattr(decoding, "UNSTORABLE", Counting())
    assert decode(b'["' + b"a\\ud800" * 500_000 + b'"]') == ["a\N{REPLACEMENT CHARACTER}" * 500_000]
    assert longest == 100_000


LONG_NAMES = {
    "marks": "a" + "\u0315\u0316" * 20_000,
    "a million marks": "a" + "\u0315\u0316" * 500_000,
    "marks within the length": "a" + "\u0315\u0316" * 4_900,
    "letters that are two marks": "\u0f73" * 9_000,
    "marks as letters": "\uff76" + "\uff9e\uff9f" * 4_000,
    "an escape of many digits": "&#" + "9" * 5_000 + ";",
    "ampersands": "&" * 1_000_000,
    "escapes": "&notit" * 200_000,
    "words": "\u00e9 a " * 500_000,
    "what becomes 18 times as long": "\ufdfa" * 1_000_000,
}


@pytest.mark.parametrize("form", [normalize_name, tidied, near_form])
@pytest.mark.parametrize("name", LONG_NAMES.values(), ids=LONG_NAMES)
def test_long_names_cost_little(name: str, form: Callable[[str], str]) -> None:
    started = time.process_time()
    form(name)
    assert time.process_time() - started < 0.5
    assert peak_of(lambda: form(name)) < 12_000_000


@pytest.mark.parametrize("name", LONG_NAMES.values(), ids=LONG_NAMES)
def test_long_name_of_another_agent_is_in_nobodys_way(name: str) -> None:
    agents = PhoneAgents([PhoneAgent(id="1", name=name)])
    assert isinstance(plan_upsert(PhoneAgentSpec(name="a b c"), agents), Create)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@pytest.mark.parametrize(
    "text",
    [
        "Zoe\u0308",
        "\u1100\u1161\u11a8",
        "a" + "\u0316\u0301" * (MOST_MARKS // 2),
        "e\u0301" * 4_000,
        "\ufa0e\uf900" * 5_000,
    ],
)
def test_text_is_normalized_as_unicode_says(text: str, form: str) -> None:
    assert normalized(text, form) == unicodedata.normalize(form, text) != text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["a" + "\u0301\u0316" * 16, "e\u0301" + "b" * LONGEST_NORMALIZED], ids=["marks", "length"]
)
def test_text_that_no_person_writes_stays_as_it_is(text: str) -> None:
    assert unicodedata.normalize("NFC", text) != text
    assert normalized(text) == text
    assert normalize_name(f" {text} ") == text


@given(st.text(st.sampled_from("ae\u0301\u0316\u0f73\uff9e \u00e9"), max_size=80))
def test_comparing_names_tells_apart_what_unicode_does(name: str) -> None:
    assert normalize_name(normalize_name(name)) == normalize_name(name)
    assert unicodedata.normalize("NFC", normalize_name(name)) == unicodedata.normalize("NFC", name).strip()


class Unwritable:
    """What JSON does not have."""


CYCLE: list[object] = []
CYCLE.append(CYCLE)
WRONG_DECLARATIONS = {
    "items of language": {"language": [1] * 200_000},
    "items of instructions": {"instructions": [None] * 200_000},
    "items of action_ids": {"action_ids": [{}] * 200_000},
    "items of data_collection_fields": {"data_collection_fields": [1.5] * 200_000},
    "values of flow": {"flow": [Unwritable()] * 200_000},
    "keys of flow": {"flow": [dict.fromkeys(range(200_000), 1)]},
    "additional fields": {"additional_fields": dict.fromkeys(range(200_000), 1)},
    "unknown fields": {f"field_{number}": 1 for number in range(200_000)},
    "a list in itself": {"flow": [CYCLE] * 1000},
}


@pytest.mark.parametrize("fields", WRONG_DECLARATIONS.values(), ids=WRONG_DECLARATIONS)
def test_wrong_declaration_is_refused_in_little_memory(fields: dict[str, object]) -> None:
    with pytest.raises(OpenCXArgumentError) as wrong:
        PhoneAgentChanges.parse(fields)
    assert len(str(wrong.value)) < 2500
    assert peak_of(lambda: PhoneAgentChanges.parse(fields)) < 60_000_000


def test_first_wrong_values_are_named() -> None:
    with pytest.raises(OpenCXArgumentError, match=r"language\.2: must be text; .*action_ids\.0: must be text"):
        PhoneAgentChanges.parse({"language": ["en", "fr", 3, 4], "action_ids": [1, 2]})


def endless(page: Callable[[int], object]) -> Replies:
    """Return a client of a service whose lists do not end."""
    pages = iter(range(100_000))

    def respond(request: Request) -> Response:
        number = next(pages)
        return Response(200, body=json.dumps({"items": page(number), "next": f"c{number}"}).encode())

    return Replies(respond)


@pytest.mark.parametrize("read", [list_phone_agents, list_voices])
@pytest.mark.parametrize(
    ("page", "says", "requests"),
    [
        (lambda number: [], "10 pages in a row are empty", 10),
        (lambda number: [] if number % 10 else [{"id": str(number)}], "over 1000 pages", 1000),
        (lambda number: [{"id": str(number), "flow": [0] * 100_000}], "over 750,000 values", 8),
        (lambda number: [{"id": str(number), "name": "x" * 10_000_000}], "over 128 MiB", 14),
    ],
    ids=["empty", "pages", "values", "bytes"],
)
def test_list_that_does_not_end_is_given_up(
    page: Callable[[int], object], says: str, requests: int, read: Callable[[Replies], object]
) -> None:
    client = endless(page)
    with pytest.raises(OpenCXResponseError, match=f"the service's list .*does not end: {says}"):
        read(client)
    assert len(client.sent) == requests


def test_list_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1_000_000, 60))
    monkeypatch.setattr(pagination.time, "monotonic", lambda: next(clock))
    client = endless(lambda number: [{"id": str(number)}])
    with pytest.raises(OpenCXResponseError, match="the service's list does not end: over 900 s"):
        list_phone_agents(client)
    assert len(client.sent) == 16


@pytest.mark.parametrize(
    "body",
    [
        {"statusCode": 500, "message": "x" * 249_000},
        {"statusCode": 500, "message": ["x" * 249_000] * 3},
        {"statusCode": 500, "message": [{"deep": ["\U000e0001" * 10_000]}] * 3},
        {"statusCode": 500, "error": "\x1b" * 100_000},
        {"statusCode": 500, "message": {"nested": ["x" * 249_000]}},
    ],
    ids=["text", "texts", "values", "error", "nested"],
)
def test_error_quotes_little_of_a_long_message(body: object) -> None:
    headers = {"x-request-id": "r" * 1_000_000, "retry-after": "9" * 1_000_000}
    response = Response(500, headers, json.dumps(body).encode(), label="GET /phone")
    assert is_from_service(response)
    error = error_of(other_request("GET", f"/{'p' * 1_000_000}", None, None), response)
    assert len(str(error)) < 4000
    assert len(json.dumps(error.to_event())) < 5000


@pytest.mark.parametrize(
    "body", [b'{"statusCode":500,"message":"' + b"x" * 1_100_000 + b'"}', b"<" * 20_000_000, array(b"[]", 20_000)]
)
def test_error_body_that_is_not_the_services_own_is_not_decoded(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    response = Response(500, {}, body, label="GET /phone")
    assert not is_from_service(response)
    assert "x" not in str(error_of(other_request("GET", "/phone", None, None), response)).partition("500")[2][:5]


@pytest.mark.parametrize(
    "sent",
    [b"x" * 60_000, b"HTTP/1.1 200 OK\r\n" + b"\x01" * 60_000, b"HTTP/1.1 500 No\r\nx-request-id: " + b"r" * 60_000],
    ids=["status line", "header", "request id"],
)
def test_error_quotes_little_of_what_is_not_http(sent: bytes) -> None:
    def respond(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(sent + b"\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=respond, args=(server,))
        serving.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        client = OpenCXClient(ClientSettings(url, "key", max_retries=0, coordination="process"))
        with client, pytest.raises(OpenCXError) as error:
            client.request("GET", "/phone")
        serving.join()
    assert len(json.dumps(error.value.to_event())) < 1000


def test_request_with_a_long_path_is_named_shortly() -> None:
    assert len(str(other_request("GET", f"/{'p' * 1_000_000}", None, None))) < 300


def test_error_of_a_fleet_is_bounded() -> None:
    failures = {
        f"agent {number} {'x' * 200}": OpenCXServerError(f"reason {number % 100}: {'y' * 300}")
        for number in range(10_000)
    }
    error = sync.sync_error(failures, len(failures), "agent")
    assert len(error.failures) == 10_000
    assert len(str(error)) < 50_000
    assert str(error).startswith("10000 of 10000 agents are not as declared. 'agent 0 x")
