"""The trigger for an ``AssetWatcher``: fires an event for each change of a phone agent or its number."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import aclosing
from datetime import timedelta
from hashlib import sha256
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_opencx.arguments import seconds, texts
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXWatcherArgumentError, derive_from_airflow
from airflow_provider_opencx.phone_agents.events import AGENT_EVENTS, AgentEvent
from airflow_provider_opencx.templates import has_no_template
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes

derive_from_airflow()


class OpenCXPhoneAgentEventTrigger(BaseEventTrigger):
    """Fires an event for each change of a phone agent that a poll shows, for an ``AssetWatcher``.

    The first poll is the baseline, and fires nothing. Each later change is one event, fired at least once, with an
    ``event_id`` that stays the same if the event is fired again. On Airflow 3.3 and later, this includes restarts of
    the triggerer and changes while it is down, because the state of the asset stores what was seen. Before 3.3, a
    trigger only sees changes since its start.

    All watchers and deferred sensors of one connection and interval in a triggerer share their polls: one
    ``GET /phone`` an interval. An agent is removed when it has been missing for five minutes, and in three polls in a
    row or more. An error is logged and counted, and never fired.

    An event is plain JSON: ``event_id``, ``event``, ``opencx_conn_id``, ``org_id``, ``agent_id``, ``agent_name``,
    ``phone_number``, ``previous_phone_number``, ``fields`` and ``seen_at``. It never holds the key.

    The arguments are not rendered: they hold no templates.

    :param opencx_conn_id: the connection. Default ``opencx_default``.
    :param events: what to fire for, one of these or several: ``"number_assigned"``, ``"number_lost"``,
        ``"number_changed"``, ``"agent_created"``, ``"agent_removed"``, ``"agent_changed"``. Default: all.
    :param names: watch the agents of this name, or of these names. Default ``None``: all agents.
    :param poll_interval: seconds between two polls, or a ``timedelta``. Default 60.
    :raises OpenCXArgumentError: if an argument is wrong.
    """

    def __init__(
        self,
        opencx_conn_id: str = DEFAULT_CONN_ID,
        events: Collection[AgentEvent] | AgentEvent = AGENT_EVENTS,
        names: Collection[str] | str | None = None,
        poll_interval: float | timedelta = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow does not annotate it
        try:
            if not isinstance(opencx_conn_id, str):
                raise OpenCXArgumentError("opencx_conn_id: must be the id of a connection")
            [self.opencx_conn_id] = _checked_texts("opencx_conn_id", opencx_conn_id)
            self.events = _checked_events(events)
            self.names = None if names is None else _checked_texts("names", names)
            self.poll_interval = _checked_interval(poll_interval)
        except OpenCXArgumentError as wrong:
            raise OpenCXWatcherArgumentError(str(wrong)) from None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes this trigger again from: the same at each parse, or Airflow would restart it."""
        return (
            f"{OpenCXPhoneAgentEventTrigger.__module__}.{OpenCXPhoneAgentEventTrigger.__qualname__}",
            {
                "opencx_conn_id": self.opencx_conn_id,
                "events": self.events,
                "names": self.names,
                "poll_interval": self.poll_interval,
            },
        )

    @property
    def state_key(self) -> str:
        """The key of what was seen, in the state of the asset: watchers that watch for something else have another.

        The interval is not in it, so that nothing is lost where it is changed.
        """
        watched = json.dumps([self.opencx_conn_id, self.events, self.names])
        return f"opencx_phone_agents_{sha256(watched.encode()).hexdigest()[:16]}"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch, without an end."""
        # Not needed where a Dag is parsed.
        from airflow_provider_opencx.normalization import normalize_name
        from airflow_provider_opencx.phone_agents.changes import Watched
        from airflow_provider_opencx.triggers.agent_watch import AgentWatch
        from airflow_provider_opencx.triggers.asset_state import AssetState

        names = None if self.names is None else frozenset(map(normalize_name, self.names))
        watched = Watched(self.opencx_conn_id, frozenset(self.events), names)
        # Airflow before 3.3 has no store.
        state = AssetState(getattr(self, "asset_state_store", None), self.state_key)
        async with aclosing(AgentWatch(watched, self.poll_interval, state).events()) as events:
            async for event in events:
                yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow does not annotate it


def _checked_texts(argument: str, value: object) -> list[str]:
    """Return texts that are not empty, sorted and each once: sets have another order in each process."""
    found = texts(argument, _as_list(value))
    if not found or not all(text.strip() for text in found):
        raise OpenCXArgumentError(f"{argument}: must not be empty")
    if not has_no_template(found, ("{{", "{%")):
        raise OpenCXArgumentError(
            f"{argument}: holds a template, and the arguments of a watcher are not rendered; write the value itself"
        )
    return sorted(set(found))


def _checked_events(value: object) -> list[str]:
    events = _checked_texts("events", value)
    unknown = [event for event in events if event not in AGENT_EVENTS]
    if unknown:
        raise OpenCXArgumentError(
            f"events: there is no event {listed([*map(in_quotes, unknown)], separator=' or ')}; there are"
            f" {listed([*map(in_quotes, AGENT_EVENTS)])}"
        )
    return events


def _as_list(value: object) -> object:
    is_set = isinstance(value, Collection) and not isinstance(value, str | bytes | Sequence | dict)
    return list(value) if is_set and isinstance(value, Collection) else value


def _checked_interval(value: float | timedelta) -> float:
    interval = seconds("poll_interval", value)
    if not interval:
        raise OpenCXArgumentError("poll_interval: must be more than zero seconds")
    return interval
