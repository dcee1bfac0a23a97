"""Telephone numbers: removes spacing to compare them, and reads them as E.164 to send them.

A number that is sent is judged by Google's libphonenumber, which is loaded when the first one is judged. It must be
possible in its country. It need not be in a range that is known to be in use: new ranges come every month.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.text import without_invisible
from airflow_provider_opencx.visible_text import whole_in_quotes

_SPACING = re.compile(r"[\s().\-/\N{HYPHEN}-\N{HORIZONTAL BAR}\N{MINUS SIGN}]")
_INTERNATIONAL = re.compile(r"\+[0-9]+")
_EXTENSION = re.compile(r"(?:ext(?:ension)?|x|#|;ext=|,)\.?:?[0-9]+$", re.IGNORECASE)
_LONGEST = 60

_MOBILE_MARK = re.compile(r"(\+54)9(?=[0-9]{10}$)|(\+52)1(?=[0-9]{10}$)")

_PROBLEMS: Sequence[tuple[Callable[[str], object], str]] = (
    (lambda compact: len(compact) > _LONGEST, "is too long for a phone number"),
    (lambda compact: compact.count("+") > 1, "must be one phone number"),
    (_EXTENSION.search, "has an extension, to which no call can be handed"),
    (lambda compact: any(map(str.isalpha, compact)), "has letters in it"),
    (lambda compact: without_invisible(compact) != compact, "has invisible characters in it"),
    (lambda compact: re.search(r"[^\D0-9]", compact), "has digits other than 0 to 9"),
    (lambda compact: compact.startswith("00"), "must begin with + in place of 00"),
    (lambda compact: compact[0] != "+", "must begin with + and the code of its country, such as '+14155550100'"),
    (lambda compact: not _INTERNATIONAL.fullmatch(compact), "must hold nothing but +, digits and spacing"),
)
"""Problems of a number without its spacing, from any country: a test, and a description."""


def normalize_phone_number(phone_number: str) -> str:
    """Return a phone number without spacing: ``"+1 (415) 555-0100"`` becomes ``"+14155550100"``."""
    return _SPACING.sub("", phone_number)


def without_mobile_mark(number: str) -> str:
    """Return a number in E.164 as it is compared: two that differ only in the mark of a mobile one ring one phone.

    Such are the 9 of Argentina, ``"+54 9 11 ..."`` and ``"+54 11 ..."``, and the 1 that Mexico had until 2019.
    """
    return _MOBILE_MARK.sub(r"\1\2", number)


def as_compared(stored: str) -> str:
    """Return a number that somebody else has stored as it is compared: in E.164, without the mark of a mobile one.

    One that has the code of its country without the ``+`` is read as if it had it. What is not a number stays.
    """
    return possible_numbers(stored, None)[0]


def possible_numbers(stored: str, default_region: str | None) -> Sequence[str]:
    """Return which numbers a stored one may be, as :func:`as_compared` returns them, the likeliest first.

    Digits without a ``+`` may have the code of their country, and may be a national number: those of another country
    are less likely than a national one.

    :param default_region: the country of national numbers; ``None`` reads none.
    """
    compact = normalize_phone_number(stored)
    is_bare = compact.isascii() and compact.isdigit()
    found: list[str] = []
    with suppress(ValueError):
        # With the mark that Mexico had, a number is too long to be one today.
        found.append(e164(without_mobile_mark(f"+{compact}" if is_bare else compact)))
    if is_bare and default_region is not None:
        from phonenumbers import country_code_for_region

        with suppress(ValueError):
            found.append(without_mobile_mark(e164_in_region(compact, default_region)))
        home = f"+{country_code_for_region(default_region)}"
        found.sort(key=lambda number: not number.startswith(home))
    return list(dict.fromkeys(found)) or [stored]


def e164(phone_number: str) -> str:
    """Return a phone number as it is sent: in E.164, such as ``"+14155550100"``.

    Spacing, dots, dashes and parentheses are removed, and nothing else is changed.

    :raises ValueError: saying why it is not such a number, and which one was probably meant.
    """
    compact = normalize_phone_number(phone_number)
    if not compact:
        raise ValueError("must not be empty; None means no number")
    problem = next((problem for is_wrong, problem in _PROBLEMS if is_wrong(compact)), None) or _impossible(compact)
    if problem is not None:
        raise ValueError(f"{whole_in_quotes(phone_number)} {problem}{_hint(compact)}")
    return compact


def e164_in_region(phone_number: str, region: str) -> str:
    """Return a phone number in E.164; a national one is read as people of a country write it.

    :param region: the two letters of the country, such as ``"US"``.
    :raises ValueError: saying why it is not such a number.
    """
    from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, parse

    compact = normalize_phone_number(phone_number)
    problem = next((problem for is_wrong, problem in _PROBLEMS[:-3] if is_wrong(compact)), None)
    if problem is None and compact.isdigit():
        try:
            number = format_number(parse(compact, region), PhoneNumberFormat.E164)
        except NumberParseException:
            problem = f"is not a phone number of {region}"
        else:
            problem = _impossible(number)
            if problem is None:
                return number
    raise ValueError(f"{whole_in_quotes(phone_number)} {problem or 'must hold nothing but digits and spacing'}")


def check_region(argument: str, region: object) -> None:
    """Raise an ``OpenCXArgumentError`` if an argument is neither ``None`` nor the two letters of a country."""
    if region is None:
        return
    from phonenumbers import SUPPORTED_REGIONS

    if region not in SUPPORTED_REGIONS:
        raise OpenCXArgumentError(f"{argument}: must be the two letters of a country, such as 'US'")


def _impossible(compact: str) -> str | None:
    """Return why there can be no such number in its country, ``None`` if there can."""
    from phonenumbers import (
        NumberParseException,
        PhoneNumberFormat,
        ValidationResult,
        format_number,
        is_possible_number_with_reason,
        parse,
    )

    try:
        parsed = parse(compact)
    except NumberParseException as unreadable:
        return {
            NumberParseException.INVALID_COUNTRY_CODE: "does not begin with the code of a country",
            NumberParseException.TOO_LONG: "is too long for a phone number",
        }.get(unreadable.error_type, "is too short for a phone number")
    if format_number(parsed, PhoneNumberFormat.E164) != compact:
        return "has digits in it that are dialled only inside its country, such as (0)"
    return {
        ValidationResult.IS_POSSIBLE: None,
        ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "is without its area code",
        ValidationResult.TOO_SHORT: "is too short for a phone number of its country",
        ValidationResult.TOO_LONG: "is too long for a phone number of its country",
    }.get(is_possible_number_with_reason(parsed), "has a length that no phone number of its country has")


def _hint(compact: str) -> str:
    """Return the question for the number that was probably meant; nothing if there is no likely one."""
    from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, parse

    plain = unicodedata.normalize("NFKC", without_invisible(compact[:_LONGEST]))
    international = f"+{plain[2:]}" if plain.startswith("00") else plain
    if international.count("+") != 1:
        return ""
    try:
        meant = format_number(parse(international), PhoneNumberFormat.E164)
    except NumberParseException:
        return ""
    is_another = meant != compact and _impossible(meant) is None
    return f"; did you mean {meant!r}?" if is_another else ""
