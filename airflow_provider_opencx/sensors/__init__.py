"""The sensors: tasks that wait until something has happened in OpenCX."""
