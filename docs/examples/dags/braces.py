"""Three agents that are to say a variable of the voice platform, in braces that Airflow leaves alone."""

from datetime import datetime

from airflow.sdk import DAG, literal

from airflow_provider_opencx.operators.phone_agent import OpenCXUpsertPhoneAgentOperator

with DAG(
    "braces",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"city": "Boston"},
):
    OpenCXUpsertPhoneAgentOperator(
        task_id="raw",
        name="Raw",
        first_message="{% raw %}Hi {{ name }}{% endraw %} in {{ params.city }}",
    )
    OpenCXUpsertPhoneAgentOperator(
        task_id="text",
        name="Text",
        first_message="Hi {{ '{{ name }}' }} in {{ params.city }}",
    )
    OpenCXUpsertPhoneAgentOperator(
        task_id="literal",
        name="Literal",
        first_message=literal("Hi {{ name }}"),
    )
