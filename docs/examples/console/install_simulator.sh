pip install './airflow-provider-opencx[simulator]'
