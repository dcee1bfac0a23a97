"""Measures a folder of training scenarios: reading, planning and applying it under the service's limit of requests.

``make bench-knowledge``, or ``python benchmarks/knowledge.py --scenarios 500``: prints a table, and takes some seven
minutes for 500, because the limit is kept.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.connection.settings import settings_of_environment
from airflow_provider_opencx.knowledge.declarations import parse_scenarios
from airflow_provider_opencx.knowledge.reconcile import apply_training, plan_training
from airflow_provider_opencx.knowledge.scenario_files import read_scenarios
from airflow_provider_opencx.simulator import Simulator

_PARAGRAPH = "Ask for the order number first. Without it, offer to call back within the hour. "


def main() -> int:
    """Measure, and print a row for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=int, default=500)
    parser.add_argument("--requests-per-minute", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Simulator(requests_per_minute=options.requests_per_minute) as service:
        os.environ["OPENCX_API_KEY"], os.environ["OPENCX_API_URL"] = "test-key", service.url
        _write(Path(folder), options.scenarios, "")
        print(f"{options.scenarios} scenarios, {options.requests_per_minute} requests a minute")
        print(f"{'':34} {'seconds':>8} {'requests':>9}  of which")
        settings = settings_of_environment("OPENCX_API_KEY", "OPENCX_API_URL", user_agent="benchmark")
        with OpenCXClient(settings) as client:

            def plan() -> object:
                return plan_training(client, parse_scenarios(read_scenarios(folder)))

            def apply() -> object:
                return apply_training(client, plan_training(client, parse_scenarios(read_scenarios(folder))))

            _measure(service, "read and check the files", lambda: parse_scenarios(read_scenarios(folder)))
            _measure(service, "plan, nothing exists", plan)
            _measure(service, "plan and apply, all are new", apply)
            _measure(service, "plan and apply, nothing differs", apply)
            _write(Path(folder), options.scenarios // 10, "Say sorry first.\n")
            _measure(service, "plan and apply, one in ten differs", apply)
    return 0


def _write(folder: Path, scenarios: int, more: str) -> None:
    for number in range(scenarios):
        text = f"---\ntitle: Scenario {number}\nchannels: [phone_voice]\n---\n\n{_PARAGRAPH * 10}\n\n{more}"
        (folder / f"scenario_{number:04}.md").write_text(text)


def _measure(service: Simulator, step: str, run: Callable[[], object]) -> None:
    service.forget_requests()
    began = time.monotonic()
    run()
    seconds = time.monotonic() - began
    counts = Counter(record.operation for record in service.requests)
    parts = ", ".join(f"{count} {operation}" for operation, count in counts.items())
    print(f"{step:34} {seconds:8.1f} {len(service.requests):9}  {parts}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
