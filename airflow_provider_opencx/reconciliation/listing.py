"""Reads a list again before an important decision, because one read may be stale or incomplete."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from airflow_provider_opencx.reconciliation.items import ItemsT

READ_AGAIN_AFTER = 5.0
"""Seconds after which two lists that contradict each other are followed by a third."""

STALE_AFTER = 10.0
"""Seconds after which the list is read again before a create, for what others create without taking turns.

The wait of a create for the rate limit comes on top.
"""

RETRY_LOOKS_AFTER: Sequence[float] = (1, 2, 4, 8)
"""Seconds before each further read of the list in a retry that does not know what an earlier try has sent."""

LAGS_FOR = 300.0
"""Seconds for which a list may not show an item that was created."""


def list_until(
    list_items: Callable[[], ItemsT], found: Callable[[ItemsT], object], pauses: Sequence[float], items: ItemsT
) -> ItemsT:
    """Read the list until it shows what is looked for, or was read once after each pause; return the last one.

    :param list_items: reads the list.
    :param found: whether a list shows it.
    :param pauses: seconds before each read.
    :param items: the list that was read before.
    """
    for seconds in pauses:
        if found(items):
            break
        time.sleep(seconds)
        items = list_items()
    return items


def list_again(list_items: Callable[[], ItemsT], before: ItemsT, found: Callable[[ItemsT], bool]) -> ItemsT:
    """Return a second list, before something is created.

    Where it does not show all of it, and it contradicts the first one, or one of the two is empty, a third follows:
    then all that the two show is returned.

    :param list_items: reads the list.
    :param before: the first list.
    :param found: whether a list shows all that is to be created.
    """
    items = list_items()
    agree = len(items) and len(before) and not (items.lacks_most_of(before) or before.lacks_most_of(items))
    if agree or found(items):
        return items
    time.sleep(READ_AGAIN_AFTER)
    return list_items().with_those_of(items)


def fresh(list_items: Callable[[], ItemsT], items: ItemsT) -> ItemsT:
    """Return the list; if it is stale, what it and another one show."""
    return list_items().with_those_of(items) if is_stale(items) else items


def is_stale(items: ItemsT) -> bool:
    """Return whether a list was read too long ago to write on its word."""
    return time.monotonic() - items.listed_at > STALE_AFTER
