"""Describes the changes of one item in words; for long texts, the lines that change.

Pure. What is long is cut, and counted; a plan as JSON contains it completely.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.reconciliation.plan_document import (
    ExcerptLine,
    Line,
    Mark,
    NotShown,
    Quoted,
    Words,
    quoted,
)
from airflow_provider_opencx.reconciliation.plans import Difference
from airflow_provider_opencx.reconciliation.text_changes import LONG, TextChange, text_changes

_LONGEST_EXCERPT = 3000
_LONGEST_PART = 800
_MOST_LINES = 60
_MOST_ITEMS = 20
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_LEFT_TO_THE_SERVICE = "left to the service"


@dataclass(frozen=True)
class FieldWords:
    """The words for a field and its values.

    :param label: the field.
    :param null: no value.
    :param values: values that have words of their own, ``True`` and ``False`` among them.
    :param empty: an empty list.
    :param is_set: whether it is a list whose order does not matter.
    """

    label: str
    null: str = "not set"
    values: Mapping[object, str] = field(default_factory=dict)
    empty: str = "an empty list"
    is_set: bool = False


def place(organization: Organization) -> Words:
    """Return where a plan is to be applied; empty if nothing is known."""
    parts = {
        "Organization ": organization.org_id,
        "connection ": organization.connection,
        "service ": organization.base_url,
    }
    known = [(what, quoted(value)) for what, value in parts.items() if value]
    return tuple(word for number, part in enumerate(known) for word in ((", ", *part) if number else part))


def change_line(difference: Difference, fields: Mapping[str, FieldWords], *, is_new: bool) -> Line:
    """Return what happens to one field.

    :param fields: how fields and their values are called; every other field is called by its name.
    :param is_new: whether the item is yet to be created.
    """
    words = fields.get(difference.field)
    label: Words = (f"{words.label}: ",) if words else ("field ", quoted(difference.field), ": ")
    words = words or FieldWords("", "nothing (null)")
    texts = [_plain_text(difference.actual), _plain_text(difference.wanted)]
    if None in texts:
        texts = [_json_lines(difference.actual), _json_lines(difference.wanted)]
    actual, wanted = (text or "" for text in texts)
    new = _value_or_length(words, difference, difference.wanted, wanted, is_wanted=True)
    if is_new:
        return Line((*label, *new, ":"), tuple(_excerpt_of(wanted, ""))) if _is_long(wanted) else Line((*label, *new))
    old = _value_or_length(words, difference, difference.actual, actual)
    if not _is_long(actual) and not _is_long(wanted):
        if _look_the_same(old, new):
            old, new = (_json(difference.actual),), (_json(difference.wanted),)
        return Line((*label, *(_items_changed(words, difference) or ("from ", *old, " to ", *new))))
    changes = text_changes(actual, wanted) or text_changes(*map(_json_lines, (difference.actual, difference.wanted)))
    places = "1 place" if len(changes) == 1 else f"{len(changes):,} places"
    differ = f", which differ in {places}" if actual and wanted else ""
    return Line((*label, "from ", *old, " to ", *new, f"{differ}:"), tuple(_excerpt(changes)))


def _value_or_length(
    words: FieldWords, difference: Difference, value: JsonValue, text: str, *, is_wanted: bool = False
) -> Words:
    if _is_long(text):
        return (f"a text of {len(text):,} characters",)
    return _value(words, difference, value, is_wanted=is_wanted)


def _value(words: FieldWords, difference: Difference, value: JsonValue, *, is_wanted: bool = False) -> Words:
    """Return a value that is not long in words."""
    if value is None:
        return (_LEFT_TO_THE_SERVICE if is_wanted and difference.is_left_to_the_service else words.null,)
    if isinstance(value, bool):
        return ("yes" if value else "no",)
    if isinstance(value, str):
        return (words.values.get(value, quoted(value)) if value else "an empty text",)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return _items([*map(str, value)]) if value else (words.empty,)
    return (_json(value),)


def _items(items: Sequence[str]) -> Words:
    words: list[str | Quoted] = []
    for item in items[:_MOST_ITEMS]:
        words += [", ", quoted(item)] if words else [quoted(item)]
    more = len(items) - _MOST_ITEMS
    return *words, *((NotShown(f" and {more:,} more"),) if more > 0 else ())


def _items_changed(words: FieldWords, difference: Difference) -> Words:
    """Return which items of a list come and go, where its order does not matter and it is not short."""
    actual, wanted = difference.actual, difference.wanted
    if not words.is_set:
        return ()
    if not isinstance(actual, list) or not isinstance(wanted, list) or max(len(actual), len(wanted)) <= 3:
        return ()
    before, after = dict.fromkeys(map(str, actual)), dict.fromkeys(map(str, wanted))
    come, go = [item for item in after if item not in before], [item for item in before if item not in after]
    parts = [(word, _items(items)) for word, items in (("now also ", come), ("no longer ", go)) if items]
    stays = f"; {len(before) - len(go):,} stay"
    return *[word for number, part in enumerate(parts) for word in ("; " if number else "", part[0], *part[1])], stays


def _json(value: JsonValue) -> Quoted:
    """Return a value as JSON, in which two values that look the same do not."""
    return quoted(json.dumps(value))


def _look_the_same(one: Words, other: Words) -> bool:
    first, second = (
        unicodedata.normalize("NFKC", "".join(word if isinstance(word, str) else word.text for word in words))
        for words in (one, other)
    )
    return first == second


def _plain_text(value: JsonValue) -> str | None:
    """Return the text that a value is, alone or in a list, ``None`` for another value."""
    if value is None or value == []:
        return ""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else None


def _json_lines(value: JsonValue) -> str:
    """Return a value as JSON in lines; a list of short texts, which is shown by its items, needs none."""
    if value is None or (
        isinstance(value, list) and all(isinstance(item, str) and not _is_long(item) for item in value)
    ):
        return ""
    return json.dumps(value, ensure_ascii=False, indent=None if _is_short_json(value) else 2)


def _is_short_json(value: JsonValue) -> bool:
    return not _is_long(json.dumps(value, ensure_ascii=False))


def _is_long(text: str) -> bool:
    """Return whether a text is better shown in lines of its own."""
    return len(text) > LONG or "\n" in text


def _excerpt(changes: Sequence[TextChange]) -> Iterator[ExcerptLine]:
    """Return the changes of a text in lines, as many as fit."""
    shown = lines = 0
    for number, change in enumerate(changes):
        if number and (shown > _LONGEST_EXCERPT or lines > _MOST_LINES):
            rest = changes[number:]
            removed, added = (sum(map(len, texts)) for texts in zip(*((c.removed, c.added) for c in rest), strict=True))
            yield ExcerptLine(
                "",
                (
                    NotShown(
                        f"... and {len(rest):,} more places, which are not shown: {removed:,} characters go,"
                        f" {added:,} come"
                    ),
                ),
            )
            return
        for line in _excerpt_of_change(change):
            lines += 1
            shown += sum(len(word if isinstance(word, str) else word.text) for word in line.words)
            yield line


def _excerpt_of_change(change: TextChange) -> Iterator[ExcerptLine]:
    ends = change.removed.rstrip("\n") == change.added.rstrip("\n")  # then only line breaks differ, and must be seen
    if change.before:
        yield ExcerptLine("", ("... ", quoted(change.before)))
    yield from _excerpt_of(change.removed, "removed: ", show_ends=ends)
    yield from _excerpt_of(change.added, "added: ", show_ends=ends)
    if change.after:
        yield ExcerptLine("", (quoted(change.after), " ..."))


def _excerpt_of(text: str, mark: Mark, *, show_ends: bool = False) -> Iterator[ExcerptLine]:
    """Return the lines of a text, as many as fit."""
    part = text[: _LONGEST_PART if mark else _LONGEST_EXCERPT]
    lines = _LINES.findall(part)[:_MOST_LINES]
    for line in lines:
        yield ExcerptLine(mark, (quoted(line if show_ends else line.removesuffix("\n"), _LONGEST_EXCERPT),))
    left_out = len(text) - sum(map(len, lines))
    if left_out:
        yield ExcerptLine(mark, (NotShown(f"... and {left_out:,} more characters, which are not shown"),))
