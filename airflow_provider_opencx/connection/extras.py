"""The extras of a connection as one model. A test checks that :mod:`.form` declares the same extras.

In a connection that was written as a URI every extra is text, so ``"30"`` and ``"true"`` are read as well.
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import Annotated, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from airflow_provider_opencx.client.settings import BodyStyle
from airflow_provider_opencx.connection import form
from airflow_provider_opencx.connection.addresses import check_redis_url
from airflow_provider_opencx.text import parse_boolean

_ABOUT_TLS = re.compile(r"verif|ssl|tls|cert|insecure|check_?hostname", re.IGNORECASE)
_FORM_PREFIX = re.compile(r"extra__[a-z]+__", re.IGNORECASE)  # how Airflow 2 named a form's extras
_NEAR = 0.7  # time_out, retries and read_timeout are near; owner, timezone and organization are not
_LONGEST_SHOWN = 40


def _true_or_false(value: object) -> bool:
    truth = parse_boolean(value)
    if truth is None:
        raise ValueError("neither true nor false")
    return truth


def _not_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


def _body_style(value: str) -> str:
    if value not in get_args(BodyStyle):
        raise ValueError("no such style")
    return value


def _coordination(value: str) -> str:
    if value not in ("process", "machine"):
        check_redis_url(value)
    return value


def _dashboard_url(value: str) -> str:
    address = urlsplit(value)
    if address.scheme != "https" or not address.hostname or address.password or "{id}" not in value:
        raise ValueError("no such address")
    return value


_Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_not_boolean)]
_WholeNumber = Annotated[int, BeforeValidator(_not_boolean)]
_Boolean = Annotated[bool, BeforeValidator(_true_or_false)]
_BodyStyle = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_body_style)]
_DashboardUrl = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_dashboard_url)]
_Coordination = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_coordination)]


class Extras(BaseModel):
    """The extras that mean something here; :mod:`.form` describes each. Null and an empty text mean the default."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    timeout: _Number = Field(default=30.0, ge=1, le=3600)
    max_retries: _WholeNumber = Field(default=4, ge=0, le=100)
    requests_per_minute: _WholeNumber = Field(default=90, ge=1, le=1_000_000)
    coordination: _Coordination = "machine"
    allow_calls: _Boolean = False
    call_body_style: _BodyStyle = "camel"
    dashboard_url: _DashboardUrl = ""
    allow_insecure_http: _Boolean = False

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, extras: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in extras.items() if not _is_empty(value)}

    @classmethod
    def parse(cls, extra: str) -> Self:
        """Read the extra field of a connection.

        :param extra: a JSON object, or an empty text. Extras that are not known, and not nearly, are ignored.
        :raises ValueError: if it is not JSON, an extra is wrong, one is nearly spelled as a known one, or one would
            change how TLS is verified, which none does. The message names the extra, what is allowed, and the value
            where that is short and no secret.
        """
        extras = _json_object(extra)
        for name, value in extras.items():
            if name not in cls.model_fields and not _is_empty(value):
                _refuse_near_name(name)
                _refuse_tls_extra(name)
        try:
            return cls.model_validate(extras)
        except ValidationError as invalid:
            raise ValueError(_problem(invalid)) from None


_FIELDS = {
    **dict.fromkeys(("base_url", "url", "api_url", "host", "endpoint"), "Base URL (host)"),
    **dict.fromkeys(("api_key", "apikey", "key", "token", "password"), "API key (password)"),
}
"""Fields of a connection that would be ignored as extras."""


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _json_object(extra: str) -> dict[str, object]:
    try:
        extras = json.loads(extra) if extra else {}
    except (ValueError, RecursionError):
        raise ValueError("the extra is not JSON.") from None
    if not isinstance(extras, dict):
        raise ValueError("the extra is not a JSON object.")
    return extras


def _refuse_near_name(name: str) -> None:
    bare = _FORM_PREFIX.sub("", name.strip()).lower().replace("-", "_").replace(" ", "_")
    if field := _FIELDS.get(bare):
        raise ValueError(f"the extra {_shown(name)} is not known. It belongs into the field {field}.")
    if near := get_close_matches(bare, Extras.model_fields, n=1, cutoff=_NEAR):
        raise ValueError(f"the extra {_shown(name)} is not known. Did you mean {near[0]}?")


def _refuse_tls_extra(name: str) -> None:
    if _ABOUT_TLS.search(name):
        raise ValueError(
            f"the extra {_shown(name)} is not supported: certificates are always verified. Remove the extra. To"
            " trust a company's own CA, name its certificate file in the environment variable SSL_CERT_FILE."
        )


def _problem(invalid: ValidationError) -> str:
    """Return the first problem in a sentence; Pydantic's own would repeat any value, a password as well."""
    error = invalid.errors(include_url=False, include_context=False)[0]
    field = next(field for field in form.EXTRA_FIELDS if field.name == error["loc"][0])
    value = "" if field == form.COORDINATION else f", got {_shown(error['input'])}"
    return f"the extra {field.name} must be {_allowed(field)}{value}."


def _allowed(field: form.ExtraField) -> str:
    if field.type == "boolean":
        return "true or false"
    if field.type == "string":
        return field.allowed
    return f"a {'whole ' if field.type == 'integer' else ''}number from {field.minimum} to {field.maximum}"


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else "a longer value"
