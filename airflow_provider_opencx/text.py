"""Helpers for text: booleans and lists in text, and characters that are invisible or cannot be stored."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
"""Characters that JSON can spell and UTF-8, or a database on the way, cannot hold: NUL, and halves of characters."""

_RENDERED_LIST = re.compile(r"""\s*[\[(]\s*['"\d\])]""")
_DEFAULT_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Characters that Unicode shows as nothing, beside those of its category Cf: fillers and variation selectors."""

_BOOLEANS = {"true": True, "false": False}


def parse_boolean(value: object) -> bool | None:
    """Return the boolean that a value is or spells, ``None`` if it is neither.

    Jinja, and a connection that is written as a URI, make text of true and false.

    :param value: ``True``, ``False``, or text such as ``"true"`` and ``"False"``, with or without blanks around it.
    """
    if isinstance(value, str):
        return _BOOLEANS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def is_rendered_list(text: str) -> bool:
    """Return whether a text looks like a list, or a tuple, of which a template made text: ``"['en', 'fr']"``."""
    return bool(_RENDERED_LIST.match(text))


def is_invisible(character: str) -> bool:
    """Return whether a character shows as nothing: zero-width spaces and joiners, the soft hyphen, control characters.

    White space is not invisible, and neither are line breaks and tabs.
    """
    category = unicodedata.category(character)
    return (category in ("Cf", "Cc") and not character.isspace()) or bool(_DEFAULT_IGNORABLE.match(character))


def without_invisible(text: str) -> str:
    """Return a text without the characters that show as nothing."""
    if text.isascii() and text.isprintable():
        return text
    return text.translate(dict.fromkeys(ord(character) for character in {*text} if is_invisible(character)))


def listed(texts: Sequence[str], most: int = 10, *, separator: str = ", ", more: str = " and {} more") -> str:
    """Return texts as one text: the first of them, and how many more there are.

    :param texts: the texts.
    :param most: how many are shown at most. Default 10.
    :param separator: the text between two.
    :param more: the text after the last, where some are not shown; ``{}`` is their number.
    """
    shown = separator.join(texts[:most])
    return shown if len(texts) <= most else shown + more.format(len(texts) - most)
