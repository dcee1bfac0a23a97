"""The JSON bodies of the requests that control the simulator."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from airflow_provider_opencx.simulator.json_values import read_json, write_json


class Form(BaseModel):
    """The body of a request. Unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


_FormType = TypeVar("_FormType", bound=BaseModel)


async def read_form(request: Request, form: type[_FormType]) -> _FormType:
    """Parse and validate the body of a request. An error is an HTTPException with status 400."""
    try:
        return form.model_validate_json(write_json(read_json(await request.body() or b"{}")))
    except ValidationError as errors:
        raise HTTPException(400, error_message(errors)) from None
    except ValueError as error:
        raise HTTPException(400, f"The body is not JSON: {error}") from None


def error_message(errors: ValidationError, *path: str) -> str:
    """Return one message for all errors, which names the fields.

    :param path: the field of the body that was validated, if not all of it was
    """
    messages = []
    for error in errors.errors():
        field = ".".join(str(step) for step in (*path, *error["loc"]))
        message = error["msg"].removeprefix("Value error, ")
        messages.append(f"{field}: {message}" if field else message)
    return "; ".join(messages)
