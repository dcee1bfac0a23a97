"""What it takes to start a task in the triggerer, and which Airflow can do it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow import __version__ as airflow_version
from airflow.triggers.base import BaseTrigger, StartTriggerArgs

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.templates import has_no_template

RENDERS = hasattr(BaseTrigger, "render_template_fields")
"""Whether this Airflow renders templates in the triggerer; since 3.3, which also made starting there work again."""

STARTS = RENDERS or airflow_version.startswith("3.0.")
"""Whether this Airflow starts tasks in the triggerer: 3.1 and 3.2 take the arguments for it, and ignore them."""

_EVERY_MAP_INDEX = re.compile(r"map_indexes\s*=\s*none\b", re.IGNORECASE)


def check_start(**arguments: object) -> None:
    """Check that a task with these templated arguments can start in the triggerer of this Airflow.

    :raises OpenCXArgumentError: if it cannot; the message says why and what to do.
    """
    if not STARTS:
        raise OpenCXArgumentError(
            f"start_from_trigger: Airflow {airflow_version} starts no task in the triggerer, which 3.0 and 3.3 do; use"
            " deferrable=True"
        )
    for name, value in arguments.items():
        if not _is_text(value):
            raise OpenCXArgumentError(
                f"{name}: with start_from_trigger, Airflow does not hand on what another task returns; give a string,"
                " or a list of strings, or use deferrable=True"
            )
        if RENDERS and _pulls_every_map_index(value):
            raise OpenCXArgumentError(
                f"{name}: in the triggerer, Airflow serves xcom_pull only where map_indexes is given; write"
                " \"{{ ti.xcom_pull('agent', map_indexes=-1)['id'] }}\" (-1: not a mapped task), or use deferrable=True"
            )
        if not RENDERS and not has_no_template(value):
            raise OpenCXArgumentError(
                f"{name}: Airflow {airflow_version} renders no template in the triggerer, which 3.3 does; with"
                " start_from_trigger, give it as it is, or use deferrable=True"
            )


def start_trigger_args(arguments: Mapping[str, Any], next_method: str, timeout: float) -> StartTriggerArgs:
    """Return what Airflow starts a task in the triggerer with.

    :param arguments: the arguments of the trigger, but for what they are when no worker starts it.
    :param next_method: the name of the operator's method that goes on in a worker, where one has to.
    :param timeout: seconds after which Airflow gives up.
    """
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}
    return StartTriggerArgs(
        trigger_cls="airflow_provider_opencx.triggers.phone_number.OpenCXPhoneNumberTrigger",
        trigger_kwargs={**plain, "started_by_worker": False},
        next_method=next_method,
        timeout=timedelta(seconds=max(timeout, 1.0)),  # Airflow takes no seconds for no timeout
    )


def _pulls_every_map_index(value: object) -> bool:
    # The triggerer does not handle the message that xcom_pull sends then, and the task would wait for ever.
    if isinstance(value, list | tuple):
        return any(map(_pulls_every_map_index, value))
    if not isinstance(value, str):
        return False
    return value.count("map_indexes") < value.count("xcom_pull") or _EVERY_MAP_INDEX.search(value) is not None


def _is_text(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(element, str) for element in value)
    return value is None or isinstance(value, str)
