"""Unicode normalization in linear time.

Python sorts the marks on a character in time that grows with the square of their number, and no other thread runs
meanwhile: 40,000 marks take seconds.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import groupby
from typing import Literal

LONGEST_NORMALIZED = 10_000
"""Characters of a text that is normalized; a longer one stays unchanged."""

MOST_MARKS = 30
"""Marks in a row that are sorted, as in Unicode's Stream-Safe Text Format; text with more in a row stays unchanged."""


def normalized(text: str, form: Literal["NFC", "NFKC"] = "NFC") -> str:
    """Return a text in a normalization form of Unicode, or as it is where that may take long.

    No two texts become the same that Unicode distinguishes.

    :param form: the form. Default NFC.
    """
    if text.isascii() or len(text) > LONGEST_NORMALIZED or _has_many_marks_in_a_row(text):
        return text
    return unicodedata.normalize(form, text)


def normalize_name(name: str) -> str:
    """Return the form of an agent's name in which two names are compared.

    White space at the ends and the Unicode composition make no difference: if they did, an agent whose name the service
    normalized would not be found again, and would be created once more. A name that no person would write, of more than
    10,000 characters or more than 30 marks in a row, is compared as it is: see :func:`normalized`.
    """
    return normalized(name.strip())


def _has_many_marks_in_a_row(text: str) -> bool:
    # That many marks in a row would cover one of these places.
    if not any(map(_is_mark, text[MOST_MARKS :: MOST_MARKS + 1])):
        return False
    return any(is_mark and sum(1 for _ in marks) > MOST_MARKS for is_mark, marks in groupby(text, _is_mark))


@lru_cache(maxsize=10_000)
def _is_mark(character: str) -> bool:
    """Return whether a character is sorted among those beside it, or begins with one that is."""
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) != 0
