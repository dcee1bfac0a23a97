export OPENCX_API_KEY=$PRODUCTION_KEY
python -m airflow_provider_opencx plan environments.yaml --vars-file production.env --out plan.json
python -m airflow_provider_opencx apply environments.yaml --vars-file production.env --plan plan.json
