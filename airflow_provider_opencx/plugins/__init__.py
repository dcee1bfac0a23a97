"""The page that the provider adds to Airflow's UI."""
