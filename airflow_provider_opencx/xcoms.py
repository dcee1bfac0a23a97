"""The additional XComs that a task pushes next to its result.

Those of one agent, its id, its name and its phone number, let a Dag hand on a part of it as Airflow hands on any XCom:
``agent.output["id"]``. So do those of one sequence, of one call and of its conversation, of a report and of a file, and
the time zones of the people of a sequence. Those of a fleet keep the phone numbers for the next run, which compares
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

AGENT_KEYS: Final = ("id", "name", "phone_number")
"""The keys of the XComs of an agent, which are the API's own names of the fields."""

SEQUENCE_KEYS: Final = ("id", "custom_id")
"""Those of a sequence."""

CONVERSATION_KEYS: Final = ("id", "status")
"""Those of a conversation."""

CALL_KEYS: Final = ("phone_number", "contact_id", "called_at")
"""Those of a call of one person: what its conversation is found by."""


FILE_KEYS: Final = ("path", "manifest")
"""Those of what was written to object storage."""


def xcoms_of(result: Mapping[str, object], keys: Sequence[str] = AGENT_KEYS) -> dict[str, str]:
    """Return the XComs that a task pushes next to its result, by their keys.

    A field that is null is left out, and so is a blank one: of a phone number, that is none yet.

    :param result: the agent or other object, as the task returns it, by the API's field names.
    :param keys: the fields. Default: those of an agent.
    """
    fields = {key: result.get(key) for key in keys}
    return {key: value for key, value in fields.items() if isinstance(value, str) and value.strip()}


def push_xcoms(
    task: BaseOperator, context: Context, result: Mapping[str, object], keys: Sequence[str] = AGENT_KEYS
) -> None:
    """Push the XComs next to a result, unless the task pushes none.

    :param task: the operator or the sensor.
    :param context: the context of its task instance; without one, as in a test, nothing is pushed.
    :param result: the agent or other object, as the task returns it.
    :param keys: the fields that are pushed. Default: those of an agent.
    """
    _push(task, context, xcoms_of(result, keys))


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
    _push(task, context, {NUMBERS_KEY: dict(numbers)})


ZONES_KEY: Final = "zones"
"""The key of the XCom with the time zones of the people of a sequence."""


def push_zones(task: BaseOperator, context: Context, zones: object) -> None:
    """Push the time zones of the people of a sequence, unless the task pushes no XComs.

    :param task: the operator.
    :param context: the context of its task instance; without one, as in a test, nothing is pushed.
    :param zones: the time zones, a list that may be empty.
    """
    _push(task, context, {ZONES_KEY: zones})


REPORT_KEYS: Final = ("markdown", "conversations")
"""The keys of the XComs of a report about conversations."""


def push_report(task: BaseOperator, context: Context, report: Mapping[str, object]) -> None:
    """Push the parts of a report that a next task shows, unless the task pushes no XComs.

    :param task: the operator.
    :param context: the context of its task instance; without one, as in a test, nothing is pushed.
    :param report: the report as the task returns it.
    """
    _push(task, context, {key: report[key] for key in REPORT_KEYS})


def _push(task: BaseOperator, context: Context, xcoms: Mapping[str, object]) -> None:
    if task.do_xcom_push and "ti" in context:
        for key, value in xcoms.items():
            context["ti"].xcom_push(key=key, value=value)
