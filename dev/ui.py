"""Airflow's UI with the simulator, a connection to it and the example Dags, until Ctrl-C."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

from airflow_standalone import AirflowStandalone, connection_json

from airflow_provider_opencx.simulator import Simulator

API_KEY = "demo-key"


def main() -> None:
    """Start everything, print the address, and wait."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="opencx-ui-") as folder,
        Simulator(api_keys=(API_KEY,), provision_after="30s") as simulator,
    ):
        print("Airflow is starting ...", flush=True)
        connection = {"AIRFLOW_CONN_OPENCX_DEFAULT": connection_json(simulator.url, API_KEY)}
        with AirflowStandalone(Path(folder) / "airflow", variables=connection) as airflow:
            print(f"Airflow:          {airflow.url}  (everyone is admin)")
            print(f"OpenCX simulator: {simulator.url}  (key {API_KEY}; numbers come after 30 s)")
            print("Ctrl-C ends both.", flush=True)
            try:
                signal.pause()
            except KeyboardInterrupt:
                print("\nEnding ...", flush=True)


if __name__ == "__main__":
    main()
