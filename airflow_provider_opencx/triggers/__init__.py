"""The triggers: they poll OpenCX in Airflow's triggerer, for tasks that wait without a worker."""
