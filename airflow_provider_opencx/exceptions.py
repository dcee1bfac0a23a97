"""Every error this package raises, as one tree under :class:`OpenCXError`.

``error.is_permanent`` says whether the task must not be retried, because another try would fail in the same way or do
harm. Inside Airflow, permanent errors also derive from Airflow's ``AirflowFailException``, so that Airflow fails the
task at once without using its ``retries``. All other errors are retried according to the task's ``retries``.

The base classes are chosen when this module is imported: Airflow's processes have imported Airflow by then. A script
that uses the package without Airflow does not load Airflow, and gets the same errors without Airflow's base classes. If
a script imports this module first, and later a part of this package that needs Airflow (the hook or an operator), that
part calls :func:`derive_from_airflow`.

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
    """Airflow returned no connection with this id: there is none, or it could not be read.

    Retried: Airflow says the same if a secrets backend is temporarily unavailable.
    """


class OpenCXCoordinationError(OpenCXError):
    """The tasks that create the same agent could not be coordinated, so nothing was sent.

    Another task held the lock of the name for too long, the Redis that the connection names could not be used, or
    Airflow did not record what was about to be created.
    """


class OpenCXArgumentError(OpenCXPermanentError, ValueError):
    """An argument is wrong; the message names it, and the task if there is one."""


class OpenCXWatcherArgumentError(OpenCXArgumentError, TypeError):
    """An argument of a watcher's trigger is wrong.

    A ``TypeError`` as well: a trigger whose constructor raises anything else ends the whole triggerer.
    """


class OpenCXFleetFileError(OpenCXArgumentError):
    """Files that declare a fleet have problems; the message names each problem with its place.

    :param message: the problems, each on a separate line.
    :param problems: the same as data, at most 1,000: ``file``, ``line``, ``column``, ``agent`` (its name), ``entry``
        (its position in the fleet), ``field``, ``message``, ``read`` (the value as written) and ``remedy``. Unknown
        values are null or empty.
    """

    def __init__(self, message: str = "", *, problems: Sequence[Mapping[str, object]] = ()) -> None:
        super().__init__(message)
        self.problems = [dict(problem) for problem in problems]


class OpenCXAPIError(OpenCXError):
    """The API returned an error response.

    A refusal (301 to 404 and the other 4xx) is permanent only if it comes from the service itself: its body is a JSON
    object whose ``statusCode`` is the status. A read must be refused three times, five seconds apart, and a write once.
    A response of a proxy, or a single response to a read, fails only a try or a poll.

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
    """429: too many requests; ``retry_after`` holds the seconds the service asks to wait, if it said so.

    Also raised if a poll of the sensor cannot be sent within its ``timeout``, because other tasks use up the rate
    limit.
    """


class OpenCXServerError(OpenCXAPIError):
    """408 or 5xx: the service, or a proxy in front of it, could not respond now."""


class OpenCXResponseError(OpenCXAPIError):
    """A successful status with a body that cannot be read: not JSON, not the expected object, or far too large.

    Also raised if an agent of a list cannot be read completely, and the missing part is needed: a declared field of the
    agent, or its name when an agent of a name is searched.
    """


class OpenCXUnreachableError(OpenCXError):
    """No response at all: the connection failed, was dropped, or timed out.

    :param message: what happened.
    :param request_sent: ``False`` only if the request certainly never reached the service.
    """

    def __init__(self, message: str = "", *, request_sent: bool = True) -> None:
        super().__init__(message)
        self.request_sent = request_sent


class OpenCXUnknownOutcomeError(OpenCXError):
    """A request was sent, and it is not known whether the service has handled it.

    Nothing is sent again in this try. The next try of a create begins with a read, so it adopts an agent that has
    appeared by then.

    :param message: what happened.
    :param retry_after: seconds the service asked to wait, ``None`` if it did not ask for a long wait.
    :param sent_at: when the request was sent, in ISO 8601; of several, the first. ``None`` if it is not known.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None, sent_at: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.sent_at = sent_at


class OpenCXUnknownCallOutcomeError(OpenCXUnknownOutcomeError, OpenCXPermanentError):
    """A call was sent, and it is not known whether somebody was called.

    Not retried: another request might call a person a second time. The message says who may have been called, when, and
    what to do.

    :param message: what happened.
    :param contacts: who may have been called: phone numbers, or ids of contacts.
    :param sent_at: when the request was sent, in ISO 8601; of several, the first. ``None`` if it is not known.
    :param retry_after: seconds the service asked to wait, ``None`` if it did not ask for a long wait.
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
    """The start of a sequence was sent, and it is not known whether the sequence has begun.

    Not retried, and never sent again: its people might be called a second time. After a clear, the task reads whether
    the sequence has begun, and succeeds if it has.

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
    """A guard prevents calls, such as ``max_contacts`` or a do-not-call list that cannot be used.

    If several people are called, the message says how many were called before.
    """


class OpenCXContactsChangedError(OpenCXCallRefusedError):
    """An earlier try of the task called, or may have called, a different person."""


class OpenCXSequenceRefusedError(OpenCXCallRefusedError):
    """A sequence is not created, changed or started, or nobody is added to it; the message says why.

    It has begun, has ended or is canceled, selects people who cannot be checked, or is not the one that an earlier try
    started or added people to.

    :param message: the reason, and what to do.
    :param sequence_id: id of the sequence, ``None`` if there is none yet.
    """

    def __init__(self, message: str = "", *, sequence_id: str | None = None) -> None:
        super().__init__(message)
        self.sequence_id = sequence_id


class OpenCXSequenceMismatchError(OpenCXSequenceRefusedError):
    """The service has stored a sequence that differs from its declaration. It is not started.

    :param message: which fields differ, and how.
    :param sequence_id: id of the sequence.
    :param fields: names of the fields that differ.
    """

    def __init__(self, message: str = "", *, sequence_id: str | None = None, fields: Sequence[str] = ()) -> None:
        super().__init__(message, sequence_id=sequence_id)
        self.fields = list(fields)


class OpenCXSequenceCanceledError(OpenCXSequenceRefusedError):
    """The sequence is canceled, so it cannot be started, or never reaches the state that a task waits for."""


class OpenCXContactsMissingError(OpenCXCallRefusedError):
    """People of a list are not contacts of the organization, or several contacts have one number.

    A sequence reaches only contacts, and calls a number once for each contact that has it.
    """


class OpenCXOutsideCallingHoursError(OpenCXError):
    """It is outside the calling hours of a person, and the arguments do not allow to leave people out for that.

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
    """Object storage could not be read or written. Existing files are unchanged. Retried."""


class OpenCXUnconfirmedError(OpenCXError):
    """The service accepted a write, but no list has shown the result within the time limit.

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
    """The API stored a new item without the name or key by which it is found.

    Not retried: each try would not find the item, and would create another one.
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
    """No agent has the declared name, but one has a similar name; or a fleet declares two similar names.

    Names are similar if they differ only in letter case, blanks, invisible characters, dashes, quotes, the spelling of
    characters, or in what a service may make of a name: escaped, trimmed, cut. Nothing is created, because it would
    probably be a second agent for the same purpose. Set ``allow_near_name=True`` if you want another agent.
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
    """An agent has got no phone number within the timeout.

    The next try of the task finds the agent and waits again.

    :param message: which agent, and how long the wait was.
    :param agent_id: id of the agent, ``None`` if it is not known.
    :param agent_name: name of the agent.
    :param timeout: seconds of the wait.
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
    """A sequence has not begun, or not ended, within the timeout. The next try waits again."""


class OpenCXConversationTimeoutError(OpenCXError):
    """No conversation, or no closed one, was seen within the timeout. The next try waits again.

    This does not mean that a call was missed: see the message.
    """


class OpenCXFleetError(OpenCXError):
    """Some agents of a fleet could not be made to match their declarations; the others match.

    The next try makes a new plan, and does only what is left.

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
    """An ``OpenCXFleetError`` that is not retried: these agents would fail again, or one would be created twice."""
