"""Phone agents: existing ones (:class:`PhoneAgent`), declared ones (:class:`PhoneAgentSpec`), and operations.

The API's pages exist in three generations (2024, 2025, 2026) that differ in their fields; these models hold the fields
of all. Reading is tolerant: only ``id`` is required, unknown fields are kept, sets of values are open. Writing is
strict: what can be checked without the service is checked before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, get_args, get_origin

from pydantic import (
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    HttpUrl,
    JsonValue,
    ModelWrapValidatorHandler,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from airflow_provider_opencx.client.operation import Operation, Request
from airflow_provider_opencx.client.pagination import Listed, first_page, list_items
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXResponseError
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.phone_numbers import e164
from airflow_provider_opencx.resources.languages import COMBINABLE_LANGUAGES, checked_code, language_codes
from airflow_provider_opencx.resources.models import LONGEST_ID, CheckedModel, ResourceModel, Texts, unsendable
from airflow_provider_opencx.resources.odd_items import warn_of_odd_items
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.text import is_rendered_list, without_invisible
from airflow_provider_opencx.visible_text import identifier, in_quotes, name_and_id

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

LIST_PHONE_AGENTS = Operation(
    id="listPhoneAgents",
    method="GET",
    path="/phone",
    scope="phone:read",
    noun="phone agent",
    summary="All agents of the organization.",
    repeatable=True,
)
CREATE_PHONE_AGENT = Operation(
    id="createPhoneAgent",
    method="POST",
    path="/phone",
    scope="phone:write",
    noun="phone agent",
    summary="Creates an agent; only `name` is required. `type`, left out, is `inbound`; the provider sends `outbound`.",
    repeatable=False,
)
UPDATE_PHONE_AGENT = Operation(
    id="updatePhoneAgent",
    method="PATCH",
    path="/phone/{phone_agent_id}",
    scope="phone:write",
    noun="phone agent",
    summary="Changes an agent; what is left out stays.",
    repeatable=True,
)

_OTHER_WORDS = {
    "agentname": "name",
    "beginmessage": "first_message",
    "calltype": "type",
    "direction": "type",
    "displayname": "name",
    "extrafields": "additional_fields",
    "firstsentence": "first_message",
    "forwardingphonenumber": "handoff_phone_number",
    "generalprompt": "instructions",
    "greeting": "first_message",
    "handoffnumber": "handoff_phone_number",
    "interruptionsenabled": "interruptible",
    "knowledgebase": "use_org_knowledgebase",
    "lang": "language",
    "llm": "model",
    "locale": "language",
    "prompt": "instructions",
    "systemprompt": "instructions",
    "title": "name",
    "knowledge": "training_scenarios",
    "scenarios": "training_scenarios",
    "tools": "actions",
    "trainings": "training_scenarios",
    "transfernumber": "handoff_phone_number",
    "transferphonenumber": "handoff_phone_number",
    "transferto": "handoff_phone_number",
    "voicespeed": "speed",
    "webhook": "data_collection_webhook_url",
    "webhookurl": "data_collection_webhook_url",
    "welcomemessage": "first_message",
}
"""The names of fields on other voice platforms, in lower case without underscores."""

_FOUND_BY_NAME = "an agent is found by its name."
_OWN_NUMBER = "the service gives an agent its number. The number to hand calls to is handoff_phone_number."
_NOT_DECLARED = {
    "id": _FOUND_BY_NAME,
    "agentid": _FOUND_BY_NAME,
    "phoneagentid": _FOUND_BY_NAME,
    "phone": _OWN_NUMBER,
    "phonenumber": _OWN_NUMBER,
    "number": _OWN_NUMBER,
}

IDS_BY_NAMES = {"training_scenarios": "instructions", "actions": "action_ids", "voice": "voice_id"}
"""The fields that hold names, and the field that holds the ids of what they name."""

MAX_FIELDS = 200
"""Fields of a declaration that are checked one by one."""

MAX_WRONG_VALUES = 100
"""Values in a field of any JSON that are found wrong one by one."""

_RENDERED_LIST = (
    "must be a list, and is text that was one: a template gives text. Give the output of a task (task.output), or set"
    " render_template_as_native_obj=True in the Dag"
)
_INSTRUCTIONS = (
    "must be a list: of the ids of training scenarios, or of texts for a service of 2024 or 2025. Write one as ['...'],"
    " or in YAML on the line below, after '- ' (a text of several lines after '- |')"
)
_HTTP_URL = TypeAdapter(HttpUrl)


SERVICE_CHOOSES = frozenset(
    {"voice_id", "first_message", "language", "use_org_knowledgebase", "model", "speed", "interruptible", "manual_mode"}
)
"""Fields for which the service replaces null with a default."""


def agent_label(name: str | None, agent_id: str) -> str:
    """Return what messages call an agent.

    :param name: its name; ``None`` if it has none, or none that can be read.
    :param agent_id: its id.
    """
    return f"phone agent {name_and_id(name, agent_id)}"


class PhoneAgent(ResourceModel):
    """A phone agent as the service describes it, in any generation; fields it did not send are ``None``.

    Fields that this version does not know are kept, in ``model_extra`` and in every dump. A field with a value that it
    cannot have, such as a number instead of a name, is ``None`` (``language``: an empty list) and named in
    ``unreadable``, with what is wrong; :meth:`field` raises an error for it.
    """

    noun: ClassVar[str] = "an agent"
    _language_is_text: bool | None = PrivateAttr(default=None)

    id: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
    org_id: JsonValue = None
    phone_number: str | None = None
    name: str | None = None
    type: str | None = None
    language: Annotated[Texts, BeforeValidator(language_codes)] = Field(default=[])
    accent: JsonValue = None
    handoff_phone_number: str | None = None
    speed: JsonValue = None
    interruptible: JsonValue = None
    action_ids: JsonValue = Field(default=None, alias="actionIds")
    instructions: JsonValue = None
    data_collection_fields: JsonValue = None
    data_collection_webhook_url: JsonValue = None
    model: str | None = None
    voice_id: JsonValue = None
    first_message: JsonValue = None
    created_at: JsonValue = None
    updated_at: JsonValue = None
    provider_external_id: JsonValue = None
    flow: JsonValue = None
    manual_mode: JsonValue = None
    custom_llm: JsonValue = None
    use_org_knowledgebase: JsonValue = None
    background_noise_preset: JsonValue = None
    recording_enabled: JsonValue = None
    stt_keyterms: JsonValue = None
    stt_model: JsonValue = None
    tts_speed_pct: JsonValue = None
    failover_transfer_destination_id: JsonValue = None

    @model_validator(mode="wrap")
    @classmethod
    def _keep_form_of_language(cls, value: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        agent = handler(value)
        if isinstance(value, dict) and isinstance(language := value.get("language"), str | list):
            agent._language_is_text = isinstance(language, str)
        return agent

    @property
    def language_is_text(self) -> bool | None:
        """Whether the service sent ``language`` as a string, as before 2026, or as a list; ``None`` if it was null."""
        return self._language_is_text

    @property
    def label(self) -> str:
        """The agent's name and id, for messages and logs; only its id where its name is not known."""
        return agent_label(self.name, self.id)

    @property
    def texts_in_messages(self) -> list[str]:
        """The texts by which a message of the service may call the agent."""
        return [self.id, self.name or ""]

    def field(self, name: str) -> JsonValue:
        """Return the value of a field, in Python spelling or unknown to this version; ``None`` if not sent.

        :raises OpenCXResponseError: if the service sent one that cannot be read.
        """
        if name in self.unreadable:
            raise self.not_readable(name)
        value: JsonValue = (
            getattr(self, name) if name in type(self).model_fields else (self.model_extra or {}).get(name)
        )
        return value

    def not_readable(self, field: str) -> OpenCXResponseError:
        """Return the error that a field which is asked for cannot be read."""
        return OpenCXResponseError(
            f"The {self.label} has a {identifier(field)} that cannot be read ({self.unreadable[field]}), so it cannot"
            " be compared with the declared one. Another try reads it again; correct it in the OpenCX dashboard if it"
            " stays."
        )


class PhoneAgentChanges(CheckedModel):
    """Fields to write to an agent. Left out, ``None`` and empty are three different things.

    Only what was given is sent or compared: ``model_fields_set`` says what that is. A ``None`` is sent as
    null, which for ``action_ids`` means every action, while an empty list means none.

    :param name: display name; agents are found by it, so it should be unique in the organization.
    :param type: ``"inbound"`` (receives calls) or ``"outbound"`` (makes calls).
    :param language: code of a language, such as ``"en"`` or ``"pt-BR"``, or list of codes. en, es, fr, de, hi, ru, pt,
        ja, it and nl may be combined, any other code must be the only one. A code without a subtag is sent in lower
        case.
    :param voice_id: a voice of ``GET /phone/voices``.
    :param first_message: what the agent says when the call begins.
    :param voice: the name of a voice, instead of its ``voice_id``, which differs in each organization.
    :param instructions: ids of training scenarios (2026), or instruction texts (2024, 2025).
    :param training_scenarios: the titles of training scenarios, instead of their ids in ``instructions``.
    :param handoff_phone_number: E.164 number of the person to hand calls to, such as ``"+14155550100"``; spacing is
        removed, and a number that cannot exist is refused.
    :param use_org_knowledgebase: whether the agent may search the organization's knowledge base.
    :param action_ids: ids of the actions that the agent may call (``actionIds`` in the API).
    :param actions: the names of the actions that the agent may call, instead of ``action_ids``.
    :param accent: earlier generations: accent to speak in.
    :param speed: earlier generations: speed of speech.
    :param interruptible: earlier generations: whether the caller may interrupt the agent.
    :param data_collection_fields: earlier generations: names of the data to collect.
    :param data_collection_webhook_url: earlier generations: http(s) URL that receives the collected data.
    :param model: earlier generations: the AI model; the service cannot change it after creation.
    :param flow: earlier generations: any JSON value.
    :param manual_mode: earlier generations: passed through unchanged.
    :param custom_llm: earlier generations: passed through unchanged.
    :param additional_fields: fields that are newer than this provider, by their API names; passed through unchanged.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True, protected_namespaces=()
    )

    other_words: ClassVar[Mapping[str, str]] = _OTHER_WORDS
    not_sent: ClassVar[frozenset[str]] = frozenset({"additional_fields", *IDS_BY_NAMES})
    """Fields that are not fields of an agent."""

    name: str | None = None
    type: Literal["inbound", "outbound"] | None = None
    language: Texts | None = None
    voice_id: str | None = None
    voice: str | None = None
    first_message: str | None = None
    instructions: Texts | None = None
    training_scenarios: Texts | None = None
    handoff_phone_number: str | None = None
    use_org_knowledgebase: bool | None = None
    action_ids: Texts | None = Field(
        default=None, validation_alias=AliasChoices("action_ids", "actionIds"), serialization_alias="actionIds"
    )
    actions: Texts | None = None
    accent: str | None = None
    speed: FiniteFloat | None = None
    interruptible: bool | None = None
    data_collection_fields: Texts | None = None
    data_collection_webhook_url: str | None = None
    model: str | None = None
    flow: JsonValue = None
    manual_mode: bool | None = None
    custom_llm: str | None = None
    additional_fields: dict[str, JsonValue] = Field(default={})

    @classmethod
    @forgets_locals
    def parse(cls, fields: dict[str, object]) -> Self:
        """Check declared fields and return them as a model.

        :param fields: the declaration, in Python or API spelling.
        :raises OpenCXArgumentError: naming each wrong field and what is wrong with it.
        """
        if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
            raise OpenCXArgumentError("must be a mapping of fields, whose names are text")
        return cls(**fields)

    @classmethod
    def describe_unknown_field(cls, name: str) -> str:
        """Return what is wrong with a name that no field has, and which field may be meant."""
        if (reason := _NOT_DECLARED.get(name.replace("_", "").lower())) is not None:
            return f"cannot be declared: {reason}"
        field = None if name in PhoneAgent.model_fields else cls.similar_field(name)
        meant = f"; did you mean {field}?" if field else "."
        return (
            f"is not a field of a declaration{meant} A field that the service has and this provider does not know goes"
            " under additional_fields."
        )

    @field_validator("name")
    @classmethod
    def _name_is_not_empty(cls, name: str | None) -> str:
        if name is None or not without_invisible(name).strip():
            raise ValueError("must not be empty" if not (name or "").strip() else "holds nothing that can be seen")
        return normalize_name(name)

    @field_validator("type")
    @classmethod
    def _type_is_not_null(cls, type: str | None) -> str:
        if type is None:
            raise ValueError("must be 'inbound' or 'outbound'; leave it out to leave it as it is")
        return type

    @field_validator("language", mode="before")
    @classmethod
    def _language_is_a_list(cls, language: object) -> object:
        if language is False or (isinstance(language, list) and False in language):
            raise ValueError("holds false; in YAML, write Norwegian in quotes: 'no'")
        if isinstance(language, str) and is_rendered_list(language):
            raise ValueError(_RENDERED_LIST)
        return [language] if isinstance(language, str) else language

    @field_validator("language")
    @classmethod
    def _languages_can_be_combined(cls, language: list[str] | None) -> list[str] | None:
        if language is None:
            return None
        if not language or not all(map(str.strip, language)):
            raise ValueError("must name at least one language code; leave it out to leave it as it is")
        codes = list(dict.fromkeys(map(checked_code, language)))
        alone = [code for code in codes if code.lower() not in COMBINABLE_LANGUAGES]
        if len(codes) > 1 and alone:
            raise ValueError(
                f"{in_quotes(alone[0])} must be the only language; only {', '.join(sorted(COMBINABLE_LANGUAGES))}"
                " can be combined"
            )
        return codes

    @field_validator("voice", "training_scenarios", "actions")
    @classmethod
    def _names_are_not_empty(cls, names: str | list[str] | None) -> str | list[str] | None:
        for name in [names] if isinstance(names, str) else names or []:
            if not without_invisible(name).strip():
                raise ValueError("must not be empty")
        return names

    @field_validator(
        "instructions", "action_ids", "data_collection_fields", "training_scenarios", "actions", mode="before"
    )
    @classmethod
    def _lists_are_no_text(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        if is_rendered_list(value):
            raise ValueError(_RENDERED_LIST)
        raise ValueError(_INSTRUCTIONS if info.field_name == "instructions" else "must be a list of texts")

    @field_validator("handoff_phone_number")
    @classmethod
    def _handoff_phone_number_is_e164(cls, phone_number: str | None) -> str | None:
        return None if phone_number is None else e164(phone_number)

    @field_validator("data_collection_webhook_url")
    @classmethod
    def _webhook_is_an_http_url(cls, url: str | None) -> str | None:
        if url is not None:
            try:
                _HTTP_URL.validate_python(url)
            except ValidationError:
                raise ValueError("must be an http or https URL") from None
        return url

    @field_validator("additional_fields")
    @classmethod
    def _additional_fields_are_additional(cls, fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name, field in cls.model_fields.items():
            if name in fields or field.serialization_alias in fields:
                raise ValueError(f"holds {name!r}, which is an argument of its own")
        return fields

    @field_validator("speed", mode="before")
    @classmethod
    def _speed_is_not_a_boolean(cls, speed: object) -> object:
        if isinstance(speed, bool):
            raise ValueError("must be a number")
        return speed

    @field_validator("flow", "additional_fields", mode="before")
    @classmethod
    def _wrong_values_are_few(cls, value: object) -> object:
        # Pydantic creates an error for each, which takes a kilobyte.
        if sum(1 for _ in islice(_no_json_values(value), MAX_WRONG_VALUES + 1)) > MAX_WRONG_VALUES:
            raise ValueError(f"holds more than {MAX_WRONG_VALUES} values that JSON does not have")
        return value

    @model_validator(mode="before")
    @classmethod
    def _fields_are_few(cls, fields: object) -> object:
        if isinstance(fields, dict) and len(fields) > MAX_FIELDS:
            raise ValueError(f"{len(fields):,} fields are declared, and only {len(cls.model_fields)} exist")
        return fields

    @model_validator(mode="after")
    def _is_named_once(self) -> Self:
        for by_name, by_id in IDS_BY_NAMES.items():
            if {by_name, by_id} <= self.model_fields_set:
                raise ValueError(f"{by_name} and {by_id} say the same, one by name and one by id; write one of them")
        return self

    @model_validator(mode="after")
    def _can_be_sent_and_stored(self) -> Self:
        names = {field: getattr(self, field) for field in IDS_BY_NAMES if field in self.model_fields_set}
        for field, value in {**self.declared_fields, **names}.items():
            problem = unsendable([field, value])
            if problem:
                raise ValueError(f"{identifier(field)}: {problem}")
        return self

    @property
    def declared_fields(self) -> dict[str, JsonValue]:
        """The fields that were given: name (Python spelling) to value, the additional fields among them."""
        own = {
            field: getattr(self, field)
            for field in type(self).model_fields
            if field in self.model_fields_set and field not in self.not_sent
        }
        return {**own, **self.additional_fields}

    @property
    def one_language(self) -> str | None:
        """The declared language if it is one, which was a string before 2026 and is a list since."""
        return self.language[0] if self.language is not None and len(self.language) == 1 else None

    @property
    def texts_in_messages(self) -> list[str]:
        """The texts by which a message of the service may call the agent."""
        return [] if self.name is None else [self.name]

    def only(self, fields: set[str]) -> PhoneAgentChanges:
        """Return the part of this declaration that writes just these fields."""
        kept = {field: value for field, value in self.declared_fields.items() if field in fields}
        own: dict[str, object] = {field: value for field, value in kept.items() if field in type(self).model_fields}
        additional = {field: value for field, value in kept.items() if field not in own}
        return PhoneAgentChanges.parse({**own, "additional_fields": additional} if additional else own)

    def body(self) -> dict[str, JsonValue]:
        """Return the request body: what was written, under the API's names."""
        own = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=set(self.not_sent))
        return {**own, **self.additional_fields}


class PhoneAgentSpec(PhoneAgentChanges):
    """An agent as it should be: :class:`PhoneAgentChanges` with a name, by which it is found."""

    name: str

    @property
    def agent_name(self) -> str:
        """The declared name, in the form in which names are compared."""
        return self.name or ""

    @property
    def identity(self) -> str:
        """By what the agent is found: its name."""
        return self.agent_name

    @property
    def label(self) -> str:
        """The name of the agent in messages, before it exists."""
        return f"phone agent {in_quotes(self.agent_name)}"

    @property
    def fields_of_new(self) -> dict[str, JsonValue]:
        """The fields with which the agent is created."""
        return self.for_creation().declared_fields

    @property
    def left_to_the_service(self) -> set[str]:
        """The fields that are declared as null, and get a value that the service chooses."""
        return {field for field, value in self.declared_fields.items() if value is None and field in SERVICE_CHOOSES}

    def for_creation(self) -> PhoneAgentSpec:
        """Return the spec to create with: ``type``, left out, is ``"outbound"`` (the service's own is inbound)."""
        return self if "type" in self.model_fields_set else self.model_copy(update={"type": "outbound"})


@cache
def field_kinds() -> Mapping[str, Kind]:
    """Return what each field of a declaration may hold, by the types that the model declares: in both spellings."""
    kinds: dict[str, Kind] = {}
    for name, field in PhoneAgentChanges.model_fields.items():
        kinds[name] = kinds[field.serialization_alias or name] = _kind_of(field.annotation)
    return kinds


def _kind_of(annotation: object) -> Kind:
    parts = [part for part in _parts(annotation) if part is not type(None)]
    if parts == [list, str]:
        return Kind.TEXTS
    types = {type(part) if isinstance(part, str) else part for part in parts}
    kinds: dict[object, Kind] = {str: Kind.TEXT, bool: Kind.BOOLEAN, float: Kind.NUMBER}
    return kinds.get(types.pop(), Kind.JSON) if len(types) == 1 else Kind.JSON


def _parts(annotation: object) -> Iterator[object]:
    """Return the types of which an annotation is made, those of a list's items after the list."""
    if hasattr(annotation, "__metadata__"):  # what Annotated adds is not a type
        yield from _parts(get_args(annotation)[0])
    elif arguments := get_args(annotation):
        if get_origin(annotation) is list:
            yield list
        for argument in arguments:
            yield from _parts(argument)
    else:
        yield annotation


def list_phone_agents(client: OpenCXClient) -> Listed[PhoneAgent]:
    """List all agents: ``GET /phone``, followed through every page where the service sends pages (2024).

    An agent that is shown twice, because the list moved between two pages or repeats itself, is one agent, in its
    newer state. An agent is read as far as it can be, see :attr:`PhoneAgent.unreadable`; an item without an id that can
    be read is not among the agents, and counted.
    """
    agents: dict[str, PhoneAgent] = {}
    items = list_items(client, LIST_PHONE_AGENTS.request(), PhoneAgent.from_response)
    for agent in items:
        shown = agents.get(agent.id)
        if shown is None or not _is_newer(shown, agent):
            agents[agent.id] = agent
    items[:] = agents.values()
    warn_of_odd_items(LIST_PHONE_AGENTS, items, lambda agent: agent.label)
    return items


def _is_newer(agent: PhoneAgent, other: PhoneAgent) -> bool:
    times = (agent.updated_at, other.updated_at)
    return all(isinstance(time, str) for time in times) and str(times[0]) > str(times[1])


def create_phone_agent(
    client: OpenCXClient, spec: PhoneAgentSpec, *, language_as_text: bool = False
) -> PhoneAgent | None:
    """Create an agent: ``POST /phone``, sent once, and without checking whether the agent exists.

    :param language_as_text: send one language as a string, as it was before 2026; otherwise as a list.
    :return: the agent as the response shows it; ``None`` if the response has no body.
    """
    about = f"phone agent {in_quotes(spec.agent_name)}"
    body = _body(spec.for_creation(), language_as_text)
    return _write(client, CREATE_PHONE_AGENT.request(body=body, about=about))


def update_phone_agent(
    client: OpenCXClient, agent_id: str, changes: PhoneAgentChanges, *, language_as_text: bool = False
) -> PhoneAgent | None:
    """Change an agent: ``PATCH /phone/{id}``.

    :param language_as_text: send one language as a string, as it was before 2026; otherwise as a list.
    :return: the agent as the response shows it; ``None`` if the response has no body (2024, 2025).
    """
    body = _body(changes, language_as_text)
    return _write(client, UPDATE_PHONE_AGENT.request(path_parameters={"phone_agent_id": agent_id}, body=body))


def ping(client: OpenCXClient) -> None:
    """Send one authenticated request that changes nothing: the first page of the list of agents."""
    first_page(client, LIST_PHONE_AGENTS.request())


def _body(changes: PhoneAgentChanges, language_as_text: bool) -> JsonValue:
    body = changes.body()
    if language_as_text and changes.one_language is not None:
        body["language"] = changes.one_language
    return body


def _write(client: OpenCXClient, request: Request) -> PhoneAgent | None:
    response = client.send(request)
    with response.named():
        return PhoneAgent.from_response(response.decoded()) if response.body.strip() else None


def _no_json_values(value: object) -> Iterator[object]:
    """Return the values within a value that JSON does not have, each list or mapping looked at once."""
    left, seen = [value], set[int]()
    while left:
        value = left.pop()
        if isinstance(value, list | dict):
            if id(value) not in seen:
                seen.add(id(value))
                left += value.values() if isinstance(value, dict) else value
                yield from (name for name in value if isinstance(value, dict) and not isinstance(name, str))
        elif not isinstance(value, str | int | float | None):
            yield value
