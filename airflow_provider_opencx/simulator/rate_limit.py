"""How many requests a minute an organization may send."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable

_MINUTE = 60.0


class RateLimit:
    """Counts the requests of the last sixty seconds, of each organization by itself; a refused one does not count."""

    def __init__(self, clock: Callable[[], float], requests_per_minute: int | None = None) -> None:
        self.requests_per_minute = requests_per_minute
        self._clock = clock
        self._admitted: defaultdict[str, deque[float]] = defaultdict(deque)

    def admit(self, organization: str) -> int:
        """Admit a request and return 0, or refuse it and return the whole seconds to wait."""
        if self.requests_per_minute is None:
            return 0
        now = self._clock()
        admitted = self._admitted[organization]
        while admitted and now - admitted[0] >= _MINUTE:
            admitted.popleft()
        if len(admitted) < self.requests_per_minute:
            admitted.append(now)
            return 0
        return max(1, math.ceil(_MINUTE - (now - admitted[0])))
