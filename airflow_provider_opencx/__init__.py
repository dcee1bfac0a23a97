"""Apache Airflow provider for OpenCX AI phone agents.

Declare an agent, get exactly one agent, with a number, however often anything fails. See the README for
the operators, the sensor, the hook and the connection.
"""

__version__ = "0.1.0"
