export AIRFLOW_CONN_OPENCX_DEFAULT='{"conn_type": "opencx", "password": "YOUR-KEY", "extra": {"allow_calls": true}}'
