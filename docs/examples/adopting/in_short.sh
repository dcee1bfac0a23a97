python -m airflow_provider_opencx doctor
python -m airflow_provider_opencx export > fleet.yaml
python -m airflow_provider_opencx plan fleet.yaml --detailed-exitcode
python -m airflow_provider_opencx apply fleet.yaml
