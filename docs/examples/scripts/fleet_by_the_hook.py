"""A fleet, planned and applied by the hook."""

# ruff: noqa: S101 - what is asserted here is what the reader should know
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec

hook = OpenCXHook("opencx_default")
english = PhoneAgentSpec(name="Reminder, English", language=["en"])
german = PhoneAgentSpec(name="Reminder, German", language=["de"])

plan = hook.plan_phone_agents([english, german])
assert [step.action for step in plan.steps] == ["create", "create"]

agents = hook.apply_plan(plan)
assert [agent.name for agent in agents] == ["Reminder, English", "Reminder, German"]
