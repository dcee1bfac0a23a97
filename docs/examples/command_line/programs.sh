python -m airflow_provider_opencx validate fleet.yaml -o json
python -m airflow_provider_opencx agents --names 'Spring *' -o json
python -m airflow_provider_opencx voices -o yaml
python -m airflow_provider_opencx validate --schema > fleet.schema.json
