"""Tests that the service's certificate is always verified: no setting and no accident turns this off."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection
from redis.connection import SSLConnection

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.connection.settings import client_settings
from airflow_provider_opencx.exceptions import OpenCXConfigError, OpenCXUnreachableError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec, create_phone_agent, ping

KEY = "ocx_live_s3cret-of-the-security-tests"
PASSWORD = "r3dis-s3cret"
SPEC = PhoneAgentSpec.parse({"name": "a"})


@pytest.fixture
def untrusted(serve: Callable[..., Any], certificates: Any) -> Any:
    """A service whose certificate comes from a CA that nobody knows."""
    return serve(certificate=certificates.service)


@pytest.mark.parametrize("request_of", [ping, lambda client: create_phone_agent(client, SPEC)], ids=["GET", "POST"])
def test_tls_sends_nothing_to_unknown_certificate(request_of: Any, send: Any, untrusted: Any) -> None:
    with pytest.raises(OpenCXUnreachableError) as error:
        send(request_of, untrusted.url)
    assert f"the certificate of {untrusted.url} is not trusted: " in str(error.value)
    assert "SSL_CERT_FILE" in str(error.value)
    assert not error.value.request_sent
    assert untrusted.seen == []


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHTTPSVERIFY": "0"},
        {"CURL_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": ""},
        {"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""},
        {"SSL_VERIFY": "false", "HTTPX_VERIFY": "0", "NODE_TLS_REJECT_UNAUTHORIZED": "0", "GIT_SSL_NO_VERIFY": "1"},
    ],
    ids=lambda environment: next(iter(environment)),
)
def test_tls_ignores_variables_that_disable_verification(
    environment: dict[str, str], send: Any, untrusted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OpenCXUnreachableError, match="certificate"):
        send(ping, untrusted.url)
    assert untrusted.seen == []


@pytest.mark.parametrize(
    "extra",
    [
        {"verify": False},
        {"verify": "/etc/ssl/our-ca.pem"},
        {"verify_ssl": "false"},
        {"ssl": 0},
        {"check_hostname": False},
        {"insecure": True},
        {"disable_tls": "true"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("fresh_tls")
def test_tls_refuses_verification_extras(
    extra: dict[str, object], untrusted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "opencx", "host": untrusted.url, "password": KEY, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", json.dumps(connection))
    with pytest.raises(OpenCXConfigError, match=rf'extra "{next(iter(extra))}" .* always verified'):
        OpenCXHook().list_phone_agents()
    assert untrusted.seen == []


@pytest.mark.parametrize("extra", [{"verify": None}, {"verify_ssl": ""}, {"owner": "team"}], ids=str)
def test_tls_tolerates_harmless_extra(extra: dict[str, object]) -> None:
    connection = Connection(conn_id="c", conn_type="opencx", password=KEY, extra=json.dumps(extra))
    assert client_settings(connection, user_agent="test").base_url == "https://api.open.cx"


def test_tls_is_unaffected_by_allow_insecure_http(
    untrusted: Any, fresh_tls: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "opencx", "host": untrusted.url, "password": KEY, "extra": {"allow_insecure_http": True}}
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", json.dumps(connection))
    passed, message = OpenCXHook().test_connection()
    assert (passed, untrusted.seen) == (False, [])
    assert "certificate" in message


def test_tls_refuses_certificate_for_other_host(
    send: Any, untrusted: Any, certificates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    with pytest.raises(OpenCXUnreachableError, match="localhost"):
        send(ping, untrusted.url.replace("127.0.0.1", "localhost"))
    assert untrusted.seen == []


def test_tls_trusts_ca_named_by_environment(
    send: Any, untrusted: Any, certificates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    send(ping, untrusted.url)
    assert f"Authorization: Bearer {KEY}" in untrusted.seen[0]


@pytest.mark.parametrize("contents", [None, "no certificate"])
def test_tls_reports_unreadable_ca_file(
    contents: str | None, send: Any, untrusted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.pem"
    if contents is not None:
        file.write_text(contents)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(OpenCXConfigError, match="SSL_CERT_FILE"):
        send(ping, untrusted.url)
    assert untrusted.seen == []


@pytest.fixture
def redis_over_tls(certificates: Any) -> Iterator[tuple[int, bytearray]]:
    """The port at which something speaks TLS as 127.0.0.1, and all that it is told there; it answers nothing."""
    told = bytearray()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.service)

    class Listener(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), context.wrap_socket(self.request, server_side=True) as client:
                while data := client.recv(65536):
                    told.extend(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Listener) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1], told
        server.shutdown()


@pytest.mark.parametrize(
    ("host", "knows_the_authority", "is_told"),
    [("127.0.0.1", True, True), ("localhost", True, False), ("127.0.0.1", False, False)],
    ids=["trusted", "another host", "unknown authority"],
)
@pytest.mark.parametrize("checks_by_itself", [False, True], ids=["redis-py 5", "redis-py"])
def test_pacing_sends_redis_password_only_over_trusted_tls(
    checks_by_itself: bool,
    host: str,
    knows_the_authority: bool,
    is_told: bool,
    redis_over_tls: tuple[int, bytearray],
    serve: Callable[..., Any],
    certificates: Any,
    fresh_tls: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not checks_by_itself:
        connect = SSLConnection.__init__

        def connect_as_before_redis_py_6(connection: Any, *, ssl_check_hostname: bool = False, **options: Any) -> None:
            connect(connection, ssl_check_hostname=ssl_check_hostname, **options)

        monkeypatch.setattr(SSLConnection, "__init__", connect_as_before_redis_py_6)
    if knows_the_authority:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    port, told = redis_over_tls
    service = serve()
    settings = ClientSettings(service.url, KEY, coordination=f"rediss://:{PASSWORD}@{host}:{port}")
    with OpenCXClient(settings) as client:
        ping(client)
    assert (PASSWORD.encode() in told) == is_told
    assert len(service.seen) == 1
