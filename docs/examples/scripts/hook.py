"""The hook's methods, blocking and async."""

# ruff: noqa: S101 - what is asserted here is what the reader should know
import asyncio

from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges, PhoneAgentSpec

hook = OpenCXHook("opencx_default")
agent = hook.upsert_phone_agent(PhoneAgentSpec(name="Reminder", language=["de"]))
assert agent.type == "outbound"

changes = PhoneAgentChanges(first_message="Guten Tag!")
changed = hook.update_phone_agent(agent.id, changes)
assert changed.first_message == "Guten Tag!"
assert hook.find_phone_agent("Nobody") is None

agents = asyncio.run(hook.alist_phone_agents())
assert [agent.name for agent in agents] == ["Reminder"]
