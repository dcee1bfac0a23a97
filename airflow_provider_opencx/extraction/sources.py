"""The lists that can be extracted, and how an item of each list becomes a row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import JsonValue

from airflow_provider_opencx.client.operation import Request
from airflow_provider_opencx.client.pagination import Listed, iterate_pages
from airflow_provider_opencx.exceptions import OpenCXResponseError
from airflow_provider_opencx.resources.contacts import Contact, contacts_request
from airflow_provider_opencx.resources.conversations import Conversation, conversations_request
from airflow_provider_opencx.resources.models import LONGEST_ID, ResourceModel
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, list_phone_agents
from airflow_provider_opencx.resources.times import time_in
from airflow_provider_opencx.resources.training import TrainingScenario, list_training_scenarios

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
"""Characters that end a line for some readers, and need no escape in JSON."""

Resource: TypeAlias = Literal["conversations", "contacts", "phone_agents", "training_scenarios"]
"""The resources that can be extracted."""


@dataclass(frozen=True)
class Row:
    """An item of a list, as a file has it.

    :param id: its id.
    :param time: when it was changed, in UTC and of one length, so that texts compare as times do; when it was created,
        where the service did not say the former; empty where it said neither.
    :param created: when it was created, in the same form.
    :param channel: its channel; ``None`` where it says none.
    :param text: the item as one line of JSON: as the service sent it, with null for the fields that it left out.
    """

    id: str
    time: str
    created: str
    channel: str | None
    text: str


@dataclass(frozen=True)
class Filters:
    """Which items of a list are asked for.

    :param channel_type: those of this channel.
    :param created_after: those that were created after this time.
    :param created_before: those that were created before this time.
    :param updated_after: those that were changed after this time.
    :param updated_before: those that were changed before this time.
    """

    channel_type: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None


@dataclass(frozen=True)
class Source:
    """A list that can be extracted.

    :param noun: what messages call several of its items.
    :param pages: reads the list, and yields the rows of each page; a list that cannot be filtered is one page.
    """

    noun: str
    pages: Callable[[OpenCXClient, Filters], Iterable[Listed[Row]]]


def as_line(value: JsonValue) -> str:
    """Return a value as one line of JSON, always the same for the same value.

    :raises OpenCXResponseError: if it is nested too deeply.
    """
    try:
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    except RecursionError:
        raise OpenCXResponseError("it is nested too deeply.") from None
    return _LINE_ENDS.sub(lambda end: f"\\u{ord(end[0]):04x}", line)


def as_time(time: datetime | None) -> str:
    """Return a time in UTC as text of one length; the empty text for none."""
    return "" if time is None else time.astimezone(UTC).isoformat(timespec="microseconds")


def _reader(model: type[ResourceModel]) -> Callable[[JsonValue], Row]:
    """Return what reads an item as a row: as the service sent it, also what the model of it would not take."""
    left_out: Mapping[str, JsonValue] = dict.fromkeys(model.model_fields)

    def read(value: JsonValue) -> Row:
        if not isinstance(value, dict):
            raise OpenCXResponseError(f"it is not {model.noun}: must be an object.")
        item_id = value.get("id")
        if not (isinstance(item_id, str) and 0 < len(item_id) <= LONGEST_ID):
            raise OpenCXResponseError(f"it is not {model.noun}: has no id.")
        return _row(item_id, {**left_out, **value})

    return read


def _row(item_id: str, fields: dict[str, JsonValue]) -> Row:
    created, updated = time_in(fields.get("created_at")), time_in(fields.get("updated_at"))
    return Row(item_id, as_time(updated or created), as_time(created), _channel(fields), as_line(fields))


def _channel(fields: Mapping[str, JsonValue]) -> str | None:
    match fields.get("channel"):
        case {"type": str() as channel}:
            return channel
    return None


def _conversations(client: OpenCXClient, filters: Filters) -> Generator[Listed[Row]]:
    wanted = filters.channel_type
    for page in _pages(client, conversations_request(**asdict(filters)), Conversation):
        # A service that does not know the filter sends every channel.
        page[:] = [row for row in page if wanted is None or row.channel in (None, wanted)]
        yield page


def _contacts(client: OpenCXClient, filters: Filters) -> Generator[Listed[Row]]:
    times = {name: time for name, time in asdict(filters).items() if name != "channel_type"}
    return _pages(client, contacts_request(**times), Contact)


def _pages(client: OpenCXClient, request: Request, model: type[ResourceModel]) -> Generator[Listed[Row]]:
    return iterate_pages(client, request, _reader(model))


def _phone_agents(client: OpenCXClient, _: Filters) -> list[Listed[Row]]:
    return [_whole_list(list_phone_agents(client))]


def _training_scenarios(client: OpenCXClient, _: Filters) -> list[Listed[Row]]:
    return [_whole_list(list_training_scenarios(client))]


def _whole_list(items: Listed[PhoneAgent] | Listed[TrainingScenario]) -> Listed[Row]:
    """Return the rows of a list that was read as a whole."""
    rows = Listed(_reader(ResourceModel))
    rows.extend(_row(item.id, item.as_dict()) for item in items)
    rows.unreadable, rows.problems = items.unreadable, items.problems
    return rows


SOURCES: Mapping[Resource, Source] = {
    "conversations": Source("conversations", _conversations),
    "contacts": Source("contacts", _contacts),
    "phone_agents": Source("phone agents", _phone_agents),
    "training_scenarios": Source("training scenarios", _training_scenarios),
}
"""Every list that can be extracted."""
