"""Runs a fault campaign and prints its result."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fault_campaign.campaign import Share, Tally

_RUNS_OF_A_SHARE = 25


def main() -> int:
    """Run the runs that were asked for; returns 1 if a promise was broken in one of them."""
    options = _parser().parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fault-campaign-") as home:
        # Before anything imports Airflow: nothing of the caller's Airflow is read or written.
        for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
            del os.environ[name]
        # What goes wrong is meant to, and is counted: nobody could read the log of it.
        os.environ.update(
            AIRFLOW_HOME=home, AIRFLOW__CORE__LOAD_EXAMPLES="False", AIRFLOW__LOGGING__LOGGING_LEVEL="CRITICAL"
        )
        from fault_campaign.campaign import Share
        from fault_campaign.removed_fixes import REMOVED_FIXES
        from fault_campaign.scenario import PARTS

        parts = options.part or (PARTS if options.find is None else [REMOVED_FIXES[options.find].part])
        last = options.first + options.runs
        shares = [
            Share(
                options.seed,
                range(first, min(first + _RUNS_OF_A_SHARE, last)),
                options.coordination,
                options.find,
                parts,
            )
            for first in range(options.first, last, _RUNS_OF_A_SHARE)
        ]
        with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as processes:
            if options.find is not None:
                return _find(options.find, shares, processes)
            tally = _run(shares, processes, started)
    print(report(tally, options.seed))
    print(f"\n{time.monotonic() - started:.0f} s in {options.processes} processes")
    return 1 if tally.sentences else 0


def _run(shares: Sequence[Share], processes: Executor, started: float) -> Tally:
    from fault_campaign.campaign import Tally, run_share

    tally = Tally()
    runs = sum(len(share.numbers) for share in shares)
    for share in processes.map(run_share, shares):
        tally.add(share)
        _show_progress(tally.counted["runs"], runs, started)
    return tally


def _find(name: str, shares: Sequence[Share], processes: Executor) -> int:
    """Print the first run that finds a fix of the provider missing; returns 1 if none does."""
    from fault_campaign.campaign import run_share
    from fault_campaign.removed_fixes import REMOVED_FIXES

    promise = REMOVED_FIXES[name].breaks
    for tally in processes.map(run_share, shares):
        for number, sentences in sorted(tally.sentences.items()):
            found = [sentence for sentence in sentences if sentence.startswith(promise)]
            if found:
                print(f"Run {number} finds the fix {name!r} missing.\n  {found[0]}")
                processes.shutdown(cancel_futures=True)
                return 0
    print(f"No run finds the fix {name!r} missing.")
    return 1


def report(tally: Tally, seed: int) -> str:
    """Return what came of some runs, as a text."""
    parts = [
        f"Seed {seed}",
        _table("What was done", tally.counted),
        _table("What went wrong on the way", dict(tally.faults.most_common())),
        _table("How the tasks ended", dict(tally.endings.most_common())),
        _table("What was promised, and broken", tally.broken),
    ]
    for number, sentences in sorted(tally.sentences.items()):
        parts.append(f"Run {number} (make faults SEED={seed} FIRST={number} RUNS=1)")
        parts += [f"  {sentence}" for sentence in sentences]
    return "\n\n".join(parts)


def _table(title: str, counts: Mapping[str, int]) -> str:
    return "\n".join([title, *(f"  {count:>9,}  {name}" for name, count in counts.items())])


def _show_progress(done: int, runs: int, started: float) -> None:
    line = f"{done} of {runs} runs, {time.monotonic() - started:.0f} s"
    if sys.stderr.isatty():
        print(f"\r{line} ", end="\n" if done == runs else "", file=sys.stderr, flush=True)
    elif done % 1000 == 0:
        print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make faults", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="what chance begins with; the same seed is the same runs")
    parser.add_argument("--runs", type=int, default=300, help="how many runs")
    parser.add_argument("--first", type=int, default=0, help="the number of the first, to repeat a run by its number")
    parser.add_argument(
        "--coordination",
        choices=("machine", "none"),
        default="machine",
        help="what the workers share; none is no locks",
    )
    parser.add_argument(
        "--find",
        metavar="FIX",
        help="take a fix of removed_fixes.py out, and print the first run that finds it missing",
    )
    parser.add_argument(
        "--part",
        action="append",
        choices=("agents", "training", "calls", "sequences", "extractions"),
        help="what to run of each; all by default",
    )
    parser.add_argument("--processes", type=int, default=2 * (os.cpu_count() or 1), help="how many at a time")
    return parser


if __name__ == "__main__":
    sys.exit(main())
