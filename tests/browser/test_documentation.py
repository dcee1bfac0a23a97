"""Tests the documentation in a browser: its pages, its search, and the README as a package index shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_examples import DOCS, PROJECT
from playwright.sync_api import Browser, Page, Route, expect
from readme_renderer import markdown

NARROW, WIDE = 400, 1280  # pixels
PICTURES_OF_INDEX = "https://raw.githubusercontent.com/airflow-provider-opencx/airflow-provider-opencx/main/"
PAGES_SEARCHED_FOR = {
    "phone number": "agents/phone_number_sensor",
    "idempotent": "operate/reliability",
    "exactly once": "agents/upsert",
    "at most once": "campaigns/ledger",
    "rate limit": "operate/scale",
    "braces": "agents/declaration",
    "backfill": "results/conversations_to_storage",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built as it is published."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--builder", "html", DOCS, folder]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return folder


@pytest.fixture
def browse(chromium: Browser) -> Iterator[Callable[[int], Page]]:
    """Opens an empty page of a width."""
    opened = []

    def browse(width: int) -> Page:
        opened.append(chromium.new_page(viewport={"width": width, "height": 900}))
        return opened[-1]

    yield browse
    for page in opened:
        page.close()


def overflow(page: Page) -> int:
    """How many pixels of a page are beyond its right edge."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("words", PAGES_SEARCHED_FOR)
def test_search_finds_the_page_about(words: str, site: Path, browse: Callable[[int], Page]) -> None:
    page = browse(WIDE)
    page.goto(f"{(site / 'search.html').as_uri()}?q={words.replace(' ', '+')}")
    expect(page.locator("#search-results li").first).to_be_visible()
    expect(page.locator("#search-results .search-summary")).to_contain_text("found")
    links = page.locator("#search-results li > a").evaluate_all("links => links.map(link => link.href)")
    found = list(dict.fromkeys(link.split("?")[0].split("#")[0] for link in links))
    assert (site / f"{PAGES_SEARCHED_FOR[words]}.html").as_uri() in found[:5]


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_each_page_fits_its_window_and_shows_its_pictures(
    width: int, site: Path, browse: Callable[[int], Page]
) -> None:
    page = browse(width)
    sources = sorted(source.relative_to(DOCS).with_suffix(".html") for source in DOCS.rglob("*.md"))
    shown = [source for source in sources if (site / source).exists()]
    assert len(shown) > 40
    for source in shown:
        page.goto((site / source).as_uri())
        assert (source, overflow(page)) == (source, 0)
        broken = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)")
        assert (source, broken) == (source, [])


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_package_index_shows_readme_with_its_pictures(width: int, browse: Callable[[int], Page]) -> None:
    def picture(route: Route) -> None:
        route.fulfill(path=PROJECT / route.request.url.removeprefix(PICTURES_OF_INDEX))

    page = browse(width)
    page.route(f"{PICTURES_OF_INDEX}**", picture)
    shown = markdown.render((PROJECT / "README.md").read_text())
    page.set_content(f"<style>img {{ max-width: 100% }} pre {{ overflow: auto }}</style>{shown}", wait_until="load")
    pictures = page.evaluate("[...document.images].map(i => i.naturalWidth > 0)")
    assert len(pictures) >= 3
    assert all(pictures)
    links = page.locator("a[href]").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
