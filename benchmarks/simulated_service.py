"""Runs the simulator in a process of its own, so that its CPU time does not count for the measured process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx

API_KEY = "benchmark-key"


class SimulatedService:
    """A running simulator, driven over HTTP.

    :param url: where it listens.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._admin = httpx.Client(base_url=f"{url}/_simulator", timeout=600)

    def connections(self, *, paced: bool = False) -> dict[str, str]:
        """Return the environment variables of the connections to it: this provider's and the HTTP provider's.

        :param paced: whether this provider keeps to its default of 90 requests a minute.
        """
        pace = {} if paced else {"requests_per_minute": 1_000_000}
        opencx = {
            "conn_type": "opencx",
            "host": self.url,
            "password": API_KEY,
            "extra": {"timeout": 300, "allow_calls": True, **pace},
        }
        http = {"conn_type": "http", "host": self.url, "extra": {"Authorization": f"Bearer {API_KEY}"}}
        return {"AIRFLOW_CONN_OPENCX_DEFAULT": json.dumps(opencx), "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps(http)}

    def add_agents(self, agents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add agents and return them."""
        response = self._admin.post("/agents", json={"agents": list(agents)}).raise_for_status()
        added: list[dict[str, Any]] = response.json()["agents"]
        return added

    def add_sequences(self, sequences: Sequence[dict[str, Any]]) -> list[str]:
        """Add sequences and return their ids."""
        added = [self._admin.post("/sequences", json=fields).raise_for_status() for fields in sequences]
        return [str(response.json()["id"]) for response in added]

    def start_sequences(self, ids: Sequence[str]) -> None:
        """Start sequences."""
        for sequence_id in ids:
            self._admin.put(f"/sequences/{sequence_id}/start", json={}).raise_for_status()

    def set_sequences(self, **settings: Any) -> None:
        """Set how the simulator treats sequences."""
        self._admin.patch("/sequences/settings", json=settings).raise_for_status()

    def add_contacts(self, phone_numbers: Sequence[str]) -> None:
        """Add a contact for each number."""
        contacts = [{"phone_number": number} for number in phone_numbers]
        self._admin.post("/contacts", json={"contacts": contacts}).raise_for_status()

    def add_conversations(self, count: int, *, first: datetime, last: datetime) -> None:
        """Add conversations that began between two times, after the later of which none is changed."""
        form = {"count": count, "first": first.isoformat(), "last": last.isoformat()}
        self._admin.post("/conversations/many", json=form).raise_for_status()

    def conversation_ids(self) -> list[str]:
        """Return the ids of all conversations, the one that was added first before the others."""
        conversations = self._admin.get("/conversations").raise_for_status().json()["conversations"]
        return [str(conversation["id"]) for conversation in conversations]

    def list_conversations_by(self, **settings: Any) -> None:
        """Say how the simulator lists conversations."""
        self._admin.put("/conversations/list", json=settings).raise_for_status()

    def change_between_pages(self, ids: Sequence[str], *, after: int) -> None:
        """Change conversations once, when a number of pages of their list have been read."""
        form = {"after": after, "update": {"ids": list(ids)}}
        self._admin.post("/conversations/between-pages", json=form).raise_for_status()

    def advance(self, seconds: float) -> None:
        """Move the clock of the simulator forward."""
        self._admin.post("/clock", json={"advance": seconds}).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests so far, each with its path, its status and its time in seconds."""
        requests: list[dict[str, Any]] = self._admin.get("/journal").raise_for_status().json()["requests"]
        return requests

    def count_agents(self) -> int:
        """Count the agents that there are."""
        return len(self._admin.get("/agents").raise_for_status().json()["agents"])

    def limit(self, requests_per_minute: int | None) -> None:
        """Limit the requests of a minute; ``None`` is without limit."""
        self._admin.patch("/settings", json={"requests_per_minute": requests_per_minute}).raise_for_status()

    def reset(self) -> None:
        """Begin anew, without agents."""
        self._admin.post("/reset", json={}).raise_for_status()

    def forget_requests(self) -> None:
        """Count from here."""
        self._admin.request("DELETE", "/journal", json={}).raise_for_status()

    def responses(self, *, within: float = 60) -> dict[str, int] | None:
        """Count the responses by status; ``None`` if the simulator is too busy to say so in time."""
        try:
            journal = self._admin.get("/journal", timeout=within).raise_for_status().json()
        except httpx.ReadTimeout:
            return None
        statuses = [str(request["status"]) for request in journal["requests"] if request["status"] is not None]
        return dict(Counter(statuses))


def created_at(agent: dict[str, Any]) -> float:
    """Return when an agent was created, in seconds of the Unix clock."""
    return datetime.fromisoformat(agent["created_at"]).timestamp()


@contextmanager
def simulated_service(*, requests_per_minute: int | None = None) -> Iterator[SimulatedService]:
    """Run a simulator, as long as the block lasts. Its agents get no number but by a progression of their own."""
    limit = "none" if requests_per_minute is None else str(requests_per_minute)
    # Quiet, because nobody reads its lines: a pipe that is full would stop it.
    options = ["--quiet", "--port", "0", "--api-key", API_KEY, "--provision-after", "never"]
    options += ["--requests-per-minute", limit]
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_opencx.simulator", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        greeting = process.stdout.readline() if process.stdout else ""
        url = next(word for word in greeting.split() if word.startswith("http://"))
        yield SimulatedService(url)
    finally:
        process.kill()  # one that is busy would hear of a gentler end too late
        process.wait()
