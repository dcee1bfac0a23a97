"""Text that others wrote, in a form of which a person sees every character.

A person approves what they see, so no name, key, id or value may hide a part of itself, or of what stands beside it.
"""

from __future__ import annotations

import unicodedata

from airflow_provider_opencx.text import is_invisible

_SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})

_BLANK = frozenset("\u2800\U0001d159")
"""Symbols that are drawn as nothing."""

_MOST_MARKS = 2
"""Marks upon one character; more of them reach over the lines above and below."""


def visible(text: str) -> str:
    r"""Return a text in one line in which every character is seen, and no two texts are the same.

    Blanks stay. A backslash, a line break and a tab are ``\\``, ``\n`` and ``\t``; every other character that shows
    nothing, turns the direction of what follows, or blends with the one before it is its number, such as ``\u200b``.
    """
    shown: list[str] = []
    marks = 0
    for position, character in enumerate(text):
        is_mark = unicodedata.category(character).startswith("M")
        marks = marks + 1 if is_mark else 0
        if character == " " or (character.isascii() and character.isprintable() and character != "\\"):
            shown.append(character)
        elif character in _SHORT:
            shown.append(_SHORT[character])
        elif _is_unseen(character) or (is_mark and (marks > _MOST_MARKS or _blends(text, position))):
            number = ord(character)
            shown.append(f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}")
        else:
            shown.append(character)
    return "".join(shown)


def _is_unseen(character: str) -> bool:
    is_blank = unicodedata.category(character) in _UNSEEN_CATEGORIES or character in _BLANK
    return is_blank or is_invisible(character)


def _blends(text: str, position: int) -> bool:
    """Return whether a mark has nothing to stand on, or makes of the character before it one that exists as well."""
    before = text[position - 1] if position else " "
    stands_on_nothing = not before.isalnum() and not unicodedata.category(before).startswith("M")
    return stands_on_nothing or len(unicodedata.normalize("NFC", before + text[position])) == 1
