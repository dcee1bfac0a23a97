"""Measures the page of agents: the time to its first byte, cold and warm, and the requests to the service.

``make bench-agents-page``, or ``python benchmarks/agents_page.py``: prints tables, and takes some two minutes. Airflow's
own API server serves the page, with its database on SQLite; the service is a process of its own. The agents are
compared with a plan for all of them, which a task has left in Airflow's database.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from report import Section, Table, show
from simulated_service import API_KEY, SimulatedService, simulated_service

# The API server is that of the tests.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "dev"))
from airflow_standalone import airflow_environment
from api_server import ApiServer

SIZES = (1_000, 10_000)
AT_ONCE = 20

DAG = """
from datetime import datetime
from airflow.sdk import DAG
from airflow_provider_opencx.operators.phone_agent import OpenCXPlanPhoneAgentsOperator
with DAG("fleet", schedule=None, start_date=datetime(2026, 1, 1)):
    OpenCXPlanPhoneAgentsOperator(
        task_id="plan",
        agents=[{{"name": f"Agent {{number:05}}", "language": "en"}} for number in range({agents})],
    )
"""

IMPORTS = (
    ("what every Airflow process loads", "airflow_provider_opencx.plugins.opencx"),
    ("the page itself, at its first request", "airflow_provider_opencx.plugins.application"),
)

PROBE = """
import sys, time
import airflow.models, airflow.plugins_manager, airflow.api_fastapi.app
start = time.perf_counter()
__import__(sys.argv[1])
print((time.perf_counter() - start) * 1000)
"""

NOTES = """
- Cold is the first look at a connection whose key or address has just changed: one request to the service, and the page
  made of its response. Warm is the median of {looks} looks; nothing is asked of the service then.
- Each look is authorized by Airflow, looks for the last plan in its database and makes the page anew: what is kept is
  the list of agents, and the plan as it was read.
- {at_once} people at once share the one Python process of this API server; the time is that of the slowest of them.
- The page shows 100 agents; the downloads have all of them.
"""


def measure(quick: bool) -> Section:
    """Start everything, and look."""
    looks = 10 if quick else 50
    rows: list[list[str]] = []
    requests_while_warm = 0
    for size in SIZES[:1] if quick else SIZES:
        with _airflow_with(size) as (service, server, environment):
            server.get(_path("opencx_default", ""), "admin")  # the application is built at the first request
            _plan(environment, server.log_file.parent, size)
            service.forget_requests()
            cold = _seconds(server, _stored_connection(environment, service.url))
            cold_requests = len(service.requests())
            path = _path(_stored_connection(environment, service.url), "")
            _seconds(server, path)
            service.forget_requests()
            warm = statistics.median(_seconds(server, path) for _ in range(looks))
            table = statistics.median(_seconds(server, f"{path}.csv") for _ in range(5))
            body = statistics.median(_seconds(server, f"{path}.json") for _ in range(5))
            with ThreadPoolExecutor(AT_ONCE) as threads:
                slowest = max(threads.map(lambda _: _seconds(server, path), range(AT_ONCE)))  # noqa: B023
            requests_while_warm += len(service.requests())
            rows.append(
                [
                    f"{size:,}",
                    *(f"{seconds * 1000:.0f} ms" for seconds in (cold, warm, table, body, slowest)),
                    str(cold_requests),
                    str(len(service.requests())),
                ]
            )
    columns = (
        "Agents",
        "Cold",
        "Warm",
        "CSV, warm",
        "JSON, warm",
        f"{AT_ONCE} at once",
        "Requests, cold",
        "Requests, warm",
    )
    imports = [[label, f"{_import(module):.1f} ms"] for label, module in IMPORTS]
    return Section(
        "The page of agents",
        [
            f"The page of 1,000 agents begins to arrive after {rows[0][2]} when they were read in the last 30 s, and after"
            f" {rows[0][1]} when they were not; looks within these 30 s sent {requests_while_warm} requests."
        ],
        [Table("Time to the first byte", columns, rows), Table("Import time", ("What", "Time"), imports)],
        NOTES.format(looks=looks, at_once=AT_ONCE),
    )


@contextmanager
def _airflow_with(agents: int) -> Iterator[tuple[SimulatedService, ApiServer, dict[str, str]]]:
    with tempfile.TemporaryDirectory() as folder, simulated_service() as service:
        home = Path(folder)
        dags = home / "dags"
        dags.mkdir()
        page = {"AIRFLOW__OPENCX__AGENTS_PAGE": "True", "TMPDIR": folder}
        environment = airflow_environment(home, dags, page | service.connections())
        service.add_agents([{"name": f"Agent {number:05}", "type": "outbound"} for number in range(agents)])
        _run(["airflow", "db", "migrate"], environment)
        with ApiServer(home, environment) as server:
            yield service, server, environment


def _plan(environment: dict[str, str], home: Path, agents: int) -> None:
    (home / "dags" / "fleet.py").write_text(DAG.format(agents=agents))
    _run(["airflow", "dags", "reserialize"], environment)
    _run(["airflow", "dags", "test", "fleet"], environment)


_connections = iter(range(1000))


def _stored_connection(environment: dict[str, str], url: str) -> str:
    conn_id = f"page_{next(_connections)}"
    fields = {"conn_type": "opencx", "host": url, "password": API_KEY}
    extra = {"timeout": 300, "requests_per_minute": 1_000_000}
    _run(["airflow", "connections", "add", conn_id, "--conn-json", json.dumps({**fields, "extra": extra})], environment)
    return conn_id


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, env=environment, check=True, capture_output=True)


def _path(conn_id: str, form: str) -> str:
    return f"/opencx/connections/{conn_id}/agents{form}"


def _seconds(server: ApiServer, conn_id_or_path: str) -> float:
    path = conn_id_or_path if conn_id_or_path.startswith("/") else _path(conn_id_or_path, "")
    return server.seconds_to_first_byte(path, "admin")


def _import(module: str) -> float:
    environment = {**os.environ, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    times = []
    with tempfile.TemporaryDirectory() as home:
        for _ in range(5):
            probe = [sys.executable, "-c", PROBE, module]
            done = subprocess.run(
                probe, env=environment | {"AIRFLOW_HOME": home}, check=True, capture_output=True, text=True
            )
            times.append(float(done.stdout.splitlines()[-1]))
    return statistics.median(times)


if __name__ == "__main__":
    began = time.monotonic()
    show(measure)
    print(f"It took {time.monotonic() - began:.0f} s.", file=sys.stderr)
