python -m airflow_provider_opencx export --names 'Spring *' --names Support > campaign.yaml
