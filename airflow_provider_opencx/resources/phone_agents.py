"""What is (:class:`PhoneAgent`, :class:`Voice`) and what should be (:class:`PhoneAgentSpec`).

The API's pages exist in three generations (2024, 2025, 2026) that differ in their members; these models hold
the members of all. Reading is tolerant: only ``id`` is required, unknown members are kept, sets of values are
open. Writing is strict: what can be checked without the service is checked before anything is sent.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    HttpUrl,
    JsonValue,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXResponseError

COMBINABLE_LANGUAGES = frozenset({"en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"})
"""The codes that may stand beside one another in ``language``; any other code stands alone (page of 2026)."""

UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
"""Characters that JSON can spell and UTF-8, or a database on the way, cannot hold: NUL, and halves of characters."""

_LONGEST_ID = 1000
_LONGEST_PROBLEM = 200
_MOST_PROBLEMS = 5

_E164 = re.compile(r"\+[1-9]\d{1,14}")
_PHONE_NUMBER_SPACING = re.compile(r"[\s().\-/]")
_HTTP_URL = TypeAdapter(HttpUrl)

_Model = TypeVar("_Model", bound=BaseModel)


def normalize_name(name: str) -> str:
    """Return the form of an agent's name in which two names are compared.

    White space at the ends and the Unicode composition are no difference: were they one, an agent whose name
    the service tidied up would not be found again, and be created once more.
    """
    return unicodedata.normalize("NFC", name).strip()


def normalize_phone_number(phone_number: str) -> str:
    """Return a phone number without spacing: ``"+1 (415) 555-0100"`` becomes ``"+14155550100"``."""
    return _PHONE_NUMBER_SPACING.sub("", phone_number)


def language_codes(language: object) -> object:
    """Return ``language`` as the list every reader gets; a string becomes a list of one, null an empty list."""
    if language is None:
        return []
    return [language] if isinstance(language, str) else language


def shortened(text: str, longest: int = 100) -> str:
    """Return a text as messages show it: its beginning, if it is longer than so many characters."""
    return text if len(text) <= longest else f"{text[:longest]}..."


def listed(texts: Sequence[str], most: int = 10, *, separator: str = ", ", more: str = " and {} more") -> str:
    """Return texts as messages list them: the first of them, and how many more there are.

    :param texts: the texts.
    :param most: how many are shown at the most.
    :param separator: what stands between two.
    :param more: what stands after the last, where some are not shown; ``{}`` is their number.
    """
    shown = separator.join(texts[:most])
    return shown if len(texts) <= most else shown + more.format(len(texts) - most)


class PhoneAgent(BaseModel):
    """A phone agent as the service describes it, in any generation; members it did not send are ``None``.

    Members that this version does not know are kept, in ``model_extra`` and in every dump.
    """

    model_config = ConfigDict(extra="allow", frozen=True, validate_by_name=True, validate_by_alias=True)
    __pydantic_extra__: dict[str, JsonValue]

    id: Annotated[str, Field(min_length=1, max_length=_LONGEST_ID)]
    org_id: JsonValue = None
    phone_number: str | None = None
    name: str | None = None
    type: str | None = None
    language: Annotated[list[str], BeforeValidator(language_codes)] = []
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

    @classmethod
    def from_response(cls, answer: object) -> Self:
        """Read an agent from a decoded JSON answer.

        :raises OpenCXResponseError: if it is not an agent; the message names the members, never their values.
        """
        return _read(cls, answer, "an agent")

    @property
    def label(self) -> str:
        """How messages and logs call this agent: its name and id."""
        name = self.name if self.name is None else shortened(self.name)
        return f"phone agent {name!r} ({shortened(self.id)})"

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the agent as plain JSON with the API's member names: what operators and the sensor return."""
        return self.model_dump(mode="json", by_alias=True)

    def member(self, name: str) -> JsonValue:
        """Return the value of a member, in Python spelling or unknown to this version; ``None`` if not sent."""
        value: JsonValue = (
            getattr(self, name) if name in type(self).model_fields else (self.model_extra or {}).get(name)
        )
        return value


class Voice(BaseModel):
    """A voice that can be given as ``voice_id``. The page of this operation is not public: all is optional."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, JsonValue]

    voice_id: str | None = None
    name: str | None = None
    labels: JsonValue = None
    description: JsonValue = None
    preview_url: JsonValue = None

    @classmethod
    def from_response(cls, answer: object) -> Self:
        """Read a voice from a decoded JSON answer; raises ``OpenCXResponseError`` if it is not one."""
        return _read(cls, answer, "a voice")


class PhoneAgentChanges(BaseModel):
    """Members to write to an agent. Left out, ``None`` and empty are three different things.

    Only what was given is sent or compared: ``model_fields_set`` says what that is. A ``None`` is sent as
    null, which for ``action_ids`` means every action, while an empty list means none.

    :param name: display name; agents are found by it, so it should be unique in the organization.
    :param type: ``"inbound"`` (receives calls) or ``"outbound"`` (makes calls).
    :param language: ISO 639-1 code or list of codes. en, es, fr, de, hi, ru, pt, ja, it and nl may be
        combined, any other code stands alone.
    :param voice_id: a voice of ``GET /phone/voices``.
    :param first_message: what the agent says when the call begins.
    :param instructions: ids of training scenarios (2026), or instruction texts (2024, 2025).
    :param handoff_phone_number: E.164 number of the person to hand calls to; spacing is removed.
    :param use_org_knowledgebase: whether the agent may search the organization's knowledge base.
    :param action_ids: ids of the actions that the agent may call (``actionIds`` in the API).
    :param accent: earlier generations: accent to speak in.
    :param speed: earlier generations: speed of speech.
    :param interruptible: earlier generations: whether the caller may interrupt the agent.
    :param data_collection_fields: earlier generations: names of the data to collect.
    :param data_collection_webhook_url: earlier generations: http(s) URL that receives the collected data.
    :param model: earlier generations: the AI model; the service cannot change it after creation.
    :param flow: earlier generations: any JSON value.
    :param manual_mode: earlier generations.
    :param custom_llm: earlier generations.
    :param additional_fields: members that are newer than this provider, sent as they are.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True, protected_namespaces=()
    )

    name: str | None = None
    type: Literal["inbound", "outbound"] | None = None
    language: list[str] | None = None
    voice_id: str | None = None
    first_message: str | None = None
    instructions: list[str] | None = None
    handoff_phone_number: str | None = None
    use_org_knowledgebase: bool | None = None
    action_ids: list[str] | None = Field(default=None, alias="actionIds")
    accent: str | None = None
    speed: FiniteFloat | None = None
    interruptible: bool | None = None
    data_collection_fields: list[str] | None = None
    data_collection_webhook_url: str | None = None
    model: str | None = None
    flow: JsonValue = None
    manual_mode: bool | None = None
    custom_llm: str | None = None
    additional_fields: dict[str, JsonValue] = {}

    @classmethod
    def parse(cls, members: dict[str, object]) -> Self:
        """Check declared members and return them as a model.

        :param members: the declaration, in Python or API spelling.
        :raises OpenCXArgumentError: naming each wrong member and what is wrong with it.
        """
        try:
            return cls.model_validate(members)
        except ValidationError as invalid:
            raise OpenCXArgumentError(_describe(invalid)) from None

    @field_validator("name")
    @classmethod
    def _name_is_not_empty(cls, name: str | None) -> str:
        if name is None or not normalize_name(name):
            raise ValueError("must not be empty")
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
        return [language] if isinstance(language, str) else language

    @field_validator("language")
    @classmethod
    def _languages_can_be_combined(cls, language: list[str] | None) -> list[str] | None:
        if language is None:
            return None
        codes = list(dict.fromkeys(code.strip() for code in language))
        if not codes or not all(codes):
            raise ValueError("must name at least one language code; leave it out to leave it as it is")
        alone = [code for code in codes if code.lower() not in COMBINABLE_LANGUAGES]
        if len(codes) > 1 and alone:
            raise ValueError(
                f"{alone[0]!r} must be the only language; only {', '.join(sorted(COMBINABLE_LANGUAGES))}"
                " can be combined"
            )
        return codes

    @field_validator("handoff_phone_number")
    @classmethod
    def _handoff_phone_number_is_e164(cls, phone_number: str | None) -> str | None:
        if phone_number is None:
            return None
        compact = normalize_phone_number(phone_number)
        if not _E164.fullmatch(compact):
            raise ValueError("must be an E.164 phone number such as '+14155550100', or None for no handoff")
        return compact

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
            if name in fields or field.alias in fields:
                raise ValueError(f"holds {name!r}, which is an argument of its own")
        return fields

    @field_validator("speed", mode="before")
    @classmethod
    def _speed_is_no_truth_value(cls, speed: object) -> object:
        if isinstance(speed, bool):
            raise ValueError("must be a number")
        return speed

    @model_validator(mode="after")
    def _can_be_sent_and_stored(self) -> Self:
        for member, value in self.declared_fields.items():
            problem = _unsendable([member, value])
            if problem:
                # The name, too, may be one that nobody can print.
                raise ValueError(f"{member.encode('utf-8', 'backslashreplace').decode()}: {problem}")
        return self

    @property
    def declared_fields(self) -> dict[str, JsonValue]:
        """What the author wrote: member (Python spelling) to value, the additional fields among them."""
        own = {
            member: getattr(self, member)
            for member in type(self).model_fields
            if member in self.model_fields_set and member != "additional_fields"
        }
        return {**own, **self.additional_fields}

    def only(self, members: set[str]) -> PhoneAgentChanges:
        """Return the part of this declaration that writes just these members."""
        kept = {member: value for member, value in self.declared_fields.items() if member in members}
        own = {member: value for member, value in kept.items() if member in type(self).model_fields}
        additional = {member: value for member, value in kept.items() if member not in own}
        return PhoneAgentChanges.model_validate({**own, "additional_fields": additional} if additional else own)

    def body(self) -> dict[str, JsonValue]:
        """Return the request body: what was written, under the API's names."""
        own = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"additional_fields"})
        return {**own, **self.additional_fields}


class PhoneAgentSpec(PhoneAgentChanges):
    """An agent as it should be: :class:`PhoneAgentChanges` with a name, by which it is found."""

    @model_validator(mode="after")
    def _name_is_given(self) -> Self:
        if self.name is None:
            raise ValueError("name: is required")
        return self

    @property
    def agent_name(self) -> str:
        """The declared name, in the form in which names are compared."""
        return self.name or ""

    def for_creation(self) -> PhoneAgentSpec:
        """Return the spec to create with: ``type``, left out, is ``"outbound"`` (the service's own is inbound)."""
        return self if "type" in self.model_fields_set else self.model_copy(update={"type": "outbound"})


def _read(model: type[_Model], answer: object, what: str) -> _Model:
    try:
        return model.model_validate(answer)
    except ValidationError as invalid:
        raise OpenCXResponseError(f"the service's answer is not {what}: {_describe(invalid)}.") from None


def _unsendable(value: JsonValue) -> str | None:
    """Return why a value cannot be sent as JSON, or not be stored by the databases on the way; ``None`` if it can."""
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            return "holds a NUL, or half of a character (a lone surrogate), which cannot be stored"
    elif isinstance(value, float):
        if not math.isfinite(value):
            return "holds a number that is not finite, which JSON does not have"
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            return "holds a whole number of more than 64 bits, which cannot be stored"
    elif isinstance(value, list):
        return next(filter(None, map(_unsendable, value)), None)
    elif isinstance(value, dict):
        return _unsendable([*value, *value.values()])
    return None


def _describe(invalid: ValidationError) -> str:
    """Return what is wrong, member by member, in a few sentences however much is wrong."""
    errors = invalid.errors(include_url=False, include_input=False, include_context=False)
    sentences = []
    for error in errors[:_MOST_PROBLEMS]:
        member = ".".join(str(part) for part in error["loc"])
        problem = error["msg"].removeprefix("Value error, ")
        sentence = f"{member}: {problem}" if member else problem
        sentences.append(shortened(sentence, _LONGEST_PROBLEM))
    if len(errors) > _MOST_PROBLEMS:
        sentences.append(f"and {len(errors) - _MOST_PROBLEMS} more")
    return "; ".join(sentences)
