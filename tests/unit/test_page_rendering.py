"""The page of agents shows what others wrote as text, and its style is the only one that its policy allows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from airflow_provider_opencx.plugins.rendering import duration, render, style_hash, stylesheet

HOSTILE = "</p><script>alert(1)</script>\u202e\u200b\ud800'\"&\x00"


class Elements(HTMLParser):
    """The elements of a page, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]


def page(message: str) -> str:
    common = {"root": "/opencx", "airflow": "", "now": datetime.now(UTC), "connection_id": message}
    return render("message", {**common, "title": message, "message": message, "needs_login": False}).decode()


def test_text_of_others_is_escaped_and_seen() -> None:
    elements = Elements()
    elements.feed(page(HOSTILE))
    assert "script" not in elements.tags
    plain = Elements()
    plain.feed(page("plain"))
    assert elements.tags == plain.tags


def test_page_has_the_style_of_its_policy() -> None:
    [style] = re.findall(r"<style>(.*?)</style>", page("x"), re.DOTALL)
    assert style == stylesheet()
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", style_hash())


@pytest.mark.parametrize("word", ["url(", "@import", "<"])
def test_style_fetches_nothing(word: str) -> None:
    assert word not in stylesheet()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (90_000, "1 d 1 h"), (1e8, "1157 d 9 h")],
)
def test_duration_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words
