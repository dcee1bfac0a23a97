"""The kinds of values that an argument, or a field of a declaration, may have."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """The kind of a value. It decides what a template, or a scalar in a YAML file, becomes."""

    TEXT = "a text"
    TEXTS = "a list of texts, or one text"
    BOOLEAN = "true or false"
    NUMBER = "a number"
    JSON = "any JSON value"
    TEXTS_BY_NAME = "a mapping of names to texts"
    DECLARATION = "a mapping of an agent's fields"
    DECLARATIONS = "a list of such mappings, or the path of a file"
    SCENARIO = "a mapping of a training scenario's fields"
    SCENARIOS = "a list of such mappings, or the path of a folder"
