"""Tests that no output of ``doctor`` contains the key, whatever the server does with it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_opencx.__main__ import main

KEY = "ocx_live_s3cret-of-THE/doctor+tests=4711"
PIECE = 8
"""Characters of the key in a row that no output may hold, in any notation."""

BEARER = f"Bearer {KEY}"
PARTS = [KEY[start : start + 10] for start in range(0, len(KEY), 10)]
NOTATIONS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "for a URL": lambda text: quote(text, safe=""),
    "each character for a URL": lambda text: "".join(f"%{ord(character):02x}" for character in text),
    "in JSON": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "in numbers": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "in Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in hexadecimal": lambda text: text.encode().hex(),
    "backwards": lambda text: text[::-1],
}


class Echo(ThreadingHTTPServer):
    """A server that responds as a test says."""

    daemon_threads = True

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.headers, self.body = status, headers, body
        self.methods: set[str] = set()
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body waits 40 ms until the client has acknowledged the headers
    server: Echo

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not (self.raw_requestline and self.parse_request()):
            self.close_connection = True
            return
        self.server.methods.add(self.command)
        assert BEARER in self.headers.get("Authorization", "")
        self.send_response_only(self.server.status, "OK")
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def echo() -> Iterator[Callable[..., Echo]]:
    """Starts a server; takes its status, headers and body."""
    started: list[Echo] = []

    def start(status: int = 200, headers: dict[str, str] | None = None, body: str = "[]") -> Echo:
        server = Echo(status, headers or {}, body.encode())
        started.append(server)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["table", "json", "yaml"])
def printed(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs the command with ``--debug``, and returns all that it prints."""

    def printed(url: str, *arguments: str) -> str:
        monkeypatch.setenv("OPENCX_API_KEY", KEY)
        monkeypatch.setenv("OPENCX_API_URL", url)
        main(["doctor", "--debug", "-o", request.param, *arguments])
        output = capsys.readouterr()
        return output.out + output.err

    return printed


def assert_without_key(output: str) -> None:
    plain = output.lower()
    for start in range(len("ocx_live_"), len(KEY) - PIECE + 1):
        piece = KEY[start : start + PIECE]
        for notation in NOTATIONS.values():
            assert notation(piece).lower() not in plain, piece
    assert "connection" in output  # it is a report


@pytest.mark.parametrize("notation", NOTATIONS.values(), ids=NOTATIONS)
def test_key_in_body_is_in_no_output(
    notation: Callable[[str], str], echo: Callable[..., Echo], printed: Callable[..., str]
) -> None:
    key = notation(KEY)
    raw = key if "\\" in key else json.dumps(key)[1:-1]
    agent = f'{{"id": "{raw}", "name": "{raw}", "{raw}": "{raw}", "labels": {{"{raw}": 1}}, "voice_id": "{raw}"}}'
    for body in (f"[{agent}]", f'{{"{raw}": [{agent}], "next": "{raw}"}}', f'{{"items": [{agent}], "next": "{raw}"}}'):
        assert_without_key(printed(echo(body=body).url))


@pytest.mark.parametrize("notation", NOTATIONS.values(), ids=NOTATIONS)
def test_key_in_parts_is_in_no_output(
    notation: Callable[[str], str], echo: Callable[..., Echo], printed: Callable[..., str]
) -> None:
    agent = {notation(part): notation(part) for part in PARTS}
    headers = {f"X-RateLimit-{number}": notation(part) for number, part in enumerate(PARTS)}
    assert_without_key(printed(echo(headers=headers, body=json.dumps([{"id": "a", **agent}])).url))


@pytest.mark.parametrize("notation", NOTATIONS.values(), ids=NOTATIONS)
def test_key_in_headers_is_in_no_output(
    notation: Callable[[str], str], echo: Callable[..., Echo], printed: Callable[..., str]
) -> None:
    name = "".join(character if character.isalnum() else "-" for character in notation(KEY))
    headers = {
        "X-RateLimit-Limit": notation(BEARER),
        f"X-RateLimit-{name}": notation(KEY),
        "Date": notation(KEY),
        "Content-Type": notation(KEY),
        "X-Request-Id": notation(KEY),
        "Retry-After": notation(KEY),
    }
    for status in (200, 403, 429):
        assert_without_key(printed(echo(status, headers).url))


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 405, 422, 429, 500, 501, 502])
def test_key_in_redirect_or_refusal_is_in_no_output(
    status: int, echo: Callable[..., Echo], printed: Callable[..., str]
) -> None:
    elsewhere = echo()
    body = json.dumps({"statusCode": status, "message": f"No {BEARER}", "error": KEY, KEY: KEY})
    server = echo(status, {"Location": f"{elsewhere.url}/phone?key={KEY}", "WWW-Authenticate": BEARER}, body)
    assert_without_key(printed(server.url))
    assert (server.methods, elsewhere.methods) == ({"GET"}, set())


@pytest.mark.parametrize("sent", [KEY, f"HTTP/1.1 {KEY} OK\r\n\r\n", f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n[]"])
def test_key_in_what_is_no_http_is_in_no_output(
    sent: str, printed: Callable[..., str], odd_server: Callable[[bytes], Any]
) -> None:
    with odd_server(sent.encode()) as server:
        assert_without_key(printed(server.url))


def test_key_in_base_url_is_in_no_output(echo: Callable[..., Echo], printed: Callable[..., str]) -> None:
    for url in (echo().url, "http://127.0.0.1:1"):
        assert_without_key(printed(f"{url}/{quote(KEY, safe='')}"))


def test_unknown_certificate_gets_nothing(
    serve: Callable[..., Any], certificates: Any, fresh_tls: None, printed: Callable[..., str]
) -> None:
    service = serve(certificate=certificates.service)
    output = printed(service.url)
    assert "is not trusted" in output
    assert "SSL_CERT_FILE" in output
    assert service.seen == []
    assert_without_key(output)


def test_proxy_is_named_without_its_address(
    proxy: Any, monkeypatch: pytest.MonkeyPatch, fresh_tls: None, printed: Callable[..., str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", "http://jane:pr0xy-s3cret@"))
    output = printed("https://no-such-host.invalid")
    assert "yes, by the environment" in output
    assert "pr0xy-s3cret" not in output
    assert proxy.url.removeprefix("http://") not in output
