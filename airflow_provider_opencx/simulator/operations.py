"""What a sound service does with a request."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus

from starlette.responses import Response

from airflow_provider_opencx.simulator.call import Call, bearer_key
from airflow_provider_opencx.simulator.contract import Contract, load_contract
from airflow_provider_opencx.simulator.json_values import Json, JsonObject, read_json, write_json
from airflow_provider_opencx.simulator.resources.phone_agents.store import UnknownAgentError
from airflow_provider_opencx.simulator.resources.voices import VOICES
from airflow_provider_opencx.simulator.service import Service

_logger = logging.getLogger(__name__)

_CURSOR = "after-"


class Operations:
    """Handles one request after the other: admits it, checks it, carries it out, checks the answer.

    A request is judged by the contract of the service's generation; its answer is in the spelling of that one too,
    unless another is wanted.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._by_id = {
            "listPhoneAgents": self._list_phone_agents,
            "createPhoneAgent": self._create_phone_agent,
            "updatePhoneAgent": self._update_phone_agent,
            "listPhoneVoices": self._list_phone_voices,
        }

    def __call__(self, call: Call, *, generation: str | None = None) -> Response:
        """Answer a request. What the simulator gets wrong itself is a 500, logged and kept among the bugs."""
        spelling = load_contract(generation) if generation else self._service.contract
        try:
            try:
                organization = self._admit(call)
                text = self._by_id[call.operation](spelling, organization, call)
                return _json(spelling.operations[call.operation].success, text)
            except _Refusal as refusal:
                spelling.check_answer(call.operation, refusal.status, refusal.body)
                return _json(refusal.status, write_json(refusal.body), refusal.headers)
        except Exception as bug:
            _logger.exception("The simulator failed to answer %s", call.operation)
            self._service.bugs.append(f"{call.operation}: {bug!r}")
            return refuse(500, f"The simulator has a bug: {bug}")

    def later(self, call: Call, seconds: float) -> None:
        """Handle a request when the clock is so many seconds on; nobody gets the answer."""
        self._service.clock.after(seconds, partial(self, call))

    def _admit(self, call: Call) -> str:
        organization = self._service.organization_of(bearer_key(call.authorization))
        if organization is None:
            raise _Refusal(401, "Unauthorized")
        if seconds := self._service.rate_limit.accept(organization):
            raise _Refusal(429, "Too many requests in this minute", {"Retry-After": str(seconds)})
        return organization

    def _list_phone_agents(self, spelling: Contract, organization: str, call: Call) -> str:
        if mistakes := spelling.query_mistakes(call.operation, call.query):
            raise _Refusal(400, "; ".join(mistakes))
        if "cursor" not in spelling.operations[call.operation].query:
            texts = [spelling.spell_agent(agent) for agent in self._service.store.read(organization)]
            spelling.check_answer(call.operation, 200, read_json(_array(texts[:1])))
            return _array(texts)

        cursor = call.query.get("cursor")
        agents = self._service.store.read(organization) if cursor is None else self._service.store.agents(organization)
        after = int(cursor.removeprefix(_CURSOR)) if cursor else 0
        rest = [agent for agent in agents if agent.sequence > after]
        page = rest[: self._service.page_size]
        following = f"{_CURSOR}{page[-1].sequence}" if len(rest) > len(page) else None
        texts = [spelling.spell_agent(agent) for agent in page]
        spelling.check_answer(call.operation, 200, read_json(_page(texts[:1], following)))
        return _page(texts, following)

    def _create_phone_agent(self, spelling: Contract, organization: str, call: Call) -> str:
        agent = self._service.store.create(organization, _read_body(self._service.contract, call))
        spelling.check_answer(
            call.operation, spelling.operations[call.operation].success, spelling.agent_members(agent)
        )
        return spelling.spell_agent(agent)

    def _update_phone_agent(self, spelling: Contract, organization: str, call: Call) -> str:
        changes = _read_body(self._service.contract, call)
        # A model is settled when the agent is created; a generation that takes the member here does nothing with it.
        changes.pop("model", None)
        agent_id = call.path_parameters["phone_agent_id"]
        try:
            self._service.store.find(agent_id, organization)
            agent = self._service.store.change(agent_id, changes)
        except UnknownAgentError:
            raise _Refusal(404, f"There is no phone agent {agent_id}") from None
        if spelling.operations[call.operation].answers[200] is None:
            return ""
        spelling.check_answer(call.operation, 200, spelling.agent_members(agent))
        return spelling.spell_agent(agent)

    def _list_phone_voices(self, spelling: Contract, organization: str, call: Call) -> str:
        spelling.check_answer(call.operation, 200, VOICES)
        return write_json(VOICES)


class _Refusal(Exception):  # noqa: N818 - it is no error of the simulator
    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = _error(status, message)
        self.headers = headers


def refuse(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer in the form that every refusal has."""
    return _json(status, write_json(_error(status, message)), headers)


def _error(status: int, message: str) -> JsonObject:
    return {"statusCode": status, "message": message, "error": HTTPStatus(status).phrase}


def _read_body(contract: Contract, call: Call) -> JsonObject:
    try:
        body = read_json(call.body)
    except ValueError as mistake:
        raise _Refusal(400, f"The body is not JSON: {mistake}") from None
    mistakes = contract.body_mistakes(call.operation, body)
    if mistakes or not isinstance(body, dict):
        raise _Refusal(400, "; ".join(mistakes))
    return body


def _array(texts: list[str]) -> str:
    return f"[{', '.join(texts)}]"


def _page(texts: list[str], following: Json) -> str:
    return f'{{"items": {_array(texts)}, "next": {write_json(following)}}}'


def _json(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(text, status, headers, media_type="application/json" if text else None)
