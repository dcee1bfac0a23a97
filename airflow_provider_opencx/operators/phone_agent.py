"""Operators that create phone agents and keep them as declared.

Each returns the agent as a plain dict with the API's member names: the same that the sensor returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_opencx.connection_form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.parse_time import is_final, naming_task

# The API's models and the hook are imported where they are used: parsing a Dag should not pay for them.
if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from pydantic import JsonValue

    from airflow_provider_opencx.hooks.opencx import OnMismatch, OpenCXHook
    from airflow_provider_opencx.reconcile import IfExists


class LeftOut(Enum):
    """The type of :data:`LEFT_OUT`."""

    LEFT_OUT = "left out"

    def __repr__(self) -> str:
        return "LEFT_OUT"


LEFT_OUT: Final = LeftOut.LEFT_OUT
"""An argument that was not written. ``None`` is written, and sent as null."""

Text: TypeAlias = "str | XComArg | LeftOut | None"
Texts: TypeAlias = "Sequence[str] | str | XComArg | LeftOut | None"
Flag: TypeAlias = "bool | str | XComArg | LeftOut | None"


class OpenCXDeclarationOperator(BaseOperator):
    """Base of the operators that are given a declaration of one agent.

    Every member may be left out, and left out, ``None`` and empty are three different things: only what was
    written is sent or compared, ``None`` as null. Jinja and XComArgs work in every member. What holds no
    template is checked while the Dag is parsed.

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
    :param accent: accent to speak in; a member of earlier generations of the API, as are all below. (templated)
    :param speed: speed of speech. (templated)
    :param interruptible: whether the caller may interrupt the agent. (templated)
    :param data_collection_fields: names of the data to collect. (templated)
    :param data_collection_webhook_url: http(s) URL that receives the collected data. (templated)
    :param model: AI model of a new agent; the service cannot change it later. (templated)
    :param flow: any JSON value. (templated)
    :param manual_mode: as the API has it. (templated)
    :param custom_llm: as the API has it. (templated)
    :param additional_fields: members newer than this provider, by their API names. (templated)
    :param on_mismatch: if the service accepts a write and leaves a member other than asked: ``"fail"``
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
        members = {
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
            member: value for member, value in members.items() if not isinstance(value, LeftOut)
        }
        self.on_mismatch = on_mismatch
        self.opencx_conn_id = opencx_conn_id
        with naming_task(self.task_id):
            _check_choice("on_mismatch", on_mismatch, ("fail", "warn"))
            self._check_final_members()

    @property
    def hook(self) -> OpenCXHook:
        """The hook for this operator's connection."""
        from airflow_provider_opencx.hooks.opencx import OpenCXHook

        return OpenCXHook(self.opencx_conn_id)

    def _check_final_members(self) -> None:
        from airflow_provider_opencx.api.models import PhoneAgentChanges

        PhoneAgentChanges.declare({member: value for member, value in self.agent.items() if is_final(value)})

    def _check_name_is_written(self) -> None:
        if "name" not in self.agent:
            with naming_task(self.task_id):
                raise OpenCXArgumentError("name: is required")


class OpenCXCreatePhoneAgentOperator(OpenCXDeclarationOperator):
    """Create a phone agent, unless one of that name exists: ``POST /phone``.

    However often the task is tried, there is one agent: each try begins with a look at the list, and a create
    that was not answered is looked for and not sent again.

    Takes the members of a declaration, see :class:`OpenCXDeclarationOperator`; ``name`` is required.

    :param if_exists: what to do with an agent of that name: ``"adopt"`` (default) returns it as it is, ``"fail"``
        fails the task. A task that was killed between creating and finishing finds its own agent in the next
        try, so ``"fail"`` suits tasks without retries.
    :return: the agent, as a dict with the API's member names.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    def __init__(self, *, if_exists: IfExists = "adopt", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.if_exists = if_exists
        self._check_name_is_written()
        with naming_task(self.task_id):
            _check_choice("if_exists", if_exists, ("adopt", "fail"))

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Create the agent or adopt it, and return it."""
        from airflow_provider_opencx.api.models import PhoneAgentSpec

        spec = PhoneAgentSpec.declare(self.agent)
        agent = self.hook.create_phone_agent(
            spec, if_exists=self.if_exists, on_mismatch=self.on_mismatch, tried_before=_tried_before(context)
        )
        return agent.as_dict()


class OpenCXUpsertPhoneAgentOperator(OpenCXDeclarationOperator):
    """Keep a phone agent as declared: create it, update what differs, or do nothing. The one to recommend.

    No agent of that name: create it. One: ``PATCH /phone/{id}`` with the members that differ, or nothing. Several:
    refuse, naming their ids. An agent is never deleted or replaced, because its number would be lost.

    Takes the members of a declaration, see :class:`OpenCXDeclarationOperator`; ``name`` is required.

    :return: the agent, as a dict with the API's member names.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._check_name_is_written()

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Create or update the agent as needed, and return it."""
        from airflow_provider_opencx.api.models import PhoneAgentSpec

        spec = PhoneAgentSpec.declare(self.agent)
        agent = self.hook.upsert_phone_agent(spec, on_mismatch=self.on_mismatch, tried_before=_tried_before(context))
        return agent.as_dict()


class OpenCXUpdatePhoneAgentOperator(OpenCXDeclarationOperator):
    """Change an existing phone agent: ``PATCH /phone/{id}`` with the members that differ; none differ, no request.

    Takes the members of a declaration, see :class:`OpenCXDeclarationOperator`; ``name`` is a new name.

    :param agent_id: the agent, by its id. (templated)
    :param agent_name: the agent, by its present name. Give one of the two. (templated)
    :return: the agent, as a dict with the API's member names.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    template_fields: Sequence[str] = ("agent_id", "agent_name", "agent")

    def __init__(
        self, *, agent_id: str | XComArg | None = None, agent_name: str | XComArg | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.agent_name = agent_name
        if is_final(agent_id) and is_final(agent_name):
            with naming_task(self.task_id):
                self._check_selector()

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Change what differs, and return the agent."""
        from airflow_provider_opencx.api.models import PhoneAgentChanges

        agent_id, agent_name = self._check_selector()
        changes = PhoneAgentChanges.declare(self.agent)
        agent = self.hook.update_phone_agent(agent_id, changes, agent_name=agent_name, on_mismatch=self.on_mismatch)
        return agent.as_dict()

    def _check_selector(self) -> tuple[str | None, str | None]:
        from airflow_provider_opencx.reconcile import checked_selector

        if not self.agent:
            raise OpenCXArgumentError("give at least one member to change")
        return checked_selector(self.agent_id, self.agent_name)


def _tried_before(context: Context) -> bool:
    """Return whether an earlier try of the task may have been killed with its create on the way."""
    task_instance = context.get("ti")
    return task_instance is not None and task_instance.try_number > 1


def _check_choice(argument: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise OpenCXArgumentError(f"{argument}: must be {' or '.join(map(repr, choices))}")
