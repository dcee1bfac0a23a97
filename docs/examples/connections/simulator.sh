export AIRFLOW_CONN_OPENCX_DEFAULT='{"conn_type": "opencx", "password": "demo-key", "host": "http://127.0.0.1:8010"}'
