"""Controls training scenarios over HTTP, under ``/_simulator/training``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_opencx.simulator.admin_forms import Form, read_form
from airflow_provider_opencx.simulator.admin_keys import key_in
from airflow_provider_opencx.simulator.handler import AdminRoutes
from airflow_provider_opencx.simulator.json_values import Json
from airflow_provider_opencx.simulator.resources.training.controls import TrainingControls
from airflow_provider_opencx.simulator.resources.training.store import UnknownTrainingError
from airflow_provider_opencx.simulator.responses import json_response


class _TrainingForm(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, Json]


class _EditForm(Form):
    title: str | None = None
    content: str | None = None


async def read_training(service: TrainingControls, request: Request) -> Response:
    """Return the training scenarios of an organization."""
    return json_response({"training": list[Json](service.training(key_in(service, request)))})


async def add_training(service: TrainingControls, request: Request) -> Response:
    """Add a training scenario, and return it."""
    api_key, form = key_in(service, request), await read_form(request, _TrainingForm)
    fields = dict(form.__pydantic_extra__)
    title, content = fields.pop("title", ""), fields.pop("content", "")
    try:
        training = service.create_training(str(title), str(content), api_key=api_key, **fields)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    return json_response(training, 201)


async def change_training(service: TrainingControls, request: Request) -> Response:
    """Change fields of a training scenario, and return it."""
    training_id, form = request.path_params["training_id"], await read_form(request, _TrainingForm)
    try:
        return json_response(service.update_training(training_id, **form.__pydantic_extra__))
    except UnknownTrainingError:
        raise _not_found(training_id) from None
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


async def edit_training(service: TrainingControls, request: Request) -> Response:
    """Edit the text of a training scenario without publishing the edit, and return the scenario."""
    training_id, form = request.path_params["training_id"], await read_form(request, _EditForm)
    try:
        return json_response(service.edit_training(training_id, title=form.title, content=form.content))
    except UnknownTrainingError:
        raise _not_found(training_id) from None


async def remove_training(service: TrainingControls, request: Request) -> Response:
    """Remove a training scenario."""
    training_id = request.path_params["training_id"]
    try:
        service.remove_training(training_id)
    except UnknownTrainingError:
        raise _not_found(training_id) from None
    return Response(status_code=204)


ADMIN_ROUTES: AdminRoutes[TrainingControls] = [
    ("GET", "/training", read_training),
    ("POST", "/training", add_training),
    ("PATCH", "/training/{training_id}", change_training),
    ("PUT", "/training/{training_id}/edit", edit_training),
    ("DELETE", "/training/{training_id}", remove_training),
]


def _not_found(training_id: str) -> HTTPException:
    return HTTPException(404, f"There is no training scenario {training_id}")
