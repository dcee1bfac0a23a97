"""Runs the servers that an Airflow and the tests use beside it: PostgreSQL and Redis.

Each is on this machine, on a free port, and ends with the ``with`` block that started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psutil
from airflow_standalone import end, free_port, wait_for
from redis import Redis, RedisError

_STARTED_WITHIN = 60.0


@contextmanager
def running_postgres(program: Path) -> Iterator[Callable[[], str]]:
    """Give a function that makes an empty database, in a PostgreSQL that runs as long as the block.

    It returns the URL of the database, ``postgresql://...``.

    :param program: the server, ``postgres``; ``initdb``, ``createdb`` and ``pg_isready`` are beside it.
    """
    names = (f"airflow_{number}" for number in count(1))
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
        address = ("--host=127.0.0.1", f"--port={port}")
        is_ready: list[str | Path] = [program.with_name("pg_isready"), "--quiet", *address]

        def new_database() -> str:
            name = next(names)
            subprocess.run([program.with_name("createdb"), *address, "--username=airflow", name], check=True)
            return f"postgresql://airflow@127.0.0.1:{port}/{name}"

        with _running_server(
            [program, "-D", data, "-p", port, *options],
            lambda: subprocess.run(is_ready, check=False).returncode == 0,
            Path(folder),
            user,
        ):
            yield new_database


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
        wait_for(f"answer of {command[0]}", ready, within=_STARTED_WITHIN, every=0.1)
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
