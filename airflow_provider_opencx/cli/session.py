"""Runs a command: sends logs to stderr, and turns errors into sentences and exit codes."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Generator
from contextlib import contextmanager
from io import TextIOWrapper

from airflow_provider_opencx.cli.command import Command, ExitCode
from airflow_provider_opencx.cli.output import say

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

PIPE_CLOSED = 141
"""The exit code where nobody reads the results to their end (``| head``), as shells have it."""


def run_command(command: Command, options: Namespace) -> int:
    """Run a command and return its exit code; nothing is raised.

    :param command: the command.
    :param options: its parsed options.
    """
    _open_closed_streams()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    with _logs_on_stderr(options.debug):
        try:
            code = command.run(options)
            sys.stdout.flush()
        except KeyboardInterrupt:
            say("Interrupted.")
            return INTERRUPTED
        except BrokenPipeError:
            _drop_stdout()
            return PIPE_CLOSED
        except Exception as error:
            _report(error, options.debug)
            return ExitCode.ERROR
    return code


def _open_closed_streams() -> None:
    """Let a stream that the shell has closed (``<&-``, ``>&-``, ``2>&-``) be an empty one, which nobody reads."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # open until the process ends


def _report(error: Exception, debug: bool) -> None:
    from airflow_provider_opencx.exceptions import OpenCXError

    if debug:
        say("".join(traceback.format_exception(error)).rstrip())
    elif isinstance(error, OpenCXError):
        say(f"Error: {error}")
    else:
        say(f"Error: {type(error).__name__}: {error}. With --debug, the place where it was raised is shown.")


def _drop_stdout() -> None:
    """Let Python write what is left of stdout to nowhere when it ends, and not complain that nobody reads it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


@contextmanager
def _logs_on_stderr(debug: bool) -> Generator[None]:
    """Write this package's logs to stderr, and keep them from Airflow's handlers, which may write to stdout."""
    log = logging.getLogger("airflow_provider_opencx")
    before = log.level, log.propagate
    handler = _StderrHandler()
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.level, log.propagate = before
        log.setLevel(log.level)


class _StderrHandler(logging.Handler):
    """Writes log messages to what is stderr at the time: a progress bar replaces it for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = "" if record.levelno == logging.INFO else f"{record.levelname.capitalize()}: "
            say(f"{level}{record.getMessage()}")
        except OSError:
            self.handleError(record)
