"""The hook: authenticated access to OpenCX over an Airflow connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_opencx import __version__, metrics
from airflow_provider_opencx.campaigns.sequences.start import cancel
from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.client.settings import BodyStyle, ClientSettings
from airflow_provider_opencx.connection import form
from airflow_provider_opencx.connection.settings import client_settings
from airflow_provider_opencx.exceptions import OpenCXConnectionNotFoundError, OpenCXError, derive_from_airflow
from airflow_provider_opencx.intents import IntentStore
from airflow_provider_opencx.knowledge import reconcile as knowledge
from airflow_provider_opencx.knowledge.declared import DEFAULT_COLLECTION
from airflow_provider_opencx.knowledge.plan import Rules
from airflow_provider_opencx.knowledge.training_plan import TrainingPlan
from airflow_provider_opencx.masking import mask_secrets
from airflow_provider_opencx.phone_agents import reconcile
from airflow_provider_opencx.phone_agents.fleet import FleetPlan
from airflow_provider_opencx.phone_agents.plan import IfExists, PhoneAgents, find_agent
from airflow_provider_opencx.reconciliation.guards import Guards
from airflow_provider_opencx.reconciliation.progress import OnResult
from airflow_provider_opencx.reconciliation.sync import OnMismatch
from airflow_provider_opencx.resources.actions import Action, list_actions
from airflow_provider_opencx.resources.calls import (
    Callee,
    PlacedCall,
    body_as_json,
    call_body,
    call_request,
    place_call,
)
from airflow_provider_opencx.resources.contacts import Contact, create_contact, list_contacts, update_contact
from airflow_provider_opencx.resources.conversations import (
    Conversation,
    HistoryItem,
    conversations_request,
    get_conversation,
    iterate_conversations,
    list_history,
)
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgent,
    PhoneAgentChanges,
    PhoneAgentSpec,
    list_phone_agents,
    ping,
)
from airflow_provider_opencx.resources.sequences import OutboundSequence, get_sequence
from airflow_provider_opencx.resources.training import ScenarioSpec, TrainingScenario, list_training_scenarios
from airflow_provider_opencx.resources.voices import Voice, list_voices
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.visible_text import in_quotes

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from airflow.sdk import Connection
    from pydantic import JsonValue

derive_from_airflow()


class OpenCXHook(BaseHook):
    """Authenticated access to the OpenCX phone API.

    Every method blocks until the service responds, and may send several requests: the API cannot read one agent, so the
    hook lists all agents to read one. Code in an event loop calls a method in a thread:
    ``await asyncio.to_thread(hook.list_phone_agents)``. For requests that have no method, use
    ``get_conn().request("GET", "/anything")``.

    :param opencx_conn_id: id of a connection of type ``opencx``.
    :param max_retries: overrides the connection's extra of that name, for a caller that retries by itself.
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

        :raises OpenCXConnectionNotFoundError: if the connection is missing, or cannot be read now.
        :raises OpenCXConfigError: if one of its fields is wrong.
        """
        return self._client

    def __getstate__(self) -> dict[str, object]:
        """Return the state for a copy or a pickle of this hook: everything except the client, which holds the key."""
        return {name: value for name, value in vars(self).items() if name != "_client"}

    @cached_property
    def _client(self) -> OpenCXClient:
        return OpenCXClient(self._read_settings(), metrics.count_attempt, self._calls_allowed)

    def _calls_allowed(self) -> bool:
        """Return whether the connection allows calls now: it is read again, so that calls can be switched off."""
        return self._read_settings().allow_calls

    @forgets_locals
    def _read_settings(self) -> ClientSettings:
        try:
            connection = self.get_connection(self.opencx_conn_id)
        except Exception as error:
            raise connection_not_found(self.opencx_conn_id, error) from None
        settings = self.settings_of(connection)
        mask_secrets(settings.secrets)
        return settings

    def dashboard_url(self, agent_id: str) -> str | None:
        """Return the address of an agent in the dashboard; ``None`` if the connection has no ``dashboard_url``.

        :param agent_id: the agent's id.
        """
        settings = self._client.settings if "_client" in vars(self) else self._read_settings()
        return settings.dashboard_url.replace("{id}", quote(agent_id, safe="")) or None

    def list_phone_agents(self) -> list[PhoneAgent]:
        """Return all agents of the organization."""
        return list_phone_agents(self.get_conn())

    def get_phone_agent(self, agent_id: str) -> PhoneAgent:
        """Return the agent of an id; raises ``OpenCXAgentNotFoundError`` if three reads of the list do not show it."""
        return reconcile.find_by_id(self.get_conn(), agent_id)

    def find_phone_agent(self, name: str) -> PhoneAgent | None:
        """Return the agent of a name, ``None`` if there is none.

        :raises OpenCXAmbiguousNameError: if several have the name.
        :raises OpenCXResponseError: if no agent has it, but an unreadable item of the list may be this agent.
        """
        return find_agent(PhoneAgents(self.list_phone_agents()), agent_name=name)

    @forgets_locals
    def create_phone_agent(
        self,
        spec: PhoneAgentSpec,
        *,
        if_exists: IfExists = "adopt",
        on_mismatch: OnMismatch = "fail",
        allow_near_name: bool = False,
        is_retry: bool = False,
        intents: IntentStore | None = None,
    ) -> PhoneAgent:
        """Make sure that exactly one agent has the declared name, and return it.

        :param spec: the declaration. Without ``type``, the agent is ``"outbound"``.
        :param if_exists: ``"adopt"`` returns an agent of that name unchanged, ``"fail"`` raises.
        :param on_mismatch: what to do if the service stores another value than declared: ``"fail"`` or ``"warn"``.
        :param allow_near_name: whether an agent may be created next to another agent whose name differs only in letter
            case, blanks, invisible characters, dashes, quotes, or what a service may make of it. Default ``False``.
        :param is_retry: whether an earlier try may have sent the create and not received the response. The list is
            then read for some 15 s before an agent that it does not show is created.
        :param intents: where the create is recorded before it is sent, so that another try knows of it; ``None``
            records nothing.
        :raises OpenCXUnknownOutcomeError: if the create had no response and no agent has appeared.
        :raises OpenCXCreateMismatchError: if the new agent is not as declared. The next try would adopt it unchanged;
            :meth:`upsert_phone_agent` changes it.
        :raises OpenCXPlanRefusedError: if several agents have the name, if it is an inbound agent, or if no agent has
            it but one has a similar name.
        """
        return reconcile.create(
            self.get_conn(),
            spec,
            if_exists,
            on_mismatch=on_mismatch,
            allow_near_name=allow_near_name,
            is_retry=is_retry,
            intents=intents,
        )

    @forgets_locals
    def update_phone_agent(
        self,
        *,
        agent_id: str | None = None,
        agent_name: str | None = None,
        changes: PhoneAgentChanges,
        on_mismatch: OnMismatch = "fail",
    ) -> PhoneAgent:
        """Update the fields of an existing agent that differ from the declared ones, and return the agent.

        :param agent_id: the agent, by its id.
        :param agent_name: the agent, by its name. Give one of the two.
        :param changes: the fields to write.
        :param on_mismatch: what to do if the service stores another value than declared: ``"fail"`` or ``"warn"``.
        :raises OpenCXAgentNotFoundError: if there is no such agent.
        :raises OpenCXPlanRefusedError: if there are several, or ``model`` would change.
        """
        return reconcile.update(
            self.get_conn(), changes, agent_id=agent_id, agent_name=agent_name, on_mismatch=on_mismatch
        )

    @forgets_locals
    def upsert_phone_agent(
        self,
        spec: PhoneAgentSpec,
        *,
        on_mismatch: OnMismatch = "fail",
        allow_near_name: bool = False,
        is_retry: bool = False,
        intents: IntentStore | None = None,
    ) -> PhoneAgent:
        """Make sure that exactly one agent has the declared name and is as declared, and return it.

        :param spec: the declaration. Without ``type``, a new agent is ``"outbound"``.
        :param on_mismatch: what to do if the service stores another value than declared: ``"fail"`` or ``"warn"``.
        :param allow_near_name: whether an agent may be created next to another agent whose name differs only in letter
            case, blanks, invisible characters, dashes, quotes, or what a service may make of it. Default ``False``.
        :param is_retry: whether an earlier try may have sent the create and not received the response. The list is
            then read for some 15 s before an agent that it does not show is created.
        :param intents: where the create is recorded before it is sent, so that another try knows of it; ``None``
            records nothing.
        :raises OpenCXUnknownOutcomeError: if a create had no response and no agent has appeared.
        :raises OpenCXPlanRefusedError: if several agents have the name, ``model`` would change, an inbound agent has
            the name and no ``type`` is declared, or no agent has the name but one has a similar name.
        """
        return reconcile.upsert(
            self.get_conn(),
            spec,
            on_mismatch=on_mismatch,
            allow_near_name=allow_near_name,
            is_retry=is_retry,
            intents=intents,
        )

    @forgets_locals
    def plan_phone_agents(
        self,
        specs: Sequence[PhoneAgentSpec],
        *,
        allow_near_name: bool = False,
        ignore: Sequence[str] = (),
        is_retry: bool = False,
    ) -> FleetPlan:
        """Return the plan for exactly one agent of each declared name, as declared; writes nothing.

        :param specs: the declarations of a fleet, no name twice.
        :param allow_near_name: whether an agent may be created next to another agent whose name differs only in letter
            case, blanks, invisible characters, dashes, quotes, or what a service may make of it. Default ``False``.
        :param ignore: names, or globs such as ``"Test *"``, of agents that are not declared and need not be reported.
        :param is_retry: whether an earlier try may have sent creates and not received the responses. The list is
            then read for some 15 s while it does not show all agents.
        """
        return reconcile.plan_fleet(
            self.get_conn(),
            specs,
            connection=self.opencx_conn_id,
            allow_near_name=allow_near_name,
            ignore=ignore,
            is_retry=is_retry,
        )

    def apply_plan(
        self,
        plan: FleetPlan,
        *,
        approved: Mapping[str, JsonValue] | None = None,
        guards: Guards | None = None,
        on_mismatch: OnMismatch = "fail",
        intents: IntentStore | None = None,
        on_result: OnResult | None = None,
    ) -> list[PhoneAgent]:
        """Apply the plan of a fleet, one write for each agent that differs, and return the agents as declared.

        If one agent fails, the others are still written. If a failure shows that the others would fail, too, nothing
        more is sent: a rejected key, a service that asks to wait, or five failures in a row (also refusals for the same
        reason).

        :param plan: what :meth:`plan_phone_agents` returned. If that was some time ago, the list is read again, and
            the plan is made again from it. Before each create, the list is always read again.
        :param approved: a plan that somebody has approved, as JSON: only this plan is applied.
        :param guards: what the plan may do at most, and for which organization; ``None`` means no guard.
        :param on_mismatch: what to do if the service stores another value than declared: ``"fail"`` or ``"warn"``.
        :param intents: where creates are recorded before they are sent, so that another try knows of them; ``None``
            records nothing.
        :param on_result: called after each write, with the number of writes that are done, and of all.
        :raises OpenCXPlanRefusedError: before the first write, if an agent cannot be made to match its declaration, or
            the plan is not the approved one, is for another organization, or does more than a guard allows.
        :raises OpenCXFleetError: naming each agent that failed, after the others were written.
        """
        return reconcile.apply_fleet(
            self.get_conn(),
            plan,
            connection=self.opencx_conn_id,
            approved=approved,
            guards=guards,
            on_mismatch=on_mismatch,
            intents=intents,
            on_result=on_result,
        )

    @forgets_locals
    def plan_training_scenarios(
        self,
        specs: Sequence[ScenarioSpec],
        *,
        collection: str = DEFAULT_COLLECTION,
        rules: Rules | None = None,
        with_org_id: bool = False,
        is_retry: bool = False,
    ) -> TrainingPlan:
        """Return the plan for exactly one training scenario of each declared key, as declared; writes nothing.

        :param specs: the declarations, no key twice.
        :param collection: the collection that they belong to. Default ``"default"``. Others are never touched.
        :param rules: what may be done beside what is declared: adoption, drafts, and removed ones.
        :param with_org_id: read the agents as well, which show the id of the organization: a guard may ask for it.
        :param is_retry: whether an earlier try may have sent creates and not received the responses. The list is
            then read for some 15 s while it does not show all scenarios.
        """
        return knowledge.plan_training(
            self.get_conn(),
            specs,
            collection=collection,
            rules=rules,
            connection=self.opencx_conn_id,
            with_org_id=with_org_id,
            is_retry=is_retry,
        )

    def apply_training_plan(
        self,
        plan: TrainingPlan,
        *,
        approved: Mapping[str, JsonValue] | None = None,
        guards: Guards | None = None,
        on_mismatch: OnMismatch = "fail",
        intents: IntentStore | None = None,
        on_result: OnResult | None = None,
    ) -> list[TrainingScenario]:
        """Apply the plan of training scenarios, one update or create for each that differs, and return them.

        If one scenario fails, the others are still written, as in :meth:`apply_plan`. Before an update, the scenario is
        read once more.

        :param plan: what :meth:`plan_training_scenarios` returned.
        :param approved: a plan that somebody has approved, as JSON: only this plan is applied.
        :param guards: what the plan may do at most, and for which organization; ``None`` means no guard.
        :param on_mismatch: what to do if the service stores another value than declared: ``"fail"`` or ``"warn"``.
        :param intents: where creates are recorded before they are sent, so that another try knows of them; ``None``
            records nothing.
        :param on_result: called after each write, with the number of writes that are done, and of all.
        :raises OpenCXPlanRefusedError: before the first write, if a scenario cannot be made to match its declaration,
            or the plan is not the approved one, is for another organization, or does more than a guard allows.
        :raises OpenCXFleetError: naming each scenario that failed, after the others were written.
        """
        return knowledge.apply_training(
            self.get_conn(),
            plan,
            connection=self.opencx_conn_id,
            approved=approved,
            guards=guards,
            on_mismatch=on_mismatch,
            intents=intents,
            on_result=on_result,
        )

    def list_training_scenarios(self, metadata: Mapping[str, str] | None = None) -> list[TrainingScenario]:
        """Return the training scenarios of the organization.

        :param metadata: only those whose ``metadata`` contain this; ``None`` is all.
        """
        return list_training_scenarios(self.get_conn(), metadata=metadata)

    @forgets_locals
    def place_call(
        self,
        *,
        agent_id: str,
        phone_number: str | None = None,
        contact_id: str | None = None,
        body_style: BodyStyle | None = None,
        body: Mapping[str, JsonValue] | None = None,
    ) -> PlacedCall:
        """Let an agent call a person: one request, which is never repeated.

        It keeps no record and has no guards: a task that is retried calls again. In tasks, use
        :class:`.operators.call.OpenCXPlaceCallOperator`, which keeps a record, and checks whom and when it may call.

        :param agent_id: the id of the agent that calls.
        :param phone_number: the number to call, in E.164.
        :param contact_id: the contact to call, by its id in OpenCX. If both are given, the contact is called.
        :param body_style: how the keys of the body are written; ``None`` uses the setting of the connection.
        :param body: the whole JSON body, sent unchanged.
        :return: when the call was asked for, and the response unchanged.
        :raises OpenCXCallsNotAllowedError: if the connection does not allow calls.
        :raises OpenCXUnknownCallOutcomeError: if it is not known whether the person was called.
        """
        client = self.get_conn()
        callee = Callee(phone_number, contact_id)
        style = body_style or client.settings.call_body_style
        sent = call_body(agent_id, callee, style) if body is None else body_as_json(body)
        return place_call(client, call_request(agent_id, callee, sent), callee)

    def get_sequence(self, sequence_id: str) -> OutboundSequence:
        """Return a sequence, by its id, or by its custom id if the service supports that.

        :raises OpenCXNotFoundError: if there is none.
        """
        return get_sequence(self.get_conn(), sequence_id)

    def cancel_sequence(self, sequence_id: str) -> OutboundSequence:
        """Cancel a sequence, and return it when the service shows it. It needs no connection that allows calls."""
        return cancel(self.get_conn(), sequence_id)

    def list_contacts(
        self,
        *,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
    ) -> list[Contact]:
        """Return contacts of the organization, all of them or those of a time; each time needs a time zone."""
        return list_contacts(
            self.get_conn(),
            created_after=created_after,
            created_before=created_before,
            updated_after=updated_after,
            updated_before=updated_before,
        )

    def create_contact(
        self,
        *,
        phone_number: str | None = None,
        email: str | None = None,
        name: str | None = None,
        custom_data: Mapping[str, JsonValue] | None = None,
    ) -> str:
        """Create a contact with a number or an e-mail address, and return its id.

        The request is not sent again if it may have been handled.

        It is not known whether the service merges it with a contact of the same number: there may be two afterwards.

        :raises OpenCXUnknownOutcomeError: if it is not known whether the contact was created.
        """
        return create_contact(
            self.get_conn(), phone_number=phone_number, email=email, name=name, custom_data=custom_data
        )

    def update_contact(
        self,
        contact_id: str,
        *,
        phone_number: str | None = None,
        email: str | None = None,
        name: str | None = None,
        custom_data: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Change the given fields of a contact. Other fields stay unchanged."""
        update_contact(
            self.get_conn(),
            contact_id,
            phone_number=phone_number,
            email=email,
            name=name,
            custom_data=custom_data,
        )

    def iterate_conversations(
        self,
        *,
        handed_off: bool | None = None,
        status: str | None = None,
        channel_type: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
    ) -> Generator[Conversation]:
        """Yield conversations of the organization, with one page of them in memory.

        Each time needs a time zone. It is not known whether the bounds are inclusive. A conversation that changes
        during the read may appear twice, or, if the service pages by position, hide another one.
        :class:`.OpenCXToObjectStorageOperator` corrects that.

        :param handed_off: only those that were, or were not, handed off to a person.
        :param status: those of this status: ``open``, ``closed_resolved``, ``closed_unresolved``.
        :param channel_type: those of this channel, such as ``"phone_voice"`` for calls.
        :param created_after: those that were created after this time.
        :param created_before: those that were created before this time.
        :param updated_after: those that were changed after this time.
        :param updated_before: those that were changed before this time.
        """
        request = conversations_request(
            handed_off=handed_off,
            status=status,
            channel_type=channel_type,
            created_after=created_after,
            created_before=created_before,
            updated_after=updated_after,
            updated_before=updated_before,
        )
        return iterate_conversations(self.get_conn(), request)

    def get_conversation(self, conversation_id: str) -> Conversation:
        """Return a conversation, by its id; raises ``OpenCXNotFoundError`` if there is none."""
        return get_conversation(self.get_conn(), conversation_id)

    def list_conversation_history(self, conversation_id: str) -> list[HistoryItem]:
        """Return what was said and done in a conversation, in the order of the service, which is not documented.

        :raises OpenCXNotFoundError: if there is no such conversation.
        """
        return list_history(self.get_conn(), conversation_id)

    def list_actions(self) -> list[Action]:
        """Return the actions that can be given as ``action_ids``."""
        return list_actions(self.get_conn())

    def list_voices(self) -> list[Voice]:
        """Return the voices that can be given as ``voice_id``."""
        return list_voices(self.get_conn())

    def test_connection(self) -> tuple[bool, str]:
        """Send one authenticated GET and say in a sentence how it went, never showing the key.

        Airflow asks for it from the connection form and from ``airflow connections test``.
        """
        try:
            with type(self)(self.opencx_conn_id, max_retries=0).get_conn() as client:
                ping(client)
        except OpenCXError as error:
            # For the button in the form, Airflow gives the connection a temporary random id.
            return False, str(error).replace(f" {in_quotes(self.opencx_conn_id)}", "")
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

    @forgets_locals
    def settings_of(self, connection: Connection) -> ClientSettings:
        """Return the settings of this hook's client, as a connection asks for them.

        :raises OpenCXConfigError: if one of the connection's fields is wrong.
        """
        from airflow import __version__ as airflow_version

        user_agent = f"airflow-provider-opencx/{__version__} apache-airflow/{airflow_version}"
        settings = client_settings(connection, user_agent=user_agent)
        return settings if self._max_retries is None else replace(settings, max_retries=self._max_retries)


def connection_not_found(conn_id: str, error: Exception) -> OpenCXConnectionNotFoundError:
    """Return the error that Airflow gave no connection of an id.

    :param error: what Airflow raised, which does not say whether there is such a connection: it raises "not found" also
        where a secrets backend is away, and errors of many kinds where its API server is. Its message may hold the key.
    """
    return OpenCXConnectionNotFoundError(
        f"Connection {in_quotes(conn_id)} is not defined, or cannot be read now (a secrets backend, or Airflow's API"
        f" server, may be away): {type(error).__name__}. If it is not defined, add one of type OpenCX, with the API key"
        " as its password."
    )
