"""Shows the results of benchmarks as Markdown: ratios first, then tables, then how they were measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = (
    "airflow-provider-opencx",
    "apache-airflow-core",
    "apache-airflow-providers-http",
    "httpx",
    "aiohttp",
    "pydantic",
)


@dataclass
class Table:
    """A table of Markdown.

    :param title: what it shows.
    :param columns: what stands over each column.
    :param rows: the rows.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_markdown(self) -> str:
        """Return the table, its columns as wide as they need."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        written = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in lines
        ]
        written.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
        return "\n".join([f"**{self.title}**", "", *written])


@dataclass
class Section:
    """What one benchmark found.

    :param title: what was measured.
    :param ratios: the results in a sentence each, for those who read no further.
    :param tables: the figures.
    :param notes: how they were measured and what they do not show, in Markdown.
    """

    title: str
    ratios: Sequence[str] = ()
    tables: Sequence[Table] = ()
    notes: str = ""

    def as_markdown(self) -> str:
        """Return the section without its ratios, which :func:`results` puts before all sections."""
        return "\n\n".join([f"## {self.title}", *(table.as_markdown() for table in self.tables), self.notes.strip()])


def show(measure: Callable[[bool], Section]) -> None:
    """Measure and print: as Markdown, or as JSON for :func:`read`. ``--quick`` measures less."""
    if "--json" not in sys.argv:
        section = measure("--quick" in sys.argv)
        print("\n\n".join(["\n".join(f"- {ratio}" for ratio in section.ratios), section.as_markdown()]))
        return
    # Whatever else prints, Airflow among others, does so to the error output.
    output = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(output, "w") as written:
        json.dump(asdict(measure("--quick" in sys.argv)), written)


def read(text: str) -> Section:
    """Return the section that :func:`show` has printed as JSON."""
    section = json.loads(text)
    return Section(**{**section, "tables": [Table(**table) for table in section["tables"]]})


def results(sections: Sequence[Section], *, took: float, quick: bool) -> str:
    """Return the whole of ``RESULTS.md``."""
    ratios = [f"- {ratio}" for section in sections for ratio in section.ratios]
    return (
        "\n\n".join(
            [
                "# Benchmarks",
                "Made by `make bench`, which measures this provider beside the same work done with"
                " `apache-airflow-providers-http`, in one run on one machine against the simulator.",
                *(["**A quick run: fewer repetitions and smaller sizes.**"] if quick else []),
                "\n".join(ratios),
                machine().as_markdown(),
                f"The run took {seconds(took)}. Times vary from run to run, and on a busy machine by a lot. How"
                " many requests this provider sends, and how many processes run, does not vary.",
                *(section.as_markdown() for section in sections),
            ]
        )
        + "\n"
    )


def machine() -> Table:
    """Return what it ran on."""
    rows = [
        ("Date", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        ("Commit", _commit()),
        ("Processor", f"{_processor()}, {psutil.cpu_count()} cores"),
        ("Memory", f"{psutil.virtual_memory().total / 2**30:.0f} GiB"),
        ("System", _system()),
        ("Python", platform.python_version()),
        *((package, _version(package)) for package in PACKAGES),
    ]
    return Table("The machine", ("What", "Which"), rows)


def _commit() -> str:
    """Return the commit that was measured, and whether files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "not known"
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _system() -> str:
    kernel = " ".join([platform.system(), ".".join(platform.release().split(".")[:2])])
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def seconds(value: float) -> str:
    """Write a time, in the unit that suits it."""
    if value == 0:
        return "at once"
    if value < 0.1:
        return f"{value * 1000:.1f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s" if value < 600 else f"{value / 60:.0f} min"


def times(more: float, less: float) -> str:
    """Write how many times one figure is another."""
    ratio = more / less
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times"
