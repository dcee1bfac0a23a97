airflow opencx plan fleet.yaml --conn-id opencx_default
