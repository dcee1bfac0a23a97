"""A call by the hook: one request, without a record and without guards."""

# ruff: noqa: S101 - what is asserted here is what the reader should know
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec

hook = OpenCXHook("opencx_default")
agent = hook.upsert_phone_agent(PhoneAgentSpec(name="Reminder", language=["en"]))
call = hook.place_call(agent_id=agent.id, phone_number="+14155550100")
print(call.called_at, call.response)
assert call.called_at.endswith("+00:00")
