AIRFLOW_VERSION=3.2.2
PYTHON_VERSION=3.12
pip install "apache-airflow==$AIRFLOW_VERSION" --constraint "https://raw.githubusercontent.com/apache/airflow/constraints-$AIRFLOW_VERSION/constraints-$PYTHON_VERSION.txt"
pip install "./airflow-provider-opencx[simulator]" "apache-airflow==$AIRFLOW_VERSION"
