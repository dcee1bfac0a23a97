"""Arguments of mapped tasks that are needed while the Dag is parsed.

The ``__init__`` of a mapped operator runs only in the worker: its defaults are not known before.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_opencx.arguments import LEFT_OUT, LeftOut

if TYPE_CHECKING:
    from airflow.sdk.definitions.mappedoperator import OperatorPartial


def arguments_of(partial: OperatorPartial, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments that all tasks of a mapped operator have, those of ``default_args`` included.

    :param partial: what Airflow's ``partial`` returned.
    :param given: what it was called with.
    """
    owners = [owner for owner in (partial.kwargs.get("task_group"), partial.kwargs.get("dag")) if owner is not None]
    return ChainMap(dict(given), given.get("default_args") or {}, *(owner.default_args for owner in owners))


def limited(partial: OperatorPartial, most_at_once: int | None) -> OperatorPartial:
    """Return a mapped operator with a default for ``max_active_tis_per_dag``, which the scheduler reads."""
    if isinstance(partial.kwargs.get("max_active_tis_per_dag", LEFT_OUT), LeftOut):
        partial.kwargs["max_active_tis_per_dag"] = most_at_once
    return partial
