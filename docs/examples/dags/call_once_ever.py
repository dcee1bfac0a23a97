"""Nobody is called a second time, in whatever run: the records are kept in a place of your own."""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator

with DAG(
    "call_once_ever",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    OpenCXPlaceCallOperator(
        task_id="call",
        agent_name="Appointment reminder",
        contacts=["+14155550101", "+14155550102"],
        once_per="ever",
        # Such as s3://aws_default@my-bucket/spring-offer: a folder for each campaign.
        ledger_path="{{ var.value.spring_offer_calls }}",
    )
