python -m airflow_provider_opencx plan fleet.yaml --vars-file production.env --out plan.json
python -m airflow_provider_opencx apply fleet.yaml --vars-file production.env --plan plan.json
