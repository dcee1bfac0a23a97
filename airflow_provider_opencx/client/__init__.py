"""The HTTP client of the OpenCX API: requests, retries, rate limit, locks, errors. It imports nothing of Airflow."""
