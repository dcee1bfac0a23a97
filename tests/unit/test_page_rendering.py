"""Tests that the page of agents shows the text of others as text, and that its policy allows only its own style."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.plugins.cached_reads import Reading
from airflow_provider_opencx.plugins.rendering import duration, render, style_hash, stylesheet
from airflow_provider_opencx.plugins.shown_sequences import ShownSequence

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


def test_every_character_of_others_is_seen() -> None:
    connections = [SimpleNamespace(conn_id=HOSTILE, description=HOSTILE * 100)]
    common = {"root": "/opencx", "airflow": "", "now": datetime.now(UTC)}
    shown = render("connections", {**common, "connections": connections}).decode()
    assert "\\u202e\\u200b\\ud800" in shown
    assert "\\u0000" in shown
    assert not {"\u202e", "\u200b", "\x00"} & {*shown}
    assert "more characters)" in shown


@pytest.mark.parametrize("error", [None, OpenCXError("OpenCX is <away>")])
def test_what_is_old_says_so_with_its_age_and_the_error(error: OpenCXError | None) -> None:
    now = datetime(2026, 5, 4, 12, tzinfo=UTC)
    reading: Reading[object] = Reading(object(), now - timedelta(minutes=7), error)
    sequence = ShownSequence.of({"id": "seq_1", "name": "Reminders", "steps": None}, now)
    common = {"root": "/opencx", "airflow": "", "now": now, "connection_id": "c1"}
    page = render("sequence", {**common, "sequence": sequence, "reading": reading}).decode()
    assert "2026-05-04 11:53 UTC</time>, 7 min ago" in page
    assert ("This is not up to date." in page) is (error is not None)
    assert ("OpenCX is &lt;away&gt;" in page) is (error is not None)


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
