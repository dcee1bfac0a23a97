"""Uses Airflow's pages as a person does: clicks, types, and finds what is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from airflow import __version__ as airflow_version
from playwright.sync_api import Locator, Page, Route, expect

# Airflow's page sends port 0 for a connection without a port, and these versions of its server then refuse to test
# the connection: apache/airflow pull request 73298.
PORT_0_IS_REFUSED = airflow_version in ("3.3.1", "3.3.2")

WIDTH, HEIGHT = 1280, 720  # of a page, in pixels


class AirflowPages:
    """Airflow in a browser.

    :param page: the browser's page.
    :param url: where Airflow is.
    :param pictures: the folder for pictures, ``None`` to take none.
    """

    def __init__(self, page: Page, url: str, pictures: Path | None) -> None:
        self.page = page
        self._url = url
        self._pictures = pictures

    def open(self, path: str) -> None:
        """Open a page, and return when Airflow speaks English on it: its texts come after its buttons."""
        self.page.goto(f"{self._url}/{path}")
        expect(self.page.get_by_role("link", name="Home").first).to_be_visible()

    def open_task(self, dag_id: str, run_id: str, task: str) -> None:
        """Open the log of a task of a run, or the list of its mapped tasks.

        :param task: as Airflow's addresses have it: ``"agent"``, the list ``"agent/mapped"``, or ``"agent/mapped/0"``.
        """
        self.open(f"dags/{dag_id}/runs/{run_id}/tasks/{task}")

    def add_connection(self, conn_id: str) -> ConnectionForm:
        """Open the form of a new OpenCX connection."""
        self.open_from_menu("Admin", "Connections")
        self.page.get_by_role("button", name="Add Connection").click()
        form = ConnectionForm(self.page)
        form.connection_id.fill(conn_id)
        form.connection_type.fill("OpenCX")
        form.connection_type.press("Enter")
        return form

    def edit_connection(self, conn_id: str) -> ConnectionForm:
        """Open the form of a connection that is there."""
        self.open_from_menu("Admin", "Connections")
        self.row(conn_id).get_by_role("button", name="Edit Connection").click()
        return ConnectionForm(self.page)

    def test_connection(self, conn_id: str) -> str:
        """Press the button that tests a connection of the list, and return what Airflow then says."""
        if PORT_0_IS_REFUSED:
            self.page.route("**/connections/test", _send_without_port)
        self.row(conn_id).get_by_role("button", name="Test Connection").click()
        return self.said("Test Connection").inner_text()

    def row(self, text: str) -> Locator:
        """Return the row of a table that has a text."""
        return self.page.get_by_role("row").filter(has_text=text)

    def said(self, title: str) -> Locator:
        """Return the note with which Airflow answers a click, by its title or the beginning of it."""
        # Some pages show each note twice, the one upon the other.
        return self.page.get_by_role("status").filter(has_text=re.compile(f"^{re.escape(title)}")).first

    def trigger(self, dag_id: str, run_id: str, parameters: Mapping[str, str] | None = None) -> None:
        """Start a Dag by its Trigger button."""
        self.open(f"dags/{dag_id}")
        self.page.get_by_role("button", name="Trigger Dag").click()
        dialog = self.page.get_by_role("dialog")
        for name, value in (parameters or {}).items():
            _field(dialog, name).fill(value)
        dialog.get_by_role("button", name="Advanced Options").click()
        _field(dialog, "Run ID").fill(run_id)
        dialog.get_by_role("button", name="Trigger").last.click()
        expect(self.said("Dag Run Triggered")).to_be_visible()

    def open_required_action(self, subject: str) -> None:
        """Open what a task asks a person, from the list of all questions."""
        self.open_from_menu("Browse", "Required Actions")
        self.page.get_by_role("link", name=subject).click()
        expect(self.page.get_by_role("button", name="Approve")).to_be_visible()

    def show_graph(self) -> None:
        """Show the graph of the Dag on this page, and nothing beside it."""
        self.page.get_by_role("button", name="Show Graph").click()
        self.page.get_by_role("button", name="Collapse Details Panel").click()
        self.page.get_by_role("button", name="Fit View").click()

    def take_picture(self, name: str, *, height: int = HEIGHT) -> None:
        """Take a picture of the page when it has settled; does nothing unless there is a folder for it.

        :param height: of the page, in pixels, as much as it needs.
        """
        if self._pictures is None:
            return
        self.page.set_viewport_size({"width": WIDTH, "height": height})
        self.page.mouse.move(0, 0)
        for moving in ("status", "tooltip", "progressbar"):
            expect(self.page.get_by_role(moving)).to_have_count(0)
        self.page.wait_for_load_state("networkidle")
        self._pictures.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._pictures / f"{name}.png", animations="disabled")
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    def open_from_menu(self, menu: str, item: str) -> None:
        """Open a page by its item in a menu."""
        self.open("")
        self.page.get_by_role("button", name=menu).click()
        self.page.get_by_role("menuitem", name=item).click()


class ConnectionForm:
    """The form of a connection, new or old."""

    def __init__(self, page: Page) -> None:
        self.dialog = page.get_by_role("dialog")
        self.connection_id = self.dialog.get_by_label("Connection ID")
        self.connection_type = self.dialog.get_by_role("combobox", name="Connection Type")
        self.base_url = self.dialog.get_by_label("Base URL")
        self.key = self.dialog.get_by_label("API key")

    def section(self, name: str) -> None:
        """Open one of its sections, which closes the one before."""
        self.dialog.get_by_role("button", name=name, exact=True).click()

    def labels(self) -> list[str]:
        """Return what the fields to be seen are called."""
        return [text.strip(" *\n") for text in self.dialog.locator("label[data-part=label]:visible").all_inner_texts()]

    def field(self, label: str) -> Locator:
        """Return the field of a label."""
        return _field(self.dialog, label)

    def save(self) -> None:
        """Press Save, and return when Airflow has said that it did."""
        self.dialog.get_by_role("button", name="Save").click()
        expect(self.dialog.page.get_by_role("status").filter(has_text="successfully").first).to_be_visible()
        expect(self.dialog).to_be_hidden()


def _field(dialog: Locator, label: str) -> Locator:
    # Airflow ties no label to a field of text that it builds from a schema: both are in one group.
    page = dialog.page
    group = dialog.get_by_role("group").filter(has=page.get_by_text(re.compile(rf"^{re.escape(label)}\s*\*?$")))
    return group.get_by_role("textbox").or_(group.get_by_role("spinbutton")).or_(group.get_by_role("checkbox"))


def _send_without_port(route: Route) -> None:
    body = json.loads(route.request.post_data or "{}")
    route.continue_(post_data=json.dumps({**body, "port": body["port"] or None}))
