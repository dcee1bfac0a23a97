"""Lists, creates and updates phone agents."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_opencx.simulator.handler import AcceptedRequest, Handlers, HTTPError, ValidatedJson
from airflow_provider_opencx.simulator.json_values import Json, read_json, write_json
from airflow_provider_opencx.simulator.resources.phone_agents.serialization import agent_fields, agent_json
from airflow_provider_opencx.simulator.resources.phone_agents.store import Agent, Store, UnknownAgentError

_CURSOR = "after-"


def list_phone_agents(request: AcceptedRequest) -> ValidatedJson:
    """Return all agents, or one page of them in a generation with pages."""
    if "cursor" in request.operation.query:
        return _page(request)
    agents = request.service.state(Store).read(request.organization)
    return _validated(request, agents, lambda array: array)


def create_phone_agent(request: AcceptedRequest) -> Json:
    """Create an agent and return it."""
    agent = request.service.state(Store).create(request.organization, request.body)
    return agent_fields(agent, request.contract)


def update_phone_agent(request: AcceptedRequest) -> Json:
    """Change an agent and return it."""
    # An agent keeps the model with which it was created; generations that accept one here ignore it.
    changes = {name: value for name, value in request.body.items() if name != "model"}
    store, agent_id = request.service.state(Store), request.path_parameters["phone_agent_id"]
    try:
        store.find(agent_id, request.organization)
        agent = store.change(agent_id, changes)
    except UnknownAgentError:
        raise HTTPError(404, f"There is no phone agent {agent_id}") from None
    return agent_fields(agent, request.contract)


HANDLERS: Handlers = {
    "listPhoneAgents": list_phone_agents,
    "createPhoneAgent": create_phone_agent,
    "updatePhoneAgent": update_phone_agent,
}


def _page(request: AcceptedRequest) -> ValidatedJson:
    store, cursor = request.service.state(Store), request.query.get("cursor")
    # Only the first page counts as a read of the list.
    agents = store.agents(request.organization) if cursor else store.read(request.organization)
    after = int(cursor.removeprefix(_CURSOR)) if cursor else 0
    rest = [agent for agent in agents if agent.sequence > after]
    page = rest[: request.service.page_size]
    next_cursor = f"{_CURSOR}{page[-1].sequence}" if len(rest) > len(page) else None
    return _validated(request, page, lambda array: f'{{"items": {array}, "next": {write_json(next_cursor)}}}')


def _validated(request: AcceptedRequest, agents: list[Agent], body: Callable[[str], str]) -> ValidatedJson:
    """Return a list of agents. Each was validated by ``agent_json()``, so one of them is enough to validate the list.

    :param body: returns the response's body, given the array of agents
    """
    texts = [agent_json(agent, request.contract) for agent in agents]
    request.operation.check_response(request.operation.success, read_json(body(_array(texts[:1]))))
    return ValidatedJson(body(_array(texts)))


def _array(texts: list[str]) -> str:
    return f"[{', '.join(texts)}]"
