"""The hook's methods, and how code in an event loop calls them."""

# ruff: noqa: S101 - what is asserted here is what the reader should know
import asyncio

from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges, PhoneAgentSpec

hook = OpenCXHook("opencx_default")
agent = hook.upsert_phone_agent(PhoneAgentSpec(name="Reminder", language=["de"]))
assert agent.type == "outbound"

changes = PhoneAgentChanges(first_message="Guten Tag!")
changed = hook.update_phone_agent(agent_id=agent.id, changes=changes)
assert changed.first_message == "Guten Tag!"
assert hook.find_phone_agent("Nobody") is None


async def names() -> list[str | None]:
    """Return the names of all agents, without blocking the event loop."""
    return [agent.name for agent in await asyncio.to_thread(hook.list_phone_agents)]


assert asyncio.run(names()) == ["Reminder"]
