"""Real servers on this machine: services over http and https, and a proxy. Each records what it receives."""

from __future__ import annotations

import datetime
import ipaddress
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_opencx.client import network
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.settings import ClientSettings

KEY = "ocx_live_s3cret-of-the-security-tests"


@dataclass(frozen=True)
class Certificates:
    """A CA and a certificate that it made for this machine, as PEM files.

    :param authority: the CA's certificate.
    :param service: the service's certificate and private key.
    """

    authority: Path
    service: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA that nobody knows, and a certificate of its for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")
    authority_key, service_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("Test CA", authority_key, None, authority_key)
    service = _certificate("127.0.0.1", service_key, authority, authority_key)
    pem = serialization.Encoding.PEM
    private = service_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    made = Certificates(folder / "authority.pem", folder / "service.pem")
    made.authority.write_bytes(authority.public_bytes(pem))
    made.service.write_bytes(service.public_bytes(pem) + private)
    return made


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if issuer is None:
        # Python 3.13 trusts no CA that does not say what its key is for.
        signs = dict.fromkeys(("key_cert_sign", "crl_sign"), True)
        others = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        usage = x509.KeyUsage(**signs, **dict.fromkeys(others, False), encipher_only=False, decipher_only=False)
        builder = builder.add_extension(usage, critical=True)
    else:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


class Service(ThreadingHTTPServer):
    """A service that answers every request in one way, and records each as text, headers and body in it.

    :param status: the status of its answers.
    :param headers: their headers.
    :param certificate: PEM file of the certificate and key to speak https with; ``None`` speaks http.
    """

    daemon_threads = True

    def __init__(
        self, status: int = 200, headers: dict[str, str] | None = None, certificate: Path | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.headers = headers or {}
        self.seen: list[str] = []
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self.server_port}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread; a client that does not trust us has just left."""
        with suppress(OSError):
            if self._tls is not None:
                request = self._tls.wrap_socket(request, server_side=True)
            super().finish_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body waits 40 ms until the client has acknowledged the headers
    server: Service

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.seen.append(f"{self.requestline}\n{self.headers}{body}")
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815  # the names that http.server looks for

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output clean."""


class Proxy:
    """A proxy that tunnels what it is asked to, and records every byte that it can read."""

    def __init__(self) -> None:
        self.read = bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closed = threading.Event()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = self._record(client.recv(65536))
            method, target, _ = head.split(b" ", 2)
            if method != b"CONNECT":
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
                return
            host, _, port = target.decode().rpartition(":")
            with socket.create_connection((host, int(port))) as service:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self._pass_on(client, service)

    def _pass_on(self, client: socket.socket, service: socket.socket) -> None:
        # select() would take no descriptor past 1,023, and a long run of tests has more files open.
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, service)
            selector.register(service, selectors.EVENT_READ, client)
            while not self._closed.is_set():
                for ready, _ in selector.select(0.1):
                    sender, receiver = cast(socket.socket, ready.fileobj), ready.data
                    data = self._record(sender.recv(65536))
                    if not data:
                        return
                    receiver.sendall(data)

    def _record(self, data: bytes) -> bytes:
        self.read += data
        return data


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Starts a :class:`Service`; takes its arguments."""
    started: list[Service] = []

    def serve(*args: Any, **kwargs: Any) -> Service:
        service = Service(*args, **kwargs)
        started.append(service)
        threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return service

    yield serve
    for service in started:
        service.shutdown()
        service.server_close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A running proxy."""
    with Proxy() as running:
        yield running


Send = Callable[..., Any]


@pytest.fixture
def send(fresh_tls: None) -> Send:
    """Does something with a client that has the key, for a base URL."""

    def send(use: Callable[[OpenCXClient], object], base_url: str) -> object:
        settings = ClientSettings(
            base_url, KEY, timeout=20, max_retries=0, requests_per_minute=100_000, allow_calls=True
        )
        with OpenCXClient(settings) as client:
            return use(client)

    return send


@pytest.fixture
def fresh_tls(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment that names no CA and no proxy, and TLS contexts that are made in it."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    network.tls_context.cache_clear()
    yield
    network.tls_context.cache_clear()


@pytest.fixture
def odd_server() -> Callable[[bytes], AbstractContextManager[Any]]:
    """Runs a server that sends the same bytes to everybody."""
    from tests.unit.odd_servers import odd_server

    return odd_server
