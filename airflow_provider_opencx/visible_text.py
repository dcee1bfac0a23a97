"""Shows text from others so that a person sees every character, in plans, log lines and errors.

A person decides by what they see, so no name, key, id or value may hide a part of itself, or of the text beside it.
What is cut is counted. A secret must be taken out before: what masks it looks for its own characters. Which function:

- :func:`in_quotes` for a name, and any text within a sentence;
- :func:`identifier` for an id, a key, a field or a telephone number, which need no quotes as a rule;
- :func:`visible` for text that is alone or is known by its place: a path, the value of a plan;
- :func:`visible_repr` for what has escapes already: a ``repr``, or the message of a library;
- :func:`whole_in_quotes` for a value that may be a secret in the wrong field.
"""

from __future__ import annotations

import re
import unicodedata

from airflow_provider_opencx.text import is_invisible

LONGEST = 100
"""Characters of a name, an id or a key that a message shows."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

_NOT_PLAIN = re.compile(r"[^ !-\[\]-~]+")
"""Anything but the blank and the printable characters of ASCII, of which the backslash is none here."""

_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})

_BLANK = frozenset("\u2800\U0001d159")
"""Symbols that are drawn as nothing."""

_MOST_MARKS = 2
"""Marks upon one character; more of them reach over the lines above and below."""

_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|.)")

_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:+@/-]+")


def visible(text: str, longest: int | None = None) -> str:
    r"""Return a text in one line in which every character is seen, and no two texts are the same.

    Blanks stay. A backslash, a line break and a tab are ``\\``, ``\n`` and ``\t``; every other character that shows
    nothing, turns the direction of what follows, or blends with the one before it is its number, such as ``\u200b``.

    :param longest: how many characters of the text are shown; what is left out is counted. By default all.
    """
    kept, more = _cut(text, longest)
    return _escaped(kept) + more


def in_quotes(text: str, longest: int = LONGEST) -> str:
    """Return a text as :func:`visible` does, in quotes: none of it can pass for a part of the sentence around it.

    :param longest: how many characters of the text are shown; what is left out is counted.
    """
    kept, more = _cut(text, longest)
    quote = '"' if "'" in kept and '"' not in kept else "'"
    return f"{quote}{_escaped(kept).replace(quote, chr(92) + quote)}{quote}{more}"


def identifier(text: str, longest: int = LONGEST) -> str:
    """Return an id, a key or a telephone number as it is, where it looks like one; any other text in quotes.

    :param longest: how many characters of the text are shown; what is left out is counted.
    """
    return text if len(text) <= longest and _IDENTIFIER.fullmatch(text) else in_quotes(text, longest)


def name_and_id(name: str | None, item_id: str) -> str:
    """Return how messages name an item of the service: name in quotes and id, or the id alone without a name."""
    return identifier(item_id) if name is None else f"{in_quotes(name)} ({identifier(item_id)})"


def whole_in_quotes(text: str, longest: int = 24) -> str:
    """Return a text in quotes, or only its length: the beginning of a secret would pass what masks the whole of it."""
    is_shown = len(text) <= longest and "\\" not in text  # a secret that is escaped would pass as well
    return in_quotes(text, longest) if is_shown else f"a text of {len(text):,} characters"


def visible_repr(shown: str, longest: int | None = None) -> str:
    """Return what ``repr`` made, or a part of it, or what a library says, in the same form; its backslashes stay.

    :param longest: how many characters of it are shown; what is left out is counted. By default all.
    """
    kept, more = _cut(shown, longest)
    return _ESCAPE.sub(_with_four_digits, _escaped(kept, backslash="\\")) + more


def _with_four_digits(escape: re.Match[str]) -> str:
    return f"\\u00{escape[1][1:]}" if len(escape[1]) > 1 else escape[0]


def _cut(text: str, longest: int | None) -> tuple[str, str]:
    """Return the beginning of a text, and what is said of the rest."""
    if longest is None or len(text) <= longest:
        return text, ""
    return text[:longest], f"... ({len(text) - longest:,} more characters)"


def _escaped(text: str, backslash: str = "\\\\") -> str:
    return _NOT_PLAIN.sub(
        lambda found: _escaped_run(found[0], text[max(0, found.start() - 1) : found.start()], backslash), text
    )


def _escaped_run(run: str, before: str, backslash: str) -> str:
    """Return characters that are not plain.

    :param before: the character before the first of them, if there is one.
    """
    shown: list[str] = []
    marks = 0
    for character in run:
        is_mark = unicodedata.category(character).startswith("M")
        marks = marks + 1 if is_mark else 0
        if character == "\\":
            shown.append(backslash)
        elif character in _SHORT:
            shown.append(_SHORT[character])
        elif _is_unseen(character) or (is_mark and (marks > _MOST_MARKS or _blends(before or " ", character))):
            number = ord(character)
            shown.append(f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}")
        else:
            shown.append(character)
        before = character
    return "".join(shown)


def _is_unseen(character: str) -> bool:
    is_blank = unicodedata.category(character) in _UNSEEN_CATEGORIES or character in _BLANK
    return is_blank or is_invisible(character)


def _blends(before: str, mark: str) -> bool:
    """Return whether a mark has nothing to stand on, or makes of the character before it one that exists as well."""
    stands_on_nothing = not before.isalnum() and not unicodedata.category(before).startswith("M")
    return stands_on_nothing or len(unicodedata.normalize("NFC", before + mark)) == 1
