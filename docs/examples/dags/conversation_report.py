"""Each morning, what yesterday's calls came to: a table for whoever wants to read it."""

from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_opencx.operators.conversation import OpenCXConversationReportOperator

with DAG(
    "conversation_report",
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    report = OpenCXConversationReportOperator(
        task_id="report",
        created_after="{{ dag_run.run_after - macros.timedelta(days=1) }}",
        created_before="{{ dag_run.run_after }}",
        contacts="people.csv",
        timezone="America/New_York",
    )

    @task
    def send(markdown: str, conversations: int) -> None:
        """Hand the report on: put your own way to send a message here."""
        print(f"Yesterday's calls left {conversations} conversations.\n\n{markdown}")

    send(report.output["markdown"], report.output["conversations"])
