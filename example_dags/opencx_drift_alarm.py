"""An alarm each morning, before the day's calls, where an agent is not as declared or has lost its phone number.

It reads, and writes nothing. Where somebody changed an agent in the dashboard or deleted it, or where an agent has lost
its phone number, the task fails and an e-mail says which agent, and what differs. The log has the values. The same task
with ``OpenCXSyncPhoneAgentsOperator`` would write the declared values instead; a number that is gone, no task can bring
back.

The e-mail goes over the connection ``smtp_default``. Any other notifier of Airflow can take its place, such as the ones
for Slack or PagerDuty of their providers.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG

from airflow_provider_opencx.operators.phone_agent import OpenCXPlanPhoneAgentsOperator

with DAG(
    dag_id="opencx_drift_alarm",
    schedule="0 7 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=2)},
    doc_md=__doc__,
    tags=["opencx"],
):
    OpenCXPlanPhoneAgentsOperator(
        task_id="compare",
        agents="campaign_fleet.yaml",  # beside this file
        fail_on_changes=True,
        on_failure_callback=SmtpNotifier(
            from_email="airflow@example.com",
            to="phone-operations@example.com",
            subject="Phone agents: {{ ti.task_id }} of {{ dag.dag_id }} failed",
            html_content="<p>{{ exception | e }}</p><p><a href='{{ ti.log_url }}'>The log</a> has the values.</p>",
        ),
    )
