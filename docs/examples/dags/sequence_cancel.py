"""A sequence is canceled by hand: trigger this Dag with its id."""

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_opencx.operators.sequence import OpenCXCancelSequenceOperator

with DAG(
    "sequence_cancel",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={"sequence_id": Param("", type="string", minLength=1)},
):
    cancel = OpenCXCancelSequenceOperator(
        task_id="cancel",
        sequence_id="{{ params.sequence_id }}",
    )
