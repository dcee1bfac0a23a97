python -m airflow_provider_opencx export --split fleet/
python -m airflow_provider_opencx plan fleet/ --detailed-exitcode
