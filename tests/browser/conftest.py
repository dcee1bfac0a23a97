"""Starts a real Airflow, against a simulator over a socket, and Chromium, in which the tests use it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from airflow_standalone import EXAMPLE_DAGS, AirflowStandalone, copy_dags
from playwright.sync_api import Browser, expect, sync_playwright

from airflow_provider_opencx.simulator import Simulator

from .pages import HEIGHT, WIDTH, AirflowPages

API_KEY = "s3cret-of-the-browser-tests"
REVOKED_KEY = f"{API_KEY}-revoked"
DAGS = Path(__file__).parent / "dags"
PATIENCE = 120_000  # milliseconds
SETTINGS = {
    "AIRFLOW__API__DEFAULT_WRAP": "True",
    # The page's Trigger button starts and unpauses a paused Dag at once, and on SQLite the two wait for one another.
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    # A run that the scheduler starts by itself keeps SQLite from what a test writes at that moment, for a minute.
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    "AIRFLOW__OPENCX__AGENTS_PAGE": "True",
}
QUIETLY = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
]


@pytest.fixture(scope="session")
def service() -> Iterator[Simulator]:
    """The simulator of the session."""
    with Simulator(api_keys=(API_KEY,), requests_per_minute=None) as simulator:
        yield simulator


@pytest.fixture
def simulator(service: Simulator) -> Simulator:
    """The simulator as a test finds it: without agents."""
    for agent in service.agents():
        service.remove_agent(str(agent["id"]))
    service.forget_requests()
    return service


@pytest.fixture(scope="module")
def chromium(program: Callable[[str], Path]) -> Iterator[Browser]:
    """The browser of a module: as long as it is open, nothing else can run an event loop in this thread."""
    executable = program("chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=QUIETLY)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def running_airflow(
    chromium: Browser, new_database: Callable[[], dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowStandalone]:
    """The Airflow of a module, with no connection, the tests' own Dags, and the examples without their schedules."""
    dags = tmp_path_factory.mktemp("dags")
    copy_dags(DAGS, EXAMPLE_DAGS, into=dags)
    # The Dags are not paused, so its watcher would poll between the requests of the tests.
    (dags / "opencx_number_events.py").unlink()
    with AirflowStandalone(tmp_path_factory.mktemp("airflow"), dags, new_database() | SETTINGS) as airflow:
        yield airflow


@pytest.fixture
def airflow(running_airflow: AirflowStandalone) -> AirflowStandalone:
    """The Airflow as a test finds it: without connections."""
    connections = running_airflow.call("GET", "/connections")["connections"]
    ids = [connection["connection_id"] for connection in connections]
    running_airflow.call("PATCH", "/connections", {"actions": [{"action": "delete", "entities": ids}]})
    return running_airflow


@pytest.fixture
def pages(chromium: Browser, airflow: AirflowStandalone, tmp_path: Path) -> Iterator[AirflowPages]:
    """Airflow in a new browser. Nothing that Airflow answers to it, through a whole test, may hold the key."""
    answers = tmp_path / "answers.har"
    pictures = os.environ.get("SCREENSHOTS")
    context = chromium.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="light",
        locale="en-US",
        timezone_id="UTC",
        reduced_motion="reduce",
        record_har_path=answers,
        record_har_url_filter=re.compile("/(api|ui)/"),
    )
    context.set_default_timeout(PATIENCE)
    yield AirflowPages(context.new_page(), airflow.url, Path(pictures) if pictures else None)
    context.close()
    answered = [entry["response"] for entry in json.loads(answers.read_text())["log"]["entries"]]
    assert answered
    assert [answer for answer in answered if API_KEY in json.dumps(answer)] == []


@pytest.fixture
def connect(pages: AirflowPages, simulator: Simulator) -> Callable[..., None]:
    """Makes a connection to the simulator by the form."""

    def connect(conn_id: str = "opencx_default", key: str = API_KEY, *, allow_calls: bool = False) -> None:
        form = pages.add_connection(conn_id)
        form.base_url.fill(simulator.url)
        form.key.fill(key)
        if allow_calls:
            form.section("Extra Fields")
            form.field("Allow calls").locator("..").click()
        form.save()

    return connect
