"""A phone agent as JSON, in the form of each generation."""

from __future__ import annotations

from functools import cache
from weakref import WeakKeyDictionary

from jsonschema import Draft202012Validator

from airflow_provider_opencx.simulator.contract import Contract, ContractError, validation_errors
from airflow_provider_opencx.simulator.json_values import Json, JsonObject, write_json
from airflow_provider_opencx.simulator.resources.phone_agents.store import Agent

_SCHEMA = "PhoneAgentDto"

_texts: WeakKeyDictionary[Agent, dict[Contract, str]] = WeakKeyDictionary()


def agent_fields(agent: Agent, contract: Contract) -> JsonObject:
    """Return an agent's fields as a generation has them."""
    fields = contract.known_fields(_SCHEMA, agent.all_fields())
    codes = agent.language
    if contract.schemas[_SCHEMA]["properties"]["language"]["type"] == "array":
        fields["language"] = ["en"] if codes is None else list[Json](codes)
    else:
        fields["language"] = codes[0] if codes else None
    return fields


def agent_json(agent: Agent, contract: Contract) -> str:
    """Return an agent as JSON; raises a ContractError if it is not valid in the generation.

    Agents are immutable, so each is written and validated once for each generation: lists of thousands stay fast.
    """
    texts = _texts.setdefault(agent, {})
    if contract not in texts:
        fields = agent_fields(agent, contract)
        if errors := validation_errors(_validator(contract), fields):
            raise ContractError(f"Agent {agent.id} is not valid in {contract.generation}: {'; '.join(errors)}")
        texts[contract] = write_json(fields)
    return texts[contract]


@cache
def _validator(contract: Contract) -> Draft202012Validator:
    return Draft202012Validator(contract.schemas[_SCHEMA])
