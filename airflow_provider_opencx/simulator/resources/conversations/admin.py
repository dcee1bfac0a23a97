"""Controls conversations over HTTP, under ``/_simulator/conversations``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial, wraps
from typing import Annotated

from pydantic import BeforeValidator, Field, PositiveInt
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_opencx.simulator.admin_forms import Form, read_form
from airflow_provider_opencx.simulator.admin_keys import key_in
from airflow_provider_opencx.simulator.clock import duration
from airflow_provider_opencx.simulator.handler import AdminRoutes
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.conversations.after_calls import AfterCalls
from airflow_provider_opencx.simulator.resources.conversations.controls import ConversationControls
from airflow_provider_opencx.simulator.resources.conversations.conversation import UnknownConversationError
from airflow_provider_opencx.simulator.resources.conversations.fields import checked, checked_events, checked_time
from airflow_provider_opencx.simulator.resources.conversations.moments import Precision
from airflow_provider_opencx.simulator.resources.conversations.pages import Bounds, Order, Paging
from airflow_provider_opencx.simulator.resources.conversations.store import Conversations
from airflow_provider_opencx.simulator.responses import json_response

_Seconds = Annotated[float, BeforeValidator(duration)]
_Handler = Callable[[ConversationControls, Request], Awaitable[Response]]


class _FieldsForm(Form):
    """The fields of a conversation, whose values are checked by the document."""

    status: Json = None
    ai_closure_type: Json = None
    sentiment: Json = None
    channel: Json = None
    ticket_number: Json = None
    contact: Json = None
    language: Json = None
    assignee_id: Json = None
    custom_data: Json = None
    team: Json = None
    handoff: Json = None
    ticketing_system: Json = None

    def fields(self) -> JsonObject:
        """Return what was sent of the fields."""
        return self.model_dump(include=set(_FieldsForm.model_fields), exclude_unset=True)


class _ChangesForm(_FieldsForm):
    updated_at: str | None = None
    events: list[JsonObject] = Field(default_factory=list)

    def check(self, service: ConversationControls) -> None:
        """Raise a ValueError if something of it is not valid."""
        checked(self.fields(), service.newest_contract)
        checked_events(self.events, service.newest_contract)
        if self.updated_at is not None:
            checked_time("updated_at", self.updated_at)


class _ConversationForm(_ChangesForm):
    created_at: str | None = None

    def check(self, service: ConversationControls) -> None:
        """Raise a ValueError if something of it is not valid."""
        super().check(service)
        if self.created_at is not None:
            checked_time("created_at", self.created_at)

    def add(self, service: ConversationControls, api_key: str | None) -> JsonObject:
        """Add the conversation, and return it."""
        return service.add_conversation(
            created_at=self.created_at,
            updated_at=self.updated_at,
            events=self.events if "events" in self.model_fields_set else None,
            api_key=api_key,
            **self.fields(),
        )


class _ConversationsForm(Form):
    conversations: list[_ConversationForm]


class _ManyForm(Form):
    count: PositiveInt
    first: str | None = None
    last: str | None = None
    fields: JsonObject = Field(default_factory=dict)


class _ListForm(Form):
    order: Order = "created"
    newest_first: bool = False
    paging: Paging = "cursor"
    bounds: Bounds = "inclusive"
    precision: Precision = "milliseconds"


class _AfterCallsForm(Form):
    after: _Seconds = 5
    closed_after: _Seconds | None = 30
    missed_every: PositiveInt | None = 5
    missed_numbers: list[str] = Field(default_factory=list)


class _ManyChangesForm(_ChangesForm):
    ids: list[str]


class _BetweenPagesForm(Form):
    after: PositiveInt = 1
    times: PositiveInt | None = 1
    add: list[_ConversationForm] = Field(default_factory=list)
    update: _ManyChangesForm | None = None
    remove: list[str] = Field(default_factory=list)

    def check(self, service: ConversationControls) -> None:
        """Raise an error if something of it is not valid, or if one of the conversations does not exist."""
        for each in self.add:
            each.check(service)
        if self.update:
            self.update.check(service)
        for conversation_id in (*(self.update.ids if self.update else ()), *self.remove):
            service.state(Conversations).find(conversation_id)

    def change(self, service: ConversationControls, api_key: str | None) -> None:
        """Add, change and remove the conversations; leave out those that no longer exist."""
        for each in self.add:
            each.add(service, api_key)
        if self.update:
            for conversation_id in self.update.ids:
                with suppress(UnknownConversationError):
                    _changed(service, conversation_id, self.update)
        for conversation_id in self.remove:
            with suppress(UnknownConversationError):
                service.remove_conversation(conversation_id)


def _checked(handler: _Handler) -> _Handler:
    """Turn the errors of the controls into those of HTTP."""

    @wraps(handler)
    async def handle(service: ConversationControls, request: Request) -> Response:
        try:
            return await handler(service, request)
        except UnknownConversationError as error:
            raise HTTPException(404, f"There is no conversation {error}") from None
        except ValueError as error:
            raise HTTPException(400, str(error)) from None

    return handle


@_checked
async def read_conversations(service: ConversationControls, request: Request) -> Response:
    """Return the conversations of an organization."""
    return json_response({"conversations": list[Json](service.conversations(key_in(service, request)))})


@_checked
async def add_conversations(service: ConversationControls, request: Request) -> Response:
    """Add conversations, all or none of them, and return them."""
    api_key, form = key_in(service, request), await read_form(request, _ConversationsForm)
    for each in form.conversations:
        each.check(service)
    return json_response({"conversations": [each.add(service, api_key) for each in form.conversations]}, 201)


@_checked
async def add_many(service: ConversationControls, request: Request) -> Response:
    """Add many conversations, and return how many there are, and the first and the last id."""
    api_key, form = key_in(service, request), await read_form(request, _ManyForm)
    fields = checked(form.fields, service.newest_contract)
    ids = service.add_conversations(form.count, first=form.first, last=form.last, api_key=api_key, **fields)
    return json_response({"count": len(ids), "first_id": ids[0], "last_id": ids[-1]}, 201)


@_checked
async def change_conversation(service: ConversationControls, request: Request) -> Response:
    """Change a conversation, and return it."""
    form = await read_form(request, _ChangesForm)
    return json_response(_changed(service, request.path_params["conversation_id"], form))


@_checked
async def remove_conversation(service: ConversationControls, request: Request) -> Response:
    """Remove a conversation."""
    service.remove_conversation(request.path_params["conversation_id"])
    return Response(status_code=204)


@_checked
async def set_list(service: ConversationControls, request: Request) -> Response:
    """Say how the service lists conversations."""
    form = await read_form(request, _ListForm)
    service.list_conversations_by(**form.model_dump())
    return json_response(asdict(service.state(Conversations).settings))


@_checked
async def set_after_calls(service: ConversationControls, request: Request) -> Response:
    """Say what calls leave behind."""
    form = await read_form(request, _AfterCallsForm)
    service.leave_conversations(**form.model_dump())
    settings = service.state(AfterCalls).settings
    return json_response({**asdict(settings), "missed_numbers": list[Json](sorted(settings.missed_numbers))})


@_checked
async def plan_between_pages(service: ConversationControls, request: Request) -> Response:
    """Add, change and remove conversations between two pages."""
    api_key, form = key_in(service, request), await read_form(request, _BetweenPagesForm)
    form.check(service)
    service.between_pages(partial(form.change, service, api_key), after=form.after, times=form.times)
    return json_response({"after": form.after, "times": form.times}, 201)


ADMIN_ROUTES: AdminRoutes[ConversationControls] = [
    ("GET", "/conversations", read_conversations),
    ("POST", "/conversations", add_conversations),
    ("POST", "/conversations/many", add_many),
    ("POST", "/conversations/between-pages", plan_between_pages),
    ("PUT", "/conversations/list", set_list),
    ("PUT", "/conversations/after-calls", set_after_calls),
    ("PATCH", "/conversations/{conversation_id}", change_conversation),
    ("DELETE", "/conversations/{conversation_id}", remove_conversation),
]


def _changed(service: ConversationControls, conversation_id: str, form: _ChangesForm) -> JsonObject:
    return service.update_conversation(conversation_id, updated_at=form.updated_at, events=form.events, **form.fields())
