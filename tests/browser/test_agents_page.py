"""Tests the page of agents as people see, use and hear it: in both themes of Airflow's UI, and on a narrow screen."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from airflow import __version__ as airflow_version
from airflow_standalone import AirflowStandalone
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Page, expect

from airflow_provider_opencx.plugins.addresses import EXISTS
from airflow_provider_opencx.simulator import Simulator

from .conftest import API_KEY, PATIENCE
from .pages import HEIGHT, WIDTH, AirflowPages

pytestmark = pytest.mark.skipif(not EXISTS, reason="Airflow 3.0 has no views of plugins")

AGENTS = "opencx/connections/opencx_default/agents"
SEQUENCES = "opencx/connections/opencx_default/sequences"
NARROW = 400  # pixels
DOWNLOADS_IN_FRAMES = not airflow_version.startswith(("3.1.", "3.2."))


@pytest.fixture(scope="module")
def fleet(service: Simulator, running_airflow: AirflowStandalone) -> None:
    """Agents of every kind, a plan of a moment ago, and a sequence."""
    service.reset()
    service.add_contact("+14155550123", name="Ada")
    reminder = service.add_agent("Appointment reminder", type="outbound", language=["en", "es"])
    service.add_agent("Front desk", type="inbound", language=["en"], first_message="Hello")
    returns = service.add_agent("Returns", type="inbound", language=["en"])
    service.add_agent("Spring offer", type="outbound", language=["en"], progression="never")
    service.add_agent("Max tries things", type="inbound", language=["de", "fr"])
    running_airflow.call("POST", "/connections", connection_to(service))
    running_airflow.run_dag("support_fleet", within=300, conf={"agent_id": reminder["id"]})
    service.take_number(str(returns["id"]))


@pytest.fixture(autouse=True)
def connected(fleet: None, service: Simulator, airflow: AirflowStandalone) -> None:
    """The connection to them: each test begins without connections."""
    airflow.call("POST", "/connections", connection_to(service))


def connection_to(service: Simulator) -> dict[str, object]:
    extra = json.dumps({"allow_calls": True})
    fields = {"connection_id": "opencx_default", "conn_type": "opencx", "description": "Acme's organization"}
    return {**fields, "host": service.url, "password": API_KEY, "extra": extra}


@pytest.fixture
def page_of(chromium: Browser, airflow: AirflowStandalone) -> Iterator[Callable[..., Page]]:
    """Opens the page by itself, without Airflow's UI around it."""
    contexts = []

    def open_page(path: str, *, theme: str = "light", width: int = WIDTH) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": HEIGHT},
            color_scheme=theme,  # type: ignore[arg-type]  # light or dark
            locale="en-US",
            timezone_id="UTC",
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{airflow.url}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()


def take_picture(page: Page, name: str) -> None:
    if pictures := os.environ.get("SCREENSHOTS"):
        Path(pictures).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(pictures) / f"{name}.png", full_page=True, animations="disabled")


def findings(page: Page) -> list[str]:
    """What axe-core finds, with how bad it is and where."""
    violations = Axe().run(page).response["violations"]
    return [f"{each['impact']}: {each['id']} at {node['target']}" for each in violations for node in each["nodes"]]


def test_page_can_be_read_in_both_themes_and_on_a_narrow_screen(page_of: Callable[..., Page]) -> None:
    backgrounds = set()
    for name, theme, width in (
        ("agents-page-light", "light", WIDTH),
        ("agents-page-dark", "dark", WIDTH),
        ("agents-page-400", "light", NARROW),
        (None, "dark", NARROW),
    ):
        page = page_of(AGENTS, theme=theme, width=width)
        expect(page.get_by_role("heading", name="Agents of opencx_default")).to_be_visible()
        expect(page.get_by_role("row", name="Front desk")).to_contain_text("first_message")
        expect(page.get_by_role("row", name="Returns")).to_contain_text("lost")
        expect(page.get_by_role("row", name="Spring offer")).to_contain_text("waiting for")
        expect(page.get_by_role("row", name="Warranty")).to_contain_text("declared, does not exist")
        expect(page.get_by_role("row", name="Max tries things")).to_contain_text("not declared")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert findings(page) == []
        if name:
            take_picture(page, name)
        backgrounds.add((theme, page.evaluate("getComputedStyle(document.body).backgroundColor")))
    assert len({color for _, color in backgrounds}) == len(backgrounds) == 2


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDTH, NARROW])
@pytest.mark.parametrize(
    "path",
    [
        "opencx/",
        SEQUENCES,
        f"{SEQUENCES}/seq_000001",
        f"{AGENTS}?drift=missing&sort=-name",
        f"{AGENTS}?q=nobody",
        f"{AGENTS}?sort=no",
        "opencx/connections/missing/agents",
    ],
)
def test_axe_finds_nothing(page_of: Callable[..., Page], path: str, width: int, theme: str) -> None:
    page = page_of(path, theme=theme, width=width)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_keyboard_reaches_the_content_first(page_of: Callable[..., Page]) -> None:
    page = page_of(AGENTS)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_columns_sort_and_say_so(page_of: Callable[..., Page]) -> None:
    page = page_of(AGENTS)
    header = page.get_by_role("columnheader", name="Name")
    expect(header).to_have_attribute("aria-sort", "ascending")
    header.get_by_role("link").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    expect(page.get_by_role("rowheader").first).to_have_text("Warranty")


def frame_of(pages: AirflowPages) -> FrameLocator:
    return pages.page.frame_locator("iframe")


def test_view_in_airflow_filters_and_downloads(pages: AirflowPages, tmp_path: Path) -> None:
    pages.open_from_menu("Browse", "OpenCX agents")
    frame = frame_of(pages)
    frame.get_by_role("link", name="agents of opencx_default").click()
    expect(frame.get_by_role("row", name="Front desk")).to_be_visible()
    pages.take_picture("agents-page-in-airflow", height=860)
    frame.get_by_label("Drift").select_option("missing")
    frame.get_by_role("button", name="Filter").click()
    expect(frame.get_by_role("rowheader")).to_have_text(["Warranty"])
    frame.get_by_role("link", name="Show all agents").click()
    expect(frame.get_by_role("rowheader")).to_have_count(6)
    if DOWNLOADS_IN_FRAMES:
        for form in ("CSV", "JSON"):
            with pages.page.expect_download() as download:
                frame.get_by_role("link", name=form).click()
            download.value.save_as(tmp_path / form)
        with (tmp_path / "CSV").open(newline="") as table:
            assert len([*csv.DictReader(table)]) == json.loads((tmp_path / "JSON").read_text())["total"] == 6


def test_browser_refuses_nothing_that_the_page_has(page_of: Callable[..., Page]) -> None:
    page = page_of("opencx/")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.get_by_role("link", name="agents of opencx_default").click()
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="Sequences", exact=True).click()
    page.get_by_role("link", name="Read Appointment reminders now").click()
    expect(page.get_by_role("row", name="Step 2")).to_contain_text("60 min")
    assert complaints == []


def test_link_of_the_plan_opens_its_task_in_airflow(page_of: Callable[..., Page]) -> None:
    page = page_of(AGENTS)
    page.get_by_role("link", name="task plan of Dag support_fleet").click()
    page.wait_for_url("**/dags/support_fleet/runs/*/tasks/plan*")
    expect(page.get_by_role("link", name="Home").first).to_be_visible()
