"""Checks the agent that calls: it must exist, be outbound and have a number to call from. Pure."""

from __future__ import annotations

from airflow_provider_opencx.exceptions import OpenCXAgentNotReadyError, OpenCXCallRefusedError
from airflow_provider_opencx.phone_agents.plan import has_number
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.visible_text import in_quotes


def check_can_call(agent: PhoneAgent) -> None:
    """Check that an agent can call.

    :raises OpenCXCallRefusedError: if it is not outbound, or the service does not show that it is.
    :raises OpenCXAgentNotReadyError: if it has no phone number yet, or none any more.
    """
    if agent.type != "outbound":
        shown = "unknown" if agent.type is None else in_quotes(str(agent.type))
        raise OpenCXCallRefusedError(
            f"Nobody is called: {agent.label} is not outbound; its type is {shown}. Name an agent that calls."
        )
    if not has_number(agent):
        raise OpenCXAgentNotReadyError(
            f"Nobody is called: {agent.label} has no phone number to call from. Let OpenCXPhoneNumberSensor wait for it"
            " before this task."
        )
