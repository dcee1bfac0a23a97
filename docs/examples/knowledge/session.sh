python -m airflow_provider_opencx training validate training/
python -m airflow_provider_opencx training plan training/ --out plan.json
python -m airflow_provider_opencx training apply training/ --plan plan.json
