"""The OpenCX API, and nothing of Airflow but the base exception."""
