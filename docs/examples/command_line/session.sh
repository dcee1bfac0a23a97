python -m airflow_provider_opencx validate fleet.yaml
python -m airflow_provider_opencx plan fleet.yaml
python -m airflow_provider_opencx apply fleet.yaml --yes
python -m airflow_provider_opencx agents
