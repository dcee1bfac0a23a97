"""Controls sequences over HTTP, under ``/_simulator/sequences``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_opencx.simulator.admin_forms import Form, read_form
from airflow_provider_opencx.simulator.admin_keys import key_in
from airflow_provider_opencx.simulator.clock import duration
from airflow_provider_opencx.simulator.handler import AdminRoutes
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.sequences.controls import SequenceControls
from airflow_provider_opencx.simulator.resources.sequences.sequence import UnknownSequenceError
from airflow_provider_opencx.simulator.responses import json_response


class _SequenceForm(Form):
    """The fields of a sequence, whose values ``SequenceControls`` checks."""

    name: Json = None
    custom_id: Json = None
    filter: Json = None
    steps: Json = None
    is_continuous: Json = None

    def fields(self) -> JsonObject:
        """Return what was sent."""
        return self.model_dump(exclude_unset=True)


class _EmptyForm(Form):
    """An empty object."""


class _SettingsForm(Form):
    finds_sequences_by_custom_id: bool | None = None
    starts_again: bool | None = None
    continuous_begin: bool | None = None
    cancel_ends: bool | None = None
    step_takes: Annotated[float, BeforeValidator(duration)] | None = None
    sequences_lag: Annotated[float, BeforeValidator(duration)] | None = None
    drops_sequence_fields: list[str] | None = None


async def read_sequences(service: SequenceControls, request: Request) -> Response:
    """Return the sequences of an organization."""
    return json_response({"sequences": list[Json](service.sequences(key_in(service, request)))})


async def add_sequence(service: SequenceControls, request: Request) -> Response:
    """Create a sequence, and return it."""
    api_key, form = key_in(service, request), await read_form(request, _SequenceForm)
    try:
        return json_response(service.create_sequence(api_key=api_key, **form.fields()), 201)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


async def change_sequence(service: SequenceControls, request: Request) -> Response:
    """Change fields of a sequence, and return it."""
    sequence_id, form = request.path_params["sequence_id"], await read_form(request, _SequenceForm)
    try:
        return json_response(service.update_sequence(sequence_id, **form.fields()))
    except UnknownSequenceError:
        raise _not_found(sequence_id) from None
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


async def start_sequence(service: SequenceControls, request: Request) -> Response:
    """Start a sequence, and return it."""
    sequence_id = request.path_params["sequence_id"]
    await read_form(request, _EmptyForm)
    try:
        return json_response(service.start_sequence(sequence_id))
    except UnknownSequenceError:
        raise _not_found(sequence_id) from None
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


async def cancel_sequence(service: SequenceControls, request: Request) -> Response:
    """Cancel a sequence or a run."""
    sequence_id = request.path_params["sequence_id"]
    await read_form(request, _EmptyForm)
    try:
        service.cancel_sequence(sequence_id)
    except UnknownSequenceError:
        raise _not_found(sequence_id) from None
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    return Response(status_code=204)


async def read_started(service: SequenceControls, request: Request) -> Response:
    """Return the ids of the sequences that were started."""
    return json_response({"started": list[Json](service.started(key_in(service, request)))})


async def read_enrolled(service: SequenceControls, request: Request) -> Response:
    """Return the contacts that were put into sequences."""
    return json_response({"enrolled": [each.as_json() for each in service.enrolled(key_in(service, request))]})


async def read_settings(service: SequenceControls, request: Request) -> Response:
    """Return how the service treats sequences."""
    settings = {name: getattr(service, name) for name in _SettingsForm.model_fields}
    return json_response({**settings, "drops_sequence_fields": list[Json](service.drops_sequence_fields)})


async def change_settings(service: SequenceControls, request: Request) -> Response:
    """Change all of the given settings, or none if one of them is not valid, and return the settings."""
    form = await read_form(request, _SettingsForm)
    for name in form.model_fields_set:
        if getattr(form, name) is None:
            raise HTTPException(400, f"{name}: it cannot be null")
    try:
        # Do this first, because only this can still be refused.
        if form.drops_sequence_fields is not None:
            service.drops_sequence_fields = tuple(form.drops_sequence_fields)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    for name in form.model_fields_set - {"drops_sequence_fields"}:
        setattr(service, name, getattr(form, name))
    return await read_settings(service, request)


ADMIN_ROUTES: AdminRoutes[SequenceControls] = [
    ("GET", "/sequences", read_sequences),
    ("POST", "/sequences", add_sequence),
    ("GET", "/sequences/started", read_started),
    ("GET", "/sequences/enrolled", read_enrolled),
    ("GET", "/sequences/settings", read_settings),
    ("PATCH", "/sequences/settings", change_settings),
    ("PATCH", "/sequences/{sequence_id}", change_sequence),
    ("PUT", "/sequences/{sequence_id}/start", start_sequence),
    ("PUT", "/sequences/{sequence_id}/cancel", cancel_sequence),
]


def _not_found(sequence_id: str) -> HTTPException:
    return HTTPException(404, f"There is no sequence {sequence_id}")
