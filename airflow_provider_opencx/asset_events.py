"""Adds data about a task's work to the asset events of its ``outlets``, for the Dags that these events start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from airflow_provider_opencx.assets import agent_named_by
from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.xcoms import AGENT_KEYS

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from pydantic import JsonValue

MOST_NAMED: Final = 100
"""Items that one event names: each event is a row of Airflow's database, which its pages show whole."""


def extra_of(result: JsonValue, keys: Sequence[str], plural: str) -> dict[str, JsonValue]:
    """Return what an event says of a result: fields of one item; of several their ``count``, and the first hundred.

    :param result: an item, or a list of items, as the task returns it.
    :param keys: the fields of an item that are said; one that is missing is null.
    :param plural: what the items are called, such as ``"agents"``.
    """
    if isinstance(result, dict):
        return {key: result.get(key) for key in keys}
    items = result if isinstance(result, list) else []
    named: list[JsonValue] = [extra_of(item, keys, plural) for item in items[:MOST_NAMED]]
    return {"count": len(items), plural: named}


def add_extra(
    task: BaseOperator,
    context: Context,
    extra: Mapping[str, JsonValue],
    *,
    agents: Sequence[JsonValue] = (),
) -> None:
    """Add to the ``extra`` of the event of each asset that a task updates, where it succeeds.

    An ``AssetAlias`` gets nothing: Airflow makes its events of what the Dag itself adds to it.

    :param task: the operator or the sensor.
    :param context: the context of its task instance; without one, as in a test, nothing is added.
    :param extra: what the task did. Never a person's number: everyone who may see assets sees it.
    :param agents: the agents of which it did that. The asset of one of them gets this agent instead of ``extra``.
    """
    if not task.outlets or "outlet_events" not in context:
        return
    from airflow.sdk import Asset
    from airflow.sdk.definitions.asset import AssetRef

    by_name = {
        normalize_name(str(agent.get("name"))): extra_of(agent, AGENT_KEYS, "agents")
        for agent in agents
        if isinstance(agent, dict)
    }
    for outlet in task.outlets:
        if isinstance(outlet, Asset | AssetRef):
            name = agent_named_by(outlet.uri) if isinstance(outlet, Asset) else None
            try:
                event = context["outlet_events"][outlet]
            except Exception as error:
                # Airflow looks up a reference here. The work is done: if the task failed now, it would do the work
                # again.
                task.log.warning("The event of %s has no data of this task (%s).", outlet, type(error).__name__)
            else:
                event.extra.update(by_name.get(name, extra) if name else extra)
