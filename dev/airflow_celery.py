"""Runs an Airflow as in production: CeleryExecutor with two workers, on a PostgreSQL and a Redis of its own.

All of it is on this machine, on free ports, and ends with the ``with`` blocks that started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from airflow_standalone import RunningAirflow, end, free_port, wait_for
from redis import Redis, RedisError

WORKERS = ("worker-1", "worker-2")
TASKS_OF_A_WORKER = 2

_NAME = "OPENCX_NAME_OF_WORKER"
_THIS_FOLDER = Path(__file__).resolve().parent

_SERVER_STARTED_WITHIN = 60.0


@contextmanager
def running_postgres(program: Path) -> Iterator[str]:
    """Give the URL of an empty database, ``postgresql://...``, in a PostgreSQL that runs as long as the block.

    :param program: the server, ``postgres``; ``initdb`` and ``pg_isready`` are beside it.
    """
    # PostgreSQL refuses to run as root; Debian's package brings a user for it.
    user = "postgres" if os.geteuid() == 0 else None
    port = str(free_port())
    with tempfile.TemporaryDirectory(prefix="opencx-postgres-") as folder:
        if user:
            shutil.chown(folder, user, user)
        data = f"{folder}/data"
        initdb = [os.fspath(program.with_name("initdb")), "-U", "airflow", "-A", "trust", "-E", "UTF8", "--no-locale"]
        subprocess.run([*initdb, "--no-sync", data], check=True, stdout=subprocess.DEVNULL, **_as_user(user, folder))
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "full_page_writes=off")
        options = [option for setting in settings for option in ("-c", setting)]
        is_ready: list[str | Path] = [program.with_name("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
        with _running_server(
            [program, "-D", data, "-p", port, *options],
            lambda: subprocess.run(is_ready, check=False).returncode == 0,
            Path(folder),
            user,
        ):
            yield f"postgresql://airflow@127.0.0.1:{port}/postgres"


@contextmanager
def running_redis(program: Path) -> Iterator[str]:
    """Give the address of an empty Redis, ``redis://...`` without a database, that runs as long as the block.

    :param program: the server, ``redis-server``.
    """
    port = str(free_port())
    address = f"redis://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="opencx-redis-") as folder, Redis.from_url(address) as client:

        def answers() -> bool:
            with suppress(RedisError):
                return bool(client.ping())
            return False

        command: list[str | Path] = [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with _running_server(command, answers, Path(folder)):
            yield address


@contextmanager
def _running_server(
    command: Sequence[str | Path], is_ready: Callable[[], bool], folder: Path, user: str | None = None
) -> Iterator[None]:
    log_file = folder / "server.log"
    with log_file.open("wb") as log:
        server = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **_as_user(user, folder),
        )

    def ready() -> bool | None:
        if server.poll() is not None:
            raise RuntimeError(f"{command[0]} ended by itself: {log_file.read_text()}")
        return is_ready() or None

    try:
        wait_for(f"answer of {command[0]}", ready, within=_SERVER_STARTED_WITHIN, every=0.1)
        yield
    finally:
        _end_server(server)


def _as_user(user: str | None, folder: str | Path) -> dict[str, Any]:
    """Return arguments of ``subprocess``: run in a folder, and as another user if one is given."""
    return {"cwd": folder} | ({"user": user, "group": user, "extra_groups": []} if user else {})


def _end_server(server: subprocess.Popen[bytes]) -> None:
    with suppress(psutil.NoSuchProcess):
        leader = psutil.Process(server.pid)
        processes = {leader, *leader.children(recursive=True)}
        with suppress(TimeoutError):
            end({leader}, signal.SIGINT)
        end(processes)
    server.wait()


class AirflowCelery(RunningAirflow):
    """Scheduler, Dag processor, triggerer, API server and two Celery workers, each a command of its own.

    The log of each is its name in the AIRFLOW_HOME, such as ``worker-1.log``; what tasks log is in one folder, as if
    the workers shared a disk. The hostname of a task instance is the name of its worker.

    :param home: its AIRFLOW_HOME.
    :param dags: its Dags folder.
    :param database: the URL of an empty PostgreSQL database.
    :param redis: the address of a Redis, without a database; Celery's messages are in its database 0.
    :param variables: environment variables, such as ``AIRFLOW_CONN_OPENCX_DEFAULT``.
    """

    def __init__(self, home: Path, dags: Path, database: str, redis: str, variables: Mapping[str, str]) -> None:
        sync_database = database.replace("postgresql", "postgresql+psycopg2", 1)
        super().__init__(
            home,
            dags,
            {
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": sync_database,
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database.replace("postgresql", "postgresql+asyncpg", 1),
                "AIRFLOW__CELERY__BROKER_URL": f"{redis}/0",
                "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{sync_database}",
                "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(TASKS_OF_A_WORKER),
                "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
                **variables,
            },
        )
        self._sessions: dict[str, int] = {}

    def log_of(self, name: str) -> Path:
        """Return the file of what a component, such as ``"worker-1"``, prints."""
        return self.home / f"{name}.log"

    def component(self, name: str) -> set[psutil.Process]:
        """Return the processes of a component, such as ``"worker-1"``; none if it does not run."""
        return self._processes_of(self._sessions[name])

    def start_component(self, name: str) -> None:
        """Start a component, such as ``"worker-1"``, beside those that run."""
        command: tuple[str, ...] = (name,)
        variables: dict[str, str] = {}
        if name in WORKERS:
            command = ("celery", "worker", "--celery-hostname", f"{name}@%h", "--skip-serve-logs")
            variables = {
                "AIRFLOW__CORE__HOSTNAME_CALLABLE": "airflow_celery.name_of_this_worker",
                "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), os.fspath(_THIS_FOLDER)])),
                _NAME: name,
            }
        started = self._start(*command, log_file=self.log_of(name), variables=variables)
        self._sessions[name] = started.pid

    def _start_all(self) -> None:
        with self.log_of("migrate").open("wb") as log:
            subprocess.run(["airflow", "db", "migrate"], env=self._environment, stdout=log, stderr=log, check=True)
        for name in ("api-server", "scheduler", "dag-processor", "triggerer", *WORKERS):
            self.start_component(name)

    def _healthy(self) -> bool | None:
        ready = all(" ready." in self.log_of(worker).read_text() for worker in WORKERS)
        return super()._healthy() and (ready or None)


def name_of_this_worker() -> str:
    """Return the name of the worker that asks: two on one machine are told apart by it in place of the hostname."""
    return os.environ[_NAME]
