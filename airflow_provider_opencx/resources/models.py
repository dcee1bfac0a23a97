"""The base of the models of all resources: tolerant when reading, with errors that name the field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, ClassVar, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PrivateAttr, ValidationError

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXResponseError
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.text import UNSTORABLE, listed
from airflow_provider_opencx.visible_text import identifier

LONGEST_ID = 1000
"""Characters that the id of an object may have."""

Texts: TypeAlias = Annotated[list[str], Field(fail_fast=True)]
"""A list of texts; of a million wrong ones, the first is named."""

_LONGEST_FIELD = 100
_MOST_PROBLEMS = 5

_MESSAGES = {
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "recursion_loop": "is nested too deeply",
}
"""The messages that replace those of Pydantic, by the type of its error."""

_LEAST_SIMILAR = 0.75


class CheckedModel(BaseModel):
    """Base of the models that users make themselves.

    :raises OpenCXArgumentError: from the constructor, naming each wrong field and what is wrong with it.
    """

    other_words: ClassVar[Mapping[str, str]] = {}
    """Words that people write for a field, only in small letters and digits, and the field."""

    if not TYPE_CHECKING:  # for type checkers, the arguments are the fields

        @forgets_locals
        def __init__(self, /, **fields):
            try:
                super().__init__(**fields)
            except ValidationError as invalid:
                raise OpenCXArgumentError(describe_problems(invalid, type(self))) from None

        # Without this mark, Pydantic would also call the constructor for values from a response.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def describe_unknown_field(cls, name: str) -> str:
        """Return what is wrong with a name that no field has, and which field may be meant."""
        field = cls.similar_field(name)
        return f"is not a field; did you mean {field}?" if field else "is not a field"

    @classmethod
    def similar_field(cls, name: str) -> str | None:
        """Return the field whose name is most like another name, ``None`` if none is."""
        words = {**cls.other_words, **{_plain(field): field for field in cls.model_fields}}
        found = get_close_matches(_plain(name[:_LONGEST_FIELD]), words, n=1, cutoff=_LEAST_SIMILAR)
        return words[found[0]] if found else None


class ResourceModel(CheckedModel):
    """Base of what the service describes. Unknown fields are kept, in ``model_extra`` and in every dump.

    It is read as far as it can be: a field with a value that cannot be one of this field is left out, and named in
    :attr:`unreadable`.
    """

    model_config = ConfigDict(extra="allow", frozen=True, validate_by_name=True, validate_by_alias=True)
    __pydantic_extra__: dict[str, JsonValue]

    noun: ClassVar[str]
    """The noun for error messages, with its article: ``a voice``."""

    _unreadable: Mapping[str, str] = PrivateAttr(default={})

    @classmethod
    def from_response(cls, value: object) -> Self:
        """Read one from a decoded JSON response, as far as it can be read.

        :raises OpenCXResponseError: if it is not one: no object, or without a required field that can be read. The
            message names the fields, never their values.
        """
        if not isinstance(value, dict):
            raise OpenCXResponseError(f"the service's response is not {cls.noun}: must be an object.")
        try:
            return cls.model_validate(value)
        except ValidationError as invalid:
            wrong = {str(problem.field[0]): str(problem) for problem in reversed(problems_of(invalid, cls))}
        try:
            read = cls.model_validate({name: each for name, each in value.items() if name not in wrong})
        except ValidationError as invalid:
            missing = {str(problem.field[0]): str(problem) for problem in problems_of(invalid, cls)}
            problems = listed([*(missing | wrong).values()], _MOST_PROBLEMS, separator="; ", more="; and {} more")
            raise OpenCXResponseError(f"the service's response is not {cls.noun}: {problems}.") from None
        fields = {field.alias: name for name, field in cls.model_fields.items() if field.alias is not None}
        read._unreadable = {fields.get(name, name): problem for name, problem in wrong.items()}
        return read

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The problem of each field whose value cannot be read: name (Python spelling) to a sentence."""
        return self._unreadable

    def as_dict(self) -> dict[str, JsonValue]:
        """Return it as plain JSON with the API's field names: what operators and the sensor return.

        A field that cannot be read is null. Where there is one, the key ``unreadable`` says what is wrong with each.
        """
        fields: dict[str, JsonValue] = self.model_dump(mode="json", by_alias=True)
        if not self.unreadable:
            return fields
        aliases = {name: field.alias or name for name, field in type(self).model_fields.items()}
        problems: dict[str, JsonValue] = {aliases.get(name, name): problem for name, problem in self.unreadable.items()}
        return {**fields, **dict.fromkeys(problems), "unreadable": problems}


@dataclass(frozen=True)
class Problem:
    """A problem of one field.

    :param field: the path of the field: keys, and positions in lists. Empty for the whole.
    :param message: what is wrong, without the field.
    :param is_of_name: whether the field's name is wrong, and not its value.
    :param is_of_value: whether the field has a value that is wrong.
    """

    field: tuple[str | int, ...]
    message: str
    is_of_name: bool = False
    is_of_value: bool = False

    def __str__(self) -> str:
        """Return the problem in a sentence of bounded length, with any name of the field."""
        field = ".".join(str(part) for part in self.field)
        return f"{identifier(field)}: {self.message}" if field else self.message


def problems_of(invalid: ValidationError, model: type[CheckedModel]) -> list[Problem]:
    """Return what is wrong, field by field.

    :param invalid: Pydantic's error.
    :param model: the model that was to be made.
    """
    problems = []
    for error in invalid.errors(include_url=False, include_input=False, include_context=False):
        kind, field = error["type"], error["loc"]
        if kind == "extra_forbidden":
            problem = Problem(field, model.describe_unknown_field(str(field[-1])), is_of_name=True)
        elif kind == "missing":
            problem = Problem(field, "is required")
        else:
            message = _MESSAGES.get(kind) or error["msg"].removeprefix("Value error, ")
            problem = Problem(field, message, is_of_value=bool(field))
        problems.append(problem)
    return problems


def describe_problems(invalid: ValidationError, model: type[CheckedModel]) -> str:
    """Return what is wrong, field by field, in a few sentences however much is wrong."""
    sentences = [str(problem) for problem in problems_of(invalid, model)]
    return listed(sentences, _MOST_PROBLEMS, separator="; ", more="; and {} more")


def _plain(name: str) -> str:
    """Return a field's name without what spellings differ in: capitals and the characters between words."""
    return "".join(filter(str.isalnum, name)).lower()


def unsendable(value: JsonValue) -> str | None:
    """Return why a value cannot be sent as JSON, or not be stored by the databases on the way; ``None`` if it can."""
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            return "holds a NUL, or half of a character (a lone surrogate), which cannot be stored"
    elif isinstance(value, float):
        if not math.isfinite(value):
            return "holds a number that is not finite, which JSON does not have"
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            return "holds a whole number of more than 64 bits, which cannot be stored"
    elif isinstance(value, list):
        return next(filter(None, map(unsendable, value)), None)
    elif isinstance(value, dict):
        return unsendable([*value, *value.values()])
    return None
