"""The steps of a sequence: what each step does to a contact, and after which delay. Pure.

``make_phone_calls`` and its ``aiPhoneAgentId`` are inferred; other steps pass through as written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_opencx.exceptions import OpenCXArgumentError

# The API's models are imported where they are used: a Dag file calls phone_step while it is parsed.
if TYPE_CHECKING:
    from airflow.sdk import XComArg
    from pydantic import JsonValue

PHONE_STEP = "make_phone_calls"
AGENT_KEY = "aiPhoneAgentId"

_KNOWN_STEPS = (PHONE_STEP, "send_emails")
"""The types of steps of which it is known whether they call."""

_LONGEST_DELAY = 366 * 24 * 60


def phone_step(agent: str | Mapping[str, JsonValue] | XComArg, *, delay: timedelta | float = 0) -> dict[str, object]:
    """Return the step by which an agent calls each contact of a sequence.

    :param agent: the agent that calls, by its id, or as another task returns it: ``agent.output``.
    :param delay: how long after the step before it begins, the first one after the start: a ``timedelta``, or minutes.
        Default 0.
    :return: the step, in the form of the API; its type and the name of the agent's field are inferred.
    :raises OpenCXArgumentError: if the delay is neither.
    """
    return {"action": {"type": PHONE_STEP, "data": {AGENT_KEY: agent}}, "delay_in_minutes": _minutes(delay, "delay")}


def checked_steps(written: object) -> list[dict[str, JsonValue]]:
    """Return steps as plain JSON, with the ids of agents and with delays in minutes.

    :param written: the steps, after templates are rendered.
    :raises OpenCXArgumentError: if there is none, or one is not as it must be.
    """
    if isinstance(written, str | bytes | Mapping) or not isinstance(written, Sequence) or not written:
        raise OpenCXArgumentError("steps: must be a list of steps, one at least, such as [phone_step(agent.output)]")
    return [_checked_step(step, f"steps[{index}]") for index, step in enumerate(written)]


def agents_of(steps: Sequence[Mapping[str, JsonValue]]) -> list[str | None]:
    """Return the id of the agent of each step that calls, each once; ``None`` for an agent that is not known."""
    found: list[str | None] = []
    for step in steps:
        action = step.get("action")
        if isinstance(action, dict) and action.get("type") == PHONE_STEP:
            data = action.get("data")
            agent_id = data.get(AGENT_KEY) if isinstance(data, dict) else None
            found.append(agent_id if isinstance(agent_id, str) and agent_id else None)
    return list(dict.fromkeys(found))


def unknown_steps(steps: Sequence[Mapping[str, JsonValue]]) -> list[str]:
    """Return the places of the steps of which it is not known whether they call, and by which agent."""
    actions = (step.get("action") for step in steps)
    kinds = (action.get("type") if isinstance(action, dict) else None for action in actions)
    return [f"steps[{index}]" for index, kind in enumerate(kinds) if kind not in _KNOWN_STEPS]


def differing_steps(
    asked: Sequence[Mapping[str, JsonValue]], stored: object, *, actions_exactly: bool = False
) -> str | None:
    """Return how stored steps differ from what was asked, ``None`` if they do not.

    What the service adds to a step, such as ``started_at``, is not a difference.

    :param actions_exactly: whether what is added to an action is a difference. Null is as good as nothing.
    """
    steps = stored if isinstance(stored, list) else []
    if len(steps) != len(asked):
        return f"{_counted(len(asked))} asked for, and {_counted(len(steps))} stored"
    for index, (wanted, step) in enumerate(zip(asked, steps, strict=True)):
        found = step if isinstance(step, Mapping) else {}
        path = _difference(_step_meaning(wanted), _step_meaning(found))
        if path is None and actions_exactly:
            path = _difference({"action": found.get("action")}, dict(wanted))
        if path is not None:
            return f"steps[{index}]{path} is not stored as asked"
    return None


def with_stored_actions(
    asked: Sequence[Mapping[str, JsonValue]], stored: Sequence[Mapping[str, JsonValue]]
) -> list[dict[str, JsonValue]]:
    """Return steps as they were asked for, each with its action as it is stored.

    :param stored: the steps that :func:`differing_steps` has found no difference in.
    """
    return [{**wanted, "action": found.get("action")} for wanted, found in zip(asked, stored, strict=True)]


def _checked_step(step: object, where: str) -> dict[str, JsonValue]:
    from airflow_provider_opencx.resources.models import unsendable

    action = step.get("action") if isinstance(step, Mapping) else None
    if not isinstance(step, Mapping) or not isinstance(action, Mapping):
        raise OpenCXArgumentError(f"{where}: must be a mapping with an action, such as phone_step(agent.output)")
    kind, data = action.get("type"), action.get("data")
    if not isinstance(kind, str) or not kind.strip() or not isinstance(data, Mapping):
        raise OpenCXArgumentError(f"{where}.action: must have a type, which is text, and data, which is a mapping")
    if kind == PHONE_STEP and AGENT_KEY in data:
        data = {**data, AGENT_KEY: _agent_id(data[AGENT_KEY], where)}
    whole = {**step, "action": {**action, "data": data}}
    if "delay_in_minutes" in step:
        whole["delay_in_minutes"] = _minutes(step["delay_in_minutes"], f"{where}.delay_in_minutes")
    try:
        decoded = json.loads(json.dumps(whole, allow_nan=False))
        problem = unsendable(decoded)
    except (TypeError, ValueError, RecursionError):
        raise OpenCXArgumentError(f"{where}: cannot be sent as JSON") from None
    if problem:
        raise OpenCXArgumentError(f"{where}: {problem}")
    return dict(decoded)


def _agent_id(agent: object, where: str) -> str:
    from airflow_provider_opencx.phone_agents.plan import id_of

    agent_id = id_of(agent)
    if not isinstance(agent_id, str) or not agent_id.strip():
        raise OpenCXArgumentError(
            f"{where}: must name the agent that calls, by its id or as a task returns it; it is empty where the task"
            " that should have returned it was skipped, or pushes no result"
        )
    return agent_id


def _minutes(delay: object, where: str) -> float:
    minutes = delay.total_seconds() / 60 if isinstance(delay, timedelta) else delay
    if isinstance(minutes, int | float) and not isinstance(minutes, bool) and 0 <= minutes <= _LONGEST_DELAY:
        return int(minutes) if minutes == int(minutes) else float(minutes)
    raise OpenCXArgumentError(f"{where}: must be a timedelta, or minutes, from zero to a year")


def _step_meaning(step: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    delay = step.get("delay_in_minutes")
    return {**step, "delay_in_minutes": 0 if delay is None else delay}


def _difference(wanted: JsonValue, found: JsonValue) -> str | None:
    """Return the path of the first value that is not stored as asked, empty for the whole; ``None`` if all are."""
    if isinstance(wanted, dict):
        stored = found if isinstance(found, dict) else {}
        paths = ((name, _difference(value, stored.get(name))) for name, value in wanted.items())
        return next((f".{name}{path}" for name, path in paths if path is not None), None)
    return None if wanted == found else ""


def _counted(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps} steps"
