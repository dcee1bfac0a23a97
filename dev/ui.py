"""Runs Airflow's UI with the simulator, a connection to it and the example Dags, until Ctrl-C."""

from __future__ import annotations

import json
import signal
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from airflow_standalone import AirflowStandalone
from demo import read_people

from airflow_provider_opencx.simulator import Simulator

API_KEY = "demo-key"


def main() -> None:
    """Start everything, print the address, and wait."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="opencx-ui-") as folder,
        Simulator(api_keys=(API_KEY,), provision_after="30s") as simulator,
    ):
        for name, number in read_people():
            simulator.add_contact(number, name=name)
        simulator.add_conversations(500, channel={"type": "phone_voice"})
        print("Airflow is starting ...", flush=True)
        # What the examples write to the temporary folder ends with the simulator that it comes from.
        variables = {"TMPDIR": folder, "AIRFLOW__OPENCX__AGENTS_PAGE": "True"}
        with AirflowStandalone(Path(folder) / "airflow", variables=variables) as airflow:
            airflow.call("POST", "/connections", connection_to(simulator.url))
            airflow.call("POST", "/variables", {"key": "opencx_do_not_call", "value": "[]"})
            print(f"Airflow:          {airflow.url}  (everyone is admin)")
            print("Connection:       opencx_default, under Admin, Connections")
            print("Page of agents:   OpenCX agents, under Browse (with the plans of opencx_drift_alarm and the others)")
            print(f"OpenCX simulator: {simulator.url}  (key {API_KEY}; numbers come after 30 s)")
            print("Contacts:         the people of opencx_outbound_campaign, who are in its people.csv")
            print("Conversations:    500 of the last day, for opencx_conversations_to_storage and _in_duckdb")
            print('The Test button of Airflow 3.3.1 and 3.3.2 says "Bad Request" for a connection without a port.')
            print("Ctrl-C ends both.", flush=True)
            try:
                signal.pause()
            except KeyboardInterrupt:
                print("\nEnding ...", flush=True)


def connection_to(url: str) -> dict[str, object]:
    """Return the connection as Airflow's REST API takes it.

    An environment variable would do for the Dags, but Airflow's list shows none of these. The port is in its own field,
    because the Test button of Airflow 3.3.1 and 3.3.2 works only where there is one.
    """
    address = urlsplit(url)
    return {
        "connection_id": "opencx_default",
        "conn_type": "opencx",
        "host": f"{address.scheme}://{address.hostname}",
        "port": address.port,
        "password": API_KEY,
        "extra": json.dumps({"allow_calls": True}),
    }


if __name__ == "__main__":
    main()
