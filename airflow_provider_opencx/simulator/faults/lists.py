"""Faults of a list: stale, empty, incomplete, endless, or with repeated items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from starlette.responses import Response

from airflow_provider_opencx.simulator.call import Call
from airflow_provider_opencx.simulator.faults.fault import AlteringFault, Fault, Handle
from airflow_provider_opencx.simulator.json_values import Json, read_json
from airflow_provider_opencx.simulator.list_view import History, Item, ListView
from airflow_provider_opencx.simulator.responses import json_response

_Changes = Literal["both", "creates", "updates"]
_Items = Literal["new", "same", "none"]


class ListFault(AlteringFault, ListView):
    """A fault that changes what a list shows. Requests of other operations are handled without a fault."""

    def alter_request(self, call: Call) -> Call:
        """Return the request with this view of the list."""
        return call.with_view(self)


@dataclass(frozen=True)
class StaleList(ListFault):
    """Show the list as it was before.

    :param seconds: how long before, in seconds of the simulator's clock
    :param of: ``creates``: only what was created since is missing; ``updates``: only what was changed since is shown as
        it was, and what was created since as it was created; ``both``: the list as it was, also with what was removed
        since
    """

    seconds: float
    of: _Changes = "both"

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"A list is 0 seconds old or older, not {self.seconds}.")
        if self.of not in get_args(_Changes):
            raise ValueError(f"A list is stale of {', '.join(get_args(_Changes))}, not of {self.of!r}.")

    def listed(self, histories: Sequence[History[Item]], now: float) -> list[History[Item]]:
        """Return the items as they were then."""
        then = now - self.seconds
        if self.of == "updates":
            return [history.until(then) for history in histories if not history.is_removed]
        known = [history for history in histories if history.created_at <= then]
        return known if self.of == "creates" else [history.until(then) for history in known]


@dataclass(frozen=True)
class EmptyList(ListFault):
    """Show an empty list, or an empty page, which is the last one."""

    def listed(self, histories: Sequence[History[Item]], now: float) -> list[History[Item]]:
        """Return nothing."""
        return []


@dataclass(frozen=True)
class IncompleteList(ListFault):
    """Show the list without its newest items.

    :param lost: how many items are missing
    :param share: which share of the items is missing, at least one item, instead of ``lost``
    """

    lost: int = 1
    share: float | None = None

    def __post_init__(self) -> None:
        if self.lost < 1 or not (self.share is None or 0 < self.share <= 1):
            raise ValueError("An incomplete list lacks one item or more, or a share that is more than 0 and at most 1.")

    def listed(self, histories: Sequence[History[Item]], now: float) -> list[History[Item]]:
        """Return all items but the newest."""
        existing = [history for history in histories if not history.is_removed]
        lost = self.lost if self.share is None else max(1, round(self.share * len(existing)))
        return existing[: max(0, len(existing) - lost)]


@dataclass(frozen=True)
class RepeatedIds(ListFault):
    """Show every item of the list, or of the page, twice: as it is, and further down as it was before its last change.

    An item without a change is the same twice.
    """

    def page(self, page: Sequence[History[Item]]) -> list[History[Item]]:
        """Return each item as it is, then each as it was."""
        return [*page, *(history.before_last_change() for history in page)]


@dataclass(frozen=True)
class EndlessPages(Fault):
    """Show pages without an end: each has a next one, with a cursor that is new.

    Without pages nothing is wrong.

    :param items: ``new``: each page has as many items as the first, with new ids and names; ``same``: each has
        the items of the first; ``none``: none has items
    """

    items: _Items = "new"

    def __post_init__(self) -> None:
        if self.items not in get_args(_Items):
            raise ValueError(f"The items of a page are {', '.join(get_args(_Items))}, not {self.items!r}.")

    async def respond(self, call: Call, handle: Handle) -> Response:
        """Show the first page again, as another one."""
        query = {name: value for name, value in call.query.items() if name not in ("cursor", "offset")}
        response = handle(replace(call, query=query))
        body = read_json(bytes(response.body)) if response.body else None
        if not (isinstance(body, dict) and isinstance(items := body.get("items"), list)):
            return response
        if "has_more" in body:
            number = int(call.query.get("offset", "0")) // max(1, len(items))
            return json_response({**body, "items": self._shown(items, number), "has_more": True})
        digits = call.query.get("cursor", "").rpartition("-")[2]
        number = int(digits) if digits.isdecimal() else 0
        return json_response({"items": self._shown(items, number), "next": f"after-{number + 1}"})

    def _shown(self, items: Sequence[Json], number: int) -> list[Json]:
        if self.items == "none":
            return []
        if self.items == "same" or number == 0:
            return list(items)
        return [_copied(item, number) for item in items]


@dataclass(frozen=True)
class MovedPages(ListFault):
    """Begin a page after the first one earlier or later than where the page before it ended.

    Without pages nothing is wrong.

    :param by: how many items earlier, which repeats them; a negative number is later, which loses them
    """

    by: int = 1

    def page_start(self, index: int) -> int:
        """Return the index, moved."""
        return max(0, index - self.by)


def _copied(item: Json, number: int) -> Json:
    if not isinstance(item, dict):
        return item
    return item | {name: f"{item[name]}_{number}" for name in ("id", "name") if name in item}
