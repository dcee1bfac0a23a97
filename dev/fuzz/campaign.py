"""Tries many examples, and adds up their results."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from fuzz.corpus import CORPUS
from fuzz.probe import Outcome, Probe
from fuzz.replies import Example
from fuzz.simplify import simplified
from fuzz.strategies import examples as drawn_examples

ROUND = 200
"""Examples that Hypothesis draws before it begins anew, with the next seed: so its memory of them is bounded."""


@dataclass
class Found:
    """The findings of one kind.

    :param example: the first example that showed it, made simpler.
    :param detail: what was seen.
    :param times: how many examples showed it.
    """

    example: Example
    detail: str
    times: int = 1


@dataclass
class Tally:
    """What came of some examples."""

    examples: int = 0
    requests: int = 0
    seconds: float = 0.0
    endings: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, Example | None] = (0.0, None)
    most_memory: tuple[int, Example | None] = (0, None)
    found: dict[str, Found] = field(default_factory=dict)

    def add(self, example: Example, outcome: Outcome) -> None:
        """Add what came of an example; its findings apart."""
        self.examples += 1
        self.requests += outcome.requests
        self.endings[outcome.ending] += 1
        if outcome.slowest > self.slowest[0]:
            self.slowest = outcome.slowest, example
        if outcome.memory > self.most_memory[0]:
            self.most_memory = outcome.memory, example


def run(number: int, most_examples: int, most_seconds: float) -> Tally:
    """Try the examples that once found something, and then others that are drawn.

    :param number: the seed: with the same, the same examples are drawn, in the same order.
    :param most_examples: how many are drawn at most.
    :param most_seconds: seconds after which it ends.
    """
    tally = Tally()
    began = time.monotonic()
    random.seed(number)  # the jitter of the retries

    def left() -> int:
        """Return how many examples are yet to be drawn."""
        is_over = time.monotonic() - began > most_seconds
        return 0 if is_over else most_examples - max(0, tally.examples - len(CORPUS))

    with Probe() as probe:
        for example in CORPUS.values():
            if left():
                _try(probe, example, tally)
        round_number = 0
        while left():

            @seed(number * 1_000_000 + round_number)
            @settings(
                max_examples=min(ROUND, left()),
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                verbosity=Verbosity.quiet,
            )
            @given(drawn_examples())
            def try_one(example: Example) -> None:
                if left():
                    _try(probe, example, tally)

            try_one()
            round_number += 1
            tally.seconds = time.monotonic() - began
            print(f"{tally.examples} examples, {tally.seconds:.0f} s", file=sys.stderr, flush=True)
    return tally


def _try(probe: Probe, example: Example, tally: Tally) -> None:
    outcome = probe.try_example(example)
    tally.add(example, outcome)
    new = [finding for finding in outcome.findings if finding.kind not in tally.found]
    for finding in outcome.findings:
        if found := tally.found.get(finding.kind):
            found.times += 1
    searched = {finding.kind for finding in new}
    if searched:

        def shows_them(candidate: Example) -> bool:
            return searched <= {finding.kind for finding in probe.try_example(candidate).findings}

        example = simplified(example, shows_them)
    tally.found.update({finding.kind: Found(example, finding.detail) for finding in new})
