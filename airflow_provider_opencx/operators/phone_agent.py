"""Operators that create phone agents and keep them as declared.

Each returns the agent as a plain dict with the API's field names, the same that the sensor returns; the one for a
whole fleet returns the list of them, and the one that plans for a fleet returns the plan.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Unpack, cast

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, conf

from airflow_provider_opencx.arguments import (
    LEFT_OUT,
    LeftOut,
    check_boolean,
    check_choice,
    seconds,
    texts,
    texts_by_name,
    written,
)
from airflow_provider_opencx.asset_events import add_extra, extra_of
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.deferral import deferral_timeout, ends_by_execution_timeout
from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXError,
    OpenCXPhoneNumberTimeoutError,
    derive_from_airflow,
)
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.links.opencx import OpenCXPhoneAgentLink
from airflow_provider_opencx.mapped import arguments_of, limited
from airflow_provider_opencx.operators.base import BaseOpenCXOperator
from airflow_provider_opencx.operators.sync import SyncBaseOperator, Writes, with_paths_as_texts
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.task_state import intents_of
from airflow_provider_opencx.templates import task_named
from airflow_provider_opencx.visible_text import identifier, in_quotes
from airflow_provider_opencx.xcoms import AGENT_KEYS, pull_numbers, push_numbers, push_xcoms

# The API's models and the hook are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from airflow.sdk.definitions.mappedoperator import OperatorPartial
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from pydantic import JsonValue

    from airflow_provider_opencx.airflow_arguments import BaseOperatorArguments, LimitedOperatorArguments
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan
    from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentChanges, PhoneAgentSpec

__all__ = [
    "LEFT_OUT",
    "OpenCXCreatePhoneAgentOperator",
    "OpenCXPlanPhoneAgentsOperator",
    "OpenCXSyncPhoneAgentsOperator",
    "OpenCXUpdatePhoneAgentOperator",
    "OpenCXUpsertPhoneAgentOperator",
    "PhoneAgentBaseOperator",
]

derive_from_airflow()


class PhoneAgentBaseOperator(BaseOpenCXOperator):
    """Base of the operators that take the declaration of one agent. Its fields are these arguments.

    Omitted, ``None`` and empty differ: omitted fields are not sent or compared, ``None`` is sent as null. Jinja and
    XComArgs work in every field. A value without a template is checked while the Dag is parsed.

    :param name: display name; agents are found by it, so it should be unique in the organization. (templated)
    :param type: ``"outbound"`` or ``"inbound"``. Without it, a new agent is ``"outbound"``, and the type of an
        existing agent is not changed. (templated)
    :param language: code of a language, such as ``"en"`` or ``"pt-BR"``, or list of codes; en, es, fr, de, hi, ru, pt,
        ja, it and nl may be combined, any other must be the only one. (templated)
    :param voice_id: a voice of ``OpenCXHook.list_voices()``. (templated)
    :param voice: the name of a voice, instead of its id, which differs in each organization. (templated)
    :param first_message: what the agent says when the call begins. (templated)
    :param instructions: ids of training scenarios; texts for a service of 2024 or 2025. (templated)
    :param training_scenarios: the titles of training scenarios, instead of their ids. Names are looked up once a run; a
        missing or ambiguous name is refused before the first write. (templated)
    :param handoff_phone_number: E.164 number of the person to hand calls to, such as ``"+14155550100"``. A
        number that cannot exist is refused. (templated)
    :param use_org_knowledgebase: whether the agent may search the organization's knowledge base. (templated)
    :param action_ids: ids of the actions the agent may call; ``None`` means all, ``[]`` none. (templated)
    :param actions: the names of the actions, instead of their ids. (templated)
    :param accent: accent to speak in; a field of earlier generations of the API, as are all below. (templated)
    :param speed: speed of speech. (templated)
    :param interruptible: whether the caller may interrupt the agent. (templated)
    :param data_collection_fields: names of the data to collect. (templated)
    :param data_collection_webhook_url: http(s) URL that receives the collected data. (templated)
    :param model: AI model of a new agent; the service cannot change it later. (templated)
    :param flow: any JSON value. (templated)
    :param manual_mode: passed through unchanged. (templated)
    :param custom_llm: passed through unchanged. (templated)
    :param additional_fields: fields newer than this provider, by their API names; passed through unchanged. (templated)
    :param on_mismatch: what to do if the service accepts a write and stores another value than declared: ``"fail"``
        (default) or ``"warn"``.
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    """

    operator_extra_links = (OpenCXPhoneAgentLink(),)
    template_fields: Sequence[str] = ("agent", "opencx_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"agent": "json"}
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {
        "agent": Kind.DECLARATION,
        "agent_id": Kind.TEXTS,
        "agent_name": Kind.TEXT,
        "opencx_conn_id": Kind.TEXT,
    }

    agent: dict[str, object]
    """The fields that were written, by their names."""
    on_mismatch: Literal["fail", "warn"]

    if TYPE_CHECKING:

        @property
        def output(self) -> PlainXComArg:
            """The output of the task. Airflow's own type does not have ``output["id"]``."""

    def _check_arguments(self) -> None:
        """Check what can be checked while the Dag is parsed."""
        check_choice("on_mismatch", self.on_mismatch, ("fail", "warn"))
        self._check_templates()
        self._check_literal_conn_id()
        self._changes({field: value for field, value in self.agent.items() if self._has_no_template(value)})

    @forgets_locals
    def _changes(self, fields: dict[str, object]) -> PhoneAgentChanges:
        from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges

        return PhoneAgentChanges.parse(fields)

    def _spec(self) -> PhoneAgentSpec:
        from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec

        return PhoneAgentSpec.parse(self.agent)

    def _result(self, context: Context, agent: PhoneAgent) -> dict[str, JsonValue]:
        """Return an agent as the task's result, and push the XComs beside it."""
        result = agent.as_dict()
        self._report(context, result)
        return result

    def _report(self, context: Context, agent: dict[str, JsonValue]) -> None:
        """Say which agent it is: next to the result, in the events of assets, and in the link."""
        push_xcoms(self, context, agent)
        add_extra(self, context, extra_of(agent, AGENT_KEYS, "agents"), agents=[agent])
        self.linked_id = str(agent["id"])


class OpenCXCreatePhoneAgentOperator(PhoneAgentBaseOperator):
    """Create a phone agent, unless one of that name exists: ``POST /phone``.

    No matter how often the task is tried, there is one agent: each try begins with the list. After a create without a
    response, the list is read again, and the create is not sent again.

    Takes the fields of a declaration, see :class:`PhoneAgentBaseOperator`; ``name`` is required.

    :param if_exists: what to do with an agent of that name: ``"adopt"`` (default) returns it unchanged, ``"fail"``
        fails the task. A task that was killed between creating and finishing finds its own agent in the next
        try, so ``"fail"`` suits tasks without retries.
    :param allow_near_name: whether an agent may be created next to another agent with a similar name: one that differs
        only in letter case, blanks, invisible characters, dashes, quotes, or what a service may make of a name. Default
        ``False``: such a create is refused.
    :param max_active_tis_per_dag: Airflow's limit of tasks that run at once, all runs of the Dag together, backfills
        included. Default 1, so that no two create the same agent; ``None`` means no limit.
    :return: the agent, as a dict with the API's field names. Its ``id``, ``name`` and ``phone_number`` are XComs of
        their own as well, where they are not null.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    def __init__(
        self,
        *,
        name: str | XComArg,
        type: str | XComArg | LeftOut = LEFT_OUT,
        language: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        voice_id: str | XComArg | LeftOut | None = LEFT_OUT,
        voice: str | XComArg | LeftOut | None = LEFT_OUT,
        first_message: str | XComArg | LeftOut | None = LEFT_OUT,
        instructions: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        training_scenarios: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        handoff_phone_number: str | XComArg | LeftOut | None = LEFT_OUT,
        use_org_knowledgebase: bool | str | XComArg | LeftOut | None = LEFT_OUT,
        action_ids: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        actions: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        accent: str | XComArg | LeftOut | None = LEFT_OUT,
        speed: float | str | XComArg | LeftOut | None = LEFT_OUT,
        interruptible: bool | str | XComArg | LeftOut | None = LEFT_OUT,
        data_collection_fields: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        data_collection_webhook_url: str | XComArg | LeftOut | None = LEFT_OUT,
        model: str | XComArg | LeftOut | None = LEFT_OUT,
        flow: JsonValue | XComArg | LeftOut = LEFT_OUT,
        manual_mode: bool | str | XComArg | LeftOut | None = LEFT_OUT,
        custom_llm: str | XComArg | LeftOut | None = LEFT_OUT,
        additional_fields: Mapping[str, JsonValue] | XComArg | LeftOut = LEFT_OUT,
        if_exists: Literal["adopt", "fail"] = "adopt",
        allow_near_name: bool = False,
        on_mismatch: Literal["fail", "warn"] = "fail",
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        max_active_tis_per_dag: int | None = 1,
        **kwargs: Unpack[LimitedOperatorArguments],
    ) -> None:
        super().__init__(max_active_tis_per_dag=max_active_tis_per_dag, **kwargs)
        self.agent = written(
            name=name,
            type=type,
            language=language,
            voice_id=voice_id,
            voice=voice,
            first_message=first_message,
            instructions=instructions,
            training_scenarios=training_scenarios,
            handoff_phone_number=handoff_phone_number,
            use_org_knowledgebase=use_org_knowledgebase,
            action_ids=action_ids,
            actions=actions,
            accent=accent,
            speed=speed,
            interruptible=interruptible,
            data_collection_fields=data_collection_fields,
            data_collection_webhook_url=data_collection_webhook_url,
            model=model,
            flow=flow,
            manual_mode=manual_mode,
            custom_llm=custom_llm,
            additional_fields=additional_fields,
        )
        self.if_exists = if_exists
        self.allow_near_name = allow_near_name
        self.on_mismatch = on_mismatch
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            check_choice("if_exists", if_exists, ("adopt", "fail"))
            check_boolean("allow_near_name", allow_near_name)
            self._check_arguments()

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Return an operator to be mapped, with the same default of ``max_active_tis_per_dag``."""
        return limited(super().partial(**kwargs), 1)

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Create the agent or adopt it, and return it."""
        intents, is_retry = intents_of(context)
        agent = self.hook.create_phone_agent(
            self._spec(),
            if_exists=self.if_exists,
            on_mismatch=self.on_mismatch,
            allow_near_name=self.allow_near_name,
            is_retry=is_retry,
            intents=intents,
        )
        return self._result(context, agent)


class OpenCXUpsertPhoneAgentOperator(PhoneAgentBaseOperator):
    """Keep a phone agent as declared: create it, update what differs, or do nothing. Recommended for most uses.

    If no agent has the name, it is created. If one has it, the fields that differ are sent with ``PATCH /phone/{id}``,
    if any differ. If several have it, the task fails and names their ids. An agent is never deleted or replaced,
    because its number would be lost.

    Takes the fields of a declaration, see :class:`PhoneAgentBaseOperator`; ``name`` is required.

    With ``wait_for_phone_number=True`` the task then waits until the agent has its phone number, as
    ``OpenCXPhoneNumberSensor`` does: with the same tolerance of failed polls, in a worker or in the triggerer. A
    failed wait is retried according to the task's ``retries``: the next try finds the agent, and waits again.

    :param allow_near_name: whether an agent may be created next to another agent with a similar name: one that differs
        only in letter case, blanks, invisible characters, dashes, quotes, or what a service may make of a name. Default
        ``False``: such a create is refused.
    :param wait_for_phone_number: whether to wait until the agent has its phone number. Default ``False``.
    :param poke_interval: seconds between two polls, or a ``timedelta``. Default 60.
    :param timeout: seconds to wait at most, or a ``timedelta``; then the task fails with
        ``OpenCXPhoneNumberTimeoutError``. Default: ``[sensors] default_timeout``, a week.
    :param deferrable: wait in the triggerer. Default: ``[operators] default_deferrable``.
    :param max_active_tis_per_dag: Airflow's limit of tasks that run at once, all runs of the Dag together, backfills
        included; ``None`` means no limit. Default 1, so that no two create the same agent; with
        ``wait_for_phone_number=True`` it is ``None``, because a run that waits would hold up all others.
    :return: the agent, as a dict with the API's field names. Its ``id``, ``name`` and ``phone_number`` are XComs of
        their own as well, where they are not null; id and name are pushed before the wait begins.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    def __init__(
        self,
        *,
        name: str | XComArg,
        type: str | XComArg | LeftOut = LEFT_OUT,
        language: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        voice_id: str | XComArg | LeftOut | None = LEFT_OUT,
        voice: str | XComArg | LeftOut | None = LEFT_OUT,
        first_message: str | XComArg | LeftOut | None = LEFT_OUT,
        instructions: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        training_scenarios: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        handoff_phone_number: str | XComArg | LeftOut | None = LEFT_OUT,
        use_org_knowledgebase: bool | str | XComArg | LeftOut | None = LEFT_OUT,
        action_ids: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        actions: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        accent: str | XComArg | LeftOut | None = LEFT_OUT,
        speed: float | str | XComArg | LeftOut | None = LEFT_OUT,
        interruptible: bool | str | XComArg | LeftOut | None = LEFT_OUT,
        data_collection_fields: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        data_collection_webhook_url: str | XComArg | LeftOut | None = LEFT_OUT,
        model: str | XComArg | LeftOut | None = LEFT_OUT,
        flow: JsonValue | XComArg | LeftOut = LEFT_OUT,
        manual_mode: bool | str | XComArg | LeftOut | None = LEFT_OUT,
        custom_llm: str | XComArg | LeftOut | None = LEFT_OUT,
        additional_fields: Mapping[str, JsonValue] | XComArg | LeftOut = LEFT_OUT,
        allow_near_name: bool = False,
        wait_for_phone_number: bool = False,
        poke_interval: timedelta | float = 60,
        timeout: timedelta | float | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        on_mismatch: Literal["fail", "warn"] = "fail",
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        max_active_tis_per_dag: int | LeftOut | None = LEFT_OUT,
        **kwargs: Unpack[LimitedOperatorArguments],
    ) -> None:
        if isinstance(max_active_tis_per_dag, LeftOut):
            max_active_tis_per_dag = _most_at_once(wait_for_phone_number)
        super().__init__(max_active_tis_per_dag=max_active_tis_per_dag, **kwargs)
        self.agent = written(
            name=name,
            type=type,
            language=language,
            voice_id=voice_id,
            voice=voice,
            first_message=first_message,
            instructions=instructions,
            training_scenarios=training_scenarios,
            handoff_phone_number=handoff_phone_number,
            use_org_knowledgebase=use_org_knowledgebase,
            action_ids=action_ids,
            actions=actions,
            accent=accent,
            speed=speed,
            interruptible=interruptible,
            data_collection_fields=data_collection_fields,
            data_collection_webhook_url=data_collection_webhook_url,
            model=model,
            flow=flow,
            manual_mode=manual_mode,
            custom_llm=custom_llm,
            additional_fields=additional_fields,
        )
        self.allow_near_name = allow_near_name
        self.wait_for_phone_number = wait_for_phone_number
        self.deferrable = deferrable
        self.on_mismatch = on_mismatch
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            check_boolean("allow_near_name", allow_near_name)
            check_boolean("wait_for_phone_number", wait_for_phone_number)
            check_boolean("deferrable", deferrable)
            self.poke_interval = seconds("poke_interval", poke_interval)
            self.timeout = seconds("timeout", _default_timeout() if timeout is None else timeout)
            self._check_arguments()

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Return an operator to be mapped, with the same default of ``max_active_tis_per_dag``."""
        partial = super().partial(**kwargs)
        return limited(partial, _most_at_once(arguments_of(partial, kwargs).get("wait_for_phone_number")))

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Create or update the agent as needed, wait for its number if that is asked for, and return the agent."""
        began_at = time.monotonic()
        intents, is_retry = intents_of(context)
        agent = self.hook.upsert_phone_agent(
            self._spec(),
            on_mismatch=self.on_mismatch,
            allow_near_name=self.allow_near_name,
            is_retry=is_retry,
            intents=intents,
        )
        result = self._result(context, agent)
        if not self.wait_for_phone_number:
            return result
        from airflow_provider_opencx.phone_agents.plan import has_number

        if has_number(agent):
            return result
        if self.deferrable:
            self._defer(agent, used=time.monotonic() - began_at)
        with self._agent_named():
            return self._waited(context, self._wait_in_worker(agent))

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, JsonValue]:
        """Go on after the trigger has fired: return the agent, or raise the error that it met."""
        from airflow_provider_opencx.triggers.phone_number import result_of

        with self._agent_named():
            return self._waited(context, result_of(event))

    @contextmanager
    def _agent_named(self) -> Generator[None]:
        """Name the agent in the error of a wait, which knows only its id."""
        try:
            yield
        except OpenCXPhoneNumberTimeoutError:
            raise
        except OpenCXError as error:
            name = in_quotes(self._spec().agent_name)
            raise error.with_message(
                f"Phone agent {name} was brought to its declaration, and then the wait for its number failed: {error}"
            ) from None

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after deferral; a timeout is the same error as in a worker."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (_deferral_timeout(), OpenCXPhoneNumberTimeoutError):
            instance = context["ti"]
            agent_id = instance.xcom_pull(task_ids=self.task_id, key="id", map_indexes=instance.map_index)
            if ends_by_execution_timeout(self.timeout, self.execution_timeout):
                name = in_quotes(self._spec().agent_name)
                raise AirflowTaskTimeout(
                    f"The execution_timeout of {self.execution_timeout} is over, and phone agent {name}"
                    f" ({identifier(str(agent_id))}) has got no phone number. It is as declared. The next try"
                    " of the task waits again."
                ) from None
            raise self._timed_out(agent_id) from None

    def _defer(self, agent: PhoneAgent, used: float) -> NoReturn:
        """Hand the waiting to the triggerer.

        :param used: seconds that this try of the task has taken.
        """
        from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger

        self.log.info("Waiting for the number of %s.", agent.label)
        timeout = deferral_timeout(self.timeout, self.execution_timeout, used)
        trigger = OpenCXPhoneNumberTrigger(
            self._conn_id,
            agent_id=agent.id,
            poll_interval=self.poke_interval,
            waiting_since=time.time(),
            timeout=timeout.total_seconds(),
        )
        self.defer(trigger=trigger, method_name=self.execute_complete.__name__, timeout=timeout)

    def _wait_in_worker(self, agent: PhoneAgent) -> JsonValue:
        from airflow_provider_opencx import metrics
        from airflow_provider_opencx.hooks.opencx import OpenCXHook
        from airflow_provider_opencx.phone_agents.polling import poll_until
        from airflow_provider_opencx.phone_agents.waiting import Wait

        self.log.info("Waiting for the number of %s.", agent.label)
        started = time.monotonic()
        hook = OpenCXHook(self._conn_id, max_retries=0)  # the next poll is the retry
        wait = Wait(agent.id)
        result = poll_until(hook.list_phone_agents, wait, poke_interval=self.poke_interval, timeout=self.timeout)
        if result is None:
            raise self._timed_out(agent.id, is_listed=not wait.not_listed)
        metrics.time_to_number(time.monotonic() - started)
        return result

    def _waited(self, context: Context, result: JsonValue) -> dict[str, JsonValue]:
        from airflow_provider_opencx.phone_agents.waiting import success

        agent = cast("dict[str, JsonValue]", result)  # one agent was waited for
        self.log.info(success(agent))
        self._report(context, agent)
        return agent

    def _timed_out(self, agent_id: str | None, *, is_listed: bool = True) -> OpenCXPhoneNumberTimeoutError:
        name = self._spec().agent_name
        of_id = f" ({identifier(agent_id)})" if agent_id else ""
        return OpenCXPhoneNumberTimeoutError(
            f"Phone agent {in_quotes(name)}{of_id} has got no phone number in"
            f" {self.timeout:g} s. {'It is as declared.' if is_listed else 'The list does not show it.'}"
            " The next try of the task waits again; a longer timeout, or retries, give the service more time.",
            agent_id=agent_id,
            agent_name=name,
            timeout=self.timeout,
        )


class OpenCXUpdatePhoneAgentOperator(PhoneAgentBaseOperator):
    """Change an existing phone agent: ``PATCH /phone/{id}`` with the fields that differ, if any do.

    Takes the fields of a declaration, see :class:`PhoneAgentBaseOperator`, except ``name``; at least one field.

    :param agent_id: the agent, by its id, or as another task returned it: ``agent_id=agent.output``. (templated)
    :param agent_name: the agent, by its present name. Give one of the two. (templated)
    :param new_name: a new name for the agent, which no other agent has. (templated)
    :return: the agent, as a dict with the API's field names. Its ``id``, ``name`` and ``phone_number`` are XComs of
        their own as well, where they are not null.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    template_fields: Sequence[str] = ("agent_id", "agent_name", "agent", "opencx_conn_id")

    def __init__(
        self,
        *,
        agent_id: str | Mapping[str, JsonValue] | XComArg | None = None,
        agent_name: str | XComArg | None = None,
        new_name: str | XComArg | LeftOut = LEFT_OUT,
        type: str | XComArg | LeftOut = LEFT_OUT,
        language: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        voice_id: str | XComArg | LeftOut | None = LEFT_OUT,
        voice: str | XComArg | LeftOut | None = LEFT_OUT,
        first_message: str | XComArg | LeftOut | None = LEFT_OUT,
        instructions: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        training_scenarios: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        handoff_phone_number: str | XComArg | LeftOut | None = LEFT_OUT,
        use_org_knowledgebase: bool | str | XComArg | LeftOut | None = LEFT_OUT,
        action_ids: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        actions: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        accent: str | XComArg | LeftOut | None = LEFT_OUT,
        speed: float | str | XComArg | LeftOut | None = LEFT_OUT,
        interruptible: bool | str | XComArg | LeftOut | None = LEFT_OUT,
        data_collection_fields: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT,
        data_collection_webhook_url: str | XComArg | LeftOut | None = LEFT_OUT,
        model: str | XComArg | LeftOut | None = LEFT_OUT,
        flow: JsonValue | XComArg | LeftOut = LEFT_OUT,
        manual_mode: bool | str | XComArg | LeftOut | None = LEFT_OUT,
        custom_llm: str | XComArg | LeftOut | None = LEFT_OUT,
        additional_fields: Mapping[str, JsonValue] | XComArg | LeftOut = LEFT_OUT,
        on_mismatch: Literal["fail", "warn"] = "fail",
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent = written(
            name=new_name,
            type=type,
            language=language,
            voice_id=voice_id,
            voice=voice,
            first_message=first_message,
            instructions=instructions,
            training_scenarios=training_scenarios,
            handoff_phone_number=handoff_phone_number,
            use_org_knowledgebase=use_org_knowledgebase,
            action_ids=action_ids,
            actions=actions,
            accent=accent,
            speed=speed,
            interruptible=interruptible,
            data_collection_fields=data_collection_fields,
            data_collection_webhook_url=data_collection_webhook_url,
            model=model,
            flow=flow,
            manual_mode=manual_mode,
            custom_llm=custom_llm,
            additional_fields=additional_fields,
        )
        self.agent_id = agent_id
        self.agent_name = agent_name
        self.on_mismatch = on_mismatch
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            self._check_arguments()
            if self._has_no_template(agent_id) and self._has_no_template(agent_name):
                self._selector()

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Change what differs, and return the agent."""
        agent_id, agent_name = self._selector()
        agent = self.hook.update_phone_agent(
            agent_id=agent_id,
            agent_name=agent_name,
            changes=self._changes(self.agent),
            on_mismatch=self.on_mismatch,
        )
        return self._result(context, agent)

    def _check_arguments(self) -> None:
        if not self.agent:
            raise OpenCXArgumentError("give at least one field to change")
        super()._check_arguments()

    @forgets_locals
    def _changes(self, fields: dict[str, object]) -> PhoneAgentChanges:
        try:
            return super()._changes(fields)
        except OpenCXArgumentError as wrong:
            if str(wrong).startswith("name: "):  # the field of this argument
                raise wrong.with_message(f"new_{wrong}") from None
            raise

    def _selector(self) -> tuple[str | None, str | None]:
        from airflow_provider_opencx.phone_agents.plan import checked_selector

        return checked_selector(self.agent_id, self.agent_name)


class FleetBaseOperator(SyncBaseOperator):
    """Base of the operators that are given the declarations of a fleet."""

    operator_extra_links = (OpenCXPhoneAgentLink(),)
    declarations_argument: ClassVar[str] = "agents"

    template_fields_renderers: ClassVar[dict[str, str]] = {
        "agents": "json",
        "variables": "json",
        "approved_plan": "json",
    }
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {
        "agents": Kind.DECLARATIONS,
        "variables": Kind.TEXTS_BY_NAME,
        "ignore": Kind.TEXTS,
        "approved_plan": Kind.JSON,
        "fail_on_changes": Kind.BOOLEAN,
        "max_creates": Kind.NUMBER,
        "max_updates": Kind.NUMBER,
        "expected_org_id": Kind.TEXT,
        "opencx_conn_id": Kind.TEXT,
    }

    agents: Sequence[Mapping[str, object]] | Sequence[str] | str | XComArg
    variables: Mapping[str, object] | str | XComArg | None
    ignore: Sequence[str] | str | XComArg
    allow_near_name: bool

    def _check_arguments(self) -> None:
        """Check what can be checked while the Dag is parsed."""
        from airflow_provider_opencx.declared_files.beside_dag import check_path
        from airflow_provider_opencx.phone_agents.declarations import check_literal_declarations, parse_fleet

        self._check_templates()
        check_boolean("allow_near_name", self.allow_near_name)
        self._check_literal_conn_id()
        self._check_variables()
        if self._has_no_template(self.ignore):
            texts("ignore", self.ignore)
        paths = self._paths()
        if paths is not None:
            for path in filter(self._has_no_template, paths):
                check_path(path)
        elif isinstance(self.agents, list | tuple):
            check_literal_declarations(self.agents, self._has_no_template)
        elif isinstance(self.agents, Mapping) or self._has_no_template(self.agents):
            parse_fleet(self.agents)  # says what it must be

    @forgets_locals
    def _plan(self, context: Context, *, is_retry: bool) -> FleetPlan:
        """Return the plan for the fleet, after logging it; keep the phone numbers for the next run of the task."""
        from airflow_provider_opencx.declared_files.places import FileDeclarations
        from airflow_provider_opencx.phone_agents.declarations import parse_fleet

        declarations = self._declarations()
        ignored_by_files = declarations.ignore if isinstance(declarations, FileDeclarations) else ()
        plan = self.hook.plan_phone_agents(
            parse_fleet(declarations),
            allow_near_name=self.allow_near_name,
            ignore=[*texts("ignore", self.ignore), *ignored_by_files],
            is_retry=is_retry,
        )
        plan = replace(plan, known_numbers=pull_numbers(self, context))
        push_numbers(self, context, plan.numbers_seen)
        self._log_plan(plan.summary, plan.text)
        return plan

    @forgets_locals
    def _declarations(self) -> object:
        paths = self._paths()
        if paths is None:
            return self.agents
        from airflow_provider_opencx.declared_files.beside_dag import fleet_paths
        from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet

        found = fleet_paths(paths, self._known_dag())
        return read_fleet(found.paths, variables=texts_by_name("variables", self.variables), root=found.root)

    def _checked_plan(self, approved: object) -> Mapping[str, JsonValue]:
        from airflow_provider_opencx.phone_agents.fleet import FleetPlan

        return FleetPlan.checked_plan(approved)


class OpenCXPlanPhoneAgentsOperator(FleetBaseOperator):
    """Show what :class:`OpenCXSyncPhoneAgentsOperator` would do for a fleet, and write nothing: one read.

    The plan is logged in words, and returned, so that a person can approve it and a sync can apply it.

    With ``fail_on_changes=True`` it is an alarm: it fails if an agent is not as declared, because somebody changed or
    deleted it. It ignores a declared ``None`` for which the service stored a default. It also fails if an agent has
    lost its phone number, or has another one: the XCom ``phone_numbers`` has the numbers that a run sees, and the next
    run compares with it. If the task fails because of a change or a refused plan, the XCom ``plan`` has the plan.

    :param agents: the declarations, as in :class:`OpenCXSyncPhoneAgentsOperator`. (templated)
    :param variables: as in :class:`OpenCXSyncPhoneAgentsOperator`. (templated)
    :param ignore: as in :class:`OpenCXSyncPhoneAgentsOperator`. (templated)
    :param allow_near_name: as in :class:`OpenCXSyncPhoneAgentsOperator`. Default ``False``.
    :param fail_on_changes: fail if an agent is not as declared. Default ``False``. (templated)
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: the plan: a dict of ``org_id``, ``connection`` (its id) and ``base_url``, ``agents`` (each with ``name``,
        ``id``, ``phone_number``, ``action``, ``changes``, which have ``field``, ``actual`` and ``wanted``, ``near``,
        the agents of near names beside which it is created, and ``declaration``, a digest), ``undeclared`` (each with
        ``id`` and ``name``), ``ignored`` (their number), ``possible_renames`` (each with ``name``, which would be
        created, and ``id`` and ``current_name`` of the undeclared agent that may be it), ``lost_numbers`` (each with
        ``id``, ``name`` and ``phone_number``, which it had), ``warnings`` (sentences), ``changes`` (the number of
        writes), ``summary`` (a sentence) and ``markdown`` (what a person reads).
    :raises OpenCXDriftError: with ``fail_on_changes``, if an agent is not as declared, or has lost its number.
    :raises OpenCXPlanRefusedError: if an agent cannot be brought to its declaration.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    template_fields: Sequence[str] = ("agents", "variables", "ignore", "fail_on_changes", "opencx_conn_id")

    def __init__(
        self,
        *,
        agents: Sequence[Mapping[str, object]] | Sequence[str | os.PathLike[str]] | str | os.PathLike[str] | XComArg,
        variables: Mapping[str, str] | str | XComArg | None = None,
        ignore: Sequence[str] | str | XComArg = (),
        allow_near_name: bool = False,
        fail_on_changes: bool | str | XComArg = False,
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agents = with_paths_as_texts(agents)
        self.variables = variables
        self.ignore = ignore
        self.allow_near_name = allow_near_name
        self.fail_on_changes = fail_on_changes
        self.opencx_conn_id = opencx_conn_id
        self._check_plan()

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Plan, log the plan and return it, unless it is refused, or changes something and must not."""
        fails_on_changes = self._fails_on_changes()
        plan = self._plan(context, is_retry=False)
        return self._planned(context, plan, fails_on_changes=fails_on_changes)


class OpenCXSyncPhoneAgentsOperator(FleetBaseOperator):
    """Keep a whole fleet of phone agents as declared, in one task: one list, one plan, one write where one differs.

    The plan is logged in words, and pushed as the XCom ``plan`` before the first write. If a name is
    declared twice, or if several existing agents have it, the plan is refused before the first write. The same is true
    of any other declaration that cannot be applied. Existing agents that are not declared are reported, and never
    touched. To see the plan first, use
    :class:`OpenCXPlanPhoneAgentsOperator`.

    If one agent fails, the others are still written. Then the task fails, and names each failed agent. The next try
    makes a new plan, and does only what is left. If a failure shows that the others would fail, too, nothing more is
    sent in this try: a rejected key, a service that asks to wait, or five failures in a row (also refusals for the same
    reason).

    :param agents: the declarations, each a mapping of the fields that :class:`PhoneAgentBaseOperator` takes, ``name``
        among them, and of ``id`` and ``previous_name``; or files that hold them: the path of a YAML or JSON
        file, of a folder of such files, a glob, or a list of these. A relative path begins at the folder of the Dag
        file. Files are read when the task runs; no template in them is rendered. (templated)
    :param variables: the values for ``${NAME}`` in the files: names to texts. They override the values in the files.
        (templated)
    :param ignore: names, or globs such as ``"Test *"``, of agents that are not declared and need not be reported.
        (templated)
    :param approved_plan: what :class:`OpenCXPlanPhoneAgentsOperator` returned and somebody approved, passed as the
        output of that task. Then only this plan is applied: if the agents or their declarations have changed since, or
        if there is no such output (``None``), the task fails. Without this argument, no approval is needed.
        (templated)
    :param max_creates: the most agents that the plan may create; a plan that would create more is refused. Default
        ``None``: any number. (templated)
    :param max_updates: the most agents that the plan may update. Default ``None``: any number. (templated)
    :param expected_org_id: the id of the organization, as its agents show it in ``org_id``. For another
        organization, or one without agents, the plan is refused. Default ``None``: any organization. (templated)
    :param allow_near_name: whether an agent may be created next to another agent, of the fleet or not, with a similar
        name: one that differs only in letter case, blanks, invisible characters, dashes, quotes, or what a service may
        make of a name. Default ``False``: the fleet is then refused.
    :param on_mismatch: what to do if the service accepts a write and stores another value than declared: ``"fail"``
        (default) or ``"warn"``.
    :param max_active_tis_per_dag: Airflow's limit of tasks that run at once, all runs of the Dag together, backfills
        included. Default 1, so that no two create the same agents; ``None`` means no limit.
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: the agents in the order of their declarations, each as a dict with the API's field names.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`; ``OpenCXFleetError`` if some agents failed.
    """

    template_fields: Sequence[str] = (
        "agents",
        "variables",
        "ignore",
        "approved_plan",
        "max_creates",
        "max_updates",
        "expected_org_id",
        "opencx_conn_id",
    )

    def __init__(
        self,
        *,
        agents: Sequence[Mapping[str, object]] | Sequence[str | os.PathLike[str]] | str | os.PathLike[str] | XComArg,
        variables: Mapping[str, str] | str | XComArg | None = None,
        ignore: Sequence[str] | str | XComArg = (),
        approved_plan: Mapping[str, JsonValue] | XComArg | LeftOut = LEFT_OUT,
        max_creates: int | str | XComArg | None = None,
        max_updates: int | str | XComArg | None = None,
        expected_org_id: str | XComArg | None = None,
        allow_near_name: bool = False,
        on_mismatch: Literal["fail", "warn"] = "fail",
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        max_active_tis_per_dag: int | None = 1,
        **kwargs: Unpack[LimitedOperatorArguments],
    ) -> None:
        super().__init__(max_active_tis_per_dag=max_active_tis_per_dag, **kwargs)
        self.agents = with_paths_as_texts(agents)
        self.variables = variables
        self.ignore = ignore
        self.approved_plan = None if isinstance(approved_plan, LeftOut) else approved_plan
        self._needs_approval = not isinstance(approved_plan, LeftOut)
        self.allow_near_name = allow_near_name
        self.max_creates = max_creates
        self.max_updates = max_updates
        self.expected_org_id = expected_org_id
        self.on_mismatch = on_mismatch
        self.opencx_conn_id = opencx_conn_id
        self._check_sync()

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Return an operator to be mapped, with the same default of ``max_active_tis_per_dag``."""
        return limited(super().partial(**kwargs), 1)

    def execute(self, context: Context) -> list[JsonValue]:
        """Plan, apply the plan, and return the agents."""
        approved = self._approved()
        guards = self._guards()
        intents, is_retry = intents_of(context)
        plan = self._plan(context, is_retry=is_retry)
        self._push_plan(context, plan)
        writes = Writes()
        agents = self.hook.apply_plan(
            plan, approved=approved, guards=guards, on_mismatch=self.on_mismatch, intents=intents, on_result=writes
        )
        result: list[JsonValue] = [agent.as_dict() for agent in agents]
        add_extra(self, context, {"changes": writes.done, **extra_of(result, AGENT_KEYS, "agents")}, agents=result)
        return result


def _most_at_once(wait_for_phone_number: object) -> int | None:
    """Return how many upserts of a Dag run at once by default. One that waits counts, deferred or not."""
    return None if wait_for_phone_number else 1


def _default_timeout() -> float:
    return float(conf.getfloat("sensors", "default_timeout"))


def _deferral_timeout() -> type[Exception]:
    """Return what Airflow raises when no event has come in time."""
    try:
        from airflow.sdk.exceptions import TaskDeferralTimeout
    except ImportError:  # Airflow 3.0 and 3.1
        from airflow.exceptions import TaskDeferralTimeout  # type: ignore[no-redef]  # the same class, at its old place
    return TaskDeferralTimeout
