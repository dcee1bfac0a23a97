"""The addresses that a connection can hold: the base URL of the API, and the URL of a Redis.

No message repeats an address, because a password may be in it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, TypeAdapter

from airflow_provider_opencx.connection.form import DEFAULT_BASE_URL

_HOSTNAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
_REDIS_DATABASE = re.compile(r"/?|/[0-9]{1,9}")
_BASE_PATH = re.compile(r"(/[\w.~%!$&'()*+,;=@-]+)*", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 1000
_PORT = TypeAdapter[int | None](Annotated[int, Field(strict=True, ge=1, le=65535)] | None)


def base_url(host: str, *, schema: str, port: int | None, allow_insecure_http: bool) -> str:
    """Return the base URL of a connection's fields, without a slash at its end.

    Airflow reads the path of a connection URI as its schema. So one that is not a scheme is refused, never left out:
    without its path, the key would go to another application of that host.

    :param host: a URL, a host, or empty for the API's own address. A path is part of it.
    :param schema: ``http`` or ``https``; empty means that of the host, or ``https``.
    :param port: the port, which need not be in the host.
    :param allow_insecure_http: take plain http to other machines too.
    :raises ValueError: naming the field that is wrong.
    """
    _check_schema(schema)
    host = host.strip() or DEFAULT_BASE_URL
    url = _split((host if "://" in host else f"{schema or 'https'}://{host}").rstrip("/"), ("http", "https"))
    if url is None or not _BASE_PATH.fullmatch(url.path):
        raise ValueError("the Base URL (host) must be an http or https URL such as https://api.open.cx.")
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("the Base URL (host) must have no user, password, query or fragment in it.")
    if schema and schema != url.scheme:
        raise ValueError(f"the schema is {schema}, and the Base URL (host) is {url.scheme}: leave the schema empty.")
    if not allow_insecure_http:
        _refuse_plain_http(url)
    return f"{url.scheme}://{_with_port(url, port)}{url.path}"


def check_redis_url(address: str) -> None:
    """Check the URL of a Redis, such as ``redis://:password@host:6379/0`` or, over TLS, ``rediss://host``.

    :raises ValueError: if it is none.
    """
    url = _split(address, ("redis", "rediss"))
    if url is None or url.query or url.fragment or not _REDIS_DATABASE.fullmatch(url.path):
        raise ValueError("not the address of a Redis")
    _port(url, None)


def _split(address: str, schemes: tuple[str, str]) -> SplitResult | None:
    """Return the parts of a URL with a host and one of these schemes; ``None`` for anything else."""
    try:
        url = urlsplit(address)
    except ValueError:
        return None
    is_short_text = len(address) <= _LONGEST_URL and address.isprintable()
    has_host = _is_hostname(url.hostname or "") and not url.netloc.endswith(":")  # as in https://https://host
    return url if is_short_text and url.scheme in schemes and has_host else None


def _check_schema(schema: str) -> None:
    if schema not in ("", "http", "https"):
        raise ValueError(
            "the schema, or in a URI the path, must be empty, http or https. A path of the API's address is part of the"
            " Base URL (host), as in https://gateway.example.com/opencx; in a URI, write %2F for its slashes:"
            " opencx://https://:YOUR-KEY@gateway.example.com%2Fopencx"
        )


def _refuse_plain_http(url: SplitResult) -> None:
    hostname = url.hostname or ""
    if url.scheme == "http" and not is_loopback(hostname):
        raise ValueError(
            f"the Base URL (host) is plain http to {hostname}, where the API key would travel unencrypted."
            " Use https, or set the extra allow_insecure_http to true if that is meant."
        )


def _with_port(url: SplitResult, field: int | None) -> str:
    hostname = url.hostname or ""
    port = _port(url, field)
    name = f"[{hostname}]" if ":" in hostname else hostname
    # Each address needs one spelling, because a lock is for a name at an address.
    return name if port in (None, _DEFAULT_PORTS[url.scheme]) else f"{name}:{port}"


def _port(url: SplitResult, field: int | None) -> int | None:
    try:
        in_url, in_field = _PORT.validate_python(url.port), _PORT.validate_python(field)
    except ValueError:
        raise ValueError(
            "the port, a field of its own or part of the Base URL (host), must be from 1 to 65535."
        ) from None
    if in_url and in_field and in_url != in_field:
        raise ValueError(f"the port is {in_field}, and that of the Base URL (host) is {in_url}: leave one of them out.")
    return in_url or in_field


def _is_hostname(hostname: str) -> bool:
    return bool(_HOSTNAME.fullmatch(hostname)) or _ip_address(hostname) is not None


def is_loopback(hostname: str) -> bool:
    """Return whether a host is this machine, by its name or its address."""
    address = _ip_address(hostname)
    return hostname == "localhost" if address is None else address.is_loopback


def _ip_address(hostname: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(hostname)
    except ValueError:
        return None
    return None if "%" in hostname else address  # a zone has no place in a URL
