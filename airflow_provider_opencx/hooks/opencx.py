"""The hook: an Airflow connection becomes a client, and the verbs that everything else here is built from."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException, BaseHook, mask_secret

from airflow_provider_opencx import __version__, metrics
from airflow_provider_opencx.client import requests
from airflow_provider_opencx.client.client import AsyncOpenCXClient, ClientSettings, OpenCXClient
from airflow_provider_opencx.client.requests import Flow
from airflow_provider_opencx.connection import form
from airflow_provider_opencx.connection.settings import client_settings
from airflow_provider_opencx.exceptions import (
    OpenCXConfigError,
    OpenCXCreateMismatchError,
    OpenCXError,
    OpenCXFleetError,
    OpenCXFleetPermanentError,
    OpenCXMismatchError,
    OpenCXNameMismatchError,
)
from airflow_provider_opencx.phone_agents import reconcile
from airflow_provider_opencx.phone_agents.apply import Outcome, Result
from airflow_provider_opencx.phone_agents.fleet import FleetPlan
from airflow_provider_opencx.phone_agents.plan import IfExists, PhoneAgents, pick_agent, require_agent
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgent,
    PhoneAgentChanges,
    PhoneAgentSpec,
    Voice,
    shortened,
)

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from pydantic import JsonValue

OnMismatch: TypeAlias = Literal["fail", "warn"]

_Result = TypeVar("_Result")

_MOST_REASONS = 20


class OpenCXHook(BaseHook):
    """Authenticated access to the OpenCX phone API.

    Each verb has a twin for async code whose name begins with ``a``. A verb may send several requests: the
    API has no way to read one agent, so an agent is read by listing all.

    :param opencx_conn_id: id of a connection of type ``opencx``.
    :param max_retries: overrides the connection's extra of that name, for a caller that tries again itself.
    """

    conn_name_attr = "opencx_conn_id"
    default_conn_name = form.DEFAULT_CONN_ID
    conn_type = form.CONN_TYPE
    hook_name = form.HOOK_NAME

    def __init__(self, opencx_conn_id: str = form.DEFAULT_CONN_ID, *, max_retries: int | None = None) -> None:
        super().__init__()
        self.opencx_conn_id = opencx_conn_id
        self._max_retries = max_retries

    def get_conn(self) -> OpenCXClient:
        """Return the client of this hook; one for its whole life, so that its connections are kept alive.

        :raises OpenCXConfigError: if the connection is missing, or something in it is wrong.
        """
        return self._client

    @cached_property
    def _client(self) -> OpenCXClient:
        try:
            connection = self.get_connection(self.opencx_conn_id)
        except AirflowNotFoundException:
            raise self._missing() from None
        settings = self._settings(connection)
        for secret in settings.secrets:
            mask_secret(secret)
        return OpenCXClient(settings, metrics.count_attempt)

    async def aget_conn(self) -> AsyncOpenCXClient:
        """Return a new async client, for the caller to close (``async with await hook.aget_conn() as client``).

        :raises OpenCXConfigError: if the connection is missing, or something in it is wrong.
        """
        from airflow.providers.common.compat.connection import get_async_connection
        from asgiref.sync import sync_to_async

        # What asks Airflow is shielded: a call that is cancelled half-way ends the triggerers of Airflow 3.0 and 3.1.
        # The metrics come first, because they are told of what fails here as well.
        await sync_to_async(metrics.prepare, thread_sensitive=False)()
        try:
            connection = await asyncio.shield(get_async_connection(self.opencx_conn_id, hook=self))
        except AirflowNotFoundException:
            raise self._missing() from None
        settings = self._settings(connection)
        # Airflow tells the process that writes the log, over a line that must not be waited for in the event loop.
        for secret in settings.secrets:
            await asyncio.shield(sync_to_async(mask_secret)(secret))
        return await AsyncOpenCXClient.open(settings, metrics.count_attempt)

    def list_phone_agents(self) -> list[PhoneAgent]:
        """Return all agents of the organization."""
        return self.get_conn().run(requests.list_phone_agents())

    async def alist_phone_agents(self) -> list[PhoneAgent]:
        """Async twin of :meth:`list_phone_agents`."""
        return await self._arun(requests.list_phone_agents())

    def get_phone_agent(self, agent_id: str) -> PhoneAgent:
        """Return the agent of an id; raises ``OpenCXAgentNotFoundError`` if there is none."""
        return require_agent(PhoneAgents(self.list_phone_agents()), agent_id=agent_id)

    async def aget_phone_agent(self, agent_id: str) -> PhoneAgent:
        """Async twin of :meth:`get_phone_agent`."""
        return require_agent(PhoneAgents(await self.alist_phone_agents()), agent_id=agent_id)

    def find_phone_agent(self, name: str) -> PhoneAgent | None:
        """Return the agent of a name, ``None`` if there is none.

        :raises OpenCXAmbiguousNameError: if several have the name.
        """
        return pick_agent(PhoneAgents(self.list_phone_agents()), agent_name=name)

    async def afind_phone_agent(self, name: str) -> PhoneAgent | None:
        """Async twin of :meth:`find_phone_agent`."""
        return pick_agent(PhoneAgents(await self.alist_phone_agents()), agent_name=name)

    def create_phone_agent(
        self,
        spec: PhoneAgentSpec,
        *,
        if_exists: IfExists = "adopt",
        on_mismatch: OnMismatch = "fail",
        is_retry: bool = False,
    ) -> PhoneAgent:
        """Make sure that exactly one agent has the declared name, and return it.

        :param spec: the declaration; ``type``, left out, is ``"outbound"``.
        :param if_exists: ``"adopt"`` returns an agent of that name as it is, ``"fail"`` raises.
        :param on_mismatch: what to do if the service stores a member other than asked: ``"fail"`` or ``"warn"``.
        :param is_retry: whether an earlier try may have sent the create without learning what became of it. An
            agent that is not there yet is then looked for with patience, some 15 s, before it is created.
        :raises OpenCXUnknownOutcomeError: if the create was not answered and no agent has appeared.
        :raises OpenCXCreateMismatchError: if the new agent is not as asked. The next try would take it as it is;
            :meth:`upsert_phone_agent` changes it.
        :raises OpenCXPlanRefusedError: if several agents have the name, or the one that has it is inbound.
        """
        flow = reconcile.create(spec, if_exists, is_retry=is_retry)
        return self._checked(self.get_conn().run(flow), on_mismatch, OpenCXCreateMismatchError)

    async def acreate_phone_agent(
        self,
        spec: PhoneAgentSpec,
        *,
        if_exists: IfExists = "adopt",
        on_mismatch: OnMismatch = "fail",
        is_retry: bool = False,
    ) -> PhoneAgent:
        """Async twin of :meth:`create_phone_agent`."""
        flow = reconcile.create(spec, if_exists, is_retry=is_retry)
        return self._checked(await self._arun(flow), on_mismatch, OpenCXCreateMismatchError)

    def update_phone_agent(
        self,
        agent_id: str | None,
        changes: PhoneAgentChanges,
        *,
        agent_name: str | None = None,
        on_mismatch: OnMismatch = "fail",
    ) -> PhoneAgent:
        """Bring an existing agent to the declared members, sending only those that differ, and return it.

        :param agent_id: the agent; ``None`` to name it by ``agent_name``.
        :param changes: the members to write.
        :param agent_name: the agent, by its name.
        :param on_mismatch: what to do if the service stores a member other than asked: ``"fail"`` or ``"warn"``.
        :raises OpenCXPlanRefusedError: if there is no such agent, or several, or ``model`` would change.
        """
        flow = reconcile.update(changes, agent_id=agent_id, agent_name=agent_name)
        return self._checked(self.get_conn().run(flow), on_mismatch)

    async def aupdate_phone_agent(
        self,
        agent_id: str | None,
        changes: PhoneAgentChanges,
        *,
        agent_name: str | None = None,
        on_mismatch: OnMismatch = "fail",
    ) -> PhoneAgent:
        """Async twin of :meth:`update_phone_agent`."""
        flow = reconcile.update(changes, agent_id=agent_id, agent_name=agent_name)
        return self._checked(await self._arun(flow), on_mismatch)

    def upsert_phone_agent(
        self, spec: PhoneAgentSpec, *, on_mismatch: OnMismatch = "fail", is_retry: bool = False
    ) -> PhoneAgent:
        """Make sure that exactly one agent has the declared name and is as declared, and return it.

        :param spec: the declaration; ``type``, left out, is ``"outbound"`` for a new agent.
        :param on_mismatch: what to do if the service stores a member other than asked: ``"fail"`` or ``"warn"``.
        :param is_retry: whether an earlier try may have sent the create without learning what became of it. An
            agent that is not there yet is then looked for with patience, some 15 s, before it is created.
        :raises OpenCXUnknownOutcomeError: if a create was not answered and no agent has appeared.
        :raises OpenCXPlanRefusedError: if several agents have the name, ``model`` would change, or an inbound
            agent has the name and no ``type`` is written.
        """
        return self._checked(self.get_conn().run(reconcile.upsert(spec, is_retry=is_retry)), on_mismatch)

    async def aupsert_phone_agent(
        self, spec: PhoneAgentSpec, *, on_mismatch: OnMismatch = "fail", is_retry: bool = False
    ) -> PhoneAgent:
        """Async twin of :meth:`upsert_phone_agent`."""
        return self._checked(await self._arun(reconcile.upsert(spec, is_retry=is_retry)), on_mismatch)

    def plan_phone_agents(self, specs: Sequence[PhoneAgentSpec], *, is_retry: bool = False) -> FleetPlan:
        """Return what is to be done for exactly one agent of each declared name, as declared; writes nothing.

        :param specs: the declarations of a fleet, no name twice.
        :param is_retry: whether an earlier try may have sent creates without learning what became of them. Agents
            that are not there yet are then looked for with patience, some 15 s.
        """
        plan = self.get_conn().run(reconcile.plan_fleet(specs, is_retry=is_retry))
        return replace(plan, connection=self.opencx_conn_id)

    async def aplan_phone_agents(self, specs: Sequence[PhoneAgentSpec], *, is_retry: bool = False) -> FleetPlan:
        """Async twin of :meth:`plan_phone_agents`."""
        plan = await self._arun(reconcile.plan_fleet(specs, is_retry=is_retry))
        return replace(plan, connection=self.opencx_conn_id)

    def apply_plan(
        self, plan: FleetPlan, *, approved: Mapping[str, JsonValue] | None = None, on_mismatch: OnMismatch = "fail"
    ) -> list[PhoneAgent]:
        """Carry out the plan of a fleet, one write for each agent that differs, and return the agents as declared.

        An agent that fails does not hold up the others. Where its error says that theirs would fail as well (a key that
        is rejected, a service that asks to wait, five failures in a row), nothing more is sent.

        :param plan: what :meth:`plan_phone_agents` returned, just now.
        :param approved: a plan that somebody has approved, as JSON: nothing else is done.
        :param on_mismatch: what to do if the service stores a member other than asked: ``"fail"`` or ``"warn"``.
        :raises OpenCXPlanRefusedError: before the first write, if an agent cannot be brought to its declaration, or the
            plan is not the approved one.
        :raises OpenCXFleetError: naming each agent that failed, after the others were written.
        """
        _check(plan, approved)
        return self._fleet(plan, self.get_conn().run(reconcile.apply_fleet(plan)), on_mismatch)

    async def aapply_plan(
        self, plan: FleetPlan, *, approved: Mapping[str, JsonValue] | None = None, on_mismatch: OnMismatch = "fail"
    ) -> list[PhoneAgent]:
        """Async twin of :meth:`apply_plan`."""
        _check(plan, approved)
        return self._fleet(plan, await self._arun(reconcile.apply_fleet(plan)), on_mismatch)

    def list_voices(self) -> list[Voice]:
        """Return the voices that can be given as ``voice_id``."""
        return self.get_conn().run(requests.list_voices())

    async def alist_voices(self) -> list[Voice]:
        """Async twin of :meth:`list_voices`."""
        return await self._arun(requests.list_voices())

    def test_connection(self) -> tuple[bool, str]:
        """Send one authenticated GET and say in a sentence how it went, never showing the key.

        Airflow asks for it from the connection form and from ``airflow connections test``.
        """
        try:
            with type(self)(self.opencx_conn_id, max_retries=0).get_conn() as client:
                client.run(requests.ping())
        except OpenCXError as error:
            # Behind the form's button, Airflow gives the connection a random id for the while.
            return False, str(error).replace(f" {self.opencx_conn_id!r}", "")
        return True, "OpenCX accepted the API key, and its phone agents can be read."

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, object]:
        """Return how the form shows Airflow's own fields; asked by Airflow 3.0 and 3.1 only."""
        return {
            "hidden_fields": form.HIDDEN_FIELDS,
            "relabeling": form.RELABELING,
            "placeholders": form.PLACEHOLDERS,
        }

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, object]:
        """Return the form's extra fields; asked by Airflow 3.0 and 3.1 only."""
        from wtforms import BooleanField, IntegerField, StringField

        widgets = {"number": StringField, "integer": IntegerField, "boolean": BooleanField, "string": StringField}
        return {
            field.name: widgets[field.type](field.label, description=field.description, default=field.default)
            for field in form.EXTRA_FIELDS
        }

    async def _arun(self, flow: Flow[_Result]) -> _Result:
        async with await self.aget_conn() as client:
            return await client.run(flow)

    def _settings(self, connection: Connection) -> ClientSettings:
        from airflow import __version__ as airflow_version

        user_agent = f"airflow-provider-opencx/{__version__} apache-airflow/{airflow_version}"
        settings = client_settings(connection, user_agent=user_agent)
        return settings if self._max_retries is None else replace(settings, max_retries=self._max_retries)

    def _missing(self) -> OpenCXConfigError:
        return OpenCXConfigError(
            f"Connection {self.opencx_conn_id!r} is not defined, or cannot be read. Add one of type OpenCX, with the"
            " API key as its password."
        )

    def _checked(
        self,
        outcome: Outcome,
        on_mismatch: OnMismatch,
        mismatch_error: type[OpenCXMismatchError] = OpenCXMismatchError,
    ) -> PhoneAgent:
        """Return the agent of an outcome, if the service has stored it as asked."""
        if not outcome.mismatches:
            return outcome.agent
        message = (
            f"OpenCX {outcome.action} {outcome.agent.label}, but not as asked:"
            f" {'; '.join(map(str, outcome.mismatches))}. The service may not know the member, or not take the"
            " value; with on_mismatch='warn' this is only logged."
        )
        if on_mismatch == "fail":
            members = [mismatch.member for mismatch in outcome.mismatches]
            raise mismatch_error(message, agent_id=outcome.agent.id, members=members)
        self.log.warning(message)
        return outcome.agent

    def _fleet(self, plan: FleetPlan, results: Sequence[Result], on_mismatch: OnMismatch) -> list[PhoneAgent]:
        agents: list[PhoneAgent] = []
        failures: dict[str, OpenCXError] = {}
        for step, result in zip(plan.steps, results, strict=True):
            try:
                if isinstance(result, OpenCXError):
                    raise result
                agents.append(self._checked(result, on_mismatch))
            except OpenCXError as error:
                failures[step.spec.agent_name] = error
        if failures:
            raise _fleet_error(failures, len(plan.steps))
        return agents


def _check(plan: FleetPlan, approved: Mapping[str, JsonValue] | None) -> None:
    metrics.count_decision("refused", plan.refused)
    plan.check(approved)


def _fleet_error(failures: Mapping[str, OpenCXError], declared: int) -> OpenCXFleetError:
    """Return the error that names each agent which failed; one that is retried only where that can help."""
    names_by_reason: dict[str, list[str]] = {}
    for name, error in failures.items():
        names_by_reason.setdefault(str(error), []).append(repr(shortened(name)))
    sentences = [
        f"{', '.join(names)}: {reason}" if number < _MOST_REASONS else ", ".join(names)
        for number, (reason, names) in enumerate(names_by_reason.items())
    ]
    message = f"{len(failures)} of {declared} agents are not as declared; the others are. {' '.join(sentences)}"
    # An agent under another name than declared is not found again: another try would create one more.
    created_otherwise = any(isinstance(error, OpenCXNameMismatchError) for error in failures.values())
    hopeless = all(isinstance(error, AirflowFailException) for error in failures.values())
    return (OpenCXFleetPermanentError if created_otherwise or hopeless else OpenCXFleetError)(
        message,
        failures={name: str(error) for name, error in failures.items()},
        retry_after=max(filter(None, map(requests.asked_to_wait, failures.values())), default=None),
    )
