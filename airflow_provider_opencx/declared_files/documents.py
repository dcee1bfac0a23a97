"""The tree of nodes into which YAML and JSON files are parsed. Each node knows its place in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

PLAIN = "plain"
"""The tag of a scalar that is written without quotes in YAML: the field decides what it is."""

TEXT = "tag:yaml.org,2002:str"
SEQUENCE = "tag:yaml.org,2002:seq"
MAPPING = "tag:yaml.org,2002:map"
TYPED = "tag:yaml.org,2002:float"
"""The tag of a number, a boolean or a null in JSON."""


@dataclass(frozen=True)
class Issue:
    """A problem of a document, or of a value in it.

    :param message: what is wrong.
    :param line: counted from 1; ``None`` where it is about the whole document.
    :param column: counted from 1.
    """

    message: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True)
class Document:
    """A file of a fleet.

    :param root: the whole of it; ``None`` if it is empty.
    :param text: the text of the file.
    :param issues: what is wrong with it beside its values.
    """

    root: yaml.Node | None
    text: str
    issues: tuple[Issue, ...] = ()


class DocumentError(ValueError):
    """A file is not what its name says, and cannot be read.

    :param issues: what is wrong with it, at least one. The message is that of the first.
    """

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__(issues[0].message)
        self.issues = issues
