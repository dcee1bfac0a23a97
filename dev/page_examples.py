"""Reads the examples from the pages of the documentation, so that tests can run them as files.

A comment above a block of code says which file the block is, or of which it shows a piece::

    <!-- example: dags/reminders.py -->
    <!-- piece of: example_dags/opencx_drift_alarm.py -->

A file that several pages show is the same on each of them. ``python dev/page_examples.py FOLDER`` writes all files.
"""

from __future__ import annotations

import atexit
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
PAGES = [PROJECT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)]

_COMMENT = re.compile(r"<!-- (example|piece of): (\S+) -->\n")


@dataclass(frozen=True)
class Block:
    """A block of code in a page.

    :param language: what stands behind the fence: ``python``, ``text``, or a directive such as ``{toctree}``.
    :param text: the lines between the fences.
    :param example: the file that the block is, relative to the folder of all examples; ``None`` if it is none.
    :param piece_of: the example, or the file of the project, of which the block is a piece; ``None`` if of none.
    """

    language: str
    text: str
    example: str | None = None
    piece_of: str | None = None


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of code of a page, from the first to the last."""
    before = ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "fence":
            comment = _COMMENT.fullmatch(before)
            kind, name = comment.groups() if comment else (None, None)
            yield Block(
                (token.info.split() or [""])[0],
                token.content,
                example=name if kind == "example" else None,
                piece_of=name if kind == "piece of" else None,
            )
        before = token.content if token.type == "html_block" else ""


@cache
def examples() -> dict[str, str]:
    """Return the text of each example by its name.

    :raises ValueError: if two pages show an example with different texts.
    """
    found: dict[str, str] = {}
    for page in PAGES:
        for block in blocks(page):
            if block.example and found.setdefault(block.example, block.text) != block.text:
                raise ValueError(f"{page.relative_to(PROJECT)} shows {block.example} otherwise than another page")
    return found


def write_examples(folder: Path) -> Path:
    """Write every example as a file, and return the folder."""
    for name, text in examples().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


@cache
def examples_folder() -> Path:
    """Return a folder of this process that holds every example, until the process ends."""
    folder = tempfile.mkdtemp(prefix="opencx-examples-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_examples(Path(folder))


if __name__ == "__main__":
    write_examples(Path(sys.argv[1]))
