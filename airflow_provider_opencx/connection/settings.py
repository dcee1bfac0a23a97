"""Reads an Airflow connection of type ``opencx``. Pure: it asks neither Airflow nor the service.

Without Airflow, the key and the base URL may be in the environment.

Password: the API key. Host: the base URL, empty for the service's own. Extras: see :mod:`.extras`.
An error names the wrong field before any request is sent; the key is never part of a message.
"""

from __future__ import annotations

import os
from typing import Protocol, cast

from airflow_provider_opencx.client.settings import BodyStyle, ClientSettings
from airflow_provider_opencx.connection import form
from airflow_provider_opencx.connection.addresses import base_url
from airflow_provider_opencx.connection.extras import Extras
from airflow_provider_opencx.exceptions import OpenCXConfigError
from airflow_provider_opencx.secret import Secret, forgets_locals
from airflow_provider_opencx.visible_text import in_quotes

_TYPES = (form.CONN_TYPE, "generic", "")  # the last two are for nobody's service


class AirflowConnection(Protocol):
    """The fields of an Airflow connection that mean something here."""

    conn_id: str
    conn_type: str | None
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
        _check_type(_text("type", connection.conn_type), connection.password)
        extras = Extras.parse(_text("extra", connection.extra))
        address = base_url(
            _text("Base URL (host)", connection.host),
            schema=_text("schema", connection.schema),
            port=connection.port,
            allow_insecure_http=extras.allow_insecure_http,
        )
        api_key = _api_key(_text("API key (password)", connection.password))
        return _settings(address, api_key, extras, user_agent, f"connection {in_quotes(connection.conn_id)}")
    except ValueError as wrong:
        problem = _without(connection.password, str(wrong))
        raise OpenCXConfigError(f"Connection {in_quotes(connection.conn_id)}: {problem}") from None


@forgets_locals
def settings_of_environment(key_variable: str, url_variable: str, *, user_agent: str) -> ClientSettings:
    """Return the settings for an API key and a base URL in the environment: the defaults of a connection.

    :param key_variable: the name of the environment variable that holds the key.
    :param url_variable: the name of the one that holds the base URL. Plain http is taken to this machine only.
    :param user_agent: the User-Agent header to send.
    :raises OpenCXConfigError: naming the variable that is wrong.
    """
    key, url = (os.environ.get(variable, "") for variable in (key_variable, url_variable))
    variable = url_variable
    try:
        address = base_url(url, schema="", port=None, allow_insecure_http=False)
        variable = key_variable
        return _settings(address, _api_key(key), Extras(), user_agent, f"the key in {key_variable}")
    except ValueError as wrong:
        more = " An extra is part of a connection." if "extra" in str(wrong) else ""
        raise OpenCXConfigError(f"{variable}: {_without(key, str(wrong))}{more}") from None


def _settings(address: str, api_key: Secret, extras: Extras, user_agent: str, name: str) -> ClientSettings:
    return ClientSettings(
        base_url=address,
        api_key=api_key,
        timeout=extras.timeout,
        max_retries=extras.max_retries,
        requests_per_minute=extras.requests_per_minute,
        user_agent=user_agent,
        name=name,
        coordination=extras.coordination,
        allow_calls=extras.allow_calls,
        call_body_style=cast(BodyStyle, extras.call_body_style),
        dashboard_url=extras.dashboard_url,
    )


def _check_type(conn_type: str, password: object) -> None:
    """Refuse a connection of another service, whose password is not a key of OpenCX and must not be sent there."""
    if conn_type not in _TYPES:
        raise ValueError(
            f"it is of type {in_quotes(_without(password, conn_type))}, and its password may be that of another"
            f" service. Give it the type {form.CONN_TYPE!r} if it is for OpenCX; otherwise name a connection of that"
            " type."
        )


def _text(field: str, value: object) -> str:
    """Return a field as text; one that was written in JSON may be of any type."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"the {field} must be text.")
    return value


def _without(secret: object, text: str) -> str:
    """Return a text without the key, which may have been put into the wrong field as well."""
    if not isinstance(secret, str) or not secret.strip():
        return text
    return Secret(secret.strip()).masked(text)


def _api_key(password: str) -> Secret:
    key = password.strip()
    if not key:
        raise ValueError("the API key (password) is empty. OpenCX shows keys in its dashboard: Settings, Access.")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError("the API key (password) holds characters that no key has; copy it again.")
    return Secret(key)
