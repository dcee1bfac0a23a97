"""Knows the key of the run and every spelling of it, and finds it in a text."""

from __future__ import annotations

import base64
import html
import json
import unicodedata
from urllib.parse import quote

API_KEY = "ocx_live_7f3Kq9Zt2LwX8vBn/Rd+Y4=&c5<T"
"""A key with characters that every escaping spells otherwise."""

SECRET_PART = "7f3Kq9Zt2LwX8vBn"  # noqa: S105 - it is no secret
"""As much of the key as must not be seen, whatever was left out around it."""

SPELLINGS: dict[str, str] = {
    "as it is": API_KEY,
    "in JSON": API_KEY.replace("/", "\\/"),
    "in a URL": quote(API_KEY, safe=""),
    "in a URL, in small letters": quote(API_KEY, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    "in HTML": html.escape(API_KEY),
    "in capital letters": API_KEY.upper(),
    "as numbers of characters": "".join(f"\\u{ord(character):04x}" for character in API_KEY),
    "in Base64": base64.b64encode(API_KEY.encode()).decode(),
    "in Base64, after Bearer": base64.b64encode(f"Bearer {API_KEY}".encode()).decode(),
    "cut at its end": API_KEY[:30],
    "cut at its beginning": API_KEY[5:],
    "with a line break": API_KEY[:30] + "\\n" + API_KEY[30:],
}
"""What a service may write in the place of the key that it was sent."""


def spelling_in(text: str) -> str | None:
    """Return how a text spells the key, ``None`` if it does not hold the key."""
    text = text.replace("\\\\", "\\")  # a repr doubles them
    if API_KEY in text:
        return "as it is"
    for name in ("as numbers of characters", "in Base64", "in Base64, after Bearer"):
        # The last characters of Base64 depend on what follows.
        if SPELLINGS[name].rstrip("=")[:-2] in text:
            return name
    if html.escape(API_KEY) in text:
        return "in HTML"
    if "%2" in text and SECRET_PART in text:
        return "in a URL"
    if SECRET_PART.lower() in text.lower():
        return "in part"
    return None


def control_character_in(text: str) -> str | None:
    """Return the first control character, line separator or half of a character in a text; ``None`` without one."""
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            return f"U+{ord(character):04X}"
    return None


def json_text(value: object) -> str:
    """Return a value as the JSON that Airflow stores."""
    return json.dumps(value, ensure_ascii=False, default=repr)
