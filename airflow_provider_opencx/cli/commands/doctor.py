"""``doctor``: checks the connection and the service with read requests only."""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.command import Argument, Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.output import is_plain, progress_console, write_text, write_value

if TYPE_CHECKING:
    from airflow_provider_opencx.client.settings import ClientSettings
    from airflow_provider_opencx.doctor.findings import Surroundings
    from airflow_provider_opencx.doctor.readings import Readings
    from airflow_provider_opencx.doctor.report import Line

DEFAULT_TIME_LIMIT = 60.0
"""Seconds after which nothing more is read."""

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red", "unknown": "cyan"}


def run(options: Namespace) -> ExitCode:
    """Read the service, and write the report."""
    from airflow_provider_opencx.doctor.diagnosis import diagnose
    from airflow_provider_opencx.doctor.findings import Findings
    from airflow_provider_opencx.doctor.report import report_lines, report_value
    from airflow_provider_opencx.doctor.shown_names import ShownNames

    with open_client(options) as connected:
        settings = connected.client.settings
        at = datetime.now(UTC)
        readings = _read(settings, options.time_limit)
        surroundings = _surroundings(settings, connected.key_from)
    diagnosis = diagnose(Findings(surroundings, readings, ShownNames(settings.api_key), at))
    if options.output == "table":
        _write_lines(report_lines(diagnosis, at))
    else:
        write_value(report_value(diagnosis, at), options.output)
    return ExitCode.ERROR if diagnosis.has_problem else ExitCode.DONE


def _read(settings: ClientSettings, seconds: float) -> Readings:
    from airflow_provider_opencx.doctor.reader import read_service

    if is_plain(sys.stderr):
        return read_service(settings, seconds)
    with progress_console().status("Reading the service") as status:
        return read_service(settings, seconds, lambda done, of: status.update(f"Reading the service: {done} of {of}"))


def _surroundings(settings: ClientSettings, key_from: str) -> Surroundings:
    from urllib.parse import urlsplit

    from airflow_provider_opencx.client.network import proxy_for
    from airflow_provider_opencx.connection.addresses import is_loopback
    from airflow_provider_opencx.doctor.findings import Surroundings
    from airflow_provider_opencx.visible_text import visible

    return Surroundings(
        base_url=visible(settings.api_key.masked(settings.base_url)),
        key_from=key_from,
        is_encrypted=settings.base_url.startswith("https:"),
        is_on_this_machine=is_loopback(urlsplit(settings.base_url).hostname or ""),
        has_proxy=proxy_for(settings.base_url) is not None,
    )


def _write_lines(lines: Sequence[Line]) -> None:
    if is_plain(sys.stdout):
        write_text("\n".join(line.text for line in lines))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        text = Text(line.text)
        if line.status is not None:
            text.stylize(_STYLES[line.status.value], 0, len(line.status.value))
        console.print(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 3600")
    return seconds


COMMAND = Command(
    name="doctor",
    help="Check the connection, the key and the service, by reading alone; the report can be pasted into an issue.",
    example="python -m airflow_provider_opencx doctor\n"
    "python -m airflow_provider_opencx doctor --conn-id opencx_staging -o json",
    arguments=(
        *CONNECTION_ARGUMENTS,
        Argument(
            ("--time-limit",),
            {
                "metavar": "SECONDS",
                "type": _seconds,
                "default": DEFAULT_TIME_LIMIT,
                "help": f"stop reading after this time. Default: {DEFAULT_TIME_LIMIT:.0f}",
            },
        ),
    ),
    run=run,
)
