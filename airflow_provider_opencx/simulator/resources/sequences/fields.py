"""Keeps the fields that the service knows from the body of a request, and silently drops the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.sequences.filters import VALUES

DEFAULTS: Mapping[str, Json] = {
    "name": "New Sequence",
    "custom_id": None,
    "filter": None,
    "steps": [],
    "is_continuous": True,
}
"""The fields that a request sets, and what they are where a create leaves them out."""

PHONE_STEP = "make_phone_calls"


def kept_fields(body: Mapping[str, Json], dropped: Sequence[str]) -> JsonObject:
    """Return what the service keeps of a body.

    :param dropped: the names of fields that it drops although the documents have them, such as ``filter`` or
        ``steps.delay_in_minutes``: each field whose path ends like that, indexes left out
    """
    rest = _without(dict(body), [tuple(name.split(".")) for name in dropped]) if dropped else body
    if not isinstance(rest, Mapping):
        return {}
    kept = {name: value for name, value in rest.items() if name in DEFAULTS}
    if "filter" in kept:
        kept["filter"] = _kept_filter(kept["filter"])
    if isinstance(steps := kept.get("steps"), list):
        kept["steps"] = [_kept_step(step) for step in steps]
    return kept


def _without(value: Json, names: Sequence[tuple[str, ...]], path: tuple[str, ...] = ()) -> Json:
    match value:
        case dict():
            return {
                name: _without(inner, names, (*path, name))
                for name, inner in value.items()
                if not any((*path, name)[-len(dropped) :] == dropped for dropped in names)
            }
        case list():
            return [_without(item, names, path) for item in value]
        case _:
            return value


def _kept_filter(composite: Json) -> Json:
    if not isinstance(composite, dict) or not isinstance(alternatives := composite.get("or"), list):
        return _picked(composite)
    kept: list[Json] = []
    for alternative in alternatives:
        filters = alternative.get("and") if isinstance(alternative, dict) else None
        kept.append({"and": [_kept_single(single) for single in filters]} if isinstance(filters, list) else {})
    return {"or": kept}


def _kept_single(single: Json) -> Json:
    """Return what is kept of a filter. One of a type that the simulator does not know stays whole."""
    kind = single.get("type") if isinstance(single, dict) else None
    return _picked(single, "type", *VALUES[kind]) if isinstance(kind, str) and kind in VALUES else single


def _kept_step(step: Json) -> Json:
    kept = _picked(step, "action", "delay_in_minutes")
    if isinstance(kept, dict) and "action" in kept:
        action = _picked(kept["action"], "type", "data")
        if isinstance(action, dict) and action.get("type") == PHONE_STEP and "data" in action:
            action = {**action, "data": _picked(action["data"], "aiPhoneAgentId")}
        kept["action"] = action
    return kept


def _picked(value: Json, *names: str) -> Json:
    """Return an object with only some of its fields. What is not an object stays unchanged."""
    return {name: value[name] for name in names if name in value} if isinstance(value, dict) else value
