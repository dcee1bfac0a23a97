"""Writes values as YAML that YAML 1.1, YAML 1.2 and the reader of fleet files read alike. Pure.

PyYAML can write YAML as well, but it knows neither comments nor which texts a person wants to edit as a block, and what
it leaves without quotes is text to YAML 1.1 alone.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from pydantic import JsonValue

from airflow_provider_opencx.visible_text import visible, visible_repr

_WIDTH = 118
_LONGEST_KEY = 100
"""Characters of a key on one line with its value; YAML's limit is 1,024."""

_LONGEST_FLOW_LIST = 80

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_PLAIN = re.compile(r"[\[\]{},:\\\"`]|\s#")
"""Characters that no text without quotes may contain, although some of them are allowed in places."""

_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"})
"""Texts that some YAML reader takes for a boolean, null or a number, in lower case."""


def mapping_lines(fields: dict[str, JsonValue], indent: int = 0) -> list[str]:
    """Return a mapping as lines.

    :param fields: keys and values, of which there is at least one.
    :param indent: blanks before each line. Default 0.
    """
    return [line for key, value in fields.items() for line in field_lines(key, value, indent)]


def field_lines(key: str, value: JsonValue, indent: int = 0) -> list[str]:
    """Return a key and its value as lines.

    :param indent: blanks before each line. Default 0.
    """
    written = key if _is_plain_key(key) else _quoted(key)
    if len(written) > _LONGEST_KEY:
        return [f"{' ' * indent}? {written}", *_lines(":", value, indent)]
    return _lines(f"{written}:", value, indent)


def list_item_lines(value: JsonValue, indent: int = 0) -> list[str]:
    """Return an item of a list as lines: a list or a mapping begins behind its dash.

    :param indent: blanks before each line. Default 0.
    """
    if not (isinstance(value, list | dict) and value):
        return _lines("-", value, indent)
    return after_dash(_collection_lines(value, indent + 2), indent)


def after_dash(lines: Sequence[str], indent: int) -> list[str]:
    """Return lines as an item of a list.

    :param lines: the lines of a mapping or a list, indented by two blanks more.
    :param indent: blanks before the dash.
    """
    return [f"{' ' * indent}- {lines[0][indent + 2 :]}", *lines[1:]]


def comment_lines(comment: str, indent: int = 0) -> list[str]:
    """Return a comment as lines, of which it never breaks out.

    :param comment: sentences; what others wrote is escaped in them already, see :mod:`.visible_text`.
    :param indent: blanks before each line. Default 0.
    """
    start = f"{' ' * indent}# "
    wrapped = textwrap.wrap(
        visible_repr(comment),
        _WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapped or [start.rstrip()]


def with_comment(line: str, comment: str) -> str:
    """Return a line with a comment behind it, on the same line.

    :param comment: a short text that others wrote; nothing is added where it shows nothing.
    """
    shown = visible(comment.strip(), _LONGEST_FLOW_LIST)
    return f"{line}  # {shown}" if shown else line


def _lines(head: str, value: JsonValue, indent: int) -> list[str]:
    """Return what begins with a dash, or with a key and its colon."""
    start = f"{' ' * indent}{head}"
    if isinstance(value, str):
        first, *others = _text_lines(value, indent + 2)
        return [f"{start} {first}", *others]
    if isinstance(value, list | dict) and value:
        if isinstance(value, list) and (flow := _flow_list(value)) is not None:
            return [f"{start} {flow}"]
        return [start, *_collection_lines(value, indent + 2)]
    return [f"{start} {_literal(value)}"]


def _collection_lines(value: list[JsonValue] | dict[str, JsonValue], indent: int) -> list[str]:
    if isinstance(value, dict):
        return mapping_lines(value, indent)
    return [line for item in value for line in list_item_lines(item, indent)]


def _flow_list(items: Sequence[JsonValue]) -> str | None:
    """Return a list on one line if it is one of short texts; ``None`` if it is not."""
    if not all(isinstance(item, str) and "\n" not in item for item in items):
        return None
    if sum(len(str(item)) + 4 for item in items) > _LONGEST_FLOW_LIST:
        return None
    # Between brackets, PyYAML takes no plain text that has a question mark.
    written = ", ".join(_quoted(item) if "?" in item else scalar(item) for item in map(str, items))
    return f"[{written}]" if len(written) <= _LONGEST_FLOW_LIST else None


def _literal(value: JsonValue) -> str:
    """Return what is not text and holds nothing else: null, a boolean, a number, an empty list or mapping."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    return repr(value)


def _float(value: float) -> str:
    """Return a number that YAML 1.1 takes for one as well: with a point, and a sign in the exponent."""
    mantissa, exponent_mark, exponent = repr(value).partition("e")
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}{exponent_mark}{exponent}"


def _text_lines(text: str, indent: int) -> list[str]:
    """Return a text as lines, of which the first one follows its key or dash.

    :param indent: blanks before the other lines.
    """
    if "\n" not in text:
        return [scalar(text)]
    start = " " * indent
    if _fits_block(text):
        lines = text.removesuffix("\n").split("\n")
        return ["|" if text.endswith("\n") else "|-", *(start + line if line else "" for line in lines)]
    *ended, rest = map(_escaped, text.split("\n"))
    first, *others = [*(f"{line}\\n" for line in ended), *([rest] if rest else [])]
    # A backslash at the end of a line continues the text on the next one, without the blanks that begin it.
    lines = [f'"{first}', *(start + (f"\\{line}" if line.startswith(" ") else line) for line in others)]
    return [*(f"{line}\\" for line in lines[:-1]), f'{lines[-1]}"']


def _fits_block(text: str) -> bool:
    """Return whether a block of YAML (``|``) holds a text exactly, and a person sees all of it there."""
    lines = text.removesuffix("\n").split("\n")
    return (
        lines[0] == lines[0].lstrip()
        and bool(lines[0] and lines[-1])
        and all(line == line.rstrip() and _is_visible(line) for line in lines)
    )


def _is_visible(line: str) -> bool:
    line = line.replace("\\", "/")
    return visible(line) == line


def scalar(text: str) -> str:
    """Return a text on one line: as it is where no reader takes it for anything else, or else in double quotes."""
    return text if _is_plain(text) else _quoted(text)


def _is_plain_key(key: str) -> bool:
    return bool(_PLAIN_KEY.fullmatch(key)) and key.lower() not in _NOT_TEXT


def _is_plain(text: str) -> bool:
    return (
        text[:1].isalpha()
        and text == text.rstrip()
        and text.lower() not in _NOT_TEXT
        and not _NOT_PLAIN.search(text)
        and visible(text) == text
    )


def _quoted(text: str) -> str:
    """Return a text in double quotes; the escapes of what nobody sees are those of YAML."""
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return visible(text).replace('"', '\\"')
