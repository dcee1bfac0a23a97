"""Polls for phone numbers for a long time, to show whether memory or anything else grows.

One worker waits, and then fifty triggers in one event loop, for agents whose numbers come with the last poll. Polls,
client and HTTP are the real ones; the pauses between polls cost no time. Every tenth response is odd.

``python soak.py --polls 20000`` in ``dev/``, or ``make soak POLLS=20000``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import sys
import tempfile
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from unittest.mock import patch

from fuzz.measures import open_files, peak, resident
from fuzz.replies import Reply, Times, written
from fuzz.server import End, RawServer, Received, Step

WAITING = 50
"""Triggers that wait in one event loop."""

POLL_INTERVAL = 60.0

CHECKPOINTS = (0.1, 0.25, 0.5, 1.0)
"""The parts of the polls after which is measured."""

WARM_UP = 1
"""The checkpoint from which on nothing may grow."""

MOST_TRACED_GROWTH = 2 * 1024 * 1024
"""Bytes that Python may have more at the end than after the warm-up."""

MOST_RESIDENT_GROWTH = 8 * 1024 * 1024
"""Bytes of memory that the process may have more: the system gives it more than Python asks for."""

MOST_MORE = 3
"""Files and threads that there may be more: those of a request that is just on its way."""

MOST_LINES = 0.5
"""Lines of log for each poll."""

LONGEST_PAUSE = 0.5
"""Seconds for which the event loop may be kept from its other triggers."""

_NUMBER = "+14155550123"
_monotonic, _monotonic_ns, _sleep = time.monotonic, time.monotonic_ns, asyncio.sleep


class Clock:
    """A clock on which a pause is over at once."""

    def __init__(self) -> None:
        self._slept = 0.0

    def sleep(self, seconds: float) -> None:
        """Move on by so many seconds."""
        self._slept += seconds

    def monotonic(self) -> float:
        """Return the seconds, those that were slept among them."""
        return _monotonic() + self._slept

    def monotonic_ns(self) -> int:
        """Return the same in nanoseconds."""
        return _monotonic_ns() + int(self._slept * 1e9)

    @contextmanager
    def in_place_of_time(self) -> Generator[None]:
        """Let the client, the worker and the rate limit have this clock. The event loop has the real one."""
        with (
            patch.object(time, "sleep", self.sleep),
            patch("pyrate_limiter.clocks.monotonic_ns", self.monotonic_ns),
        ):
            yield


@dataclass
class Service:
    """A service that shows some agents, odd ones with every tenth response, and their numbers when it is told to.

    :param names: the names of the agents.
    """

    names: Sequence[str]
    has_numbers: bool = False

    def respond(self, received: Received) -> list[Step]:
        """Return what is sent for a request."""
        place = received.number
        if self.has_numbers or place % 10:
            return self._listed(lambda name: None).steps()
        return self._odd(place // 10).steps()

    def _listed(self, number: Callable[[str], object], **fields: object) -> Reply:
        agents = [
            {"id": f"id-{name}", "name": name, "phone_number": _NUMBER if self.has_numbers else number(name), **fields}
            for name in self.names
        ]
        return Reply(headers=(b"Content-Type: application/json",), entity=(json.dumps(agents).encode(),))

    def _odd(self, place: int) -> Reply:
        sound = self._listed(lambda name: None)
        half = written(sound.entity)[:-5]
        error = b'{"statusCode": %d, "message": "error %d ", "more": "'
        odd: list[Callable[[], Reply]] = [
            lambda: self._listed(lambda name: f"pending {place} for {name}"),
            lambda: Reply(status_line=b"HTTP/1.1 503 Busy", entity=(b"<html>busy %d</html>" % place,)),
            lambda: Reply(headers=(b"X-Request-Id: %d" % place,), entity=(half,)),
            lambda: Reply(entity=sound.entity, cut=300, end=End.RESET),
            lambda: Reply(
                status_line=b"HTTP/1.1 500 Error", entity=(error % (500, place), Times(b"y", 300_000), b'"}')
            ),
            lambda: Reply(headers=(b"Content-Encoding: gzip",), entity=sound.entity, codings=("gzip",)),
            lambda: Reply(
                status_line=b"HTTP/1.1 429 Slow", headers=(b"Retry-After: 30",), entity=(error % (429, place), b'"}')
            ),
            lambda: self._listed(lambda name: "", **{f"new field {place}": [place], "language": place}),
            lambda: Reply(status_line=b"HTTP/1.1 401 No", entity=(error % (401, place), b'"}')),
            lambda: Reply(status_line=b"not HTTP %d" % place, framing="none", end=End.CLOSE),
            lambda: Reply(entity=sound.entity, framing="chunked", chunk=700, end=End.CLOSE),
            lambda: Reply(entity=(b'[{"id": "x", "name": %d, "phone_number": [%d]}]' % (place, place),)),
            lambda: Reply(entity=sound.entity, cut=0, end=End.CLOSE),
            lambda: Reply(headers=(b"Set-Cookie: session=%d; Max-Age=9999999" % place,), entity=sound.entity),
        ]
        return odd[place % len(odd)]()


@dataclass(frozen=True)
class Sample:
    """What was measured after so many polls. Memory is in bytes."""

    polls: int
    traced: int
    resident: int
    peak: int
    files: int
    threads: int
    lines: int
    objects: Counter[str] = field(repr=False)


class Meter(logging.Handler):
    """Counts polls and lines of log, and measures at the checkpoints.

    :param polls: how many polls there will be.
    :param at_end: called with the last of them.
    """

    def __init__(self, polls: int, at_end: Callable[[], None]) -> None:
        super().__init__(logging.INFO)
        self.samples: list[Sample] = []
        self.longest_pause = 0.0
        self._checkpoints = [max(1, int(polls * part)) for part in CHECKPOINTS]
        self._polls = 0
        self._lines = 0
        self._has_measured = False
        self._at_end = at_end

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line; what it says is written, and thrown away."""
        self._lines += 1
        record.getMessage()

    def count_poll(self) -> None:
        """Count a poll, and measure if it is time."""
        self._polls += 1
        if self._polls in self._checkpoints:
            self._measure()
        if self._polls == self._checkpoints[-1]:
            self._at_end()

    def _measure(self) -> None:
        self._has_measured = True
        gc.collect()
        objects = Counter(type(each).__qualname__ for each in gc.get_objects())
        self.samples.append(
            Sample(
                polls=self._polls,
                traced=tracemalloc.get_traced_memory()[0],
                resident=resident(),
                peak=peak(),
                files=open_files(),
                threads=threading.active_count(),
                lines=self._lines,
                objects=objects,
            )
        )

    async def watch_loop(self) -> None:
        """Measure for ever for how long the event loop serves nobody else; a busy machine's pauses do not count."""
        while True:
            at, computed = _monotonic(), time.process_time()
            await _sleep(0.005)
            pause = min(_monotonic() - at - 0.005, time.process_time() - computed)
            if not self._has_measured:  # which takes longer than any poll
                self.longest_pause = max(self.longest_pause, pause)
            self._has_measured = False

    @contextmanager
    def counting_lines(self) -> Generator[None]:
        """Count what the provider logs, at the level of a worker."""
        logger = logging.getLogger("airflow_provider_opencx")
        logger.addHandler(self)
        with patch.object(logger, "level", logging.INFO), patch.object(logger, "propagate", False):
            logger.manager._clear_cache()  # type: ignore[attr-defined]
            yield
        logger.removeHandler(self)


def soak_worker(polls: int) -> tuple[Meter, object]:
    """Let one worker wait for one agent; return what was measured, and what the wait returned."""
    from airflow_provider_opencx.hooks.opencx import OpenCXHook
    from airflow_provider_opencx.phone_agents.polling import poll_until
    from airflow_provider_opencx.phone_agents.waiting import Wait

    service = Service([f"agent {place}" for place in range(10)])
    meter = Meter(polls, lambda: setattr(service, "has_numbers", True))
    clock = Clock()

    def pause(seconds: float) -> None:
        clock.sleep(seconds)
        meter.count_poll()

    with served(service), clock.in_place_of_time(), meter.counting_lines():
        hook = OpenCXHook(max_retries=0)
        of_worker = SimpleNamespace(sleep=pause, monotonic=clock.monotonic, time=time.time)
        with patch("airflow_provider_opencx.phone_agents.polling.time", of_worker):
            result = poll_until(
                hook.list_phone_agents, Wait(None, "agent 7"), poke_interval=POLL_INTERVAL, timeout=float("inf")
            )
        hook.get_conn().close()
    return meter, result


def soak_triggers(polls: int) -> tuple[Meter, list[object]]:
    """Let fifty triggers wait in one event loop; return what was measured, and how they ended."""
    from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger

    service = Service([f"agent {place}" for place in range(WAITING)])
    meter = Meter(polls, lambda: setattr(service, "has_numbers", True))
    clock = Clock()

    async def pause(seconds: float) -> None:
        clock.sleep(seconds)
        meter.count_poll()
        await _sleep(0)

    async def wait(name: str) -> object:
        trigger = OpenCXPhoneNumberTrigger("opencx_default", agent_name=name, poll_interval=POLL_INTERVAL)
        return [event.payload["status"] async for event in trigger.run()]

    async def wait_all() -> list[object]:
        watching = asyncio.create_task(meter.watch_loop())
        try:
            return list(await asyncio.gather(*map(wait, service.names)))
        finally:
            watching.cancel()

    of_triggers = SimpleNamespace(**vars(asyncio) | {"sleep": pause})
    with (
        served(service),
        clock.in_place_of_time(),
        meter.counting_lines(),
        patch("airflow_provider_opencx.triggers.polling.asyncio", of_triggers),
        patch("airflow_provider_opencx.triggers.polling.time", SimpleNamespace(monotonic=clock.monotonic)),
    ):
        return meter, asyncio.run(wait_all())


@contextmanager
def served(service: Service) -> Generator[None]:
    """Put a service behind the default connection."""
    from airflow_standalone import connection_json

    with RawServer() as server:
        server.begin(service.respond)
        connection = connection_json(server.url, "soak-key-0123456789", timeout=5, coordination="process")
        with patch.dict(os.environ, AIRFLOW_CONN_OPENCX_DEFAULT=connection):
            yield


def problems_of(meter: Meter) -> list[str]:
    """Return what grew, in sentences."""
    first, last = meter.samples[WARM_UP], meter.samples[-1]
    limits = {
        "traced bytes": (last.traced - first.traced, MOST_TRACED_GROWTH),
        "resident bytes": (last.resident - first.resident, MOST_RESIDENT_GROWTH),
        "files": (last.files - first.files, MOST_MORE),
        "threads": (last.threads - first.threads, MOST_MORE),
        "lines of log": (last.lines - first.lines, int(MOST_LINES * (last.polls - first.polls))),
    }
    grown = [
        f"{growth:,} more {name}, {most:,} are allowed" for name, (growth, most) in limits.items() if growth > most
    ]
    if meter.longest_pause > LONGEST_PAUSE:
        grown.append(f"the event loop paused for {meter.longest_pause:.2f} s")
    return grown


def report(name: str, meter: Meter, seconds: float) -> str:
    """Return what was measured, as a text."""
    first, last = meter.samples[WARM_UP], meter.samples[-1]
    more = Counter({kind: last.objects[kind] - first.objects[kind] for kind in last.objects})
    lines = [f"{name}, {seconds:.0f} s", "", "   polls  traced KiB  resident MiB  peak MiB  files  threads  log lines"]
    for each in meter.samples:
        memory = f"{each.traced / 1024:>10,.0f}  {each.resident / 2**20:>12.1f}  {each.peak / 2**20:>8.1f}"
        lines.append(f"{each.polls:>8,}  {memory}  {each.files:>5}  {each.threads:>7}  {each.lines:>9,}")
    grown = ", ".join(f"{count:+,} {kind}" for kind, count in more.most_common(5) if count > 0) or "none"
    lines += ["", f"objects from {first.polls:,} to {last.polls:,} polls: {grown}"]
    if meter.longest_pause:
        lines.append(f"longest pause of the event loop: {meter.longest_pause * 1000:.0f} ms")
    return "\n".join([*lines, *(f"GROWN: {problem}" for problem in problems_of(meter)), ""])


def main() -> int:
    """Soak the worker and the triggers; returns 1 if something grew."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--polls", type=int, default=20_000, help="how many polls, of the worker and of the triggers")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="soak-") as home:
        from fuzz.__main__ import prepare

        prepare(home)
        tracemalloc.start()
        for name, soak in (("One worker", soak_worker), (f"{WAITING} triggers in one event loop", soak_triggers)):
            began = _monotonic()
            meter, result = soak(options.polls)
            print(report(name, meter, _monotonic() - began), flush=True)
            found += problems_of(meter)
            is_right = result == [["success"]] * WAITING if isinstance(result, list) else isinstance(result, dict)
            if not is_right:
                found.append("wrong result")
                print(f"WRONG RESULT: {str(result)[:300]}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
