"""What the models of all resources have in common: tolerant to read, with errors that name the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXResponseError
from airflow_provider_opencx.text import shortened

_LONGEST_PROBLEM = 200
_MOST_PROBLEMS = 5


class CheckedModel(BaseModel):
    """Base of the models that users make themselves.

    :raises OpenCXArgumentError: from the constructor, naming each wrong field and what is wrong with it.
    """

    if not TYPE_CHECKING:  # for type checkers, the arguments are the fields

        def __init__(self, /, **fields):
            try:
                super().__init__(**fields)
            except ValidationError as invalid:
                raise OpenCXArgumentError(describe_problems(invalid)) from None

        # Without this mark, Pydantic would call the constructor also for what it reads from a response.
        __init__.__pydantic_base_init__ = True


class ResourceModel(CheckedModel):
    """Base of what the service describes. Unknown fields are kept, in ``model_extra`` and in every dump."""

    model_config = ConfigDict(extra="allow", frozen=True, validate_by_name=True, validate_by_alias=True)
    __pydantic_extra__: dict[str, JsonValue]

    noun: ClassVar[str]
    """What error messages call one of these, with its article: ``a voice``."""

    @classmethod
    def from_response(cls, value: object) -> Self:
        """Read one from a decoded JSON response.

        :raises OpenCXResponseError: if it is not one; the message names the fields, never their values.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as invalid:
            raise OpenCXResponseError(
                f"the service's response is not {cls.noun}: {describe_problems(invalid)}."
            ) from None

    def as_dict(self) -> dict[str, JsonValue]:
        """Return it as plain JSON with the API's field names: what operators and the sensor return."""
        return self.model_dump(mode="json", by_alias=True)


def describe_problems(invalid: ValidationError) -> str:
    """Return what is wrong, field by field, in a few sentences however much is wrong."""
    errors = invalid.errors(include_url=False, include_input=False, include_context=False)
    sentences = []
    for error in errors[:_MOST_PROBLEMS]:
        field = ".".join(str(part) for part in error["loc"])
        problem = "is required" if error["type"] == "missing" else error["msg"].removeprefix("Value error, ")
        sentence = f"{field}: {problem}" if field else problem
        sentences.append(shortened(sentence, _LONGEST_PROBLEM))
    if len(errors) > _MOST_PROBLEMS:
        sentences.append(f"and {len(errors) - _MOST_PROBLEMS} more")
    return "; ".join(sentences)
