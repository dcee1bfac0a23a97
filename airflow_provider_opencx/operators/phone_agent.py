"""Operators that create phone agents and keep them as declared.

Each returns the agent as a plain dict with the API's field names, the same that the sensor returns; the one for a
whole fleet returns the list of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias, cast

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import OpenCXArgumentError, derive_from_airflow
from airflow_provider_opencx.templates import has_no_template, task_named

# The API's models and the hook are imported where they are used: parsing a Dag should not pay for them.
if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from pydantic import JsonValue

    from airflow_provider_opencx.hooks.opencx import OpenCXHook
    from airflow_provider_opencx.phone_agents.fleet import FleetPlan
    from airflow_provider_opencx.phone_agents.plan import IfExists
    from airflow_provider_opencx.phone_agents.reconcile import OnMismatch

derive_from_airflow()


class LeftOut(Enum):
    """The type of :data:`LEFT_OUT`."""

    LEFT_OUT = "left out"

    def __repr__(self) -> str:
        return "LEFT_OUT"


LEFT_OUT: Final = LeftOut.LEFT_OUT
"""An argument that was not written. ``None`` is written, and sent as null."""

_MOST_LOGGED = 500

Text: TypeAlias = "str | XComArg | LeftOut | None"
Texts: TypeAlias = "Sequence[str] | str | XComArg | LeftOut | None"
Flag: TypeAlias = "bool | str | XComArg | LeftOut | None"


class PhoneAgentBaseOperator(BaseOperator):
    """Base of the operators that are given a declaration of one agent.

    Omitted, ``None`` and empty differ: omitted fields are not sent or compared, ``None`` is sent as null. Jinja and
    XComArgs work in every field. A value without a template is checked while the Dag is parsed.

    :param name: display name; agents are found by it, so it should be unique in the organization. (templated)
    :param type: ``"outbound"`` or ``"inbound"``. Left out, it is ``"outbound"`` where an agent is created, and
        left as it is where one exists. (templated)
    :param language: ISO 639-1 code or list of codes; en, es, fr, de, hi, ru, pt, ja, it and nl may be combined,
        any other stands alone. (templated)
    :param voice_id: a voice of ``OpenCXHook.list_voices()``. (templated)
    :param first_message: what the agent says when the call begins. (templated)
    :param instructions: ids of training scenarios; texts for a service of 2024 or 2025. (templated)
    :param handoff_phone_number: E.164 number of the person to hand calls to. (templated)
    :param use_org_knowledgebase: whether the agent may search the organization's knowledge base. (templated)
    :param action_ids: ids of the actions the agent may call; ``None`` means all, ``[]`` none. (templated)
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
    :param opencx_conn_id: the connection. Default ``opencx_default``.
    """

    template_fields: Sequence[str] = ("agent",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"agent": "json"}
    ui_color = "#d9e8fb"

    def __init__(
        self,
        *,
        name: Text = LEFT_OUT,
        type: Literal["inbound", "outbound"] | Text = LEFT_OUT,
        language: Texts = LEFT_OUT,
        voice_id: Text = LEFT_OUT,
        first_message: Text = LEFT_OUT,
        instructions: Texts = LEFT_OUT,
        handoff_phone_number: Text = LEFT_OUT,
        use_org_knowledgebase: Flag = LEFT_OUT,
        action_ids: Texts = LEFT_OUT,
        accent: Text = LEFT_OUT,
        speed: float | Text = LEFT_OUT,
        interruptible: Flag = LEFT_OUT,
        data_collection_fields: Texts = LEFT_OUT,
        data_collection_webhook_url: Text = LEFT_OUT,
        model: Text = LEFT_OUT,
        flow: JsonValue | XComArg | LeftOut = LEFT_OUT,
        manual_mode: Flag = LEFT_OUT,
        custom_llm: Text = LEFT_OUT,
        additional_fields: Mapping[str, JsonValue] | XComArg | LeftOut = LEFT_OUT,
        on_mismatch: OnMismatch = "fail",
        opencx_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        fields = {
            "name": name,
            "type": type,
            "language": language,
            "voice_id": voice_id,
            "first_message": first_message,
            "instructions": instructions,
            "handoff_phone_number": handoff_phone_number,
            "use_org_knowledgebase": use_org_knowledgebase,
            "action_ids": action_ids,
            "accent": accent,
            "speed": speed,
            "interruptible": interruptible,
            "data_collection_fields": data_collection_fields,
            "data_collection_webhook_url": data_collection_webhook_url,
            "model": model,
            "flow": flow,
            "manual_mode": manual_mode,
            "custom_llm": custom_llm,
            "additional_fields": additional_fields,
        }
        self.agent: dict[str, object] = {
            field: value for field, value in fields.items() if not isinstance(value, LeftOut)
        }
        self.on_mismatch = on_mismatch
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            _check_choice("on_mismatch", on_mismatch, ("fail", "warn"))
            self._check_literal_fields()

    @property
    def hook(self) -> OpenCXHook:
        """The hook for this operator's connection."""
        from airflow_provider_opencx.hooks.opencx import OpenCXHook

        return OpenCXHook(self.opencx_conn_id)

    def _check_literal_fields(self) -> None:
        from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges

        PhoneAgentChanges.parse({field: value for field, value in self.agent.items() if has_no_template(value)})

    def _check_name_is_written(self) -> None:
        if "name" not in self.agent:
            with task_named(self.task_id):
                raise OpenCXArgumentError("name: is required")


class OpenCXCreatePhoneAgentOperator(PhoneAgentBaseOperator):
    """Create a phone agent, unless one of that name exists: ``POST /phone``.

    However often the task is tried, there is one agent: each try begins with the list, and after a create without a
    response the list is read again, and the create is not sent again.

    Takes the fields of a declaration, see :class:`PhoneAgentBaseOperator`; ``name`` is required.

    :param if_exists: what to do with an agent of that name: ``"adopt"`` (default) returns it as it is, ``"fail"``
        fails the task. A task that was killed between creating and finishing finds its own agent in the next
        try, so ``"fail"`` suits tasks without retries.
    :return: the agent, as a dict with the API's field names.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    def __init__(self, *, if_exists: IfExists = "adopt", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.if_exists = if_exists
        self._check_name_is_written()
        with task_named(self.task_id):
            _check_choice("if_exists", if_exists, ("adopt", "fail"))

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Create the agent or adopt it, and return it."""
        from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec

        spec = PhoneAgentSpec.parse(self.agent)
        agent = self.hook.create_phone_agent(
            spec, if_exists=self.if_exists, on_mismatch=self.on_mismatch, is_retry=_is_retry(context)
        )
        return agent.as_dict()


class OpenCXUpsertPhoneAgentOperator(PhoneAgentBaseOperator):
    """Keep a phone agent as declared: create it, update what differs, or do nothing. Recommended for most uses.

    No agent of that name: create it. One: ``PATCH /phone/{id}`` with the fields that differ, or nothing. Several:
    refuse, naming their ids. An agent is never deleted or replaced, because its number would be lost.

    Takes the fields of a declaration, see :class:`PhoneAgentBaseOperator`; ``name`` is required.

    :return: the agent, as a dict with the API's field names.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._check_name_is_written()

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Create or update the agent as needed, and return it."""
        from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec

        spec = PhoneAgentSpec.parse(self.agent)
        agent = self.hook.upsert_phone_agent(spec, on_mismatch=self.on_mismatch, is_retry=_is_retry(context))
        return agent.as_dict()


class OpenCXUpdatePhoneAgentOperator(PhoneAgentBaseOperator):
    """Change an existing phone agent: ``PATCH /phone/{id}`` with the fields that differ, if any do.

    Takes the fields of a declaration, see :class:`PhoneAgentBaseOperator`; ``name`` is a new name.

    :param agent_id: the agent, by its id. (templated)
    :param agent_name: the agent, by its present name. Give one of the two. (templated)
    :return: the agent, as a dict with the API's field names.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    template_fields: Sequence[str] = ("agent_id", "agent_name", "agent")

    def __init__(
        self, *, agent_id: str | XComArg | None = None, agent_name: str | XComArg | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.agent_name = agent_name
        if has_no_template(agent_id) and has_no_template(agent_name):
            with task_named(self.task_id):
                self._check_selector()

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Change what differs, and return the agent."""
        from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges

        agent_id, agent_name = self._check_selector()
        changes = PhoneAgentChanges.parse(self.agent)
        agent = self.hook.update_phone_agent(agent_id, changes, agent_name=agent_name, on_mismatch=self.on_mismatch)
        return agent.as_dict()

    def _check_selector(self) -> tuple[str | None, str | None]:
        from airflow_provider_opencx.phone_agents.plan import checked_selector

        if not self.agent:
            raise OpenCXArgumentError("give at least one field to change")
        return checked_selector(self.agent_id, self.agent_name)


class OpenCXSyncPhoneAgentsOperator(BaseOperator):
    """Keep a whole fleet of phone agents as declared, in one task: one list, one plan, one write where one differs.

    The plan is logged as a table, and other tasks can read it: a dry run returns it, and any other run
    pushes it as the XCom ``plan`` before the first write. A name that is declared twice, or that several existing
    agents have, and whatever else stands in the way of a declaration, is refused before the first write. Agents that
    exist and are not declared are reported, and never touched.

    An agent that fails does not hold up the others: they are written, then the task fails, naming each that did. The
    next try makes a new plan, and so does only what is left. Where a failure says that the others would fail as well (a
    rejected key, a service that asks to wait, five failures in a row), nothing more is sent in this try.

    :param agents: the declarations, each a mapping of the fields that :class:`PhoneAgentBaseOperator` takes,
        ``name`` among them; or the path of a YAML or JSON file that holds such a list, alone or under the key
        ``agents``. A relative path begins at the folder of the Dag file. The file is read when the task runs;
        no template in it is rendered. (templated)
    :param dry_run: return the plan and write nothing. Default: ``False``. (templated)
    :param approved_plan: what a dry run returned and somebody approved, handed over as the output of that task. Nothing
        else is then done: if the agents or their declarations have changed since, or if there is no such output
        (``None``), the task refuses. Left out, nobody has to approve. (templated)
    :param on_mismatch: what to do if the service accepts a write and stores another value than declared: ``"fail"``
        (default) or ``"warn"``.
    :param opencx_conn_id: the connection. Default ``opencx_default``.
    :return: the agents in the order of their declarations, each as a dict with the API's field names. From a dry run,
        the plan: a dict of ``connection`` (its id), ``agents`` (each with ``name``, ``id``, ``action``, ``changes``,
        which have ``field``, ``actual`` and ``wanted``, and ``declaration``, a digest), ``undeclared`` (each with
        ``id`` and ``name``), ``changes`` (the number of writes), ``summary`` (a sentence) and ``table`` (Markdown).
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`; ``OpenCXFleetError`` if some agents failed.
    """

    template_fields: Sequence[str] = ("agents", "dry_run", "approved_plan")
    template_fields_renderers: ClassVar[dict[str, str]] = {"agents": "json", "approved_plan": "json"}
    ui_color = "#d9e8fb"

    def __init__(
        self,
        *,
        agents: Sequence[Mapping[str, object]] | str | os.PathLike[str] | XComArg,
        dry_run: bool | str | XComArg = False,
        approved_plan: Mapping[str, JsonValue] | XComArg | LeftOut | None = LEFT_OUT,
        on_mismatch: OnMismatch = "fail",
        opencx_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.agents = os.fspath(agents) if isinstance(agents, os.PathLike) else agents
        # Airflow 3 calls the method that this shadows nowhere.
        self.dry_run = dry_run  # type: ignore[assignment,method-assign]  # a template field is named as its argument
        self.approved_plan = None if isinstance(approved_plan, LeftOut) else approved_plan
        # None is what a mapped task gets where the plan that was to be approved is missing.
        self._needs_approval = not isinstance(approved_plan, LeftOut)
        self.on_mismatch = on_mismatch
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            _check_choice("on_mismatch", on_mismatch, ("fail", "warn"))
            self._check_literal_declarations()

    def execute(self, context: Context) -> JsonValue:
        """Plan, and apply the plan unless this is a dry run; return the agents, or the plan."""
        from airflow_provider_opencx.hooks.opencx import OpenCXHook
        from airflow_provider_opencx.phone_agents.fleet import parse_fleet

        specs = parse_fleet(self._declarations())
        is_dry_run = _truth("dry_run", self.dry_run)
        hook = OpenCXHook(self.opencx_conn_id)
        plan = hook.plan_phone_agents(specs, is_retry=not is_dry_run and _is_retry(context))
        self._log(plan)
        if is_dry_run:
            plan.check()
            return plan.as_dict()
        if self._needs_approval and self.approved_plan is None:
            raise OpenCXArgumentError(
                "approved_plan: is missing. The task that should have returned it was skipped, or marked as success, or"
                " does not push its result; nothing was sent. Leave the argument out where nobody has to approve."
            )
        if "ti" in context and self.do_xcom_push:
            context["ti"].xcom_push(key="plan", value=plan.as_dict())
        approved = cast("Mapping[str, JsonValue] | None", self.approved_plan)  # rendered by now
        agents = hook.apply_plan(plan, approved=approved, on_mismatch=self.on_mismatch)
        return [agent.as_dict() for agent in agents]

    def _declarations(self) -> object:
        if not isinstance(self.agents, str):
            return self.agents
        from airflow_provider_opencx.phone_agents.fleet_file import read_fleet_file

        has_dag = self.has_dag()  # type: ignore[no-untyped-call]  # Airflow does not annotate it
        folder = Path(self.dag.folder) if has_dag else Path()
        return read_fleet_file(folder / self.agents)

    def _log(self, plan: FleetPlan) -> None:
        lines = plan.table.splitlines()
        if len(lines) > _MOST_LOGGED:
            lines = [
                *lines[:_MOST_LOGGED],
                f"... and {len(lines) - _MOST_LOGGED} more lines, which the XCom of the plan has.",
            ]
        self.log.info("\n".join([f"Plan: {plan.summary}", *lines]))
        if plan.undeclared:
            self.log.info(plan.report_of_undeclared())

    def _check_literal_declarations(self) -> None:
        from airflow_provider_opencx.phone_agents.fleet import check_literal_declarations
        from airflow_provider_opencx.phone_agents.fleet_file import check_path

        if isinstance(self.agents, str):
            if has_no_template(self.agents):
                check_path(Path(self.agents))
        elif isinstance(self.agents, list | tuple):
            check_literal_declarations(self.agents)


def _truth(argument: str, value: object) -> bool:
    """Return the truth value of a templated argument: Jinja makes text of it."""
    truth = {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else value
    if isinstance(truth, bool):
        return truth
    raise OpenCXArgumentError(f"{argument}: must be true or false")


def _is_retry(context: Context) -> bool:
    """Return whether an earlier try of the task may have been killed with its create on the way."""
    task_instance = context.get("ti")
    return task_instance is not None and task_instance.try_number > 1


def _check_choice(argument: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise OpenCXArgumentError(f"{argument}: must be {' or '.join(map(repr, choices))}")
