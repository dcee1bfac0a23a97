"""The hook, which gives tasks and Python code access to OpenCX over an Airflow connection."""
