"""Runs a script in a process of its own, and ends everything that the script has started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent
_SECONDS_TO_END = 60.0


def run_script(
    name: str, *arguments: str, within: float, variables: Mapping[str, str], errors: IO[str] | None = None
) -> str:
    """Run a script of this folder and return what it has printed.

    :param name: the script.
    :param arguments: its arguments.
    :param within: seconds after which it is ended.
    :param variables: its environment.
    :param errors: where its error output goes; left out, to that of this process.
    :raises subprocess.SubprocessError: if it failed, or did not end in time.
    """
    command = [sys.executable, str(HERE / name), *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=errors, text=True, env=dict(variables), start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=within)
    finally:
        if process.poll() is None:
            _end(process)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return output


def _end(process: subprocess.Popen[str]) -> None:
    """Interrupt a process and all of its session, so that they can clear up; then kill what is left."""
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGINT)
        process.wait(_SECONDS_TO_END)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
