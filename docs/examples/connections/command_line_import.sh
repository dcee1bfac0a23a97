airflow connections import connections.yaml
