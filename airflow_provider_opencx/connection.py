"""Reads an Airflow connection of type ``opencx``: pure, so the sync and the async hook share it.

Password: the API key. Host: the base URL, empty for the service's own. Extras: see :mod:`.connection_form`.
What is wrong is said by field, before any request is sent; the key is never part of a message.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from airflow_provider_opencx import connection_form
from airflow_provider_opencx.api.client import ClientSettings
from airflow_provider_opencx.connection_form import ExtraField
from airflow_provider_opencx.exceptions import OpenCXConnectionSettingsError

_HOSTNAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)


class AirflowConnection(Protocol):
    """The fields of an Airflow connection that mean something here."""

    conn_id: str
    host: str | None
    port: int | None
    schema: str | None
    password: str | None
    extra: str | None


def client_settings(connection: AirflowConnection, *, user_agent: str) -> ClientSettings:
    """Return the settings that a connection asks for.

    :param connection: made from the form, from JSON or from a URI, in which every extra is a string.
    :param user_agent: the User-Agent header to send.
    :raises OpenCXConnectionSettingsError: naming the connection and the field that is wrong.
    """
    try:
        extras = _extras(connection.extra)
        values = {field.name: _extra(field, extras.get(field.name)) for field in connection_form.EXTRA_FIELDS}
        allow_insecure_http = bool(values.pop(connection_form.ALLOW_INSECURE_HTTP.name))
        return ClientSettings(
            base_url=_base_url(connection, allow_insecure_http=allow_insecure_http),
            api_key=_api_key(connection.password),
            timeout=float(values[connection_form.TIMEOUT.name]),
            max_retries=int(values[connection_form.MAX_RETRIES.name]),
            requests_per_minute=int(values[connection_form.REQUESTS_PER_MINUTE.name]),
            user_agent=user_agent,
            name=f"connection {connection.conn_id!r}",
        )
    except ValueError as wrong:
        raise OpenCXConnectionSettingsError(f"Connection {connection.conn_id!r}: {wrong}") from None


def _api_key(password: str | None) -> str:
    key = (password or "").strip()
    if not key:
        raise ValueError("the API key (password) is empty. OpenCX shows keys in its dashboard: Settings, Access.")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError("the API key (password) holds characters that no key has; copy it again.")
    return key


def _base_url(connection: AirflowConnection, *, allow_insecure_http: bool) -> str:
    host = (connection.host or "").strip().rstrip("/")
    if not host:
        return connection_form.DEFAULT_BASE_URL
    if "://" not in host:
        host = f"{_scheme(connection.schema)}://{host}"
    url = urlsplit(host)
    if url.scheme not in ("http", "https") or not _is_hostname(url.hostname or "") or not url.path.isprintable():
        raise ValueError("the Base URL (host) must be an http or https URL such as https://api.open.cx.")
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("the Base URL (host) must have no user, password, query or fragment in it.")
    hostname = url.hostname or ""
    if url.scheme == "http" and not (allow_insecure_http or _is_loopback(hostname)):
        raise ValueError(
            f"the Base URL (host) is plain http to {hostname}, where the API key would travel unencrypted."
            " Use https, or set the extra allow_insecure_http to true if that is meant."
        )
    port = _port(url, connection.port)
    name = f"[{hostname}]" if ":" in hostname else hostname
    return f"{url.scheme}://{name}{'' if port is None else f':{port}'}{url.path}"


def _port(url: SplitResult, field: int | None) -> int | None:
    try:
        port = url.port if url.port is not None else field
    except ValueError:
        port = 0
    if port is not None and not 0 < port < 65536:
        raise ValueError("the port, a field of its own or part of the Base URL (host), must be from 1 to 65535.")
    return port


def _is_hostname(hostname: str) -> bool:
    return bool(_HOSTNAME.fullmatch(hostname)) or _ip_address(hostname) is not None


def _is_loopback(hostname: str) -> bool:
    address = _ip_address(hostname)
    return hostname == "localhost" if address is None else address.is_loopback


def _ip_address(hostname: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(hostname)
    except ValueError:
        return None


def _scheme(schema: str | None) -> str:
    if schema and schema not in ("http", "https"):
        raise ValueError("the schema must be empty, http or https.")
    return schema or "https"


def _extras(extra: str | None) -> dict[str, object]:
    try:
        extras = json.loads(extra) if extra else {}
    except ValueError:
        raise ValueError("the extra is not JSON.") from None
    if not isinstance(extras, dict):
        raise ValueError("the extra is not a JSON object.")
    return extras


def _extra(field: ExtraField, value: object) -> float | int | bool:
    if value is None or value == "":
        return field.default
    return _boolean(field, value) if field.type == "boolean" else _number(field, value)


def _boolean(field: ExtraField, value: object) -> bool:
    spelling = str(value).lower()
    if isinstance(value, bool | str) and spelling in ("true", "false"):
        return spelling == "true"
    raise ValueError(f"the extra {field.name} must be true or false, and is {_shown(value)}.")


def _number(field: ExtraField, value: object) -> float | int:
    number: float | int = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    whole = field.type == "integer"
    if not math.isfinite(number) or (whole and number != int(number)) or number < (field.minimum or 0):
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"the extra {field.name} must be {kind} of {field.minimum} or more, and is {_shown(value)}.")
    return int(number) if whole else number


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else f"{text[:40]}..."
