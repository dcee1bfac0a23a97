"""Controls phone agents over HTTP, under ``/_simulator/agents``."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_opencx.simulator.admin_forms import Form, read_form
from airflow_provider_opencx.simulator.admin_keys import key_in
from airflow_provider_opencx.simulator.contract import ContractError
from airflow_provider_opencx.simulator.handler import AdminRoutes
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.phone_agents.controls import PhoneAgentControls
from airflow_provider_opencx.simulator.resources.phone_agents.progression import ProgressionText
from airflow_provider_opencx.simulator.resources.phone_agents.store import UnknownAgentError, check_field_names
from airflow_provider_opencx.simulator.responses import json_response


class _AgentForm(BaseModel):
    """The fields of an agent, which ``check_field_names()`` knows, its ``phone_number`` and its ``progression``."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, Json]

    phone_number: str | None = None
    progression: ProgressionText | None = None

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        check_field_names(self.model_fields_set - {"phone_number", "progression"})
        return self

    def agent_fields(self) -> JsonObject:
        """Return what was sent, without the progression."""
        return self.model_dump(exclude={"progression"}, exclude_unset=True)


class _NewAgentForm(_AgentForm):
    name: str


class _NewAgentsForm(Form):
    agents: list[_NewAgentForm]


async def read_agents(service: PhoneAgentControls, request: Request) -> Response:
    """Return the agents of an organization."""
    return json_response({"agents": list[Json](service.agents(key_in(service, request)))})


async def add_agents(service: PhoneAgentControls, request: Request) -> Response:
    """Add all of the agents, or none if one of them is not valid."""
    api_key, form = key_in(service, request), await read_form(request, _NewAgentsForm)
    added: list[JsonObject] = []
    try:
        for agent in form.agents:
            fields = agent.agent_fields()
            del fields["name"]
            added.append(service.add_agent(agent.name, api_key=api_key, progression=agent.progression, **fields))
    except (ValueError, ContractError) as error:
        for agent_fields in added:
            service.remove_agent(str(agent_fields["id"]))
        raise HTTPException(400, f"agents.{len(added)}: {error}") from None
    return json_response({"agents": list[Json](added)}, 201)


async def change_agent(service: PhoneAgentControls, request: Request) -> Response:
    """Change the fields, the number and the progression of an agent, and return it."""
    agent_id, form = request.path_params["agent_id"], await read_form(request, _AgentForm)
    fields = form.agent_fields()
    number = fields.pop("phone_number", None)
    try:
        agent = service.change_agent(agent_id, **fields)
        if isinstance(number, str):
            agent = service.give_number(agent_id, number)
        elif "phone_number" in form.model_fields_set:
            agent = service.take_number(agent_id)
        if form.progression is not None:
            agent = service.progress(agent_id, form.progression)
    except UnknownAgentError:
        raise _not_found(agent_id) from None
    except (ValueError, ContractError) as error:
        raise HTTPException(400, str(error)) from None
    return json_response(agent)


async def remove_agent(service: PhoneAgentControls, request: Request) -> Response:
    """Remove an agent."""
    agent_id = request.path_params["agent_id"]
    try:
        service.remove_agent(agent_id)
    except UnknownAgentError:
        raise _not_found(agent_id) from None
    return Response(status_code=204)


ADMIN_ROUTES: AdminRoutes[PhoneAgentControls] = [
    ("GET", "/agents", read_agents),
    ("POST", "/agents", add_agents),
    ("PATCH", "/agents/{agent_id}", change_agent),
    ("DELETE", "/agents/{agent_id}", remove_agent),
]


def _not_found(agent_id: str) -> HTTPException:
    return HTTPException(404, f"There is no phone agent {agent_id}")
