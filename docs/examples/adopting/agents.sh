python -m airflow_provider_opencx agents
