"""The rate limit of this process: requests with the same key and rate share one limiter."""

from __future__ import annotations

import os
from collections.abc import Awaitable

from pyrate_limiter import Duration, InMemoryBucket, Limiter, Rate, SingleBucketFactory

from airflow_provider_opencx.client.coordination import IMPORTS, digest
from airflow_provider_opencx.client.settings import ClientSettings


class ProcessLimiter(Limiter):
    """A limiter of one process, which holds no more than the requests of a minute, and needs no thread for that.

    :param requests_per_minute: the most requests a minute.
    """

    def __init__(self, requests_per_minute: int) -> None:
        self._rate = Rate(requests_per_minute, Duration.MINUTE)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Begin as in a new process: without what was counted, and without a lock that nobody will release."""
        self._counted = InMemoryBucket([self._rate])
        super().__init__(SingleBucketFactory(self._counted, schedule_leak=False))

    def before_fork(self) -> None:
        """Prepare for a fork. This process then continues with :meth:`after_fork`, and the other begins again."""

    def after_fork(self) -> None:
        """Go on after a fork."""

    def try_acquire(
        self, name: str = "request", weight: int = 1, blocking: bool = True, timeout: float = -1
    ) -> bool | Awaitable[bool]:
        """Wait until a request may be sent, and count it."""
        self._counted.leak(self._counted.now())  # type: ignore[no-untyped-call]  # of pyrate-limiter
        return super().try_acquire(name, weight, blocking, timeout)


def limiter_of(settings: ClientSettings) -> Limiter:
    """Return the limiter of this process for some settings, however many clients have them.

    It stays usable in a fork, which begins again: also for a client that was made before.
    """
    requests_per_minute, coordination = settings.requests_per_minute, settings.coordination
    shared_in = coordination if isinstance(coordination, str) else coordination.reveal()
    key = digest("limiter", settings.base_url, settings.api_key.reveal(), str(requests_per_minute), shared_in)
    limiter = _limiters.get(key)
    if limiter is None:
        with IMPORTS:  # no fork begins before it is known
            limiter = _limiters.setdefault(key, _new_limiter(settings))
    return limiter


def _new_limiter(settings: ClientSettings) -> ProcessLimiter:
    if settings.coordination == "process":
        return ProcessLimiter(settings.requests_per_minute)
    from airflow_provider_opencx.client.rate_limit import shared_limiter

    return shared_limiter(settings.coordination, settings.base_url, settings.api_key, settings.requests_per_minute)


_limiters: dict[str, ProcessLimiter] = {}


def _before_fork() -> None:
    IMPORTS.acquire()
    for limiter in _limiters.values():
        limiter.before_fork()


def _after_fork() -> None:
    for limiter in _limiters.values():
        limiter.after_fork()
    IMPORTS.release()


def _begin_anew() -> None:
    for limiter in _limiters.values():
        limiter.begin_anew()
    IMPORTS.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_begin_anew)
