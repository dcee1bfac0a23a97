python -m airflow_provider_opencx plan fleet.yaml --detailed-exitcode
