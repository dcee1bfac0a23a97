"""What one generation of the API takes and answers, read from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

import yaml
from jsonschema import Draft202012Validator

from airflow_provider_opencx.simulator.json_values import Json, JsonObject, write_json
from airflow_provider_opencx.simulator.resources.phone_agents.store import Agent

Generation = Literal["2024", "2025", "2026"]
GENERATIONS: tuple[Generation, ...] = get_args(Generation)

OPERATIONS = ("listPhoneAgents", "createPhoneAgent", "updatePhoneAgent", "listPhoneVoices")

# A message that quotes a value is cut here: the value may be as long as the request.
_LONGEST_MESSAGE = 300


class ContractError(Exception):
    """The simulator was about to answer what its document does not describe: a bug, of the simulator or of a test."""


@dataclass(frozen=True)
class Operation:
    """One operation of the document. A validator of None stands for a body that has to be empty."""

    id: str
    method: str
    path: str
    query: Mapping[str, Draft202012Validator]
    body: Draft202012Validator | None
    answers: Mapping[int, Draft202012Validator | None]

    @property
    def success(self) -> int:
        """The one status that says it was done."""
        return next(status for status in self.answers if status < 300)


class Contract:
    """The document of one generation, put to use."""

    def __init__(self, generation: Generation) -> None:
        document = yaml.safe_load(files(__package__).joinpath("openapi", f"{generation}.yaml").read_bytes())
        document = _inlined(document, document)
        self.generation = generation
        self.operations: Mapping[str, Operation] = {
            details["operationId"]: _operation(method, path, details)
            for path, methods in document["paths"].items()
            for method, details in methods.items()
        }
        agent = document["components"]["schemas"]["PhoneAgentDto"]
        self._agent = Draft202012Validator(agent)
        self._agent_members: tuple[str, ...] = tuple(agent["properties"])
        self._language_is_a_list = agent["properties"]["language"]["type"] == "array"
        self._spellings: WeakKeyDictionary[Agent, str] = WeakKeyDictionary()

    def query_mistakes(self, operation: str, query: Mapping[str, str]) -> list[str]:
        """Say what the document holds against a query; parameters that it does not name pass unread."""
        known = self.operations[operation].query
        return [
            f"{name}: {mistake}"
            for name, validator in known.items()
            if name in query
            for mistake in _mistakes(validator, query[name])
        ]

    def body_mistakes(self, operation: str, body: Json) -> list[str]:
        """Say what the document holds against the body of a request, naming each member at fault."""
        validator = self.operations[operation].body
        return _mistakes(validator, body) if validator else []

    def check_answer(self, operation: str, status: int, body: Json = None) -> None:
        """Raise a ContractError unless the document describes this answer; None is an empty body."""
        answers = self.operations[operation].answers
        if status not in answers:
            raise ContractError(f"{operation} never answers {status}")
        validator = answers[status]
        mistakes = _mistakes(validator, body) if validator else ["the body is not empty"] if body is not None else []
        if mistakes:
            raise ContractError(f"{operation} answers {status} with a wrong body: {'; '.join(mistakes)}")

    def agent_members(self, agent: Agent) -> JsonObject:
        """Give an agent the members and the form that it has in this generation."""
        known = agent.all_fields()
        members = {name: known[name] for name in self._agent_members}
        codes = agent.language
        if self._language_is_a_list:
            members["language"] = ["en"] if codes is None else list[Json](codes)
        else:
            members["language"] = codes[0] if codes else None
        return members

    def spell_agent(self, agent: Agent) -> str:
        """Write an agent as JSON, checked against the document.

        An agent never changes (a changed one is another object), so the text is made and checked once: lists
        of thousands of agents stay quick.
        """
        if agent not in self._spellings:
            members = self.agent_members(agent)
            if mistakes := _mistakes(self._agent, members):
                raise ContractError(f"The agent {agent.id} has no form in {self.generation}: {'; '.join(mistakes)}")
            self._spellings[agent] = write_json(members)
        return self._spellings[agent]


@cache
def load_contract(generation: str) -> Contract:
    """Return the contract of a generation, read once."""
    for known in GENERATIONS:
        if generation == known:
            return Contract(known)
    raise ValueError(f"There is no generation {generation!r} of the API, only {', '.join(GENERATIONS)}.")


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
        body=_content(details.get("requestBody", {})),
        answers={int(status): _content(answer) for status, answer in details["responses"].items()},
    )


def _content(described: Mapping[str, Any]) -> Draft202012Validator | None:
    content = described.get("content")
    return Draft202012Validator(content["application/json"]["schema"]) if content else None


def _inlined(part: Any, document: Mapping[str, Any]) -> Any:
    """Put what a ``$ref`` points at in its place; the documents refer only to themselves and never in a circle."""
    if isinstance(part, list):
        return [_inlined(item, document) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        target: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        part = {**target, **{name: value for name, value in part.items() if name != "$ref"}}
    return {name: _inlined(value, document) for name, value in part.items()}


def _mistakes(validator: Draft202012Validator, value: Json) -> list[str]:
    mistakes = []
    for error in validator.iter_errors(value):
        member = ".".join(str(step) for step in error.absolute_path)
        message = f"{member}: {error.message}" if member else error.message
        mistakes.append(message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}...")
    return sorted(mistakes)
