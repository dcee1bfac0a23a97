"""The requests of ``doctor``: each documented GET operation of the API.

Each request is harmless. One that needs the id of an object has an id that no object has: the service's 404 then says
whether the object or the operation is missing. A list that may hold people's data is asked for what was created in the
far future, so that it is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_opencx.client.operation import Operation, Request
from airflow_provider_opencx.resources.phone_agents import LIST_PHONE_AGENTS
from airflow_provider_opencx.resources.voices import LIST_VOICES

NO_ID = "00000000-0000-0000-0000-000000000000"
"""The id of nothing."""

_FAR_FUTURE = "2999-01-01T00:00:00.000Z"


@dataclass(frozen=True, eq=False)
class Probe:
    """One request that ``doctor`` sends.

    :param operation: the operation, a read.
    :param query: the parameters of the query.
    """

    operation: Operation
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_of_one_object(self) -> bool:
        """Whether it asks for one object, which does not exist."""
        return "{id}" in self.operation.path

    @property
    def label(self) -> str:
        """The method and the path, as the documentation writes it."""
        return f"{self.operation.method} {self.operation.path}"

    def request(self) -> Request:
        """Return the request."""
        parameters = {"id": NO_ID} if self.is_of_one_object else {}
        return self.operation.request(path_parameters=parameters, query=self.query)


def _probe(operation_id: str, path: str, scope: str, noun: str, **query: str) -> Probe:
    operation = Operation(
        id=operation_id,
        method="GET",
        path=path,
        scope=scope,
        noun=noun,
        summary=f"Reads: {noun}.",
        repeatable=True,
    )
    return Probe(operation, query)


AGENTS = Probe(LIST_PHONE_AGENTS)
VOICES = Probe(LIST_VOICES)

PROBES: tuple[Probe, ...] = (
    AGENTS,
    VOICES,
    _probe("listContacts", "/contacts", "contacts:read", "contact", created_after=_FAR_FUTURE),
    _probe("listContactSegments", "/contacts/segments", "segments:read", "segment", limit="1"),
    _probe("getContactSegment", "/contacts/segments/{id}", "segments:read", "segment"),
    _probe("listSegmentsForContact", "/contacts/segments/contacts/{id}", "segments:read", "segment"),
    _probe("listChatSessions", "/chat/sessions", "chat-sessions:read", "session", created_after=_FAR_FUTURE),
    _probe("getChatSession", "/chat/sessions/{id}", "chat-sessions:read", "session"),
    _probe("getChatSessionHistory", "/chat/sessions/{id}/history", "chat-sessions:read", "session"),
    # Its parameters are not known, so it finds nothing: if the operation exists, the request is refused.
    _probe("searchContactsAndMessages", "/chat/sessions/search", "chat-sessions:read", "session"),
    _probe("getSequence", "/sequences/{id}", "sequences:read", "sequence"),
    _probe("listTrainings", "/training", "training:read", "training scenario", limit="1"),
    _probe("getTraining", "/training/{id}", "training:read", "training scenario"),
    _probe("listActions", "/actions", "actions:read", "action"),
    _probe("getAction", "/actions/{id}", "actions:read", "action"),
    _probe("getWorkflow", "/workflows/{id}", "", "workflow"),
    _probe("listWorkflowRuns", "/workflows/{id}/runs", "", "workflow"),
    _probe("getWorkflowRun", "/workflows/{id}/runs/{id}", "", "workflow"),
)
"""In the order in which they are sent; the first two are what the provider itself uses."""
