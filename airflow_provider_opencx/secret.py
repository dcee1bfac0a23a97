"""Hides secrets, also from error trackers, which send the local variables of every frame of an error."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from functools import cache, wraps
from html import escape
from traceback import clear_frames
from typing import NoReturn, ParamSpec, TypeVar
from urllib.parse import quote

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

SHORTEST_SECRET = 8
"""Characters that a secret has at least to be looked for in what others wrote: a shorter one is there by chance."""

_PART_LENGTH = 12
"""Characters of a part of a secret that is not shown either; what is left around it is of no use."""


class Secret:
    """A text that nothing shows: neither ``repr`` and ``str``, nor ``vars``, a copy or a pickle of what holds it.

    Pydantic's ``SecretStr`` shows it in ``vars`` and in pickles; here it is in a closure.

    :param text: the secret.
    """

    __slots__ = ("_spellings", "reveal")

    reveal: Callable[[], str]
    """Returns the text. Let it be no local: call this where the text is used."""

    def __init__(self, text: str) -> None:
        self.reveal = lambda: text
        self._spellings = cache(lambda: _spellings_of(text))

    @classmethod
    def of(cls, text: str | Secret) -> Secret:
        """Return a text as a secret, and a secret unchanged."""
        return text if isinstance(text, Secret) else cls(text)

    def is_in(self, text: str) -> bool:
        """Return whether a text holds the secret, in a spelling that :meth:`masked_body` takes out of responses."""
        if min(len(text), len(self.reveal())) < SHORTEST_SECRET:
            return False
        small = text.lower()
        return any(spelling.lower() in small for spelling in self._spellings())

    def masked(self, text: str) -> str:
        """Return a text without the secret, see :meth:`masked_body`."""
        return self.masking()(text)

    def masking(self) -> Callable[[str], str]:
        """Return :meth:`masked` for many texts: the spellings are put together once."""
        if not self.reveal():
            return str
        spellings = re.compile("|".join(map(re.escape, self._spellings())), re.IGNORECASE)
        return lambda text: spellings.sub("***", text)

    def masked_body(self, body: bytes) -> bytes:
        """Return the body of a response without the secret.

        It is looked for as it is, as JSON, URLs, HTML and Base64 have it, in capital and small letters, and in part.
        """
        if len(self.reveal()) < SHORTEST_SECRET:
            return body
        small = body.lower()
        spellings = [spelling.encode() for spelling in self._spellings()]
        if not any(spelling.lower() in small for spelling in spellings):
            return body
        return re.sub(b"|".join(map(re.escape, spellings)), b"***", body, flags=re.IGNORECASE)

    def __eq__(self, other: object) -> bool:
        return self.reveal() == other.reveal() if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __repr__(self) -> str:
        return "Secret('***')"

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, copied: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


def _spellings_of(text: str) -> list[str]:
    """Return the ways in which a service may repeat a secret, long ones first."""
    in_json = json.dumps(text)[1:-1]
    coded = [b64encode(each.encode()).decode().rstrip("=")[:-1] for each in (text, f"Bearer {text}")]
    numbers = "".join(f"\\u{ord(character):04x}" for character in text)
    whole = [text, in_json, in_json.replace("/", r"\/"), quote(text), quote(text, safe=""), escape(text), numbers]
    parts = [text[start : start + _PART_LENGTH] for start in range(0, len(text) - _PART_LENGTH + 1, _PART_LENGTH)]
    return sorted({*whole, *coded, *parts}, key=len, reverse=True)


def forget_locals(error: BaseException) -> None:
    """Clear the locals of all frames that an error and its causes have left, and drop what it was raised beside.

    The frames of the libraries below hold the header with the key, or the connection with its password. Where the error
    was raised stays in its traceback. ``raise ... from None`` only hides ``__context__``, and trackers find it.

    :param error: caught in a frame that holds no secret itself: the locals of a running frame stay.
    """
    cleared: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in cleared:
        clear_frames(cause.__traceback__)
        cause.__context__ = None
        cleared.append(cause)
        cause = cause.__cause__


def forgets_locals(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Let no error leave a function with its arguments, or with the locals below: see :func:`forget_locals`."""

    @wraps(function)
    def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            forget_locals(error)
            del args, kwargs
            raise

    return call
