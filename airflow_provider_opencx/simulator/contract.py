"""The requests and responses of each generation of the API, read from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from airflow_provider_opencx.simulator.generations import GENERATIONS, Generation
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.responses import EMPTY_JSON_BODY, VALIDATION_FAILED

# Messages quote values, which can be as long as the request.
_LONGEST_MESSAGE = 300


class ContractError(Exception):
    """The simulator does not do what its OpenAPI documents say: a bug of the simulator or of a test."""


@dataclass(frozen=True)
class Operation:
    """One operation of a document.

    :param id: its ``operationId``
    :param query: the validators of its query parameters
    :param body: the validator of the request's body; None if it has none
    :param responses: by status, the validator of the response's body; None if the body is empty
    :param scopes: the scopes that the key must have
    """

    id: str
    method: str
    path: str
    query: Mapping[str, Draft202012Validator]
    body: Draft202012Validator | None
    responses: Mapping[int, Draft202012Validator | None]
    scopes: frozenset[str] = frozenset()

    @property
    def success(self) -> int:
        """The status of a successful response."""
        return next(status for status in self.responses if status < 300)

    def query_errors(self, query: Mapping[str, str]) -> list[str]:
        """Validate the query; return error messages. Unknown parameters are ignored."""
        return [
            f"{name}: {error}"
            for name, validator in self.query.items()
            if name in query
            for error in validation_errors(validator, query[name])
        ]

    def body_errors(self, body: Json) -> list[str]:
        """Validate the body of a request; return error messages, which name the fields."""
        return validation_errors(self.body, body) if self.body else []

    def check_response(self, status: int, body: Json = None) -> None:
        """Validate a response; raise a ContractError if the document does not describe it.

        :param body: None is an empty body
        """
        if status not in self.responses:
            raise ContractError(f"{self.id} has no response {status}")
        validator = self.responses[status]
        if validator is None and body is not None:
            raise ContractError(f"{self.id} has an empty body in the response {status}")
        if errors := validation_errors(validator, body) if validator else []:
            raise ContractError(f"{self.id} has no response {status} with this body: {'; '.join(errors)}")


class Contract:
    """The OpenAPI document of one generation.

    :param generation: the generation
    :param document: the parsed document
    """

    def __init__(self, generation: Generation, document: Mapping[str, Any]) -> None:
        inlined = _inline_references(document, document)
        self.generation = generation
        self.schemas: Mapping[str, Any] = inlined["components"]["schemas"]
        self.operations: Mapping[str, Operation] = {
            details["operationId"]: _operation(method, path, details)
            for path, methods in inlined["paths"].items()
            for method, details in methods.items()
        }

    def known_fields(self, schema: str, fields: Mapping[str, Json]) -> JsonObject:
        """Return the fields that a schema of this generation has.

        :param schema: the name of the schema
        :param fields: all fields, those of other generations among them
        """
        return {name: fields[name] for name in self.schemas[schema]["properties"]}

    @property
    def validation_code(self) -> str | None:
        """The code in the body of an error that says that a request is invalid: the framework of 2026 has one."""
        return VALIDATION_FAILED if self._has_framework_of_2026 else None

    @property
    def empty_json_code(self) -> str | None:
        """The code in the body of an error that says that a request announces JSON and has an empty body.

        None if such a request is one without a body, as it is for the other frameworks.
        """
        return EMPTY_JSON_BODY if self._has_framework_of_2026 else None

    @property
    def _has_framework_of_2026(self) -> bool:
        return self.generation == GENERATIONS[-1]


@cache
def load_contract(generation: str) -> Contract:
    """Return the contract of a generation."""
    for known in GENERATIONS:
        if generation == known:
            return Contract(known, load_document(known))
    raise ValueError(f"There is no generation {generation!r} of the API, only {', '.join(GENERATIONS)}.")


def load_document(generation: Generation) -> dict[str, Any]:
    """Return the OpenAPI document of a generation."""
    document: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("openapi", f"{generation}.yaml").read_bytes())
    return document


def operation_ids() -> list[str]:
    """Return the ``operationId`` of every operation that at least one generation has."""
    contracts = [load_contract(generation) for generation in GENERATIONS]
    return list(dict.fromkeys(operation for contract in contracts for operation in contract.operations))


def validation_errors(validator: Draft202012Validator, value: Json) -> list[str]:
    """Return error messages, which name the fields; none if the value is valid."""
    messages = []
    for error in validator.iter_errors(value):
        field = ".".join(str(step) for step in error.absolute_path)
        message = f"{field}: {error.message}" if field else error.message
        messages.append(message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}...")
    return sorted(messages)


def _operation(method: str, path: str, details: Mapping[str, Any]) -> Operation:
    return Operation(
        id=details["operationId"],
        method=method.upper(),
        path=path,
        query={
            parameter["name"]: Draft202012Validator(parameter["schema"])
            for parameter in details.get("parameters", ())
            if parameter["in"] == "query"
        },
        body=_json_content(details.get("requestBody", {})),
        responses={int(status): _json_content(response) for status, response in details["responses"].items()},
        scopes=frozenset(
            scope for scheme in details.get("security", ()) for scopes in scheme.values() for scope in scopes
        ),
    )


def _json_content(described: Mapping[str, Any]) -> Draft202012Validator | None:
    content = described.get("content")
    return Draft202012Validator(content["application/json"]["schema"]) if content else None


def _inline_references(part: Any, document: Mapping[str, Any]) -> Any:
    """Replace each ``$ref`` by what it refers to. References are local and not circular."""
    if isinstance(part, list):
        return [_inline_references(item, document) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        target: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        part = {**target, **{name: value for name, value in part.items() if name != "$ref"}}
    return {name: _inline_references(value, document) for name, value in part.items()}
