"""The limit of requests per minute of each organization."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable

_MINUTE = 60.0


class RateLimit:
    """Counts the requests of the last sixty seconds of each organization. Rejected requests do not count.

    :param requests_per_minute: the limit; None means no limit
    """

    def __init__(self, clock: Callable[[], float], requests_per_minute: int | None = None) -> None:
        self.requests_per_minute = requests_per_minute
        self._clock = clock
        self._accepted: defaultdict[str, deque[float]] = defaultdict(deque)

    def accept(self, organization: str) -> int:
        """Return 0 and count the request, or return how many whole seconds its sender has to wait."""
        if self.requests_per_minute is None:
            return 0
        now = self._clock()
        accepted = self._accepted[organization]
        while accepted and now - accepted[0] >= _MINUTE:
            accepted.popleft()
        if len(accepted) < self.requests_per_minute:
            accepted.append(now)
            return 0
        return max(1, math.ceil(_MINUTE - (now - accepted[0])))
