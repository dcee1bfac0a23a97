"""Runs only ``airflow api-server``, with users of every role, for tests and benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx
import psutil
from airflow_standalone import end, free_port, wait_for

USERS = {"viewer": "viewer", "user": "user", "op": "op", "admin": "admin"}
"""Who may log in, and their roles."""

AIRFLOW = Path(sys.executable).with_name("airflow")
"""Airflow's command line."""

_STARTED_WITHIN = 180.0


class ApiServer:
    """An API server of Airflow.

    :param folder: where its log and its passwords lie.
    :param environment: its environment: that of an Airflow whose database exists.
    :param users: the users and their roles, with teams behind a colon where Airflow has teams.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], users: Mapping[str, str] = USERS) -> None:
        self.log_file = folder / "api-server.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._users = users
        self._passwords = folder / "passwords.json"
        self._environment = {
            **environment,
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in users.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords),
        }
        self._http = httpx.Client(base_url=self.url, timeout=120)
        self._tokens: dict[str, str] = {}
        self._started: subprocess.Popen[bytes] | None = None

    def get(self, path: str, user: str | None = None, *, token: str | None = None) -> httpx.Response:
        """Ask for a path, as a user, with a token, or as nobody."""
        return self._http.get(path, headers=_as_bearer(token or (None if user is None else self.token(user))))

    def seconds_to_first_byte(self, path: str, user: str) -> float:
        """Ask for a path, which must be there, and return after how many seconds the response began to arrive."""
        headers = _as_bearer(self.token(user))
        began_at = time.perf_counter()
        with self._http.stream("GET", path, headers=headers) as response:
            for _ in response.raise_for_status().iter_raw(1):
                return time.perf_counter() - began_at
        raise RuntimeError(f"{path}: the response has no body")

    def token(self, user: str) -> str:
        """Return the token with which a user is logged in."""
        if user not in self._tokens:
            answer = self._http.post("/auth/token", json={"username": user, "password": user}).raise_for_status()
            self._tokens[user] = str(answer.json()["access_token"])
        return self._tokens[user]

    def processes(self) -> list[psutil.Process]:
        """Return its processes."""
        if self._started is None:
            return []
        leader = psutil.Process(self._started.pid)
        return [leader, *leader.children(recursive=True)]

    def __enter__(self) -> Self:
        self._passwords.write_text(json.dumps({name: name for name in self._users}))
        command = [str(AIRFLOW), "api-server", "--workers", "1", "--host", "127.0.0.1"]
        with self.log_file.open("ab") as log:
            self._started = subprocess.Popen(
                [*command, "--port", self.url.rpartition(":")[2]],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            wait_for("API server", self._responds, within=_STARTED_WITHIN)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        end(self.processes())
        if self._started is not None:
            self._started.wait()
        self._http.close()

    def _responds(self) -> bool | None:
        if self._started is not None and self._started.poll() is not None:
            raise RuntimeError(f"The API server ended by itself; its log is {self.log_file}")
        try:
            return True if self._http.get("/api/v2/version").is_success else None
        except httpx.HTTPError:
            return None


def _as_bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
