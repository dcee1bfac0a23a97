"""HTTP with the OpenCX API: requests, retries, pacing, errors. It knows no resource, and imports nothing of Airflow."""
