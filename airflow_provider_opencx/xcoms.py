"""The XComs that a task pushes beside the agent that it returns: its id, its name and its phone number.

They let a Dag hand on a part of the agent as Airflow hands on any XCom: ``agent.output["id"]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

AGENT_KEYS: Final = ("id", "name", "phone_number")
"""The keys of these XComs, which are the API's own names of the fields."""


def xcoms_of(agent: Mapping[str, object]) -> dict[str, str]:
    """Return the XComs that a task pushes beside an agent, by their keys.

    A field that is null is left out, and so is a blank one: of a phone number, that is none yet.

    :param agent: the agent as a task returns it, by the API's field names.
    """
    fields = {key: agent.get(key) for key in AGENT_KEYS}
    return {key: value for key, value in fields.items() if isinstance(value, str) and value.strip()}


def push_xcoms(task: BaseOperator, context: Context, agent: Mapping[str, object]) -> None:
    """Push the XComs beside an agent, unless the task pushes none.

    :param task: the operator or the sensor.
    :param context: the context of its task instance; without one, as in a test, nothing is pushed.
    :param agent: the agent as the task returns it.
    """
    if task.do_xcom_push and "ti" in context:
        for key, value in xcoms_of(agent).items():
            context["ti"].xcom_push(key=key, value=value)
