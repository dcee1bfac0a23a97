"""Reads an Airflow connection of type ``opencx``. Pure: it asks neither Airflow nor the service.

Password: the API key. Host: the base URL, empty for the service's own. Extras: see :mod:`.form`.
An error names the wrong field before any request is sent; the key is never part of a message. Unknown extras are
ignored, except TLS-related ones, which are rejected because they would have no effect.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.connection import form
from airflow_provider_opencx.connection.form import ExtraField
from airflow_provider_opencx.exceptions import OpenCXConfigError

_HOSTNAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
_LONGEST_URL = 1000
_REDIS_DATABASE = re.compile(r"/?|/[0-9]{1,9}")
_ABOUT_TLS = re.compile(r"verif|ssl|tls|cert|insecure|check_?hostname", re.IGNORECASE)


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
    :raises OpenCXConfigError: naming the connection and the field that is wrong.
    """
    try:
        extras = _extras(_text("extra", connection.extra))
        _refuse_tls_extras(extras)
        values = {field.name: _extra(field, extras.get(field.name)) for field in form.EXTRA_FIELDS}
        allow_insecure_http = bool(values.pop(form.ALLOW_INSECURE_HTTP.name))
        return ClientSettings(
            base_url=_base_url(connection, allow_insecure_http=allow_insecure_http),
            api_key=_api_key(_text("API key (password)", connection.password)),
            timeout=float(values[form.TIMEOUT.name]),
            max_retries=int(values[form.MAX_RETRIES.name]),
            requests_per_minute=int(values[form.REQUESTS_PER_MINUTE.name]),
            user_agent=user_agent,
            name=f"connection {connection.conn_id!r}",
            pacing=_pacing(str(values[form.PACING.name])),
        )
    except ValueError as wrong:
        problem = _without(connection.password, str(wrong))
        raise OpenCXConfigError(f"Connection {connection.conn_id!r}: {problem}") from None


def _text(field: str, value: object) -> str:
    """Return a field as text; one that was written in JSON may be of any type."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"the {field} must be text.")
    return value


def _without(secret: object, text: str) -> str:
    """Return a text without the key, which may have been put into the wrong field as well."""
    key = secret.strip() if isinstance(secret, str) else ""
    return re.sub(re.escape(key), "***", text, flags=re.IGNORECASE) if key else text


def _api_key(password: str) -> str:
    key = password.strip()
    if not key:
        raise ValueError("the API key (password) is empty. OpenCX shows keys in its dashboard: Settings, Access.")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError("the API key (password) holds characters that no key has; copy it again.")
    return key


def _base_url(connection: AirflowConnection, *, allow_insecure_http: bool) -> str:
    host = _text("Base URL (host)", connection.host).strip().rstrip("/")
    if not host:
        return form.DEFAULT_BASE_URL
    if "://" not in host:
        host = f"{_scheme(connection.schema)}://{host}"
    url = _split(host)
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


def _split(host: str) -> SplitResult:
    try:
        url = urlsplit(host)
        is_http = url.scheme in ("http", "https") and _is_hostname(url.hostname or "")
    except ValueError:  # whose message quotes the URL, with a password that may be in it
        is_http = False
    if not is_http or len(host) > _LONGEST_URL or not url.path.isprintable():
        raise ValueError("the Base URL (host) must be an http or https URL such as https://api.open.cx.")
    return url


def _port(url: SplitResult, field: int | None) -> int | None:
    try:
        port = url.port if url.port is not None else field
    except ValueError:
        port = 0
    if port is not None and (not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536):
        raise ValueError("the port, a field of its own or part of the Base URL (host), must be from 1 to 65535.")
    return port


def _is_hostname(hostname: str) -> bool:
    return bool(_HOSTNAME.fullmatch(hostname)) or _ip_address(hostname) is not None


def _is_loopback(hostname: str) -> bool:
    address = _ip_address(hostname)
    return hostname == "localhost" if address is None else address.is_loopback


def _ip_address(hostname: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(hostname)
    except ValueError:
        return None
    return None if "%" in hostname else address  # a zone has no place in a URL


def _scheme(schema: str | None) -> str:
    if schema and schema not in ("http", "https"):
        raise ValueError("the schema must be empty, http or https.")
    return schema or "https"


def _extras(extra: str) -> dict[str, object]:
    try:
        extras = json.loads(extra) if extra else {}
    except (ValueError, RecursionError):
        raise ValueError("the extra is not JSON.") from None
    if not isinstance(extras, dict):
        raise ValueError("the extra is not a JSON object.")
    return extras


def _refuse_tls_extras(extras: dict[str, object]) -> None:
    ours = {field.name for field in form.EXTRA_FIELDS}
    for name, value in extras.items():
        if name not in ours and _ABOUT_TLS.search(name) and value is not None and value != "":
            raise ValueError(
                f"the extra {_shown(name)} is not supported: certificates are always verified. Remove the extra. To"
                " trust a company's own CA, name its certificate file in the environment variable SSL_CERT_FILE."
            )


def _extra(field: ExtraField, value: object) -> float | int | bool | str:
    if value is None or value == "":
        return field.default
    if field.type == "string":
        return _text(f"extra {field.name}", value).strip() or field.default
    return _boolean(field, value) if field.type == "boolean" else _number(field, value)


def _pacing(pacing: str) -> str:
    if pacing not in ("process", "machine") and not _is_redis(pacing):
        raise ValueError(  # without the value: a password may be in it
            f"the extra {form.PACING.name} must be process, machine, or the address of a Redis such as"
            " redis://host:6379/0."
        )
    return pacing


def _is_redis(address: str) -> bool:
    try:
        url = urlsplit(address)
        return (
            url.scheme in ("redis", "rediss")
            and _is_hostname(url.hostname or "")
            and url.port != 0
            and _REDIS_DATABASE.fullmatch(url.path) is not None
            and not (url.query or url.fragment)
            and address.isprintable()
            and len(address) <= _LONGEST_URL
        )
    except ValueError:
        return False


def _boolean(field: ExtraField, value: object) -> bool:
    truth = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
    if isinstance(truth, bool):
        return truth
    raise ValueError(f"the extra {field.name} must be true or false, got {_shown(value)}.")


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
        raise ValueError(f"the extra {field.name} must be {kind} of {field.minimum} or more, got {_shown(value)}.")
    if field.maximum is not None and number > field.maximum:
        raise ValueError(f"the extra {field.name} must be {field.maximum} or less, got {_shown(value)}.")
    return int(number) if whole else number


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return text if len(text) <= 40 else "a longer value"
