pip install airflow-provider-opencx
pip install 'airflow-provider-opencx[simulator]'
pip install 'airflow-provider-opencx[redis]'
