"""The campaign example on a real Airflow against the simulator, from nothing to a table of phone numbers."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

from airflow_standalone import AirflowStandalone, connection_json

from airflow_provider_opencx.simulator import Simulator

API_KEY = "demo-key"


def main() -> None:
    """Run the campaign and print each agent with its number."""
    with (
        tempfile.TemporaryDirectory(prefix="opencx-demo-") as folder,
        Simulator(api_keys=(API_KEY,), provision_after="5s") as simulator,
    ):
        call_list = Path(folder) / "call_list.csv"
        connection = {"AIRFLOW_CONN_OPENCX_DEFAULT": connection_json(simulator.url, API_KEY)}
        print(f"OpenCX simulator: {simulator.url} (numbers come 5 s after an agent was created)", flush=True)
        print("Airflow: starting, on SQLite, in a folder of its own ...", flush=True)
        with AirflowStandalone(Path(folder) / "airflow", variables=connection) as airflow:
            print(f"Airflow: {airflow.url}; running opencx_weekly_campaign ...", flush=True)
            airflow.run_dag("opencx_weekly_campaign", conf={"call_list": str(call_list)}, within=300)
        print_table(list(csv.reader(call_list.open(newline=""))))
        reads, writes = simulator.count("listPhoneAgents"), len(simulator.writes)
        print(f"\nThe service was asked {reads} times and written to {writes} times.")


def print_table(rows: list[list[str]]) -> None:
    """Print rows, the first of them the header, in columns as wide as they need."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


if __name__ == "__main__":
    main()
