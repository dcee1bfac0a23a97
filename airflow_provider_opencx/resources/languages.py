"""Language codes, as ``language`` takes them. Pure."""

from __future__ import annotations

import re

from airflow_provider_opencx.visible_text import whole_in_quotes

COMBINABLE_LANGUAGES = frozenset({"en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"})
"""The codes that may be combined in ``language``; any other code must be the only one (page of 2026)."""

_CODE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
"""The shape of a code of BCP 47: two or three letters, with subtags or without."""

_NAMES: dict[str, str] = {
    name: code
    for code, names in {
        "en": "english",
        "es": "spanish español espanol castellano",
        "fr": "french français francais",
        "de": "german deutsch",
        "hi": "hindi हिन्दी हिंदी",
        "ru": "russian русский",
        "pt": "portuguese português portugues",
        "ja": "japanese 日本語 nihongo",
        "it": "italian italiano",
        "nl": "dutch nederlands",
    }.items()
    for name in names.split()
}
"""The names of the combinable languages, in English and in the language itself."""


def language_codes(language: object) -> object:
    """Return ``language`` as a list: a string becomes a list of one, null an empty list."""
    if language is None:
        return []
    return [language] if isinstance(language, str) else language


def checked_code(code: str) -> str:
    """Return the code of a language as it is sent: without blanks around it, and in lower case if it has no subtag.

    Whether there is such a language is for the service to say.

    :raises ValueError: if it does not have the shape of a code; with the code that was probably meant.
    """
    code = code.strip()
    if _CODE.fullmatch(code):
        return code if "-" in code else code.lower()
    problem = f"{whole_in_quotes(code)} is not the code of a language, such as 'en', 'pt-BR' or 'zh-Hans'"
    if len(code) > 100:
        raise ValueError(problem)
    several = [part for part in re.split(r"[\s,;|/+]+", code) if part]
    if len(several) > 1 and all(map(_CODE.fullmatch, several)):
        raise ValueError(f"{whole_in_quotes(code)} is several codes in one text; write a list: {several}")
    meant = _NAMES.get(code.casefold()) or code.replace("_", "-")
    hint = f"; did you mean {meant!r}?" if _CODE.fullmatch(meant) else ""
    raise ValueError(problem + hint)
