"""The Airflow connection of type ``opencx``: its form, and the settings that a client gets from it."""
