"""Calls: ``POST /phone/outbound-call``, by which an agent calls a person.

Method, path and "a contact by id, or a number in E.164" are confirmed by the vendor's page. The keys of the body are
inferred, in either of two spellings; the fields of the response, and whether a call has an id, are unknown. So the body
can be written in either spelling, in both, or by hand, and the response is handed on unchanged. No source knows a key
against repeated requests: the service calls once for each request that it handles.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import JsonValue

from airflow_provider_opencx.client.once import send_once
from airflow_provider_opencx.client.operation import Operation, Request
from airflow_provider_opencx.client.settings import BodyStyle
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXRequestRefusedError,
    OpenCXUnknownCallOutcomeError,
    OpenCXUnknownOutcomeError,
)
from airflow_provider_opencx.phone_numbers import e164, normalize_phone_number, without_mobile_mark
from airflow_provider_opencx.visible_text import identifier

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

MAKE_OUTBOUND_CALL = Operation(
    id="makeOutboundCall",
    method="POST",
    path="/phone/outbound-call",
    scope="phone:write",
    noun="call",
    summary="Have an agent call a contact or a number. Never sent again.",
    repeatable=False,
    places_calls=True,
)

WAYS_ON = (
    "Nothing is sent again automatically. Look in the OpenCX dashboard whether the call was made. Then clear the task"
    ' with on_unknown="skip" to leave this person out, or with on_unknown="repeat" to call, where nobody was called.'
)
"""What to do if it is not known whether a call was made."""

_AGENT_KEYS: Mapping[str, str] = {"camel": "phoneAgentId", "snake": "phone_agent_id"}
_NUMBER_KEYS: Mapping[str, str] = {"camel": "phoneNumber", "snake": "phone_number"}


@dataclass(frozen=True)
class Callee:
    """The person to call: a phone number, or a contact of the organization.

    :param phone_number: the number in E.164, such as ``"+14155550100"``.
    :param contact_id: the id of the contact; where there is a number as well, the contact is called.
    """

    phone_number: str | None = None
    contact_id: str | None = None

    def __post_init__(self) -> None:
        if not (self.phone_number or self.contact_id):
            raise OpenCXArgumentError("phone_number: give the number of a person, or the contact_id of a contact")
        if self.phone_number:
            try:
                object.__setattr__(self, "phone_number", e164(self.phone_number))
            except ValueError as problem:
                raise OpenCXArgumentError(f"phone_number: {problem}") from None

    @property
    def names(self) -> Sequence[str]:
        """The names of the person for comparisons: the number, then the contact, if known."""
        number = without_mobile_mark(self.phone_number) if self.phone_number else None
        contact = f"contact:{self.contact_id}" if self.contact_id else None
        return [name for name in (number, contact) if name]

    @property
    def number_or_contact(self) -> str:
        """The number where there is one, and else the id of the contact."""
        return self.phone_number or self.contact_id or ""

    @property
    def label(self) -> str:
        """The person in messages."""
        return (
            identifier(self.phone_number or "") if self.phone_number else f"contact {identifier(self.contact_id or '')}"
        )


@dataclass(frozen=True)
class PlacedCall:
    """A call that the service has accepted.

    :param called_at: when it was asked for, in ISO 8601.
    :param response: what the service returned, unchanged; its fields are in no page.
    """

    called_at: str
    response: JsonValue


def call_body(agent_id: str, callee: Callee, style: BodyStyle) -> dict[str, JsonValue]:
    """Return the body of a call.

    :param agent_id: the id of the agent that calls.
    :param callee: who is called.
    :param style: how its keys are written. ``"both"`` is taken by a service of either spelling, and refused by one that
        takes no key that it does not know.
    """
    styles = ("camel", "snake") if style == "both" else (style,)
    contact: dict[str, JsonValue] = (
        {"id": callee.contact_id}
        if callee.contact_id
        else {_NUMBER_KEYS[style]: callee.phone_number for style in styles}
    )
    return {**{_AGENT_KEYS[style]: agent_id for style in styles}, "contact": contact}


def checked_body(written: object, agent_id: str, callee: Callee) -> dict[str, JsonValue]:
    """Return a body written by hand as plain JSON, if it names the agent and the person that the guards have checked.

    Where its keys are those of :func:`call_body`, they name nobody else.

    :raises OpenCXArgumentError: if it does not, or cannot be sent as JSON.
    """
    body = body_as_json(written)
    contact = body.get("contact")
    contact = contact if isinstance(contact, dict) else {}
    if agent_id not in _texts_in(body) or not set(_said_by(body, _AGENT_KEYS.values())) <= {agent_id}:
        raise OpenCXArgumentError(f"body: does not name the agent {identifier(agent_id)} that is to call")
    texts = set(_texts_in(contact or body))
    is_named = (callee.contact_id or callee.phone_number) in texts | set(map(normalize_phone_number, texts))
    ids = set(_said_by(contact, ["id"]))
    numbers = set(map(normalize_phone_number, _said_by(contact, _NUMBER_KEYS.values())))
    if not (is_named and ids <= {callee.contact_id} and numbers <= {callee.phone_number}):
        raise OpenCXArgumentError(f"body: does not name {callee.label} alone, who was checked and is to be called")
    return body


def body_as_json(written: object) -> dict[str, JsonValue]:
    """Return a body written by hand as plain JSON; raises ``OpenCXArgumentError`` if it cannot be sent."""
    try:
        body = json.loads(json.dumps(written, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise OpenCXArgumentError("body: cannot be sent as JSON. Nothing was sent.") from None
    if not isinstance(body, dict):
        raise OpenCXArgumentError("body: must be a mapping, the JSON body of the request. Nothing was sent.")
    return body


def _said_by(values: Mapping[str, JsonValue], keys: Iterable[str]) -> list[str]:
    return [str(values[key]) for key in keys if key in values]


def _texts_in(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(part)


def call_request(agent_id: str, callee: Callee, body: Mapping[str, JsonValue]) -> Request:
    """Return the request for a call.

    :param body: the JSON body, see :func:`call_body`.
    """
    about = f"phone agent {identifier(agent_id)} to call {callee.label}"
    return MAKE_OUTBOUND_CALL.request(body=dict(body), about=about)


def place_call(
    client: OpenCXClient, request: Request, callee: Callee, before_sending: Callable[[], None] = lambda: None
) -> PlacedCall:
    """Ask for a call, once.

    :param request: what :func:`call_request` returned.
    :param callee: who is called, for messages.
    :param before_sending: called when the request is about to be sent, after the wait for the rate limit; an error that
        it raises keeps it from being sent.
    :raises OpenCXUnknownCallOutcomeError: if it is not known whether the person was called.
    :raises OpenCXError: any other error says that nobody was called: the service refused the request before it handled
        it, or never got it, or the connection does not allow calls.
    """
    try:
        handled = send_once(client, request, before_sending=before_sending)
    except OpenCXUnknownOutcomeError as unknown:
        raise _unknown(str(unknown), callee, unknown.sent_at) from None
    except OpenCXRequestRefusedError as refusal:
        raise refusal.with_message(
            f"{refusal} Nobody was called. If the service refuses the names of the keys, choose other names with the"
            " connection's extra call_body_style, or with body_style."
        ) from None
    return PlacedCall(handled.sent_at, handled.body)


def _unknown(reason: str, callee: Callee, called_at: str | None) -> OpenCXUnknownCallOutcomeError:
    return OpenCXUnknownCallOutcomeError(
        f"{callee.label} may or may not have been called: {reason}",
        contacts=[callee.number_or_contact],
        sent_at=called_at,
    )
