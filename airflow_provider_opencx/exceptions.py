"""Every error this package raises, as one tree under :class:`OpenCXError`.

``error.is_permanent`` says whether the task must not be retried, because another try would fail in the same way or do
harm. Inside Airflow, permanent errors also derive from Airflow's ``AirflowFailException``, so that Airflow fails the
task at once and uses none of its ``retries``, wherever the error is raised. All other errors are retried as the task's
``retries`` say.

Whether this is Airflow is decided when this module is imported: Airflow's processes have imported Airflow by then. A
script that uses the package without Airflow does not load it, and gets the same errors without Airflow's base classes.
Where a script imports this module first and one of this package's parts for Airflow later, such as the hook or an
operator, that part calls :func:`derive_from_airflow`.

A message says what happened, to which agent, and what to do. It never holds the API key or a whole body.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, ClassVar, Self, TypedDict

if TYPE_CHECKING or "airflow" in sys.modules:
    from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
else:

    class AirflowException(Exception):  # noqa: N818  # the name is Airflow's
        """Stands in for Airflow's class of this name where Airflow is not loaded."""

    class AirflowFailException(AirflowException):
        """Stands in for Airflow's class of this name where Airflow is not loaded."""


class ErrorEvent(TypedDict):
    """An error as plain JSON, the form in which a trigger hands it to the worker."""

    error: str
    message: str
    attributes: dict[str, object]


class OpenCXError(AirflowException):
    """Base class of every error of this package.

    :param message: what happened, to which agent, and what to do, in a sentence or two.
    """

    is_permanent: ClassVar[bool] = False
    """Whether the task must not be retried: another try would fail in the same way, or do harm."""

    retry_after: float | None = None
    """Seconds the service asks to wait; ``None`` if it did not say."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)

    @property
    def message(self) -> str:
        """What happened, to which agent, and what to do."""
        return str(self)

    def with_message(self, message: str) -> Self:
        """Return the same error with another message, for example one that adds the context."""
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
        known = {cls.__name__: cls for cls in _with_subclasses(OpenCXError)}
        name, message, attributes = event.get("error"), event.get("message"), event.get("attributes")
        if not isinstance(message, str) or not message.strip():
            message = "The trigger reported an error without a message."
        error_class = known.get(name, OpenCXError) if isinstance(name, str) else OpenCXError
        error = error_class(message)
        if isinstance(attributes, Mapping):
            vars(error).update({name: attributes[name] for name in vars(error) if name in attributes})
        return error


def _with_subclasses(cls: type[OpenCXError]) -> list[type[OpenCXError]]:
    return [cls, *(found for child in cls.__subclasses__() for found in _with_subclasses(child))]


class OpenCXPermanentError(OpenCXError, AirflowFailException):
    """Base class of the errors after which a task must not be retried: it would fail again, or do harm."""

    is_permanent = True


def derive_from_airflow() -> None:
    """Let the errors derive from Airflow's classes, also where this module was imported before Airflow."""
    from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

    if not issubclass(OpenCXPermanentError, AirflowFailException):
        OpenCXError.__bases__ = (AirflowException,)
        OpenCXPermanentError.__bases__ = (OpenCXError, AirflowFailException)


class OpenCXConfigError(OpenCXPermanentError):
    """A field of the Airflow connection is wrong; the message names it."""


class OpenCXConnectionNotFoundError(OpenCXError):
    """Airflow gave no connection of that id: there is none, or it could not be read.

    Retried: where a secrets backend is away for a while, Airflow says the same as where there is no such connection.
    """


class OpenCXCoordinationError(OpenCXError):
    """The tasks that create one agent could not take turns, so nothing was sent.

    Another task held the lock of the name for too long, the Redis that the connection names could not be used, or
    Airflow did not record what was about to be created.
    """


class OpenCXArgumentError(OpenCXPermanentError, ValueError):
    """An argument is wrong; the message names it, and the task where there is one."""


class OpenCXWatcherArgumentError(OpenCXArgumentError, TypeError):
    """An argument of a watcher's trigger is wrong.

    A ``TypeError`` as well: a trigger whose constructor raises anything else ends the whole triggerer.
    """


class OpenCXFleetFileError(OpenCXArgumentError):
    """Files that declare a fleet hold what cannot be used; the message names each problem with its place.

    :param message: the problems, each on a line of its own.
    :param problems: the same as data, at most 1,000: ``file``, ``line``, ``column``, ``agent`` (its name), ``entry``
        (its position in the fleet), ``field``, ``message``, ``read`` (the value as written) and ``remedy``. What
        is not known is null or empty.
    """

    def __init__(self, message: str = "", *, problems: Sequence[Mapping[str, object]] = ()) -> None:
        super().__init__(message)
        self.problems = [dict(problem) for problem in problems]


class OpenCXAPIError(OpenCXError):
    """The API returned an error response.

    A refusal (301 to 404 and the other 4xx) is permanent only where the service itself says it: its body is a JSON
    object whose ``statusCode`` is the status. It must say so three times, five seconds apart, about a read, and once
    about a write. What a proxy says, or one single response, fails a try or a poll.

    :param message: what happened.
    :param status_code: HTTP status of the response.
    :param request_id: request id from the response headers, ``None`` if there is none; quote it to OpenCX support.
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
        # Airflow declares an attribute of this name for the responses of its own web server.
        self.status_code = status_code  # type: ignore[assignment]  # ours is the status that OpenCX returned
        self.request_id = request_id
        self.retry_after = retry_after


class OpenCXAuthenticationError(OpenCXAPIError):
    """401: the API key was rejected."""


class OpenCXAuthenticationPermanentError(OpenCXAuthenticationError, OpenCXPermanentError):
    """An ``OpenCXAuthenticationError`` that is not retried: see :class:`OpenCXAPIError`."""


class OpenCXPermissionError(OpenCXAPIError):
    """403: the API key is valid, but lacks the scope for this operation."""


class OpenCXPermissionPermanentError(OpenCXPermissionError, OpenCXPermanentError):
    """An ``OpenCXPermissionError`` that is not retried: see :class:`OpenCXAPIError`."""


class OpenCXNotFoundError(OpenCXAPIError):
    """404: there is no such object, or no such API at the connection's base URL."""


class OpenCXNotFoundPermanentError(OpenCXNotFoundError, OpenCXPermanentError):
    """An ``OpenCXNotFoundError`` that is not retried: see :class:`OpenCXAPIError`."""


class OpenCXNoSuchOperationError(OpenCXNotFoundError):
    """404: the service of this organization has no such operation, such as sequences."""


class OpenCXNoSuchOperationPermanentError(OpenCXNoSuchOperationError, OpenCXPermanentError):
    """An ``OpenCXNoSuchOperationError`` that is not retried: see :class:`OpenCXAPIError`."""


class OpenCXRequestRefusedError(OpenCXAPIError):
    """400, 422 or another 4xx: the service refuses what was sent."""


class OpenCXRequestRefusedPermanentError(OpenCXRequestRefusedError, OpenCXPermanentError):
    """An ``OpenCXRequestRefusedError`` that is not retried: see :class:`OpenCXAPIError`."""


class OpenCXRedirectError(OpenCXAPIError):
    """3xx: the base URL redirects; not followed, because the key must not travel to another host."""


class OpenCXRedirectPermanentError(OpenCXRedirectError, OpenCXPermanentError):
    """An ``OpenCXRedirectError`` that is not retried: see :class:`OpenCXAPIError`."""


class OpenCXRateLimitError(OpenCXAPIError):
    """429: too many requests; ``retry_after`` holds the seconds the service asks to wait, where it said.

    Also where a poll of the sensor gets no turn within its ``timeout``, because others use all requests of the minute.
    """


class OpenCXServerError(OpenCXAPIError):
    """408 or 5xx: the service, or a proxy in front of it, could not respond now."""


class OpenCXResponseError(OpenCXAPIError):
    """A successful status with a body that cannot be read: not JSON, not the expected object, or far too large.

    Also where one agent of a list cannot be read in full, and just this is asked for: a declared field of it; or
    whether there is an agent of a name, while an item of the list may be this agent.
    """


class OpenCXUnreachableError(OpenCXError):
    """No response at all: the connection failed, was dropped, or timed out.

    :param message: what happened.
    :param request_sent: ``False`` only where the request certainly never reached the service.
    """

    def __init__(self, message: str = "", *, request_sent: bool = True) -> None:
        super().__init__(message)
        self.request_sent = request_sent


class OpenCXUnknownOutcomeError(OpenCXError):
    """A request was sent, and whether the service has handled it is not known.

    Nothing is sent again in this try. The next try of a create begins with a read, so it adopts what has appeared by
    then.

    :param message: what happened.
    :param retry_after: seconds the service asked to wait, ``None`` if it did not ask for a long wait.
    :param sent_at: when the request was sent, in ISO 8601; of several, the first. ``None`` if it is not known.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None, sent_at: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.sent_at = sent_at


class OpenCXUnknownCallOutcomeError(OpenCXUnknownOutcomeError, OpenCXPermanentError):
    """A call was sent, and whether somebody was called is not known.

    Not retried: another request might call a person a second time. The message says who may have been called, when, and
    how to go on.

    :param message: what happened.
    :param contacts: who may have been called: phone numbers, or ids of contacts.
    :param sent_at: when the request was sent, in ISO 8601; of several, the first. ``None`` if it is not known.
    """

    def __init__(
        self,
        message: str = "",
        *,
        contacts: Sequence[str] = (),
        sent_at: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after, sent_at=sent_at)
        self.contacts = list(contacts)


class OpenCXUnknownStartError(OpenCXUnknownOutcomeError, OpenCXPermanentError):
    """The start of a sequence was sent, and whether the sequence has begun is not known.

    Not retried, and never sent again: its people might be called a second time. A clear of the task reads whether the
    sequence has begun, and succeeds where it has.

    :param message: what happened, and what to do.
    :param sequence_id: id of the sequence.
    :param sent_at: when the request was sent, in ISO 8601; ``None`` if it is not known.
    """

    def __init__(self, message: str = "", *, sequence_id: str | None = None, sent_at: str | None = None) -> None:
        super().__init__(message, sent_at=sent_at)
        self.sequence_id = sequence_id


class OpenCXCallsNotAllowedError(OpenCXPermanentError):
    """The connection does not allow calls: its extra ``allow_calls`` is off. The request was not sent."""


class OpenCXCallRefusedError(OpenCXPermanentError):
    """A guard keeps from calling, such as ``max_contacts`` or a do-not-call list that cannot be used.

    Where several people are called, the message says how many were called before.
    """


class OpenCXContactsChangedError(OpenCXCallRefusedError):
    """An earlier try of the task called, or may have called, another person than is asked for now."""


class OpenCXSequenceRefusedError(OpenCXCallRefusedError):
    """A sequence is not created, changed or started, or nobody is added to it; the message says why.

    It has begun, has ended or is canceled, selects people who cannot be checked, or is not the one that an earlier try
    started or added people to.

    :param message: what keeps from it, and what to do.
    :param sequence_id: id of the sequence, ``None`` if there is none yet.
    """

    def __init__(self, message: str = "", *, sequence_id: str | None = None) -> None:
        super().__init__(message)
        self.sequence_id = sequence_id


class OpenCXSequenceMismatchError(OpenCXSequenceRefusedError):
    """The service has stored a sequence otherwise than it was declared. It is not started.

    :param message: which fields differ, and how.
    :param sequence_id: id of the sequence.
    :param fields: names of the fields that differ.
    """

    def __init__(self, message: str = "", *, sequence_id: str | None = None, fields: Sequence[str] = ()) -> None:
        super().__init__(message, sequence_id=sequence_id)
        self.fields = list(fields)


class OpenCXSequenceCanceledError(OpenCXSequenceRefusedError):
    """The sequence is canceled, and something else was waited for or asked for."""


class OpenCXContactsMissingError(OpenCXCallRefusedError):
    """People of a list are not contacts of the organization, or several contacts have one number.

    A sequence reaches only contacts, and calls a number once for each contact that has it.
    """


class OpenCXOutsideCallingHoursError(OpenCXError):
    """It is outside the calling hours where a person is, and nobody is to be left out for it.

    Retried: a later try may be within them.

    :param message: what happened.
    :param opens_at: when all of them may be called, in ISO 8601; ``None`` if that is not known.
    """

    def __init__(self, message: str = "", *, opens_at: str | None = None) -> None:
        super().__init__(message)
        self.opens_at = opens_at


class OpenCXAgentNotReadyError(OpenCXError):
    """The agent has no phone number to call from. Retried: it may get one."""


class OpenCXContactsUnreadableError(OpenCXError):
    """A file of people, or a do-not-call list, cannot be read now, so nobody is called. Retried."""


class OpenCXLedgerError(OpenCXError):
    """A record of calls could not be read or written, and nothing is sent without one. The next try reads it again."""


class OpenCXStorageError(OpenCXError):
    """Object storage could not be read or written, and what was there is as it was. Retried."""


class OpenCXUnconfirmedError(OpenCXError):
    """The service responded to a write as if it were done, and no list has shown it in the time given.

    The next try begins with the list, and finds the agent as soon as it is there.

    :param message: what happened.
    :param agent_id: the id in the response.
    """

    def __init__(self, message: str = "", *, agent_id: str | None = None) -> None:
        super().__init__(message)
        self.agent_id = agent_id


class OpenCXMismatchError(OpenCXError):
    """The API accepted a write but stored a different value for at least one field.

    :param message: what happened.
    :param agent_id: id of the agent.
    :param fields: names of the fields that differ.
    """

    def __init__(self, message: str = "", *, agent_id: str | None = None, fields: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.agent_id = agent_id
        self.fields = list(fields)


class OpenCXCreateMismatchError(OpenCXMismatchError, OpenCXPermanentError):
    """The API created the agent with other values than declared, and the create operator does not update.

    Not retried: the next try of a create would find the agent, adopt it unchanged, and report a success.
    """


class OpenCXNotFoundAgainError(OpenCXMismatchError, OpenCXPermanentError):
    """The API stored what was created without that by which it is found.

    Not retried: what is not found again would be created once more by every try.
    """


class OpenCXNameMismatchError(OpenCXNotFoundAgainError):
    """The API stored a new agent under another name than the declared one, by which it is found."""


class OpenCXKeyMismatchError(OpenCXNotFoundAgainError):
    """The API does not show the metadata of a new training scenario, with the key by which it is found."""


class OpenCXPlanRefusedError(OpenCXPermanentError):
    """The declaration conflicts with an existing agent; the message says whether anything was sent.

    :param message: what the conflict is, and what to do.
    :param agent_ids: ids of the agents in question.
    """

    def __init__(self, message: str = "", *, agent_ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.agent_ids = list(agent_ids)


class OpenCXPlanChangedError(OpenCXPlanRefusedError):
    """The plan is not the one that was approved: the agents or the declaration changed, or it is another organization.

    A plan that is applied over the connection of another organization is refused with it as well.
    """


class OpenCXGuardError(OpenCXPlanRefusedError):
    """A plan would do more than a guard allows, or is for another organization than expected; nothing was sent."""


class OpenCXAmbiguousNameError(OpenCXPlanRefusedError):
    """Several agents have the name; ``agent_ids`` names them. One may have been created just now, beside another."""


class OpenCXDraftError(OpenCXPlanRefusedError):
    """A training scenario has an edit that is not published, and an update would overwrite it."""


class OpenCXNearNameError(OpenCXPlanRefusedError):
    """No agent has the declared name, and one has a near name; or a fleet declares two that are near each other.

    Names are near that differ only in letter case, blanks, invisible characters, dashes, quotes, the spelling of
    characters, or in what a service may make of a name: escaped, trimmed, cut. Nothing is created, because as a rule it
    would be a second agent for the same purpose. ``allow_near_name=True`` says that another one is meant.
    """


class OpenCXAgentExistsError(OpenCXPlanRefusedError):
    """An agent of that name exists, and ``if_exists="fail"`` was given."""


class OpenCXAgentNotFoundError(OpenCXPlanRefusedError):
    """The agent to update or to wait for is not in the organization's list."""


class OpenCXDriftError(OpenCXPermanentError):
    """Agents of a fleet are not as declared, or have lost their numbers, and ``fail_on_changes`` was given.

    Not retried: another try would find the same.

    :param message: which agents differ, and in which fields.
    :param changes: the name of each agent that differs, and the names of the fields that would be written.
    :param lost_numbers: the id of each agent whose phone number is gone or another one, and the number that it had.
    """

    def __init__(
        self,
        message: str = "",
        *,
        changes: Mapping[str, Sequence[str]] | None = None,
        lost_numbers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.changes = {name: list(fields) for name, fields in (changes or {}).items()}
        self.lost_numbers = dict(lost_numbers or {})


class OpenCXPhoneNumberTimeoutError(OpenCXError):
    """An agent has got no phone number in the time that was given for it.

    The next try of the task finds the agent and waits again.

    :param message: which agent, and how long it was waited for.
    :param agent_id: id of the agent, ``None`` if it is not known.
    :param agent_name: name of the agent.
    :param timeout: seconds that it was waited for.
    """

    def __init__(
        self,
        message: str = "",
        *,
        agent_id: str | None = None,
        agent_name: str | None = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(message)
        self.agent_id = agent_id
        self.agent_name = agent_name
        self.timeout = timeout


class OpenCXSequenceTimeoutError(OpenCXError):
    """A sequence has not begun, or not ended, in the time that was given for it. The next try waits again."""


class OpenCXConversationTimeoutError(OpenCXError):
    """No conversation was seen, or none that is closed, in the time that was given for it. The next try waits again.

    It does not say that a call was missed: see the message.
    """


class OpenCXFleetError(OpenCXError):
    """Some agents of a fleet could not be brought to their declaration; the others were.

    The next try makes a new plan, and so does only what is left.

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


class OpenCXFleetPermanentError(OpenCXFleetError, OpenCXPermanentError):
    """An ``OpenCXFleetError`` that is not retried: all of these agents would fail again, or one be created twice."""
