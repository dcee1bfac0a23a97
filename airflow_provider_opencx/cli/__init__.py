"""The command line: ``airflow opencx ...`` and ``python -m airflow_provider_opencx ...``."""
