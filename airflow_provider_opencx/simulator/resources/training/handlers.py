"""Lists, reads, creates and changes training scenarios."""

from __future__ import annotations

import json
from collections.abc import Mapping

from airflow_provider_opencx.simulator.contract import Contract
from airflow_provider_opencx.simulator.handler import AcceptedRequest, Handlers, HTTPError
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.list_view import History, listed_by, shown_by
from airflow_provider_opencx.simulator.resources.training.store import (
    INPUT_DEFAULTS,
    Store,
    Training,
    UnknownTrainingError,
)

_SCHEMA = "TrainingDto"
_DEFAULT_LIMIT = 50
_FIELDS_OF_2025 = {"title": "title", "body": "content"}


def list_trainings(request: AcceptedRequest) -> Json:
    """Return one page of the scenarios that the query asks for, oldest first; before 2026, all of them."""
    listed = [history for history in _listed(request) if _fits(history.latest, request.query)]
    if "offset" not in request.operation.query:
        return [training_fields(each, request.contract) for each in shown_by(request.views, listed)]
    limit, offset = int(request.query.get("limit", _DEFAULT_LIMIT)), int(request.query.get("offset", 0))
    begin = offset
    for view in request.views if offset else ():
        begin = view.page_start(begin)
    page = listed[begin : begin + limit]
    return {
        "items": [training_fields(each, request.contract) for each in shown_by(request.views, page)],
        "total": len(listed),
        "limit": limit,
        "offset": offset,
        "has_more": begin + limit < len(listed),
    }


def create_training(request: AcceptedRequest) -> Json:
    """Create a scenario and return it."""
    training = request.service.state(Store).create(request.organization, _input(request.body))
    return training_fields(training, request.contract)


def get_training(request: AcceptedRequest) -> Json:
    """Return one scenario."""
    return training_fields(_found(request), request.contract)


def update_training(request: AcceptedRequest) -> Json:
    """Set all fields of a scenario and return it."""
    training = request.service.state(Store).replace(_found(request).id, _input(request.body))
    return training_fields(training, request.contract)


def toggle_training_draft(request: AcceptedRequest) -> Json:
    """Make a scenario a draft or publish it, as the body says; without it, what it is not."""
    training = _found(request)
    is_draft = request.body.get("is_draft", not training.is_draft)
    training = request.service.state(Store).set_draft(training.id, is_draft is True)
    return training_fields(training, request.contract)


HANDLERS: Handlers = {
    "listTrainings": list_trainings,
    "createTraining": create_training,
    "getTraining": get_training,
    "updateTraining": update_training,
    "toggleTrainingDraft": toggle_training_draft,
}


def training_fields(training: Training, contract: Contract) -> JsonObject:
    """Return a scenario's fields as a generation has them."""
    return contract.known_fields(_SCHEMA, training.all_fields())


def _input(body: Mapping[str, Json]) -> JsonObject:
    """Return the fields of a body that the service knows; it drops the others silently."""
    renamed = {_FIELDS_OF_2025.get(name, name): value for name, value in body.items()}
    return {name: value for name, value in renamed.items() if name in INPUT_DEFAULTS}


def _found(request: AcceptedRequest) -> Training:
    training_id = request.path_parameters["id"]
    try:
        return request.service.state(Store).find(training_id, request.organization)
    except UnknownTrainingError:
        raise HTTPError(404, f"There is no training {training_id}") from None


def _listed(request: AcceptedRequest) -> list[History[Training]]:
    histories = request.service.state(Store).histories(request.organization)
    return listed_by(request.views, histories, request.service.clock())


def _fits(training: Training, query: Mapping[str, str]) -> bool:
    """Return whether a scenario is one that a query asks for."""
    return (
        query.get("type") in (None, training.fields["type"])
        and query.get("is_draft") in (None, "true" if training.is_draft else "false")
        and ("metadata" not in query or _contains(training.fields["metadata"], _metadata(query["metadata"])))
    )


def _metadata(text: str) -> Json:
    """Return the metadata that a query asks for; a text that is not JSON is what no scenario has."""
    try:
        metadata: Json = json.loads(text)
    except ValueError:
        return text
    return metadata


def _contains(whole: Json, part: Json) -> bool:
    """Return whether a JSON value contains another one, as PostgreSQL's ``@>`` has it for objects."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(name in whole and _contains(whole[name], value) for name, value in part.items())
    return whole == part
