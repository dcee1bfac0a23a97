"""Text that stands for a boolean, text as messages show it, and the characters that text cannot hold in a database."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
"""Characters that JSON can spell and UTF-8, or a database on the way, cannot hold: NUL, and halves of characters."""


_BOOLEANS = {"true": True, "false": False}


def parse_boolean(value: object) -> bool | None:
    """Return the boolean that a value is or spells, ``None`` if it is neither.

    Jinja, and a connection that is written as a URI, make text of true and false.

    :param value: ``True``, ``False``, or text such as ``"true"`` and ``"False"``, with or without blanks around it.
    """
    if isinstance(value, str):
        return _BOOLEANS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def shortened(text: str, longest: int = 100) -> str:
    """Return the beginning of a text that is longer than ``longest`` characters, any other text as it is."""
    return text if len(text) <= longest else f"{text[:longest]}..."


def listed(texts: Sequence[str], most: int = 10, *, separator: str = ", ", more: str = " and {} more") -> str:
    """Return texts as one text: the first of them, and how many more there are.

    :param texts: the texts.
    :param most: how many are shown at most. Default 10.
    :param separator: what stands between two.
    :param more: what stands after the last, where some are not shown; ``{}`` is their number.
    """
    shown = separator.join(texts[:most])
    return shown if len(texts) <= most else shown + more.format(len(texts) - most)
