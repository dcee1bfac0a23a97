python -m airflow_provider_opencx export > fleet.yaml
