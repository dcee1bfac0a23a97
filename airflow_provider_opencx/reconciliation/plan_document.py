"""The text of a plan for people: Markdown for Airflow's pages, plain text for a log or a terminal.

Pure. A document is made of blocks, and a block of lines; the words of a line are the provider's own (``str``), or what
others wrote (:class:`Quoted`), which neither form renders as anything but text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from airflow_provider_opencx.visible_text import visible

LONGEST_VALUE = 1000
"""Characters of a value that are shown; a plan as JSON contains it completely."""


@dataclass(frozen=True)
class Quoted:
    """A name, a key, an id or a value, every character of which is seen.

    :param text: as it is shown.
    :param left_out: how many more characters it has.
    """

    text: str
    left_out: int = 0

    @property
    def more(self) -> str:
        """The note about characters that are not shown."""
        return f" ... and {self.left_out:,} more characters" if self.left_out else ""


class NotShown(str):
    """Words that say how much of a value is not shown."""

    __slots__ = ()


def quoted(text: str, longest: int = LONGEST_VALUE) -> Quoted:
    """Return a text that others wrote; of a longer one the beginning, and how much is left out."""
    return Quoted(visible(text[:longest]), max(0, len(text) - longest))


Words: TypeAlias = tuple[str | Quoted, ...]

Mark: TypeAlias = Literal["removed: ", "added: ", ""]
"""The change of a line of a text; nothing for an unchanged line."""


@dataclass(frozen=True)
class ExcerptLine:
    """One line of a text."""

    mark: Mark
    words: Words


@dataclass(frozen=True)
class Line:
    """One line of a block, and the lines of a long text below it."""

    words: Words
    excerpt: tuple[ExcerptLine, ...] = ()


@dataclass(frozen=True)
class Block:
    """A heading and the text below it; the first block of a document needs none."""

    heading: Words = ()
    lines: tuple[Line, ...] = ()

    @property
    def size(self) -> int:
        """The number of characters that are shown, except the heading."""
        return sum(len(_plain(word)) for word in self._words())

    @property
    def is_whole(self) -> bool:
        """Whether all that it is about is shown."""
        return not any(
            isinstance(word, NotShown) or (isinstance(word, Quoted) and word.left_out) for word in self._words()
        )

    def _words(self) -> Iterator[str | Quoted]:
        for line in self.lines:
            yield from line.words
            for each in line.excerpt:
                yield from each.words


@dataclass(frozen=True)
class Document:
    """The document for a person."""

    blocks: tuple[Block, ...]


def to_markdown(document: Document) -> str:
    """Return a document in Markdown. What others wrote is code: none of it is Markdown, HTML, a picture or a link."""
    return "\n".join(line for block in document.blocks for line in _markdown_of(block)).strip()


def to_text(document: Document) -> str:
    """Return a document as plain text, in which text from others is in quotation marks."""
    return "\n".join(line for block in document.blocks for line in _text_of(block)).strip()


def _markdown_of(block: Block) -> Iterator[str]:
    if block.heading:
        yield f"#### {_joined(map(in_code, block.heading))}\n"
    for line in block.lines:
        words = _joined(map(in_code, line.words))
        yield f"- {words}" if block.heading else f"{words}\n"
        # Not a block of code, which Airflow's pages do not wrap: the end of a long line would be out of sight.
        yield from (f"  - {each.mark}{_joined(map(in_code, each.words))}" for each in line.excerpt)
    yield ""


def _text_of(block: Block) -> Iterator[str]:
    if block.heading:
        yield _joined(map(_in_marks, block.heading))
    for line in block.lines:
        yield f"    {_joined(map(_in_marks, line.words))}" if block.heading else _joined(map(_in_marks, line.words))
        yield from (f"        {each.mark}{_joined(map(_in_marks, each.words))}" for each in line.excerpt)
    yield ""


def _joined(words: Iterable[str]) -> str:
    return "".join(words)


def _plain(word: str | Quoted) -> str:
    return word if isinstance(word, str) else f"{word.text}{word.more}"


def in_code(word: str | Quoted) -> str:
    """Return a word in Markdown. What others wrote is code, of which every character is seen."""
    if isinstance(word, str):
        return word
    if not word.text:
        return "(empty)"
    fence = "`" * (max(map(len, re.findall("`+", word.text)), default=0) + 1)
    # A browser shows one of several blanks in a row, and Markdown drops those at the ends of code.
    text = re.sub(r"^ | $|(?<= ) ", "\N{NO-BREAK SPACE}", word.text)
    padded = f" {text} " if "`" in (text[0], text[-1]) else text
    return f"{fence}{padded}{fence}{word.more}"


def _in_marks(word: str | Quoted) -> str:
    if isinstance(word, str):
        return word
    text = word.text.replace("\N{RIGHT DOUBLE QUOTATION MARK}", "\\u201d")
    return f"\N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK}{word.more}"
