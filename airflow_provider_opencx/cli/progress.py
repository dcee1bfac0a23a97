"""The progress bar of ``apply``: completed writes, their rate, and the rate limit."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from airflow_provider_opencx.cli.output import is_plain, progress_console


@contextmanager
def progress_bar(writes: int, requests_per_minute: int) -> Generator[Callable[[int, int], None]]:
    """Show a progress bar on stderr if that is a terminal; elsewhere the log says how far it is.

    :param writes: how many writes are planned; without one there is no bar.
    :param requests_per_minute: the rate limit of the connection.
    :return: to be called after each write, with the writes done and the writes planned.
    """
    if not writes or is_plain(sys.stderr):
        yield lambda done, planned: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    limit = f"at most {requests_per_minute} requests a minute"
    columns = (TextColumn("Applying"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    began = time.monotonic()
    with Progress(*columns, TimeElapsedColumn(), console=progress_console()) as progress:
        task = progress.add_task(limit, total=writes)

        def show(done: int, planned: int) -> None:
            pace = 60 * done / max(time.monotonic() - began, 1)
            progress.update(
                task, completed=done, total=planned, description=f"{pace:.0f} writes a minute, {limit}", refresh=True
            )

        yield show
