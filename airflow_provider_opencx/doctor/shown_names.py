"""Shows names from the service in the report: shortened, without the key, and without data in the form of a name."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from urllib.parse import unquote

from airflow_provider_opencx.secret import Secret, forgets_locals
from airflow_provider_opencx.visible_text import identifier

MOST_NAMES = 30
"""Names of one kind that are shown."""

_LONGEST_NAME = 40
_MOST_DIGITS = 4
_PIECE = 6
"""Characters that a name may not have in common with the key."""


class ShownNames:
    """Shows the names of fields and headers.

    :param secret: the key, of which no name shows six characters in a row, also in Base64, in hexadecimal, in percent
        encoding, backwards, or with other characters between them.
    """

    def __init__(self, secret: Secret) -> None:
        self._holds_key = _search_for(secret)

    def show(self, name: str) -> str:
        """Return a name as it is shown.

        A name with many digits, or with an ``@``, may be a telephone number, an id or an address of somebody: of an
        object that has such keys, only their length is shown.
        """
        if self._holds_key(name):
            return "***"
        if sum(map(str.isdigit, name[:1000])) > _MOST_DIGITS or "@" in name or len(name) > _LONGEST_NAME:
            return f"(a name of {len(name):,} characters)"
        return identifier(name, _LONGEST_NAME)

    def show_all(self, names: Iterable[str]) -> str:
        """Return several names as one text."""
        different = list(dict.fromkeys(names))
        shown = [self.show(name) for name in different[:MOST_NAMES]]
        more = len(different) - len(shown)
        return ", ".join(shown) + (f" and {more:,} more" if more else "")

    def is_part_of_key(self, text: str) -> bool:
        """Return whether a text holds a part of the key."""
        return self._holds_key(text)


@forgets_locals
def _search_for(secret: Secret) -> Callable[[str], bool]:
    """Return a function that finds pieces of a secret; they are in its closure, which nothing shows."""
    plain_key = _plain(secret.reveal())
    pieces = {plain_key[start : start + _PIECE] for start in range(len(plain_key) - _PIECE + 1)}
    for start in range(len(secret.reveal()) - _PIECE + 1):
        piece = secret.reveal()[start : start + _PIECE].encode()
        pieces |= {piece.hex(), _plain(b64encode(piece).decode())}
    found = frozenset(piece for piece in pieces if len(piece) >= _PIECE)
    lengths = sorted({len(piece) for piece in found})
    del plain_key, pieces

    def holds(text: str) -> bool:
        for form in (text, unquote(text), text[::-1]):
            plain = _plain(form[:10_000])
            for length in lengths:
                if any(plain[start : start + length] in found for start in range(len(plain) - length + 1)):
                    return True
        return False

    return holds


def _plain(text: str) -> str:
    """Return what is left of a text in every notation: small letters and digits."""
    return "".join(filter(str.isalnum, text)).lower()
