airflow connections add opencx_default --conn-type opencx --conn-password YOUR-KEY \
    --conn-extra '{"timeout": 60, "coordination": "machine"}'
