python -m airflow_provider_opencx apply fleet.yaml
