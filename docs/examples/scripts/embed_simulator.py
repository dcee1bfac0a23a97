"""A simulator in a program of your own."""

# ruff: noqa: S101 - what is asserted here is what the reader should know
import json
import os

from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.simulator import Simulator

with Simulator(provision_after="never", generation="2024") as simulator:
    os.environ["AIRFLOW_CONN_OPENCX_DEFAULT"] = json.dumps(
        {"conn_type": "opencx", "password": "test-key", "host": simulator.url}
    )
    agent = simulator.add_agent("Support", language=["de"])
    assert OpenCXHook().find_phone_agent("Support").phone_number is None

    simulator.give_number(agent["id"], "+15550123")
    assert OpenCXHook().find_phone_agent("Support").phone_number == "+15550123"
    assert simulator.count("listPhoneAgents") == 2
