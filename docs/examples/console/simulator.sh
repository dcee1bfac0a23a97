python -m airflow_provider_opencx.simulator --port 8010 --api-key demo-key --provision-after 5s --generation 2026
