python -m airflow_provider_opencx export --by-name > fleet.yaml
