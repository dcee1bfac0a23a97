"""Finds names that are nearly the same, so that a person would read them as one. Pure.

Two questions are asked of names. What may a service have made of one when it stored it? The API's pages do not say
whether names are stored as they are sent, and an agent that is stored otherwise is not found by its declared name. And
which names would people take for one? An agent that is created beside one of these is, as a rule, one too many.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Generic, TypeVar

from airflow_provider_opencx.normalization import normalize_name, normalized
from airflow_provider_opencx.text import is_invisible, listed, without_invisible

USUAL_LENGTHS = (50, 60, 63, 64, 80, 100, 120, 128, 150, 160, 191, 200, 250, 254, 255, 256, 500, 512)
"""Characters after which databases and forms cut a name."""

_LONGEST_COMPARED = 1000
_LONGEST_UNESCAPED = 4000  # Python refuses the escape of a character whose number is longer
_MOST_ESCAPES = 3
_MOST_BLANKS = 8
_QUOTES = {
    **dict.fromkeys(map(ord, "\u2018\u2019\u201a\u201b\u2032\u2039\u203a\u02b9\u02bb\u02bc\uff07\u00b4`"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\uff02"), '"'),
}
_DASHES = dict.fromkeys(
    map(
        ord,
        "\u058a\u05be\u1400\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2e17\u2e1a\u2e3a"
        "\u2e3b\u2e40\u301c\u3030\u30a0\ufe31\ufe32\ufe58\ufe63\uff0d\u2212\u2043\u02d7",
    ),
    "-",
)

_Named = TypeVar("_Named")


def _without_escapes(name: str) -> str:
    if len(name) > _LONGEST_UNESCAPED:
        return name
    for _ in range(_MOST_ESCAPES):
        name = html.unescape(name)
    return name


def _with_plain_quotes(name: str) -> str:
    return name.translate(_QUOTES).replace("''", '"')


def _with_plain_dashes(name: str) -> str:
    return name.translate(_DASHES)


def _in_one_case(name: str) -> str:
    return normalized(name.casefold())


def _with_single_blanks(name: str) -> str:
    return " ".join(name.split())


_STEPS: Mapping[str, Callable[[str], str]] = {
    "HTML escapes": _without_escapes,
    "the quotes": _with_plain_quotes,
    "the dash": _with_plain_dashes,
    "the spelling of characters (NFKC)": partial(normalized, form="NFKC"),
    "invisible characters": without_invisible,
    "letter case": _in_one_case,
    "blanks": _with_single_blanks,
}
"""What makes no difference to a reader, by the words for it; and what leaves it out of account."""

_STEPS_OF_SERVICES = ("HTML escapes", "the spelling of characters (NFKC)", "blanks")


def _form(name: str, steps: Collection[str], rounds: int = 1) -> str:
    for _ in range(rounds):
        for step in _STEPS:
            if step in steps:
                name = _STEPS[step](name)
    return name


def tidied(name: str) -> str:
    """Return the form in which a name and what a service makes of it are the same.

    HTML escapes are undone (in names of up to 4,000 characters), blanks in a row are one, compatible characters of
    Unicode (NFKC) are the same.
    """
    return _form(name, _STEPS_OF_SERVICES)


def near_form(name: str) -> str:
    """Return the form in which names are the same that a reader takes for one.

    In it, neither what a service may make of a name makes a difference, see :func:`tidied`, nor letter case, invisible
    characters, and the kinds of dashes and quotes. Of a very long name, only the beginning counts.
    """
    # A step may create work for an earlier step, such as quotes that NFKC has split.
    return _form(name[:_LONGEST_COMPARED], _STEPS, rounds=2)


def name_fits(name: str | None, patterns: Iterable[str]) -> bool:
    """Return whether a name is one of some names, or fits one of some globs such as ``"Test *"``.

    :param name: the name; ``None``, of an agent without a name, is read as an empty one.
    :param patterns: the names and globs. Blanks at the ends, and the composition of characters, make no difference.
    """
    normal = normalize_name(name or "")
    return any(normal == pattern or fnmatchcase(normal, pattern) for pattern in map(normalize_name, patterns))


class NearNames(Generic[_Named]):
    """Things by their names, to find those whose names are near another.

    :param named: each thing with its name.
    :param form: what is the same for two names that are near. Default :func:`near_form`.
    """

    def __init__(self, named: Iterable[tuple[str, _Named]], form: Callable[[str], str] = near_form) -> None:
        self._form = form
        self._lengths: set[int] = set()
        self._by_form: dict[str, list[tuple[str, _Named]]] = {}
        for name, thing in named:
            self._lengths.update((len(name), len(_without_escapes(name))))
            self._by_form.setdefault(form(name), []).append((normalize_name(name), thing))

    def of(self, name: str) -> list[_Named]:
        """Return the things whose names are near a name, or near what is left of it where it was cut; not its own."""
        cuts = [
            name,
            *(name[:length] for length in USUAL_LENGTHS if length < len(name) and self._may_be_cut_at(length)),
        ]
        found = [named for form in dict.fromkeys(map(self._form, cuts)) for named in self._by_form.get(form, [])]
        own = normalize_name(name)
        return [thing for other, thing in found if other != own]

    def _may_be_cut_at(self, length: int) -> bool:
        """Return whether a name may have been cut at a length: it has this length, or lost blanks at its end."""
        return not self._lengths.isdisjoint(range(length - _MOST_BLANKS, length + 1))


def difference_of(name: str, other: str) -> str:
    """Return in words what near names differ in: ``"letter case and a NO-BREAK SPACE"``.

    Of several explanations, it is the one that needs least.
    """
    if near_form(name) != near_form(other):
        return "its end" if len(name) > len(other) else "what a service may make of it"
    name, other = name[:_LONGEST_COMPARED], other[:_LONGEST_COMPARED]
    steps = list(_STEPS)
    for step in ("the spelling of characters (NFKC)", *_STEPS):
        fewer = [left for left in steps if left != step]
        if _form(name, fewer, rounds=2) == _form(other, fewer, rounds=2):
            steps = fewer
    words = [_CHARACTERS[step](name, other) if step in _CHARACTERS else step for step in steps]
    return listed(words, len(_STEPS), separator=" and ")


def _blanks_between(name: str, other: str) -> str:
    return _characters("blanks", name, other, lambda character: character.isspace() and character != " ")


def _invisible_between(name: str, other: str) -> str:
    return _characters("invisible characters", name, other, is_invisible)


_CHARACTERS: Mapping[str, Callable[[str, str], str]] = {
    "blanks": _blanks_between,
    "invisible characters": _invisible_between,
}


def _characters(otherwise: str, name: str, other: str, is_one: Callable[[str], bool]) -> str:
    """Name the characters of a kind that one of two names has, and the other has not."""
    found = dict.fromkeys(filter(is_one, name + other))
    named = [f"a {_name_of(character)}" for character in found if name.count(character) != other.count(character)]
    return listed(named, 3, separator=" and ") or otherwise


def _name_of(character: str) -> str:
    return f"{unicodedata.name(character, 'character')} (U+{ord(character):04X})"
