"""Lists, creates and updates phone agents."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_opencx.simulator.handler import AcceptedRequest, Handlers, HTTPError, ValidatedJson
from airflow_provider_opencx.simulator.json_values import Json, read_json, write_json
from airflow_provider_opencx.simulator.list_view import History, listed_by, page_by, shown_by
from airflow_provider_opencx.simulator.resources.actions import Actions
from airflow_provider_opencx.simulator.resources.phone_agents.serialization import agent_fields, agent_json
from airflow_provider_opencx.simulator.resources.phone_agents.store import Agent, Store, UnknownAgentError
from airflow_provider_opencx.simulator.resources.voices import Voices

_LONGEST_QUOTED = 100
_MOST_LISTED = 5


def list_phone_agents(request: AcceptedRequest) -> ValidatedJson:
    """Return all agents, or one page of them in a generation with pages."""
    if "cursor" in request.operation.query:
        return _page(request)
    return _validated(request, shown_by(request.views, _listed(request, is_read=True)), lambda array: array)


def create_phone_agent(request: AcceptedRequest) -> Json:
    """Create an agent and return it."""
    _check_ids(request)
    agent = request.service.state(Store).create(request.organization, request.body)
    return agent_fields(agent, request.contract)


def update_phone_agent(request: AcceptedRequest) -> Json:
    """Change an agent and return it."""
    # An agent keeps the model with which it was created; generations that accept one here ignore it.
    changes = {name: value for name, value in request.body.items() if name != "model"}
    store, agent_id = request.service.state(Store), request.path_parameters["phone_agent_id"]
    try:
        store.find(agent_id, request.organization)
        _check_ids(request)
        agent = store.change(agent_id, changes)
    except UnknownAgentError:
        raise HTTPError(404, f"There is no phone agent {agent_id}") from None
    return agent_fields(agent, request.contract)


HANDLERS: Handlers = {
    "listPhoneAgents": list_phone_agents,
    "createPhoneAgent": create_phone_agent,
    "updatePhoneAgent": update_phone_agent,
}


def _check_ids(request: AcceptedRequest) -> None:
    """Refuse the id of a voice or an action that the organization does not have, such as a name in its place."""
    service, organization = request.service, request.organization
    voice_id, action_ids = request.body.get("voice_id"), request.body.get("actionIds")
    if isinstance(voice_id, str):
        _check_id("voice_id", "voice", voice_id, service.state(Voices).ids(organization))
    for action_id in action_ids if isinstance(action_ids, list) else ():
        _check_id("actionIds", "action", str(action_id), service.state(Actions).ids(organization))


def _check_id(field: str, noun: str, wanted: str, known: list[str]) -> None:
    if wanted not in known:
        there_are = ", ".join(map(repr, known[:_MOST_LISTED])) or "none"
        more = f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
        raise HTTPError(
            400, f"{field}: there is no {noun} {wanted[:_LONGEST_QUOTED]!r}. The ids of {noun}s: {there_are}{more}"
        )


def _page(request: AcceptedRequest) -> ValidatedJson:
    cursor = request.query.get("cursor")
    # Only the first page counts as a read of the list.
    listed = _listed(request, is_read=not cursor)
    page, following = page_by(request.views, listed, cursor, request.service.page_size, lambda agent: agent.sequence)
    return _validated(
        request, shown_by(request.views, page), lambda array: f'{{"items": {array}, "next": {write_json(following)}}}'
    )


def _listed(request: AcceptedRequest, *, is_read: bool) -> list[History[Agent]]:
    """Return the agents of the list as the request's views have it.

    :param is_read: whether this counts as a read of the list
    """
    store = request.service.state(Store)
    histories = store.histories(request.organization)
    if is_read:
        store.count_read(request.organization)
    return listed_by(request.views, histories, request.service.clock())


def _validated(request: AcceptedRequest, agents: list[Agent], body: Callable[[str], str]) -> ValidatedJson:
    """Return a list of agents. Each was validated by ``agent_json()``, so one of them is enough to validate the list.

    :param body: returns the response's body, given the array of agents
    """
    texts = [agent_json(agent, request.contract) for agent in agents]
    request.operation.check_response(request.operation.success, read_json(body(_array(texts[:1]))))
    return ValidatedJson(body(_array(texts)))


def _array(texts: list[str]) -> str:
    return f"[{', '.join(texts)}]"
