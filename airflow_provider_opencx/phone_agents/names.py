"""What a service may make of a name when it stores it. Pure; used to find an agent that is stored under another name.

The API's pages do not say whether names are stored as they are sent. A service that escapes, trims or cuts them would
return an agent that is not found by its declared name, and each run would create one more.
"""

from __future__ import annotations

import html
import unicodedata

USUAL_LENGTHS = (50, 60, 63, 64, 80, 100, 120, 128, 150, 160, 191, 200, 250, 254, 255, 256, 500, 512)
"""Characters after which databases and forms cut a name."""

_MOST_ESCAPES = 3


def tidied(name: str) -> str:
    """Return the form in which a name and what a service makes of it are the same.

    HTML escapes are undone, blanks in a row are one, compatible characters of Unicode (NFKC) are the same.
    """
    for _ in range(_MOST_ESCAPES):
        name = html.unescape(name)
    return " ".join(unicodedata.normalize("NFKC", name).split())


def tidied_forms(name: str) -> list[str]:
    """Return the tidied form of a name, and those of the name cut at a usual length."""
    return [tidied(name), *(tidied(name[:length]) for length in USUAL_LENGTHS if length < len(name))]
