airflow connections add opencx_default --conn-json "$(cat opencx_default.json)"
