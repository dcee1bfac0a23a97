"""Replaces the variables of a fleet, written ``${NAME}``, in a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes, visible

MARK = "${"
"""The beginning of a variable."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})?")
_LONGEST_NAME = 100
_LONGEST_SHOWN = 30
MOST_PROBLEMS_OF_TEXT = 20
"""Variables of a text that are named if they cannot be filled."""

_MOST_COMPARED = 100

GIVEN_TO_FLEET = "Write one under variables: in this file, or give it where the fleet is read"
"""Explains in messages how to give an unknown variable to a fleet."""


@dataclass(frozen=True)
class VariableProblem:
    """A variable that cannot be filled.

    :param position: where it begins in the text, counted from 0.
    :param number: how many ``${`` are before it.
    :param message: what is wrong.
    """

    position: int
    number: int
    message: str


@dataclass(frozen=True)
class Filled:
    """A text whose variables are filled.

    :param text: the text; a variable that cannot be filled stays as written.
    :param names: the names of the variables that it holds.
    :param problems: what cannot be filled; the first of it, where it is much.
    """

    text: str
    names: frozenset[str]
    problems: tuple[VariableProblem, ...]


def fill(
    text: str,
    variables: Mapping[str, str],
    spend: Callable[[int], None],
    most_problems: int = MOST_PROBLEMS_OF_TEXT,
    *,
    given: str = GIVEN_TO_FLEET,
) -> Filled:
    """Return a text with its variables filled. What is filled in is not looked at again.

    ``$${`` becomes ``${``. Every other ``$`` stays unchanged.

    :param text: the text.
    :param variables: the values by their names.
    :param spend: is called with the number of characters that are filled in, before they are put together.
    :param most_problems: how many problems are named. Default 20.
    :param given: how a variable that is not known is given, for messages. Default: as to a fleet.
    """
    parts: list[str] = []
    names: set[str] = set()
    problems: list[VariableProblem] = []
    end = 0
    for number, found in enumerate(_VARIABLE.finditer(text)):
        parts.append(text[end : found.start()])
        end = found.end()
        name = found["name"]
        if found[0].startswith("$$"):
            parts.append(MARK)
            continue
        if name is not None:
            names.add(name)
        if name in variables:
            spend(len(variables[name]))
            parts.append(variables[name])
        else:
            parts.append(found[0])
            if len(problems) < most_problems:
                message = _malformed(text, found.start()) if name is None else _unknown(name, variables, given)
                problems.append(VariableProblem(found.start(), number, message))
    parts.append(text[end:])
    return Filled("".join(parts), frozenset(names), tuple(problems))


def without_variables(value: JsonValue) -> JsonValue:
    """Return a value as a file holds it in which no part is taken for a variable: :func:`fill` gives it back."""
    if isinstance(value, str):
        return value.replace(MARK, f"${MARK}")
    if isinstance(value, list):
        return [*map(without_variables, value)]
    return {name: without_variables(each) for name, each in value.items()} if isinstance(value, dict) else value


def places_of_marks(text: str) -> Iterator[int]:
    """Return where each ``${`` begins in a text."""
    return (found.start() for found in re.finditer(re.escape(MARK), text))


def checked_variables(variables: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the variables that a caller gives.

    :raises OpenCXArgumentError: if a name is not one of a variable, or a value is not text.
    """
    if variables is None:
        return {}
    if not isinstance(variables, Mapping):
        raise OpenCXArgumentError("variables: must be a mapping of names to texts")
    for name, value in variables.items():
        if not isinstance(name, str) or problem_of_name(name):
            raise OpenCXArgumentError(
                f"variables: {in_quotes(str(name))} {problem_of_name(str(name)) or 'is not text'}"
            )
        if not isinstance(value, str):
            raise OpenCXArgumentError(f"variables: {identifier(name)}: must be text, as what is written in a file is")
    return dict(variables)


def problem_of_name(name: str) -> str:
    """Return why a text is not the name of a variable; nothing if it is one."""
    if _NAME.fullmatch(name) and len(name) <= _LONGEST_NAME:
        return ""
    return (
        f"is not the name of a variable: it has letters A to Z, digits and _, begins with no digit, and has"
        f" {_LONGEST_NAME} characters at most"
    )


def _unknown(name: str, variables: Mapping[str, str], given: str) -> str:
    compared = list(islice(variables, _MOST_COMPARED))
    meant = get_close_matches(name[:_LONGEST_NAME], compared, n=1)
    known = f"known are {listed(compared)}" if variables else "no variable is known"
    return (
        f"there is no variable {identifier(name)}"
        + (f"; did you mean {meant[0]}?" if meant else ";")
        + f" {known}. {given}; ${MARK} writes {MARK} itself"
    )


def _malformed(text: str, start: int) -> str:
    """Return what is wrong with the variable that begins at a position of a text."""
    beginning = text[start : start + _LONGEST_NAME]
    written = beginning[: beginning.find("}") + 1] or beginning.partition("\n")[0]
    return (
        f"{visible(written, _LONGEST_SHOWN)} is not a variable, which is written {MARK}NAME}}; write ${MARK} for"
        f" {MARK} itself"
    )
