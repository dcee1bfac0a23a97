"""The XComs that a task pushes beside its result.

Those of one agent, its id, its name and its phone number, let a Dag hand on a part of it as Airflow hands on any XCom:
``agent.output["id"]``. Those of a fleet keep the phone numbers for the next run, which compares them.
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


NUMBERS_KEY: Final = "phone_numbers"
"""The key of the XCom with the phone numbers of a fleet, by the ids of the agents."""


def pull_numbers(task: BaseOperator, context: Context) -> dict[str, str]:
    """Return the phone numbers that the last earlier run of a task has seen; none in the first run.

    :param task: the operator.
    :param context: the context of its task instance.
    """
    if "ti" not in context:
        return {}
    ti = context["ti"]
    pulled: object = ti.xcom_pull(
        task_ids=task.task_id, key=NUMBERS_KEY, include_prior_dates=True, map_indexes=ti.map_index
    )
    if not isinstance(pulled, Mapping):
        return {}
    return {str(agent_id): number for agent_id, number in pulled.items() if isinstance(number, str)}


def push_numbers(task: BaseOperator, context: Context, numbers: Mapping[str, str]) -> None:
    """Push the phone numbers that a run of a task has seen, unless the task pushes no XComs.

    :param task: the operator.
    :param context: the context of its task instance; without one, as in a test, nothing is pushed.
    :param numbers: the numbers by the ids of the agents.
    """
    if task.do_xcom_push and "ti" in context:
        context["ti"].xcom_push(key=NUMBERS_KEY, value=dict(numbers))
