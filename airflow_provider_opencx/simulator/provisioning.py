"""When a new agent gets its phone number."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_FORM = re.compile(r"(?P<amount>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>ms|s|m|reads?)")


@dataclass(frozen=True, slots=True)
class Provisioning:
    """When a new agent gets its number: after a time, after some reads of the list, or (with neither) never."""

    seconds: float | None = None
    reads: int | None = None

    @classmethod
    def parse(cls, text: str) -> Provisioning:
        """Read ``now``, ``5s``, ``500ms``, ``2m``, ``3reads`` or ``never``.

        ``3reads`` means that the organization's list is read three times without the number; the next has it.
        """
        plain = text.strip().lower()
        if plain == "now":
            return cls(seconds=0)
        if plain == "never":
            return cls()
        form = _FORM.fullmatch(plain)
        if form and form["unit"] in _SECONDS:
            return cls(seconds=float(form["amount"]) * _SECONDS[form["unit"]])
        if form and form["amount"].isdigit():
            return cls(reads=int(form["amount"]))
        raise ValueError(f"{text!r} is not a time of provisioning: write now, 5s, 500ms, 2m, 3reads or never.")

    def is_due(self, seconds: float, reads: int) -> bool:
        """Tell whether an agent has its number, so many seconds and reads after it was created."""
        after_time = self.seconds is not None and seconds >= self.seconds
        after_reads = self.reads is not None and reads >= self.reads
        return after_time or after_reads
