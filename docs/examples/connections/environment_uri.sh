export AIRFLOW_CONN_OPENCX_DEFAULT='opencx://:YOUR-KEY@/?timeout=60&coordination=machine'
