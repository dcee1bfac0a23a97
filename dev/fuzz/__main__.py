"""Runs the fuzz run and prints its result."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzz.campaign import Tally

MOST_MEMORY = 4 * 1024**3
"""Bytes of address space: what asks for more gets a MemoryError, and not the machine."""


def main() -> int:
    """Run the examples that were asked for; returns 1 if there are findings."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as home:
        prepare(home)
        from fuzz.campaign import run

        if options.reproduce:
            return _reproduce(Path(options.reproduce).read_text())
        tally = run(options.seed, options.examples, options.seconds)
    print(report(tally, options.seed))
    return 1 if tally.found else 0


def prepare(home: str) -> None:
    """Give this process an Airflow of its own, and bounded memory; before anything imports Airflow."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    os.environ.update(
        AIRFLOW_HOME=home, AIRFLOW__CORE__LOAD_EXAMPLES="False", AIRFLOW__LOGGING__LOGGING_LEVEL="CRITICAL"
    )
    os.environ["TMPDIR"] = tempfile.tempdir = os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = home
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _reproduce(text: str) -> int:
    """Try one example that a report shows."""
    from fuzz import replies, server
    from fuzz.probe import Probe

    names = {**vars(replies), **vars(server)}
    with Probe() as probe:
        outcome = probe.try_example(eval(text, names))  # noqa: S307 - it is what the caller wrote
    print(f"{outcome.ending}, {outcome.seconds:.2f} s, {outcome.memory >> 20} MiB, {outcome.requests} requests")
    for finding in outcome.findings:
        print(f"  {finding.kind}: {finding.detail}")
    return 1 if outcome.findings else 0


def report(tally: Tally, seed: int) -> str:
    """Return what came of the examples, as a text."""
    lines = [
        f"Seed {seed}: {tally.examples:,} examples, {tally.requests:,} requests, {tally.seconds:.0f} s",
        "",
        "How they ended",
        *(f"  {count:>9,}  {ending}" for ending, count in tally.endings.most_common()),
        "",
        f"Slowest exchange    {tally.slowest[0]:.2f} s    {_shown(tally.slowest[1])}",
        f"Largest memory      {tally.most_memory[0] >> 20} MiB    {_shown(tally.most_memory[1])}",
        "",
        f"Findings: {len(tally.found)}",
    ]
    for kind, found in sorted(tally.found.items(), key=lambda item: -item[1].times):
        lines += [
            f"  {found.times:>9,}  {kind}",
            f"             {found.detail!r}",
            f"             {found.example!r}",
        ]
    return "\n".join(lines)


def _shown(example: object) -> str:
    text = repr(example)
    return text if len(text) <= 1000 else f"{text[:1000]}..."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make fuzz", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="what chance begins with; the same seed, the same examples")
    parser.add_argument("--examples", type=int, default=10**6, help="how many examples are drawn at most")
    parser.add_argument("--seconds", type=float, default=600, help="after how many seconds it ends")
    parser.add_argument("--reproduce", metavar="FILE", help="try just the example in a file, as a report shows it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
