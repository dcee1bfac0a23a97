python -m airflow_provider_opencx training export exported/
python -m airflow_provider_opencx training plan exported/ --adopt by_title
