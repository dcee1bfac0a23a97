"""The paths of the page. Each is authorized before anything is read, and none changes anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_connection
from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_opencx.exceptions import (
    OpenCXAuthenticationError,
    OpenCXConfigError,
    OpenCXError,
    OpenCXPermissionError,
)
from airflow_provider_opencx.plugins import downloads
from airflow_provider_opencx.plugins.access import may_edit, may_read_xcoms, readable_connections
from airflow_provider_opencx.plugins.addresses import PREFIX
from airflow_provider_opencx.plugins.cached_reads import CachedReads, Reading
from airflow_provider_opencx.plugins.connections import NoSuchConnectionError, settings_of, version_of
from airflow_provider_opencx.plugins.drift import WORDS, Drift
from airflow_provider_opencx.plugins.last_plan import LastPlan
from airflow_provider_opencx.plugins.reads import ListedAgents, read_agents, read_sequence
from airflow_provider_opencx.plugins.rendering import render
from airflow_provider_opencx.plugins.responses import SecuredApplication, download, error_response, failure_status
from airflow_provider_opencx.plugins.rows import Number, Query, Row, masked, page_of, rows_of
from airflow_provider_opencx.plugins.shown_sequences import ShownSequence
from airflow_provider_opencx.plugins.stored_xcoms import last_plan, sequences_of
from airflow_provider_opencx.resources.sequences import OutboundSequence

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

WAITS_AT_MOST: Final = 15.0
"""Seconds after which the page says that OpenCX has not responded yet."""

IS_ANOTHER: Final = (
    NoSuchConnectionError,
    OpenCXConfigError,
    OpenCXAuthenticationError,
    OpenCXPermissionError,
)
"""Errors that say that the connection is no longer what it was: nothing of a secrets backend has a version."""

CONNECTION: Final = "/connections/{connection_id}"
"""The path of a connection. Airflow's authorization finds the connection by this very name of the parameter."""


def new_application() -> SecuredApplication:
    """Return the application that Airflow's API server mounts at :data:`.addresses.PREFIX`."""
    return SecuredApplication(new_routes())


def new_routes() -> FastAPI:
    """Return the application without the headers of its responses."""
    application = FastAPI(title="OpenCX agents", openapi_url=None, docs_url=None, redoc_url=None)
    application.router.redirect_slashes = False
    _Pages().add_to(application)
    application.add_exception_handler(OpenCXError, _refuse)
    application.add_exception_handler(HTTPException, _refuse)
    return application


@dataclass(frozen=True)
class _Agents:
    """The agents of a connection that a request shows."""

    rows: list[Row]
    all: list[Row]
    plan: LastPlan | None
    are_masked: bool


class _Pages:
    """The pages, and what they have read. Every user sees what was read for another one, as far as they may see it."""

    def __init__(self) -> None:
        self._agents: CachedReads[ListedAgents] = CachedReads(forgets_after=IS_ANOTHER)
        self._sequences: CachedReads[OutboundSequence] = CachedReads(forgets_after=IS_ANOTHER)

    def add_to(self, application: FastAPI) -> None:
        """Add the paths to an application, each with what authorizes it."""
        application.add_api_route("/", self.connections, dependencies=[Depends(get_user)], response_model=None)
        of_connection: dict[str, Callable[..., Awaitable[Response]]] = {
            "/agents": self.agents,
            "/agents.csv": self.agents_csv,
            "/agents.json": self.agents_json,
            "/sequences": self.sequences,
            "/sequences.csv": self.sequences_csv,
            "/sequences.json": self.sequences_json,
            "/sequences/{sequence_id}": self.sequence,
        }
        may_read = Depends(requires_access_connection("GET"))
        for path, endpoint in of_connection.items():
            application.add_api_route(CONNECTION + path, endpoint, dependencies=[may_read], response_model=None)

    async def connections(self, request: Request, user: GetUserDep) -> Response:
        """Show the connections that the user may read."""
        connections = await run_in_threadpool(readable_connections, user)
        return await _page(request, "connections", connections=connections)

    async def agents(self, request: Request, connection_id: str, user: GetUserDep) -> Response:
        """Show the agents of a connection."""
        query = Query.parse(request.query_params)
        reading = await self._read_agents(connection_id)
        if reading.value is None:
            raise _error_of(reading)
        shown = await run_in_threadpool(_agents_of, reading.value, reading.read_at, connection_id, user, query)
        rows, pages = page_of(shown.rows, query.page)
        return await _page(
            request,
            "agents",
            connection_id=connection_id,
            query=query,
            rows=rows,
            found=len(shown.rows),
            pages=pages,
            counts=_counts(shown.all, len(reading.value.agents)),
            types=sorted({row.type for row in shown.all if row.type}),
            plan=shown.plan,
            are_masked=shown.are_masked,
            unreadable=reading.value.unreadable,
            reading=reading,
            words=WORDS,
            drifts=list(Drift),
            numbers=[Number.HAS, Number.WAITING, Number.LOST],
        )

    async def agents_json(self, request: Request, connection_id: str, user: GetUserDep) -> Response:
        """Return the agents of a connection as JSON, of all pages."""
        shown, reading = await self._agents_for_download(request, connection_id, user)
        text = await run_in_threadpool(
            downloads.agents_json,
            connection_id,
            shown.rows,
            shown.plan,
            reading.read_at,
            are_masked=shown.are_masked,
        )
        return download(text, f"agents-{connection_id}.json")

    async def agents_csv(self, request: Request, connection_id: str, user: GetUserDep) -> Response:
        """Return the agents of a connection as CSV, of all pages."""
        shown, _ = await self._agents_for_download(request, connection_id, user)
        text = await run_in_threadpool(downloads.agents_csv, shown.rows)
        return download(text, f"agents-{connection_id}.csv")

    async def sequences(self, request: Request, connection_id: str, user: GetUserDep) -> Response:
        """Show the sequences that tasks have returned over a connection; the service has no list of them."""
        sequences = await run_in_threadpool(_sequences_of, connection_id, user)
        return await _page(request, "sequences", connection_id=connection_id, sequences=sequences)

    async def sequences_json(self, request: Request, connection_id: str, user: GetUserDep) -> Response:
        """Return the same sequences as JSON."""
        sequences = await run_in_threadpool(_sequences_of, connection_id, user)
        return download(downloads.sequences_json(connection_id, sequences), f"sequences-{connection_id}.json")

    async def sequences_csv(self, request: Request, connection_id: str, user: GetUserDep) -> Response:
        """Return the same sequences as CSV."""
        sequences = await run_in_threadpool(_sequences_of, connection_id, user)
        return download(downloads.sequences_csv(sequences), f"sequences-{connection_id}.csv")

    async def sequence(self, request: Request, connection_id: str, sequence_id: str, user: GetUserDep) -> Response:
        """Show a sequence as it is now."""
        version = await run_in_threadpool(version_of, connection_id)
        reading = await self._sequences.get(
            (connection_id, version, sequence_id), partial(read_sequence, connection_id, sequence_id), WAITS_AT_MOST
        )
        if reading.value is None:
            raise _error_of(reading)
        sequence = ShownSequence.of(reading.value.as_dict(), reading.read_at)
        return await _page(request, "sequence", connection_id=connection_id, sequence=sequence, reading=reading)

    async def _read_agents(self, connection_id: str) -> Reading[ListedAgents]:
        # Never show data that an old version of the connection has read: its key may be for another organization.
        version = await run_in_threadpool(version_of, connection_id)
        return await self._agents.get((connection_id, version), partial(read_agents, connection_id), WAITS_AT_MOST)

    async def _agents_for_download(
        self, request: Request, connection_id: str, user: BaseUser
    ) -> tuple[_Agents, Reading[ListedAgents]]:
        """Return what a file holds. It has no place to say that it is old: then there is an error, and no file."""
        query = Query.parse(request.query_params)
        reading = await self._read_agents(connection_id)
        if reading.value is None or reading.error is not None:
            raise _error_of(reading)
        return await run_in_threadpool(_agents_of, reading.value, reading.read_at, connection_id, user, query), reading


def _agents_of(listed: ListedAgents, read_at: datetime | None, conn_id: str, user: BaseUser, query: Query) -> _Agents:
    plan = last_plan(listed.organization, read_at or datetime.now(UTC), partial(may_read_xcoms, user))
    are_masked = not may_edit(user, conn_id)
    rows = rows_of(listed.agents, plan, listed.unreadable)
    if are_masked:
        rows = masked(rows)
    return _Agents(query.apply(rows), rows, plan, are_masked)


def _sequences_of(conn_id: str, user: BaseUser) -> list[ShownSequence]:
    settings_of(conn_id)  # refuses what is not a connection of this service
    return [
        ShownSequence.of(each.sequence, each.seen_at, each.task)
        for each in sequences_of(conn_id, partial(may_read_xcoms, user))
    ]


def _counts(rows: list[Row], agents: int) -> Mapping[str, int]:
    counts: dict[str, int] = {"agents": agents}
    for row in rows:
        for value in (row.number, row.verdict.drift):
            counts[value] = counts.get(value, 0) + 1
    return counts


def _error_of(reading: Reading[Any]) -> Exception:
    return reading.error or OpenCXError("Nothing was read.")


async def _page(request: Request, template: str, status: int = 200, **values: object) -> Response:
    root = str(request.scope.get("root_path", ""))
    common = {"root": root, "airflow": root.removesuffix(PREFIX), "now": datetime.now(UTC)}
    page = await run_in_threadpool(render, template, {**common, **values})
    return Response(page, status, media_type="text/html")


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        status, message = error.status_code, str(error.detail)
    else:
        status, message = failure_status(error), str(error)
    if request.url.path.endswith((".json", ".csv")):
        return error_response(status, message)
    connection_id = request.path_params.get("connection_id", "")
    return await _page(
        request,
        "message",
        status,
        title=HTTPStatus(status).phrase,
        message=message,
        connection_id=connection_id if status not in (401, 403, 404) else "",
        needs_login=status in (401, 403),
    )
