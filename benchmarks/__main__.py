"""Runs the benchmarks: ``python benchmarks``, or some of them: ``python benchmarks overhead fleet``.

A run of all writes ``RESULTS.md``. One that breaks says why, and the others go on; nothing here fails a build. With
``--quick`` less is measured and nothing is written.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from own_process import HERE, run_script
from report import Section, read, results

BENCHMARKS = {
    "waiting": 18,
    "worker_processes": 3,
    "first_run": 6,
    "fleet": 3,
    "campaign": 2,
    "extraction": 3,
    "command_line": 1,
    "import_time": 1,
    "overhead": 1,
}
"""Each with the minutes that it takes, more or less."""

AT_THE_MOST = 30 * 60


def main() -> None:
    """Measure, print and write."""
    quick = "--quick" in sys.argv
    names = [name for name in BENCHMARKS if name in sys.argv] or list(BENCHMARKS)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="opencx-benchmarks-") as folder:
        sections = [_measured(name, Path(folder) / name, quick) for name in names]
    text = results(sections, took=time.monotonic() - started, quick=quick)
    print(text)
    if not quick and names == list(BENCHMARKS):
        (HERE / "RESULTS.md").write_text(text)


def _measured(name: str, home: Path, quick: bool) -> Section:
    """Run one benchmark in a process and with an Airflow of its own."""
    patience = "" if quick else f", some {BENCHMARKS[name]} min"
    print(f"{name}{patience} ...", file=sys.stderr, flush=True)
    home.mkdir()
    inherited = {variable: value for variable, value in os.environ.items() if not variable.startswith("AIRFLOW")}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    log = home / "log"
    with log.open("w") as errors:
        try:
            printed = run_script(
                f"{name}.py",
                "--json",
                *(["--quick"] if quick else []),
                within=AT_THE_MOST,
                variables={**inherited, "AIRFLOW_HOME": str(home)},
                errors=errors,
            )
            return read(printed)
        except Exception as problem:  # whatever it is, the others go on
            last_words = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            return Section(name, notes=f"Could not be measured: {problem}\n\n```\n{last_words}\n```")


if __name__ == "__main__":
    main()
