"""Tests that a proxy never gets the key: it is only a tunnel for https."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_opencx.exceptions import OpenCXConfigError, OpenCXUnreachableError
from airflow_provider_opencx.resources.phone_agents import ping

KEY = "ocx_live_s3cret-of-the-security-tests"


@pytest.fixture
def through(proxy: Any, send: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The proxy, named for everything by every variable there is."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv(name.lower(), proxy.url)
    return proxy


def test_proxy_is_not_used_for_http(through: Any, send: Any, serve: Callable[..., Any]) -> None:
    service = serve()
    send(ping, service.url)
    assert KEY in service.seen[0]
    assert through.read == b""


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_proxy_tunnels_https_without_seeing_key(
    variable: str, proxy: Any, send: Any, serve: Callable[..., Any], certificates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    service = serve(certificate=certificates.service)
    send(ping, service.url)
    assert f"Authorization: Bearer {KEY}" in service.seen[0]
    assert proxy.read.startswith(f"CONNECT {service.url.removeprefix('https://')} ".encode())
    assert KEY.encode() not in proxy.read
    assert b"Authorization" not in proxy.read


def test_proxy_posing_as_service_never_sees_key(
    through: Any, send: Any, serve: Callable[..., Any], certificates: Any
) -> None:
    posing = serve(certificate=certificates.service)
    with pytest.raises(OpenCXUnreachableError, match="certificate"):
        send(ping, posing.url)
    assert through.read.startswith(b"CONNECT ")
    assert KEY.encode() not in through.read
    assert posing.seen == []


def test_proxy_respects_no_proxy(
    through: Any, send: Any, serve: Callable[..., Any], certificates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    service = serve(certificate=certificates.service)
    send(ping, service.url)
    assert (len(service.seen), through.read) == (1, b"")


@pytest.mark.parametrize("address", ["http://user:pa55word@[::1", "http://user:pa55word@proxy:port", "//:"])
def test_proxy_error_hides_password(address: str, send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(OpenCXConfigError, match="HTTPS_PROXY") as error:
        send(ping, "https://api.open.cx")
    assert "pa55word" not in str(error.value)
