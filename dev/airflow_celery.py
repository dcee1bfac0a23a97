"""Runs an Airflow as in production: CeleryExecutor with two workers, on PostgreSQL and Redis."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil
from airflow_standalone import RunningAirflow

WORKERS = ("worker-1", "worker-2")
TASKS_OF_A_WORKER = 2

_NAME = "OPENCX_NAME_OF_WORKER"
_THIS_FOLDER = Path(__file__).resolve().parent


class AirflowCelery(RunningAirflow):
    """Scheduler, Dag processor, triggerer, API server and two Celery workers, each a command of its own.

    The log of each is its name in the AIRFLOW_HOME, such as ``worker-1.log``; what tasks log is in one folder, as if
    the workers shared a disk. The hostname of a task instance is the name of its worker.

    :param home: its AIRFLOW_HOME.
    :param dags: its Dags folder.
    :param redis: the address of a Redis, without a database; Celery's messages are in its database 0.
    :param variables: environment variables: the settings of a PostgreSQL database, and others, such as
        ``AIRFLOW_CONN_OPENCX_DEFAULT``.
    """

    def __init__(self, home: Path, dags: Path, redis: str, variables: Mapping[str, str]) -> None:
        super().__init__(
            home,
            dags,
            {
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                "AIRFLOW__CELERY__BROKER_URL": f"{redis}/0",
                "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{variables['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN']}",
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
