"""Runs a real Airflow with its own AIRFLOW_HOME, usually ``airflow standalone``, for the demo, the UI and the tests.

It runs on free ports and in sessions of its own, and ends with the ``with`` block that started it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import psutil
from httpx_retries import Retry, RetryTransport

EXAMPLE_DAGS = Path(__file__).resolve().parent.parent / "example_dags"

_STARTED_WITHIN = 300.0
_ENDED_WITHIN = 20.0
_TIDIED_UP_WITHIN = 5.0

_Value = TypeVar("_Value")


def connection_json(base_url: str, api_key: str, **extra: object) -> str:
    """Return an ``opencx`` connection to a simulator, which may place calls, as the JSON of an ``AIRFLOW_CONN_...``."""
    extra = {"allow_calls": True, **extra}
    return json.dumps({"conn_type": "opencx", "host": base_url, "password": api_key, "extra": extra})


def airflow_environment(home: Path, dags: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of an Airflow in ``home`` on SQLite, with ``variables`` on top.

    Nothing of the caller's Airflow is in it.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        # SQLite has one writer at a time: let the others wait, and let there not be many.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # The API server is at its slowest when the first task calls it; a busy machine then takes half a minute.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        **variables,
    }


def postgres_settings(database: str) -> dict[str, str]:
    """Return the environment variables of an Airflow on PostgreSQL, whose drivers it needs.

    :param database: the URL of an empty database, ``postgresql://...``.
    """
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.replace("postgresql", "postgresql+psycopg2", 1),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database.replace("postgresql", "postgresql+asyncpg", 1),
    }


def copy_dags(*sources: Path, into: Path) -> None:
    """Copy the Dags of folders into another, and leave the examples' schedules out that are a text.

    A Dag with a schedule runs by itself as soon as it is not paused, and a test wants the run that it has started.
    Timetables and assets stay: a test of those wants the run that the scheduler starts.
    """
    for source in sources:
        shutil.copytree(source, into, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for file in into.rglob("opencx_*.py"):
        file.write_text(re.sub(r'schedule="[^"]+"', "schedule=None", file.read_text()))


def wait_for(what: str, look: Callable[[], _Value | None], *, within: float, every: float = 0.5) -> _Value:
    """Look until there is something, and return it; raises ``TimeoutError`` after ``within`` seconds."""
    deadline = time.monotonic() + within
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"No {what} within {within:.0f} s")
        time.sleep(every)
    return found


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end(
    processes: Collection[psutil.Process], sent: signal.Signals = signal.SIGKILL, *, within: float = _ENDED_WITHIN
) -> None:
    """Send processes a signal and return when they have ended; raises ``TimeoutError`` if they do not."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(sent)
    wait_for(
        f"end of {len(processes)} processes",
        lambda: None if any(map(_runs, processes)) else True,
        within=within,
        every=0.05,
    )


class RunningAirflow(ABC):
    """A running Airflow: its processes, and what its REST API says. How it is started, its subclasses know.

    :param home: its AIRFLOW_HOME.
    :param dags: its Dags folder.
    :param variables: environment variables, such as ``AIRFLOW_CONN_OPENCX_DEFAULT``.
    """

    def __init__(self, home: Path, dags: Path = EXAMPLE_DAGS, variables: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{free_port()}"
        port = self.url.rpartition(":")[2]
        self._environment = airflow_environment(
            home,
            dags,
            {
                "AIRFLOW__API__HOST": "127.0.0.1",
                "AIRFLOW__API__PORT": port,
                "AIRFLOW__API__BASE_URL": self.url,
                "AIRFLOW__API__WORKERS": "1",
                "AIRFLOW__API__ENABLE_XCOM_DESERIALIZE_SUPPORT": "True",  # Airflow 3.0 hands out no XCom without it
                "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
                "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
                "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
                **(variables or {}),
            },
        )
        self._started: list[subprocess.Popen[bytes]] = []
        # SQLite lets one process write. A write that waits too long for its turn is rolled back, and answered with 500.
        repeatable = [*Retry.RETRYABLE_METHODS, "PATCH"]
        patience = Retry(total=8, backoff_factor=0.5, status_forcelist=[500, 502, 503], allowed_methods=repeatable)
        self._api = httpx.Client(base_url=self.url, timeout=120, transport=RetryTransport(retry=patience))

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            self._start_all()
            wait_for("healthy Airflow", self._healthy, within=_STARTED_WITHIN)
            token = self._api.get("/auth/token").raise_for_status().json()["access_token"]
        except BaseException:
            self.__exit__()
            raise
        self._api.headers["Authorization"] = f"Bearer {token}"
        return self

    def __exit__(self, *_: object) -> None:
        leaders = {process for process in self.processes() if process.pid == _session(process)}
        with suppress(TimeoutError):
            # Each ends what it has started. Airflow may take half a minute for it, and nobody needs its home any more.
            end(leaders, signal.SIGINT, within=_TIDIED_UP_WITHIN)
        end(self.processes())
        for started in self._started:
            started.wait()
        self._started.clear()
        self._api.close()

    @property
    def database(self) -> str:
        """The URL of its database."""
        return self._environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]

    def processes(self) -> set[psutil.Process]:
        """Return all that runs of this Airflow, orphans included: each process of a session that was started here."""
        return self._processes_of(*(started.pid for started in self._started))

    def last_words(self, lines: int = 30) -> str:
        """Return the commands of what runs and the last troubles in each log, which say why nothing happens."""
        said = [f"Running: {command}" for command in sorted(" ".join(_words(each)) for each in self.processes())]
        for log in sorted(self.home.glob("*.log")):
            troubles = [line for line in log.read_text().splitlines() if "[info" not in line and "[debug" not in line]
            said += [f"{log.name}:", *troubles[-lines:]]
        return "\n".join(said)

    @abstractmethod
    def component(self, name: str) -> set[psutil.Process]:
        """Return the processes of a component, such as ``"triggerer"``; none if it does not run."""

    def kill_component(self, name: str) -> None:
        """End a component as a power failure would: SIGKILL to all its processes.

        Airflow does not start it again; :meth:`start_component` does.
        """
        processes = self.component(name)
        if not processes:
            raise RuntimeError(f"There is no {name} to kill; the logs are in {self.home}")
        # Parents first: they would tell Airflow of their children's end.
        end(sorted(processes, key=psutil.Process.create_time))

    @abstractmethod
    def start_component(self, name: str) -> None:
        """Start a component, such as ``"triggerer"``, beside those that run."""

    def run_dag(self, dag_id: str, *, within: float, conf: Mapping[str, object] | None = None) -> str:
        """Run a Dag to its end and return the run's id; raises ``RuntimeError`` unless it ended in success."""
        run_id = self.start_dag(dag_id, conf=conf)
        state = self.end_state(dag_id, run_id, within=within)
        if state != "success":
            raise RuntimeError(f"{dag_id} ended in state {state}; the logs are in {self.home}")
        return run_id

    def start_dag(self, dag_id: str, *, conf: Mapping[str, object] | None = None) -> str:
        """Start a Dag, as soon as Airflow knows it, and return the run's id."""
        self.unpause(dag_id)
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf or {})})
        return str(run["dag_run_id"])

    def end_state(self, dag_id: str, run_id: str, *, within: float) -> str:
        """Wait for a run to end and return its state."""

        def ended() -> str | None:
            state = str(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])
            return state if state in ("success", "failed") else None

        return wait_for(f"end of {dag_id}", ended, within=within)

    def run_command(self, *arguments: str) -> str:
        """Run ``airflow ...`` beside what runs, and return what it printed; raises ``RuntimeError`` if it failed."""
        done = subprocess.run(
            ["airflow", *arguments], env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def unpause(self, dag_id: str) -> None:
        """Let the runs of a Dag begin, as soon as Airflow knows it."""
        self.wait_for_dag(dag_id)
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def wait_for_dag(self, dag_id: str) -> None:
        """Return when Airflow knows a Dag."""
        wait_for(f"Dag {dag_id}", lambda: self._known(dag_id), within=_STARTED_WITHIN)

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        answer = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=1000")
        return list(answer["task_instances"])

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, *, key: str = "return_value") -> Any:
        """Return what a task returned, or pushed under another key."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", f"{path}?map_index={map_index}&deserialize=true")["value"]

    def xcom_keys(self, dag_id: str, run_id: str, task_id: str) -> set[str]:
        """Return the keys of all that a task pushed, without those of the links that Airflow pushes for it."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        keys = {entry["key"] for entry in self.call("GET", path)["xcom_entries"]}
        return {key for key in keys if not key.startswith("_link_")}

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1
    ) -> list[str]:
        """Return what a try of a task logged, in the worker and in triggerers: a line an event, in order of time."""
        events = self.task_events(dag_id, run_id, task_id, try_number=try_number, map_index=map_index)
        return sorted(f"{event['timestamp']} {event['level']}: {_said(event)}" for event in events)

    def task_events(
        self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """Return the same events with all that Airflow keeps of them."""
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        if map_index >= 0:
            folder /= f"map_index={map_index}"
        files = folder.glob(f"attempt={try_number}.log*")
        events = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return sorted(events, key=lambda event: str(event["timestamp"]))

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Call Airflow's REST API, or with a path under ``/ui/`` what its pages call, and return the decoded answer."""
        answer = self._api.request(method, path if path.startswith("/ui/") else f"/api/v2{path}", json=body)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    @abstractmethod
    def _start_all(self) -> None:
        """Start what an Airflow consists of."""

    def _start(
        self, *command: str, log_file: Path, variables: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start an ``airflow`` command, with further environment variables, in a session of its own."""
        with log_file.open("ab") as log:
            started = subprocess.Popen(
                ["airflow", *command],
                env={**self._environment, **(variables or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._started.append(started)
        return started

    @staticmethod
    def _processes_of(*sessions: int) -> set[psutil.Process]:
        return {process for process in psutil.process_iter() if _session(process) in sessions and _runs(process)}

    def _known(self, dag_id: str) -> bool | None:
        return True if self._api.get(f"/api/v2/dags/{dag_id}").status_code == 200 else None

    def _healthy(self) -> bool | None:
        if any(started.poll() is not None for started in self._started):
            raise RuntimeError(f"Airflow, or a part of it, ended by itself; the logs are in {self.home}")
        try:
            health = self._api.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return None
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return True if all(health.get(part, {}).get("status") == "healthy" for part in parts) else None


class AirflowStandalone(RunningAirflow):
    """``airflow standalone``: scheduler, Dag processor, triggerer and API server.

    Its log is ``standalone.log`` in its AIRFLOW_HOME. Its database is a file of SQLite there, unless ``variables`` name
    another.
    """

    @property
    def log_file(self) -> Path:
        """What all its processes print."""
        return self.home / "standalone.log"

    def component(self, name: str) -> set[psutil.Process]:
        """Return the processes of a component, such as ``"triggerer"``; none if it does not run."""
        own = {process for process in self.processes() if _command(process) == ["airflow", name]}
        return own | {child for process in own for child in process.children(recursive=True)}

    def start_component(self, name: str) -> None:
        """Start a component, such as ``"triggerer"``, beside those that run."""
        self._start(name, log_file=self.log_file)

    def _start_all(self) -> None:
        self.start_component("standalone")


def _said(event: Mapping[str, Any]) -> str:
    """Return the text of a log event, with that of the exceptions it tells of."""
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in event.get("error_detail") or []]
    return " ".join([str(event["event"]), *errors])


def _runs(process: psutil.Process) -> bool:
    # A process that has ended stays in the list until its parent has asked how.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def _command(process: psutil.Process) -> list[str]:
    """Return a script's name and its arguments."""
    match _words(process):
        case [_, script, *arguments]:
            return [Path(script).name, *arguments]
    return []


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []
