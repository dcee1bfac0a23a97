"""Calls: who was called, when and by what. Each handled request is a call, so a repeated request calls again.

Sequences call as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from threading import RLock
from typing import Literal, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_opencx.simulator.admin_forms import Form, read_form
from airflow_provider_opencx.simulator.admin_keys import key_in
from airflow_provider_opencx.simulator.handler import AcceptedRequest, AdminRoutes, Handlers, HTTPError
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.conversations.after_calls import AfterCalls
from airflow_provider_opencx.simulator.resources.phone_agents.store import Agent, Store, UnknownAgentError
from airflow_provider_opencx.simulator.responses import VALIDATION_FAILED, json_response
from airflow_provider_opencx.simulator.service import Service
from airflow_provider_opencx.simulator.timestamps import timestamp

KeyStyle: TypeAlias = Literal["any", "camel", "snake"]

_AGENT_KEYS: Mapping[KeyStyle, Sequence[str]] = {
    "any": ("phoneAgentId", "phone_agent_id"),
    "camel": ("phoneAgentId",),
    "snake": ("phone_agent_id",),
}
_NUMBER_KEYS: Mapping[KeyStyle, Sequence[str]] = {
    "any": ("phoneNumber", "phone_number"),
    "camel": ("phoneNumber",),
    "snake": ("phone_number",),
}


@dataclass(frozen=True)
class Dialed:
    """One call.

    :param agent_id: the agent that called
    :param agent_name: its name
    :param from_number: its phone number
    :param phone_number: the number that was called; None for a contact that a request called
    :param contact_id: the contact that was called; None for a number
    :param called_at: when, by this machine's clock, in ISO 8601
    :param time: when, in seconds of the simulator's clock
    :param sequence_id: the sequence that called; None for a request
    """

    agent_id: str
    agent_name: str | None
    from_number: str
    phone_number: str | None
    contact_id: str | None
    called_at: str
    time: float
    sequence_id: str | None = None

    def as_json(self) -> JsonObject:
        """Return the call as JSON."""
        return asdict(self)


class Calls:
    """The calls of every organization, and how the service reads the body of one.

    :param service: the service whose state it is
    """

    def __init__(self, service: Service) -> None:
        self.key_style: KeyStyle = "any"
        self.is_strict = False
        self._after_calls = service.state(AfterCalls)
        self._numbers = count(1)
        self._of: dict[str, list[Dialed]] = {}
        self._lock = RLock()

    def of(self, organization: str) -> list[Dialed]:
        """Return the calls of an organization, in their order."""
        with self._lock:
            return list(self._of.get(organization, ()))

    def add(self, organization: str, dialed: Dialed) -> str:
        """Note a call, and return its id. It may leave a conversation behind."""
        with self._lock:
            self._of.setdefault(organization, []).append(dialed)
            number = next(self._numbers)
        # Without the lock, because the clock, which has its own lock, schedules what comes after the call.
        self._after_calls.called(organization, number, dialed.phone_number, dialed.contact_id)
        return f"call_{number:06d}"


class CallControls(Service):
    """A service of which tests read who was called."""

    def dialed(self, api_key: str | None = None) -> list[Dialed]:
        """Return the calls of an organization, in their order: who was called when, by what.

        :param api_key: the organization's key; None is the first one
        """
        self.clock.catch_up()
        return self.state(Calls).of(self._organization(api_key))

    def read_calls_as(self, key_style: KeyStyle, *, strict: bool = False) -> None:
        """Say how the service reads the body of a call.

        :param key_style: ``"camel"``, ``"snake"``, or ``"any"`` of the two, which is the default
        :param strict: whether a key that it does not know is refused; otherwise it is dropped silently
        """
        if key_style not in _AGENT_KEYS:
            raise ValueError(f"Keys are camel, snake or any of the two, not {key_style!r}.")
        self.state(Calls).key_style, self.state(Calls).is_strict = key_style, strict


def make_outbound_call(request: AcceptedRequest) -> Json:
    """Call a contact or a number, and return that it was accepted: what the service returns is in no page."""
    calls = request.service.state(Calls)
    agent_id, number, contact_id = _read_body(request.body, calls)
    agent = _agent(request, agent_id)
    if agent is None or agent.fields["type"] != "outbound" or agent.phone_number is None:
        raise HTTPError(404, f"There is no outbound phone agent {agent_id} with a phone number")
    name = agent.fields["name"]
    call_id = calls.add(
        request.organization,
        Dialed(
            agent_id=agent_id,
            agent_name=None if name is None else str(name),
            from_number=agent.phone_number,
            phone_number=number if contact_id is None else None,
            contact_id=contact_id,
            called_at=timestamp(),
            time=request.service.clock(),
        ),
    )
    return {"success": True, "id": call_id}


def _read_body(body: JsonObject, calls: Calls) -> tuple[str, str | None, str | None]:
    """Return the ids of the agent, the number and the id of the contact, as the service reads them."""
    agent_keys, number_keys = _AGENT_KEYS[calls.key_style], _NUMBER_KEYS[calls.key_style]
    contact = body["contact"]
    if not isinstance(contact, dict):
        raise _invalid("body/contact Invalid input: expected object")
    if calls.is_strict and (unknown := {*body} - {*agent_keys, "contact"} | {*contact} - {*number_keys, "id"}):
        raise _invalid(f"body Unrecognized keys: {', '.join(sorted(unknown))}")
    agent_id, number, contact_id = _text(body, *agent_keys), _text(contact, *number_keys), _text(contact, "id")
    if agent_id is None:
        raise _invalid(f"body/{agent_keys[0]} Invalid input: expected string, received undefined")
    if contact_id is None and number is None:
        raise _invalid("body/contact Invalid input")
    return agent_id, number, contact_id


def _text(values: JsonObject, *keys: str) -> str | None:
    """Return the value of the first of some keys, which the document has as a text."""
    return next((str(values[key]) for key in keys if key in values), None)


def _invalid(message: str) -> HTTPError:
    return HTTPError(400, message, code=VALIDATION_FAILED)


def _agent(request: AcceptedRequest, agent_id: str) -> Agent | None:
    try:
        return request.service.state(Store).find(agent_id, request.organization)
    except UnknownAgentError:
        return None


class _KeysForm(Form):
    key_style: KeyStyle
    strict: bool = False


async def read_calls(service: CallControls, request: Request) -> Response:
    """Return the calls of an organization."""
    return json_response({"calls": [dialed.as_json() for dialed in service.dialed(key_in(service, request))]})


async def set_keys(service: CallControls, request: Request) -> Response:
    """Say how the service reads the body of a call."""
    form = await read_form(request, _KeysForm)
    try:
        service.read_calls_as(form.key_style, strict=form.strict)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    return json_response({"key_style": form.key_style, "strict": form.strict})


HANDLERS: Handlers = {"makeOutboundCall": make_outbound_call}

ADMIN_ROUTES: AdminRoutes[CallControls] = [("GET", "/calls", read_calls), ("PUT", "/calls/keys", set_keys)]
