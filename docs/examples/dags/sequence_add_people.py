"""The people of a file are added to a continuous sequence, which calls them from then on."""

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_opencx.operators.sequence import OpenCXAddContactsToSequenceOperator

with DAG(
    "sequence_add_people",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={"sequence_id": Param("", type="string", minLength=1)},
):
    add = OpenCXAddContactsToSequenceOperator(
        task_id="add",
        sequence_id="{{ params.sequence_id }}",
        contacts="people.csv",
        do_not_call="{{ var.value.do_not_call }}",
        batch_size=50,
    )
