"""Reads YAML as nodes within limits, without YAML's guesses about the type of a scalar.

YAML 1.1 guesses the type of what is written without quotes: ``no`` is false, ``05551234567`` is an octal number,
``2026-03-01`` is a date. Here such a scalar is marked as plain, and its field decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from yaml.reader import Reader

from airflow_provider_opencx.declared_files.documents import (
    MAPPING,
    PLAIN,
    SEQUENCE,
    TEXT,
    Document,
    DocumentError,
    Issue,
)
from airflow_provider_opencx.declared_files.limits import MAX_DEPTH, TOO_DEEP, check_number_of_values
from airflow_provider_opencx.visible_text import in_quotes, visible_repr

if TYPE_CHECKING:
    from yaml import SafeLoader as _FastLoader
else:
    _FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_LONGEST_SHOWN = 60
_NEEDS_QUOTES = (
    "text needs quotes if it begins with one of { [ * & ! % @ ` | > or a quote, or if it holds a colon and a blank,"
    " or a blank and #; and ${NAME} needs them within [ ] and { }"
)


def yaml_document(text: str) -> Document:
    """Return a YAML text as nodes.

    :raises DocumentError: if it is not YAML, or nested too deeply.
    :raises FleetLimitError: if it holds too many values.
    """
    _check_characters(text)
    try:
        issues = _issues_of_events(text)
        root = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        raise DocumentError([_syntax_issue(error)]) from None
    except RecursionError:
        raise DocumentError([Issue(TOO_DEEP)]) from None
    return Document(root, text, tuple(issues))


class _Loader(_FastLoader):
    """Composes nodes without YAML's guesses: what is written without quotes has the tag ``plain``."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: object) -> str:
        if kind is yaml.ScalarNode:
            return PLAIN if isinstance(implicit, tuple) and implicit[0] else TEXT
        return SEQUENCE if kind is yaml.SequenceNode else MAPPING


def _check_characters(text: str) -> None:
    found = Reader.NON_PRINTABLE.search(text)
    if found:
        before = text[: found.start()]
        message = (
            f"the character U+{ord(found[0]):04X} is not allowed in YAML; in a text in double quotes, write it as"
            ' "\\x.." or "\\u...."'
        )
        raise DocumentError([Issue(message, before.count("\n") + 1, found.start() - before.rfind("\n"))])


def _issues_of_events(text: str) -> list[Issue]:
    """Return the texts that YAML takes for an anchor, because they begin with & and no alias refers to them.

    :raises DocumentError: for what is nested too deeply: composing it would overflow the stack of the C library.
    :raises FleetLimitError: for what holds too many values: composing it would fill the memory.
    """
    depth = values = 0
    anchors: dict[str, yaml.ScalarEvent] = {}
    for event in yaml.parse(text, _FastLoader):
        if isinstance(event, yaml.ScalarEvent) and event.anchor:
            anchors[event.anchor] = event
        elif isinstance(event, yaml.AliasEvent):
            anchors.pop(event.anchor or "", None)
        if isinstance(event, yaml.NodeEvent):
            values += 1
            check_number_of_values(values)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise DocumentError([Issue(TOO_DEEP)])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return [_unused_anchor(anchor, event) for anchor, event in anchors.items()]


def _unused_anchor(anchor: str, event: yaml.Event) -> Issue:
    mark = event.start_mark
    message = (
        f"YAML takes {in_quotes(f'&{anchor}', _LONGEST_SHOWN)} for an anchor, and nothing refers to it; if it is part"
        " of the text, put it in quotes"
    )
    return Issue(message, mark.line + 1, mark.column + 1) if mark else Issue(message, 1, 1)


def _syntax_issue(error: yaml.MarkedYAMLError) -> Issue:
    mark = error.problem_mark or error.context_mark
    place = (mark.line + 1, mark.column + 1) if mark else (None, None)
    problem = str(error.problem or error.context)
    if "nesting depth" in problem:  # newer versions of the C library have a limit of their own
        return Issue(TOO_DEEP, *place)
    is_about_tab = " tab " in problem or r"'\t'" in problem  # as libyaml says it, and PyYAML
    is_about_indentation = "block end" in problem or "block entry" in problem
    remedy = (
        "indent with blanks, not with tabs"
        if is_about_tab
        else f"check the indentation; {_NEEDS_QUOTES}"
        if is_about_indentation
        else _NEEDS_QUOTES
    )
    return Issue(f"invalid YAML: {visible_repr(problem, 200)}; {remedy}", *place)
