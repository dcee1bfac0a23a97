"""The arguments that every operator and every sensor of Airflow takes, as types.

An operator of this package writes its own arguments out and takes Airflow's as ``**kwargs: Unpack[...]``, so that an
editor and a type checker know all of them. Nothing imports this module while a Dag is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, MutableMapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Required, TypeAlias, TypedDict

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context, TaskGroup
    from airflow.sdk.definitions.retry_policy import RetryPolicy
    from airflow.sdk.types import WeightRuleParam

_Callback: TypeAlias = "Callable[[Context], None]"


class LimitedOperatorArguments(TypedDict, total=False):
    """Those of ``BaseOperator``, for an operator that writes ``max_active_tis_per_dag`` out itself."""

    task_id: Required[str]
    owner: str
    email: str | Sequence[str] | None
    email_on_retry: bool
    email_on_failure: bool
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: float
    max_retry_delay: timedelta | float | None
    retry_policy: RetryPolicy | None
    start_date: datetime | None
    end_date: datetime | None
    depends_on_past: bool
    ignore_first_depends_on_past: bool
    wait_for_past_depends_before_skipping: bool
    wait_for_downstream: bool
    dag: DAG | None
    params: MutableMapping[str, Any] | None
    default_args: dict[str, Any] | None
    priority_weight: int
    weight_rule: WeightRuleParam
    queue: str
    pool: str | None
    pool_slots: int
    sla: timedelta | None
    execution_timeout: timedelta | None
    on_execute_callback: _Callback | Collection[_Callback] | None
    on_failure_callback: _Callback | list[_Callback] | None
    on_success_callback: _Callback | Collection[_Callback] | None
    on_retry_callback: _Callback | list[_Callback] | None
    on_skipped_callback: _Callback | Collection[_Callback] | None
    pre_execute: Callable[[Context], None] | None
    post_execute: Callable[[Context, Any], None] | None
    trigger_rule: str
    resources: dict[str, Any] | None
    run_as_user: str | None
    map_index_template: str | None
    max_active_tis_per_dagrun: int | None
    executor: str | None
    executor_config: dict[str, Any] | None
    do_xcom_push: bool
    multiple_outputs: bool
    inlets: Any
    outlets: Any
    task_group: TaskGroup | None
    doc: str | None
    doc_md: str | None
    doc_json: str | None
    doc_yaml: str | None
    doc_rst: str | None
    task_display_name: str | None
    logger_name: str | None
    allow_nested_operators: bool
    render_template_as_native_obj: bool | None


class BaseOperatorArguments(LimitedOperatorArguments, total=False):
    """The arguments of Airflow's ``BaseOperator``."""

    max_active_tis_per_dag: int | None


class BaseSensorArguments(BaseOperatorArguments, total=False):
    """The arguments of Airflow's ``BaseSensorOperator``."""

    poke_interval: timedelta | float
    timeout: timedelta | float | None
    soft_fail: bool
    mode: str
    exponential_backoff: bool
    max_wait: timedelta | float | None
    silent_fail: bool
    never_fail: bool
