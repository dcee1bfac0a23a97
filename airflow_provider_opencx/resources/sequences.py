"""Sequences: campaigns in steps, which the service runs for the contacts that a filter selects.

To create, read and change one, and to add contacts, is on the vendor's pages; to start and to cancel one is on the
pages of 2024, and its paths are in the navigation of 2025. No page shows a list of sequences, or a way to delete one.
Whether a continuous sequence begins by itself when it is created is not known: this package creates one-off sequences
alone, which call nobody before they are started (inferred).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, JsonValue

from airflow_provider_opencx.client.errors import checked, is_missing_operation, is_refused_by_service
from airflow_provider_opencx.client.once import Handled, send_once
from airflow_provider_opencx.client.operation import Operation, Request, Response
from airflow_provider_opencx.exceptions import OpenCXResponseError, OpenCXUnknownOutcomeError
from airflow_provider_opencx.resources.models import LONGEST_ID, ResourceModel
from airflow_provider_opencx.visible_text import identifier, in_quotes

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

CREATE_SEQUENCE = Operation(
    id="createSequence",
    method="POST",
    path="/sequences",
    scope="sequences:write",
    noun="sequence",
    summary="Creates a sequence; `filter` and `steps` are required. The provider creates only one-off sequences.",
    repeatable=False,
    places_calls=True,
)
GET_SEQUENCE = Operation(
    id="getSequence",
    method="GET",
    path="/sequences/{sequence_id}",
    scope="sequences:read",
    noun="sequence",
    summary="One sequence, by its id; by its custom id too on the pages of 2024 and 2025.",
    repeatable=True,
)
UPDATE_SEQUENCE = Operation(
    id="updateSequence",
    method="PATCH",
    path="/sequences/{sequence_id}",
    scope="sequences:write",
    noun="sequence",
    summary="Changes a sequence that has not begun; `filter` and `steps` are inferred.",
    repeatable=False,
    places_calls=True,
)
START_SEQUENCE = Operation(
    id="startSequence",
    method="PUT",
    path="/sequences/{sequence_id}/start",
    scope="sequences:write",
    noun="sequence",
    summary="Starts a one-off sequence. Never sent again.",
    repeatable=False,
    confidence="inferred",
    places_calls=True,
)
CANCEL_SEQUENCE = Operation(
    id="cancelSequence",
    method="PUT",
    path="/sequences/{sequence_id}/cancel",
    scope="sequences:write",
    noun="sequence",
    summary="Cancels a sequence.",
    repeatable=True,
    confidence="inferred",
)
ADD_CONTACTS_TO_SEQUENCE = Operation(
    id="addContactsToSequence",
    method="POST",
    path="/sequences/{sequence_id}/contacts",
    scope="sequences:write",
    noun="sequence",
    summary="Adds contacts to a continuous sequence. Never sent again.",
    repeatable=False,
    places_calls=True,
)

LONGEST_CUSTOM_ID = 50
"""Characters that a custom id may have, as the vendor's page says."""

_COMPLETE = ("complete", "completed")
_CANCELED = ("canceled", "cancelled")
_BEGUN = ("active", *_COMPLETE)


class OutboundSequence(ResourceModel):
    """A sequence as the service describes it; fields that it did not send are ``None``. Only ``id`` is required.

    ``status`` is an open set (``pending``, ``active``, ``complete``, ``canceled`` are known) and may be null, so the
    times say how far a sequence is as well.
    """

    noun: ClassVar[str] = "a sequence"

    id: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
    name: str | None = None
    org_id: JsonValue = None
    custom_id: str | None = None
    filter: JsonValue = None
    steps: list[dict[str, JsonValue]] | None = None
    is_continuous: bool | None = None
    started_at: JsonValue = None
    canceled_at: JsonValue = None
    ended_at: JsonValue = None
    status: str | None = None

    @property
    def label(self) -> str:
        """The sequence in messages: its name and id."""
        return sequence_label(self.id, self.name)

    @property
    def has_begun(self) -> bool:
        """Whether it was started, or has begun by itself. One that was canceled later has begun as well."""
        return (
            _is_said(self.started_at)
            or _state(self.status) in _BEGUN
            or self.has_ended
            or self.steps_ended > 0
            or any(_is_said(step.get("started_at")) for step in self.steps or ())
        )

    @property
    def has_ended(self) -> bool:
        """Whether all of its steps are over.

        Whether the service sets ``ended_at`` at a cancel is not known, so there the steps say it, or the status.
        """
        is_over = 0 < len(self.steps or ()) == self.steps_ended if self.is_canceled else _is_said(self.ended_at)
        return is_over or _state(self.status) in _COMPLETE

    @property
    def is_canceled(self) -> bool:
        """Whether somebody has canceled it."""
        return _is_said(self.canceled_at) or _state(self.status) in _CANCELED

    @property
    def steps_ended(self) -> int:
        """The number of its steps that are over."""
        return sum(_is_said(step.get("ended_at")) for step in self.steps or ())

    def without_filter(self) -> Self:
        """Return the sequence without its filter, which may hold thousands of phone numbers."""
        return self.model_copy(update={"filter": None})

    def as_result(self) -> dict[str, JsonValue]:
        """Return the sequence as tasks return it: plain JSON with the API's field names, without the filter."""
        return {name: value for name, value in self.without_filter().as_dict().items() if name != "filter"}


def sequence_label(sequence_id: str, name: str | None = None) -> str:
    """Return what messages call a sequence: its name and id, only its id where the name is not known."""
    named = "" if name is None else f"{in_quotes(name)} "
    shown = identifier(sequence_id)
    return f"sequence {named}({shown})" if named else f"sequence {shown}"


def get_sequence(client: OpenCXClient, sequence_id: str) -> OutboundSequence:
    """Return a sequence: ``GET /sequences/{id}``.

    :param sequence_id: its id, or its custom id where the service finds by it.
    :raises OpenCXNotFoundError: if there is none.
    :raises OpenCXNoSuchOperationError: if the service of this organization has no sequences.
    :raises OpenCXResponseError: if the response is not this sequence.
    """
    return _read(client.send(_get(sequence_id)), sequence_id)


def find_sequence(client: OpenCXClient, sequence_id: str) -> OutboundSequence | None:
    """Return a sequence, ``None`` if one response says that there is none: believe it only where little hangs on it.

    :param sequence_id: its id, or its custom id where the service finds by it.
    :raises OpenCXError: as :func:`get_sequence`, except for a sequence that does not exist.
    """
    request = _get(sequence_id)
    response = client.send_unchecked(request)
    return None if _says_there_is_none(response) else _read(checked(request, response), sequence_id)


def poll_sequence(client: OpenCXClient, sequence_id: str) -> OutboundSequence | None:
    """Return a sequence, as :func:`find_sequence` does; any other refusal is read again until it is permanent.

    :param sequence_id: its id, or its custom id where the service finds by it.
    :raises OpenCXError: as :func:`get_sequence`, except for a sequence that does not exist.
    """
    request = _get(sequence_id)
    response = client.send_unchecked(request)
    return None if _says_there_is_none(response) else _read(client.believed(request, response), sequence_id)


def create_sequence(client: OpenCXClient, body: Mapping[str, JsonValue], name: str) -> str:
    """Create a sequence: ``POST /sequences``, once. Return its id.

    :param body: the JSON body, with ``filter`` and ``steps``.
    :param name: the name of the sequence, for messages.
    :raises OpenCXUnknownOutcomeError: if it is not known whether the sequence was created.
    :raises OpenCXError: any other error says that nothing was created.
    """
    handled = send_once(client, CREATE_SEQUENCE.request(body=dict(body), about=f"sequence {in_quotes(name)}"))
    created = handled.body.get("id") if isinstance(handled.body, dict) else None
    if not isinstance(created, str) or not 0 < len(created) <= LONGEST_ID:
        raise OpenCXUnknownOutcomeError("the service's response has no id of a new sequence.", sent_at=handled.sent_at)
    return created


def update_sequence(client: OpenCXClient, sequence_id: str, body: Mapping[str, JsonValue]) -> Handled:
    """Change a sequence that has not begun: ``PATCH /sequences/{id}``, once.

    :param body: the fields to change.
    :raises OpenCXUnknownOutcomeError: if it is not known whether it was changed.
    :raises OpenCXError: any other error says that nothing was changed.
    """
    request = UPDATE_SEQUENCE.request(path_parameters={"sequence_id": sequence_id}, body=dict(body))
    return send_once(client, request, has_body=False)


def start_request(sequence_id: str) -> Request:
    """Return the request that starts a one-off sequence: ``PUT /sequences/{id}/start``, without a body."""
    return START_SEQUENCE.request(path_parameters={"sequence_id": sequence_id})


def start_sequence(client: OpenCXClient, sequence_id: str, before_sending: Callable[[], None]) -> Handled:
    """Start a one-off sequence, once.

    :param before_sending: called when the request is about to be sent; an error that it raises keeps it from that.
    :raises OpenCXUnknownOutcomeError: if it is not known whether it has begun.
    :raises OpenCXError: any other error says that it was not started by this request.
    """
    return send_once(client, start_request(sequence_id), before_sending=before_sending, has_body=False)


def cancel_sequence(client: OpenCXClient, sequence_id: str) -> Response:
    """Cancel a sequence: ``PUT /sequences/{id}/cancel``. It may be sent again, and needs no connection that calls."""
    return client.send(CANCEL_SEQUENCE.request(path_parameters={"sequence_id": sequence_id}))


def add_contacts_request(sequence_id: str, contacts: list[JsonValue]) -> Request:
    """Return the request that adds contacts to a continuous sequence: ``POST /sequences/{id}/contacts``.

    :param contacts: each ``{"id": ...}``, ``{"phone_number": ...}`` or ``{"email": ...}``.
    """
    return ADD_CONTACTS_TO_SEQUENCE.request(
        path_parameters={"sequence_id": sequence_id}, body={"contacts": contacts}, about=_counted(len(contacts))
    )


def _counted(contacts: int) -> str:
    return "1 contact" if contacts == 1 else f"{contacts} contacts"


def _get(sequence_id: str) -> Request:
    return GET_SEQUENCE.request(path_parameters={"sequence_id": sequence_id})


def _says_there_is_none(response: Response) -> bool:
    return response.status_code == 404 and is_refused_by_service(response) and not is_missing_operation(response)


def _read(response: Response, sequence_id: str) -> OutboundSequence:
    with response.named():
        sequence = OutboundSequence.from_response(response.decoded())
        if sequence_id not in (sequence.id, sequence.custom_id):
            raise OpenCXResponseError(f"the service returned {sequence.label}, which was not asked for.")
    return sequence


def _is_said(moment: JsonValue) -> bool:
    """Return whether a field says when something happened: its form is in no page, so that it says anything is it."""
    return bool(moment.strip() if isinstance(moment, str) else moment)


def _state(status: str | None) -> str:
    return (status or "").strip().lower()
