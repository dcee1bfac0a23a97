"""Follows the polls of agents, and yields each change as an event at least once, even if the triggerer is killed.

Airflow has an event in its database only some time after it was yielded: the process that runs the triggers hands it to
the triggerer, about once a second, and the triggerer stores it. A kill in between loses it. So changes are recorded
before they are fired, with their events; a watcher that starts from such a record fires these once more, with the same
ids. They leave the record when Airflow has certainly stored them.
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from pydantic import JsonValue

from airflow_provider_opencx import metrics
from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.phone_agents.changes import (
    Payload,
    Record,
    Watched,
    baseline,
    find_changes,
    is_of_another_organization,
    missing_from,
    organization_of,
)
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.resources.phone_agents import agent_label
from airflow_provider_opencx.triggers.asset_state import AssetState
from airflow_provider_opencx.triggers.phone_number import PhoneNumbers
from airflow_provider_opencx.triggers.polling import SharedPolls, Snapshot
from airflow_provider_opencx.triggers.threads import in_thread
from airflow_provider_opencx.visible_text import identifier, in_quotes
from airflow_provider_opencx.waiting import MissingItems

SETTLES_IN = 30.0
"""Seconds after which Airflow has stored an event, where its triggerer responds at all: it takes one or two."""

log = logging.getLogger(__name__)


class AgentWatch:
    """Watches the agents of one connection.

    :param watched: which changes are events.
    :param poll_interval: seconds between two polls.
    :param state: where the record is kept.
    """

    def __init__(self, watched: Watched, poll_interval: float, state: AssetState) -> None:
        self._watched = watched
        self._poll_interval = poll_interval
        self._state = state
        self._record: Record | None = None
        self._is_stored = False
        self._has_read_state = False
        self._read_at = -math.inf
        """When the record was read, by ``time.monotonic()``. Another triggerer may have recorded what a list that was
        asked for before does not show yet."""
        self._missing = MissingItems()
        self._to_fire: deque[Payload] = deque()
        self._handed_over: list[str] = []
        """The ids of events that were fired, and of which the triggerer may not know yet."""
        self._fired_at: dict[str, float] = {}
        """When the triggerer has certainly begun to fetch an event, by the id of the event."""

    async def events(self) -> AsyncGenerator[Payload]:
        """Yield the events, without an end. Nothing that happens to the service or to the store is raised."""
        snapshot: Snapshot[PhoneAgents] | None = None
        async with SharedPolls.join(self._watched.conn_id, self._poll_interval, PhoneNumbers()) as polls:
            while True:
                await self._evaluate(snapshot)
                while self._to_fire:
                    event = self._to_fire.popleft()
                    self._report(event)
                    yield event
                    self._handed_over.append(str(event["event_id"]))
                await self._note_handed_over()
                snapshot = await polls.after(snapshot)

    async def _evaluate(self, snapshot: Snapshot[PhoneAgents] | None) -> None:
        """Read what is recorded, if it was not read yet, and evaluate a poll; ``None`` before the first one."""
        try:
            is_readable = await self._read_state()
            if snapshot is None:
                pass
            elif isinstance(snapshot.poll, OpenCXError):
                metrics.count_watch_error("poll")  # it is in the log already, once for all who share the poll
            elif is_readable and snapshot.begun_at >= self._read_at:
                await self._compare(snapshot.poll, snapshot.begun_at)
            await self._write_state()
        except Exception:
            # An exception here would restart the trigger each second.
            metrics.count_watch_error("evaluation")
            log.exception("The poll of connection %s could not be evaluated.", in_quotes(self._watched.conn_id))

    async def _compare(self, agents: PhoneAgents, at: float) -> None:
        """Compare a list with the record, and note what to fire and to record."""
        if self._record is None:
            await self._begin_anew(agents, None)
            return
        record = self._without_settled(self._record)
        self._missing.note(missing_from(agents, record), at)
        gone = self._missing.gone(at)
        if is_of_another_organization(record, agents):
            await self._meet_another_organization(record, agents, gone)
            return
        seen_at = datetime.now(UTC).isoformat(timespec="seconds")
        events, record = await in_thread(partial(find_changes, record, agents, gone, self._watched, seen_at))
        self._to_fire.extend(events)
        self._set_record(record)

    async def _begin_anew(self, agents: PhoneAgents, earlier: Record | None) -> None:
        record = await in_thread(partial(baseline, agents, secrets.token_hex(8), earlier))
        self._set_record(record)
        log.info(
            "Watching %d phone agents of connection %s from now on.",
            len(record.agents),
            in_quotes(self._watched.conn_id),
        )

    async def _meet_another_organization(self, record: Record, agents: PhoneAgents, gone: list[str]) -> None:
        """Keep the record while the key may be a mistake: as long as an agent must be missing to be gone."""
        metrics.count_watch_error("organization")
        conn_id = in_quotes(self._watched.conn_id)
        other, before = (identifier(str(org_id)) for org_id in (organization_of(agents), record.org_id))
        shown = f"shows organization {other}, and not {before} as before"
        if set(gone) >= record.agents.keys():
            log.error(
                "Connection %s %s. Its agents are watched from now on, and nothing is fired for this change.",
                conn_id,
                shown,
            )
            await self._begin_anew(agents, record)
        else:
            log.error(
                "Connection %s %s. No event is fired. If its API key is wrong, correct it: nothing is lost. Otherwise"
                " the agents of the new organization are watched after some minutes.",
                conn_id,
                shown,
            )
            self._set_record(record)

    def _without_settled(self, record: Record) -> Record:
        """Return the record without the events that Airflow has stored."""
        now = time.monotonic()
        left = tuple(
            event for event in record.pending if now - self._fired_at.get(str(event["event_id"]), now) < SETTLES_IN
        )
        if not self._state.exists:
            left = ()
        return record if len(left) == len(record.pending) else replace(record, pending=left)

    def _set_record(self, record: Record) -> None:
        if record is not self._record:
            self._record, self._is_stored = record, False
            pending = {str(event["event_id"]) for event in record.pending}
            self._fired_at = {event_id: at for event_id, at in self._fired_at.items() if event_id in pending}

    async def _read_state(self) -> bool:
        """Read the record that is stored, once; return whether there is one to compare with, or surely none."""
        if self._has_read_state or not self._state.exists:
            return True
        try:
            stored = await self._state.read()
        except Exception as error:
            self._report_state("read", error)
            return self._record is not None
        self._has_read_state = True
        records = [record for record in map(self._read_record, stored) if record is not None]
        if records and (newest := max(records, key=lambda record: record.revision)) != self._record:
            self._record, self._read_at = newest, time.monotonic()
            self._is_stored = all(value == stored[0] for value in stored)
            self._to_fire.extend(newest.pending)
        return True

    def _read_record(self, stored: JsonValue) -> Record | None:
        if stored is None:
            return None
        try:
            return Record.from_json(stored)
        except ValueError as wrong:
            metrics.count_watch_error("state")
            log.warning(
                "What a watcher of connection %s has recorded cannot be used: %s. What has changed since then fires no"
                " event, unless another asset of the watcher has a record.",
                in_quotes(self._watched.conn_id),
                wrong,
            )
            return None

    async def _write_state(self) -> None:
        if self._is_stored or self._record is None or not self._state.exists:
            return
        try:
            await self._state.write(self._record.as_json())
        except Exception as error:
            self._report_state("written", error)
            # Airflow returns the same if nothing is stored and if the asset is inactive. If this is a baseline, it
            # must not replace a record.
            self._has_read_state = self._record.revision > 0
        else:
            self._is_stored = True

    async def _note_handed_over(self) -> None:
        """Note that events were fired: when the triggerer has responded to a request that was sent after them.

        The triggerer may have been busy for a long time, and earlier requests did not include these events.
        """
        if not self._handed_over:
            return
        try:
            await self._state.read()
        except Exception as error:
            self._report_state("read", error)
            return
        self._fired_at.update(dict.fromkeys(self._handed_over, time.monotonic()))
        self._handed_over.clear()

    def _report_state(self, what: str, error: Exception) -> None:
        metrics.count_watch_error("state")
        log.warning(
            "Airflow's asset state store cannot be %s for connection %s (%s). It is tried again with the next poll.",
            what,
            in_quotes(self._watched.conn_id),
            type(error).__name__,
        )

    @staticmethod
    def _report(event: Payload) -> None:
        kind, name = str(event["event"]), event["agent_name"]
        metrics.count_event(kind)
        label = agent_label(None if name is None else str(name), str(event["agent_id"]))
        log.info("Fired %s of %s, event %s.", kind, label, event["event_id"])
