"""Makes an example simpler, as long as it shows the same finding."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from fuzz.replies import Example, Reply, Times

MOST_TRIES = 60
MOST_SECONDS = 40.0


def simplified(example: Example, is_found: Callable[[Example], bool]) -> Example:
    """Return the simplest example, of those that are tried, that shows the same.

    :param is_found: tries an example, and returns whether it shows it.
    """
    ends_at = time.monotonic() + MOST_SECONDS
    tries = 0
    is_simpler = True
    while is_simpler:
        is_simpler = False
        for candidate in _simpler(example):
            if tries >= MOST_TRIES or time.monotonic() > ends_at:
                return example
            tries += 1
            if is_found(candidate):
                example, is_simpler = candidate, True
                break
    return example


def _simpler(example: Example) -> Iterator[Example]:
    replies = example.replies
    for place in range(len(replies)):
        yield replace(example, replies=(*replies[:place], *replies[place + 1 :]))
    if example.max_retries:
        yield replace(example, max_retries=0)
    for place, reply in enumerate(replies):
        for simpler in _simpler_replies(reply):
            yield replace(example, replies=(*replies[:place], simpler, *replies[place + 1 :]))


def _simpler_replies(reply: Reply) -> Iterator[Reply]:
    default = Reply()
    if reply != default:
        yield default
    for name in (field.name for field in fields(Reply)):
        value = getattr(default, name)
        if getattr(reply, name) != value:
            yield replace(reply, **{name: value})
    if len(reply.headers) > 1:
        for place in range(len(reply.headers)):
            yield replace(reply, headers=(*reply.headers[:place], *reply.headers[place + 1 :]))
    for place, text in enumerate(reply.entity):
        if isinstance(text, Times) and text.times > 1:
            halved = replace(text, times=text.times // 2)
            yield replace(reply, entity=(*reply.entity[:place], halved, *reply.entity[place + 1 :]))
