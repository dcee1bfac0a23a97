"""Renders the HTML of the page. All text from elsewhere is escaped, and every character of it is visible."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from importlib.resources import files
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from airflow_provider_opencx.visible_text import visible

LONGEST = 200
"""Characters that are shown of a name, an id or another text of the service."""

_TEMPLATES = "airflow_provider_opencx.plugins"


@cache
def stylesheet() -> str:
    """Return the style of every page, which is a part of it: there is nothing more to be fetched."""
    return (files(_TEMPLATES) / "templates" / "page.css").read_text(encoding="utf-8")


@cache
def style_hash() -> str:
    """Return by what a Content-Security-Policy allows the style, and no other."""
    return base64.b64encode(sha256(stylesheet().encode()).digest()).decode()


def render(template: str, values: Mapping[str, object]) -> bytes:
    """Return a page.

    :param template: its template, such as ``"agents"``.
    :param values: what the template names.
    """
    page = _environment().get_template(f"{template}.html.jinja").render(**values)
    return page.encode(errors="backslashreplace")


def duration(time: timedelta) -> str:
    """Return how long something has lasted, in its two largest units: ``3 d 4 h``."""
    seconds = max(0, int(time.total_seconds()))
    units = [("d", seconds // 86400), ("h", seconds // 3600 % 24), ("min", seconds // 60 % 60), ("s", seconds % 60)]
    first = next((place for place, (_, number) in enumerate(units) if number), len(units) - 1)
    return " ".join(f"{number} {unit}" for unit, number in units[first : first + 2] if number or first == 3)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        shown=lambda text: visible(str(text), LONGEST),
        moment=_moment,
        duration=duration,
        in_path=lambda text: quote(text, safe="", errors="replace"),  # of half a character
        query=lambda parameters: f"?{urlencode(parameters, errors='replace')}" if parameters else "?",
    )
    # The policy allows the style by the digest of its very characters.
    environment.globals.update(style=Markup(stylesheet()))  # noqa: S704  # the package's own file
    return environment


def _moment(time: datetime) -> Markup:
    text = f"{time:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(time.isoformat(), text)
