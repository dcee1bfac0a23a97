"""Collects what an error tracker sends of an error: each frame's locals, the error, and the errors that led to it."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from types import FunctionType, ModuleType, TracebackType
from urllib.parse import quote, quote_plus

from airflow.sdk import BaseOperator

import airflow_provider_opencx

PACKAGE = str(Path(airflow_provider_opencx.__file__).parent)

DEPTH = 2
"""How deep containers are walked, and objects by ``vars()``; what lies there is shown by its ``repr``."""


def spellings(secret: str) -> set[str]:
    """How a secret may be written, as far as it is the same secret."""
    encoded = {base64.b64encode(text.encode()).decode().rstrip("=") for text in (secret, f"user:{secret}")}
    escaped = json.dumps(secret)[1:-1]
    written = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), escaped, escaped.replace("/", "\\/")}
    return written | {repr(text)[1:-1] for text in written} | encoded


def found_in(error: BaseException, secrets: list[str]) -> list[str]:
    """Return where a secret is: ``file:function:local`` for each, and what is shown there."""
    wanted = set().union(*map(spellings, secrets))
    places = []
    for where, shown in _shown_of(error):
        if any(spelling in shown for spelling in wanted):
            places.append(f"{where}: {shown[:160]}")
    return places


def found_in_value(value: object, secrets: list[str]) -> list[str]:
    """Return what shows a secret where a value is a local."""
    wanted = set().union(*map(spellings, secrets))
    return [shown for shown in _shown(value, DEPTH) if any(spelling in shown for spelling in wanted)]


def frames_of(error: BaseException) -> list[str]:
    """Return the functions of this package that an error has passed through."""
    walked = traceback.walk_tb(error.__traceback__)
    return [frame.f_code.co_name for frame, _ in walked if frame.f_code.co_filename.startswith(PACKAGE)]


def _shown_of(error: BaseException) -> Iterator[tuple[str, str]]:
    """Walk an error and what led to it, also where Python would not print that."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        error_or_none = left.pop()
        if error_or_none is None or id(error_or_none) in seen:
            continue
        error = error_or_none
        seen.add(id(error))
        left += [error.__cause__, error.__context__]
        name = type(error).__name__
        yield name, f"{error!r} {error}"
        for shown in _shown(vars(error), DEPTH):
            yield f"vars({name})", shown
        for where, local in _locals_of(error.__traceback__):
            for shown in _shown(local, DEPTH):
                yield f"{name} {where}", shown


def _locals_of(trace: TracebackType | None) -> Iterator[tuple[str, object]]:
    """Return the locals from our first frame on; those above hold what the caller gave us."""
    frames = [frame for frame, _ in traceback.walk_tb(trace)]
    ours = [number for number, frame in enumerate(frames) if frame.f_code.co_filename.startswith(PACKAGE)]
    for frame in frames[min(ours, default=0) :]:
        if frame.f_code.co_filename.startswith(str(Path(__file__).parent)):
            continue
        file = "/".join(Path(frame.f_code.co_filename).parts[-2:])
        for name, value in frame.f_locals.items():
            yield f"{file} {frame.f_code.co_name}() {name}", value


def _shown(value: object, depth: int) -> Iterator[str]:
    try:
        yield repr(value)
    except Exception as unshowable:
        yield repr(unshowable)
    if not depth or isinstance(value, str | bytes | type | FunctionType | ModuleType):
        return
    parts: list[object] = []
    if isinstance(value, Mapping):
        parts = [*value.items()]
        depth += 1  # the pair is no level
    elif isinstance(value, list | tuple | Set):
        parts = [*value]
    elif not isinstance(value, BaseOperator) and (held := getattr(value, "__dict__", None)):
        # A task holds what its author and its templates wrote into it; Airflow's own frames have it as well.
        parts = [*held.values()]
    for part in parts[:200]:
        yield from _shown(part, depth - 1)
