python -m airflow_provider_opencx doctor
