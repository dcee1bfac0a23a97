"""Every error this package raises, as one tree under :class:`OpenCXError`.

Errors that another try cannot mend also derive from Airflow's ``AirflowFailException``: Airflow then fails
the task at once and wastes no retries on it. All others are retried as the task's ``retries`` say.

A message says what happened, to which agent, and what to do. It never holds the API key or a whole body.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Self, TypedDict

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException


class ErrorEvent(TypedDict):
    """An error as plain JSON, the form in which a trigger hands it to the worker."""

    error: str
    message: str
    attributes: dict[str, object]


class OpenCXError(AirflowException):
    """Anything that goes wrong in this package.

    :param message: what happened, to which agent, and what to do, in a sentence or two.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)

    @property
    def message(self) -> str:
        """What happened, to which agent, and what to do."""
        return str(self)

    def saying(self, message: str) -> Self:
        """Return the same error with another message, such as one that adds what it was met in."""
        error = copy(self)
        error.args = (message,)
        return error

    def to_event(self) -> ErrorEvent:
        """Return this error as JSON-able data from which :meth:`from_event` makes the same error again."""
        return {"error": type(self).__name__, "message": str(self), "attributes": dict(vars(self))}

    @staticmethod
    def from_event(event: Mapping[str, object]) -> OpenCXError:
        """Make the error again that :meth:`to_event` described; an unknown class becomes a plain ``OpenCXError``.

        Attributes that the class does not have are left out.
        """
        known = {cls.__name__: cls for cls in _family(OpenCXError)}
        name, message, attributes = event.get("error"), event.get("message"), event.get("attributes")
        if not isinstance(message, str) or not message.strip():
            message = "The trigger met an error and did not say which."
        error_class = known.get(name, OpenCXError) if isinstance(name, str) else OpenCXError
        error = error_class(message)
        if isinstance(attributes, Mapping):
            vars(error).update({name: attributes[name] for name in vars(error) if name in attributes})
        return error


def _family(cls: type[OpenCXError]) -> list[type[OpenCXError]]:
    return [cls, *(member for child in cls.__subclasses__() for member in _family(child))]


class OpenCXConfigError(OpenCXError, AirflowFailException):
    """The Airflow connection is missing, or something in it is wrong; the message names the field."""


class OpenCXArgumentError(OpenCXError, AirflowFailException, ValueError):
    """An argument is wrong; the message names it, and the task where there is one."""


class OpenCXAPIError(OpenCXError):
    """The service answered, and the answer was not the one hoped for.

    :param message: what happened.
    :param status_code: HTTP status of the answer.
    :param request_id: the service's own name for the request, for its support team; ``None`` if not sent.
    :param retry_after: seconds the service asks to wait, ``None`` if it did not say.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        # Airflow declares an attribute of this name for the answers of its own web server.
        self.status_code = status_code  # type: ignore[assignment]  # ours is the status that OpenCX answered
        self.request_id = request_id
        self.retry_after = retry_after


class OpenCXAuthenticationError(OpenCXAPIError, AirflowFailException):
    """401: the API key was rejected."""


class OpenCXPermissionError(OpenCXAPIError, AirflowFailException):
    """403: the API key is valid, but lacks the scope for this operation."""


class OpenCXNotFoundError(OpenCXAPIError, AirflowFailException):
    """404: there is no such agent, or no such API at the connection's base URL."""


class OpenCXRequestRefusedError(OpenCXAPIError, AirflowFailException):
    """400, 422 or another 4xx: the service refuses what was sent, and would refuse it again."""


class OpenCXRedirectError(OpenCXAPIError, AirflowFailException):
    """3xx: the base URL redirects; not followed, because the key must not travel to another host."""


class OpenCXRateLimitError(OpenCXAPIError):
    """429: too many requests; ``retry_after`` holds the seconds the service asks to wait, where it said."""


class OpenCXServerError(OpenCXAPIError):
    """408 or 5xx: the service, or a proxy before it, could not answer now."""


class OpenCXResponseError(OpenCXAPIError):
    """A successful status with a body that cannot be read: not JSON, not an agent, or far too large."""


class OpenCXUnreachableError(OpenCXError):
    """No answer at all: the connection failed, was dropped, or timed out.

    :param message: what happened.
    :param request_sent: ``False`` only where the request provably never reached the service.
    """

    def __init__(self, message: str = "", *, request_sent: bool = True) -> None:
        super().__init__(message)
        self.request_sent = request_sent


class OpenCXUnknownOutcomeError(OpenCXError):
    """A create was sent, no answer came, and no agent of that name has shown up.

    Nothing is sent again in this try. The next try of the task begins with a look at the list, so it adopts
    the agent if it has appeared by then.

    :param message: what happened.
    :param retry_after: seconds the service asked to wait, ``None`` if it did not ask for a long wait.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OpenCXMismatchError(OpenCXError):
    """The service accepted a write and left a member other than what was asked.

    :param message: what happened.
    :param agent_id: id of the agent.
    :param members: names of the members that differ.
    """

    def __init__(self, message: str = "", *, agent_id: str | None = None, members: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.agent_id = agent_id
        self.members = list(members)


class OpenCXCreateMismatchError(OpenCXMismatchError, AirflowFailException):
    """The service created an agent other than declared, and nothing was asked that would change it.

    Not retried: the next try of a create would find the agent, take it as it is, and call that a success.
    """


class OpenCXNameMismatchError(OpenCXMismatchError, AirflowFailException):
    """The service stored a new agent under another name than the declared one.

    Not retried: an agent that is not found by its name would be created once more by every try.
    """


class OpenCXPlanRefusedError(OpenCXError, AirflowFailException):
    """What is declared cannot be reached from what exists; the message says whether anything was sent.

    :param message: what is in the way, and what to do.
    :param agent_ids: ids of the agents in question.
    """

    def __init__(self, message: str = "", *, agent_ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.agent_ids = list(agent_ids)


class OpenCXPlanChangedError(OpenCXPlanRefusedError):
    """What would be done now is not what was approved: the agents or the declaration changed in between."""


class OpenCXAmbiguousNameError(OpenCXPlanRefusedError):
    """Several agents have the name; ``agent_ids`` names them. One may have been created just now, beside another."""


class OpenCXAgentExistsError(OpenCXPlanRefusedError):
    """An agent of that name exists and ``if_exists="fail"`` was asked."""


class OpenCXAgentNotFoundError(OpenCXPlanRefusedError):
    """The agent to update or to wait for is not in the organization's list."""


class OpenCXFleetError(OpenCXError):
    """Some agents of a fleet could not be brought to their declaration; the others were.

    The next try plans anew, and so does only what is left.

    :param message: which agents, and why.
    :param failures: the name of each agent in question, and what happened to it.
    :param retry_after: seconds the service asked to wait, ``None`` if it did not ask for a long wait.
    """

    def __init__(
        self, message: str = "", *, failures: Mapping[str, str] | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.failures = dict(failures or {})
        self.retry_after = retry_after


class OpenCXFleetPermanentError(OpenCXFleetError, AirflowFailException):
    """The same, where another try cannot mend any of them, or would create an agent twice."""
