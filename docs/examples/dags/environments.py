"""One fleet for two organizations: staging and production differ in a connection and three values."""

from datetime import datetime

from airflow.sdk import DAG, Param

from airflow_provider_opencx.operators.phone_agent import OpenCXSyncPhoneAgentsOperator

with DAG(
    "environments",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"environment": Param("staging", enum=["staging", "production"])},
):
    OpenCXSyncPhoneAgentsOperator(
        task_id="sync",
        agents="environments.yaml",
        variables={
            "PREFIX": "{{ 'Test: ' if params.environment == 'staging' else '' }}",
            "HANDOFF": "{{ var.value['opencx_handoff_' ~ params.environment] }}",
        },
        expected_org_id="{{ var.value['opencx_org_id_' ~ params.environment] }}",
        opencx_conn_id="opencx_{{ params.environment }}",
    )
