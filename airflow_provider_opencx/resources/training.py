"""Training scenarios: what an agent knows and does. In 2026, the ``instructions`` of an agent are their ids.

As they are (:class:`TrainingScenario`), as they should be (:class:`ScenarioSpec`), and the operations. To list, create
and change them is confirmed; the body of ``PUT /training/{id}/draft`` is inferred. Nothing here deletes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import (
    AliasChoices,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from airflow_provider_opencx.client.operation import Operation, Request
from airflow_provider_opencx.client.pagination import Listed, list_items
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXResponseError
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.normalization import normalized
from airflow_provider_opencx.resources.models import LONGEST_ID, CheckedModel, ResourceModel, Texts, unsendable
from airflow_provider_opencx.resources.odd_items import warn_of_odd_items
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.text import is_rendered_list, without_invisible
from airflow_provider_opencx.visible_text import identifier, in_quotes, name_and_id

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

LIST_TRAININGS = Operation(
    id="listTrainings",
    method="GET",
    path="/training",
    scope="training:read",
    noun="training scenario",
    summary="The training scenarios, whose ids can be given as `instructions`; by their metadata, or all of them.",
    repeatable=True,
)
CREATE_TRAINING = Operation(
    id="createTraining",
    method="POST",
    path="/training",
    scope="training:write",
    noun="training scenario",
    summary="Creates a training scenario; `title` and `content` are required.",
    repeatable=False,
)
GET_TRAINING = Operation(
    id="getTraining",
    method="GET",
    path="/training/{id}",
    scope="training:read",
    noun="training scenario",
    summary="One training scenario.",
    repeatable=True,
)
UPDATE_TRAINING = Operation(
    id="updateTraining",
    method="PUT",
    path="/training/{id}",
    scope="training:write",
    noun="training scenario",
    summary="Changes a training scenario; the provider sends all of its fields.",
    repeatable=False,
)
SET_TRAINING_DRAFT = Operation(
    id="toggleTrainingDraft",
    method="PUT",
    path="/training/{id}/draft",
    scope="training:write",
    noun="training scenario",
    summary="Makes a training scenario a draft, which no agent uses; the body is inferred.",
    repeatable=False,
    confidence="inferred",
)

KEY_IN_METADATA = "airflow_key"
"""The name in ``metadata`` under which a scenario has the key by which this provider finds it."""

COLLECTION_IN_METADATA = "airflow_collection"
"""The name in ``metadata`` under which a scenario has the collection that it belongs to."""

FIELDS: Mapping[str, str] = {
    "title": "title",
    "content": "content",
    "type": "type",
    "channels": "restricted_to_channels",
    "segments": "restricted_to_segments",
    "draft": "is_draft",
    "directory_id": "directory_id",
    "start_time": "start_time",
    "end_time": "end_time",
}
"""The API's name of each field of a declaration, except ``metadata``."""

METADATA = "metadata."
"""The text before a name in ``metadata``, where one is compared for itself."""

CHANNELS = (
    "web",
    "email",
    "phone_voice",
    "slack",
    "sms",
    "whatsapp",
    "instagram",
    "messenger",
    "api",
    "web_voice",
)
"""The channels to which a scenario can be restricted; ``phone_voice`` is that of calls."""

MOST_ON_A_PAGE = 100
"""Scenarios on a page of the list: the most that the service sends."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_OTHER_WORDS = {
    "body": "content",
    "category": "type",
    "folder": "directory_id",
    "instructions": "content",
    "isdraft": "draft",
    "name": "title",
    "question": "title",
    "answer": "content",
    "slug": "key",
    "text": "content",
}
"""Other names of fields, only in lower case letters and digits."""


def checked_key(key: str) -> str:
    """Return a key, or the name of a collection; raises ``ValueError`` if it is not one."""
    if not _KEY.fullmatch(key):
        raise ValueError("must be up to 200 letters (a to z), digits and . _ / -, and begin with a letter or digit")
    return key


def normalize_title(title: str) -> str:
    """Return the form of a title in which two are compared: white space at its ends makes no difference."""
    return normalized(title.strip())


def scenario_label(title: str | None, scenario_id: str) -> str:
    """Return what messages call a scenario: its title and id, only its id where the title is not known."""
    return f"training scenario {name_and_id(title, scenario_id)}"


class TrainingScenario(ResourceModel):
    """A training scenario as the service describes it; fields it did not send are ``None``. Only ``id`` is required.

    ``title`` and ``content`` are as last published; an edit that is not yet is in ``draft_title``, ``draft_content``.
    """

    noun: ClassVar[str] = "a training scenario"

    id: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
    title: str | None = None
    content: str | None = None
    draft_title: str | None = None
    draft_content: str | None = None
    type: str | None = None
    is_draft: bool | None = None
    directory_id: str | None = None
    restricted_to_channels: list[str] | None = None
    restricted_to_segments: list[str] | None = None
    current_version: JsonValue = None
    metadata: dict[str, JsonValue] | None = None
    published_at: JsonValue = None
    start_time: str | None = None
    end_time: str | None = None
    created_at: JsonValue = None
    updated_at: JsonValue = None

    @property
    def label(self) -> str:
        """The scenario's title and id, for messages and logs."""
        return scenario_label(self.current_title, self.id)

    @property
    def current_title(self) -> str | None:
        """The title as published; of a draft, the one that would be published. ``None`` if it cannot be read."""
        return (self.draft_title if self.is_draft else None) or self.title

    @property
    def texts_in_messages(self) -> list[str]:
        """The texts by which a message of the service may call the scenario."""
        return [self.id, self.title or "", self.key or ""]

    def field(self, name: str) -> JsonValue:
        """Return the value of a field, by the name that it has in a declaration.

        Of a draft, the title and the content are those that would be published.

        :param name: a key of :data:`FIELDS`, or a name in ``metadata`` after :data:`METADATA`.
        :raises OpenCXResponseError: if the service sent one that cannot be read.
        """
        names = ["metadata"] if name.startswith(METADATA) else [FIELDS[name]]
        if self.is_draft and name in ("title", "content"):
            names.insert(0, f"draft_{name}")
        for each in names:
            if each in self.unreadable:
                raise self.not_readable(each)
        if name.startswith(METADATA):
            return (self.metadata or {}).get(name.removeprefix(METADATA))
        values: list[JsonValue] = [getattr(self, each) for each in names]
        return next((value for value in values if value is not None), None)

    @property
    def key(self) -> str | None:
        """The key by which this provider finds it; ``None`` if it has none, so that somebody else made it."""
        key = (self.metadata or {}).get(KEY_IN_METADATA)
        return key if isinstance(key, str) else None

    @property
    def collection(self) -> str | None:
        """The collection that it belongs to; ``None`` if it has none."""
        collection = (self.metadata or {}).get(COLLECTION_IN_METADATA)
        return collection if isinstance(collection, str) else None

    @property
    def unpublished_edits(self) -> dict[str, str]:
        """The texts that somebody has edited and not published: ``title`` or ``content`` to the edited text."""
        edits = {"title": (self.title, self.draft_title), "content": (self.content, self.draft_content)}
        return {
            field: edit
            for field, (published, edit) in edits.items()
            if edit is not None and published is not None and edit != published
        }

    def not_readable(self, field: str) -> OpenCXResponseError:
        """Return the error that a field which is asked for cannot be read."""
        return OpenCXResponseError(
            f"The {self.label} has a {identifier(field)} that cannot be read ({self.unreadable[field]}), so it cannot"
            " be compared with the declared one. Another try reads it again; correct it in the OpenCX dashboard if it"
            " stays."
        )


class ScenarioSpec(CheckedModel):
    """A training scenario as it should be. What is left out is left unchanged, except ``draft``.

    :param key: by which it is found, with any title: letters, digits, and ``._/-``, up to 200. It is kept in the
        scenario's ``metadata``, and must stay the same for as long as the scenario is the same.
    :param title: its title, or the phrase that triggers it.
    :param content: what the agent is to know, say and do.
    :param type: ``"SCENARIO_SPECIFIC"`` (the service's default) or ``"BEHAVIORAL"``, in capital or small letters.
    :param channels: the channels to which it is restricted, of :data:`CHANNELS`; an empty list means all.
        ``restricted_to_channels`` in the API, which is taken as well.
    :param segments: the ids of the segments of contacts to which it is restricted; an empty list means all.
        ``restricted_to_segments`` in the API.
    :param draft: whether it is a draft, which no agent uses. Default ``False``: it is published.
        ``is_draft`` in the API.
    :param directory_id: the id of the folder in the dashboard; ``None`` is none.
    :param start_time: when it becomes valid, in ISO 8601 with its offset from UTC; ``None`` means no limit.
    :param end_time: when it stops being valid, in the same form; ``None`` means no limit.
    :param metadata: names and values of your own; others that the scenario has stay.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)

    other_words: ClassVar[Mapping[str, str]] = _OTHER_WORDS

    key: str
    title: str
    content: str
    type: Literal["SCENARIO_SPECIFIC", "BEHAVIORAL"] | None = None
    channels: Texts | None = Field(default=None, validation_alias=AliasChoices("channels", "restricted_to_channels"))
    segments: Texts | None = Field(default=None, validation_alias=AliasChoices("segments", "restricted_to_segments"))
    draft: bool = Field(default=False, validation_alias=AliasChoices("draft", "is_draft"))
    directory_id: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    metadata: dict[str, JsonValue] = Field(default={})

    @classmethod
    @forgets_locals
    def parse(cls, fields: dict[str, object]) -> Self:
        """Check declared fields and return them as a model.

        :raises OpenCXArgumentError: naming each wrong field and what is wrong with it.
        """
        if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
            raise OpenCXArgumentError("must be a mapping of fields, whose names are text")
        return cls(**fields)

    @field_validator("key")
    @classmethod
    def _key_is_plain(cls, key: str) -> str:
        return checked_key(key)

    @field_validator("title", "content")
    @classmethod
    def _is_not_empty(cls, text: str) -> str:
        if not without_invisible(text).strip():
            raise ValueError("must not be empty" if not text.strip() else "holds nothing that can be seen")
        return text

    @field_validator("title")
    @classmethod
    def _title_is_normalized(cls, title: str) -> str:
        if "\n" in title.strip():
            raise ValueError("must be one line")
        return normalize_title(title)

    @field_validator("type", mode="before")
    @classmethod
    def _type_is_in_capitals(cls, type: object) -> object:
        if type is None:
            raise ValueError("must be SCENARIO_SPECIFIC or BEHAVIORAL; leave it out to leave it as it is")
        return type.strip().upper() if isinstance(type, str) else type

    @field_validator("channels", "segments", mode="before")
    @classmethod
    def _is_a_list(cls, value: object) -> object:
        if value is None:
            raise ValueError("must be a list; an empty one, [], means all")
        if isinstance(value, str) and is_rendered_list(value):
            raise ValueError("must be a list, and is text that was one: a template gives text")
        return [value] if isinstance(value, str) else value

    @field_validator("channels")
    @classmethod
    def _channels_exist(cls, channels: list[str]) -> list[str]:
        for channel in channels:
            if channel not in CHANNELS:
                raise ValueError(f"{in_quotes(channel)} is not a channel; there are {', '.join(CHANNELS)}")
        return list(dict.fromkeys(channels))

    @field_validator("start_time", "end_time")
    @classmethod
    def _is_a_time(cls, time: str | None) -> str | None:
        if time is not None:
            try:
                is_aware = datetime.fromisoformat(time).tzinfo is not None
            except ValueError:
                is_aware = False
            if not is_aware:
                raise ValueError(
                    "must be a time in ISO 8601 with its offset from UTC, such as 2026-03-01T09:00:00+01:00"
                )
        return time

    @field_validator("metadata")
    @classmethod
    def _metadata_is_not_of_this_provider(cls, metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name in (KEY_IN_METADATA, COLLECTION_IN_METADATA):
            if name in metadata:
                raise ValueError(f"holds {in_quotes(name)}, which this provider writes itself")
        return metadata

    @model_validator(mode="after")
    def _can_be_sent_and_stored(self) -> Self:
        for field, value in self.declared_fields.items():
            if problem := unsendable([field, value]):
                raise ValueError(f"{identifier(field)}: {problem}")
        return self

    @property
    def declared_fields(self) -> dict[str, JsonValue]:
        """The fields that are written and compared, without the key: name to value."""
        declared = {"title", "content", "draft", *self.model_fields_set} - {"key"}
        return {name: getattr(self, name) for name in type(self).model_fields if name in declared}


@cache
def scenario_kinds() -> Mapping[str, Kind]:
    """Return what each field of a declaration may hold, by its names in both spellings."""
    kinds = {
        "key": Kind.TEXT,
        "title": Kind.TEXT,
        "content": Kind.TEXT,
        "type": Kind.TEXT,
        "channels": Kind.TEXTS,
        "segments": Kind.TEXTS,
        "draft": Kind.BOOLEAN,
        "directory_id": Kind.TEXT,
        "start_time": Kind.TEXT,
        "end_time": Kind.TEXT,
        "metadata": Kind.JSON,
    }
    return {**kinds, **{FIELDS[name]: kind for name, kind in kinds.items() if name in FIELDS}}


def list_training_scenarios(
    client: OpenCXClient, *, metadata: Mapping[str, str] | None = None
) -> Listed[TrainingScenario]:
    """List training scenarios: ``GET /training``, followed through every page; an earlier service sends an array.

    Drafts are asked for as well, in a separate list: whether a list without ``is_draft`` shows them is not
    documented. A scenario that is shown twice is one.

    :param metadata: only those whose ``metadata`` contain this; ``None`` is all. A service that does not know this
        parameter sends others too.
    """
    query = {"limit": str(MOST_ON_A_PAGE)}
    if metadata is not None:
        query["metadata"] = json.dumps(dict(metadata), sort_keys=True)
    scenarios = list_items(client, LIST_TRAININGS.request(query=query), TrainingScenario.from_response)
    drafts = list_items(
        client, LIST_TRAININGS.request(query={**query, "is_draft": "true"}), TrainingScenario.from_response
    )
    found = {scenario.id: scenario for scenario in (*scenarios, *drafts)}
    scenarios[:] = found.values()
    scenarios.problems += [problem for problem in drafts.problems if problem not in scenarios.problems]
    scenarios.unreadable = max(scenarios.unreadable, drafts.unreadable)
    warn_of_odd_items(LIST_TRAININGS, scenarios, lambda scenario: scenario.label)
    return scenarios


def get_training_scenario(client: OpenCXClient, scenario_id: str) -> TrainingScenario:
    """Read one training scenario: ``GET /training/{id}``; raises ``OpenCXNotFoundError`` if there is none."""
    response = client.send(GET_TRAINING.request(path_parameters={"id": scenario_id}))
    with response.named():
        return TrainingScenario.from_response(response.decoded())


def create_training_scenario(client: OpenCXClient, body: Mapping[str, JsonValue]) -> TrainingScenario | None:
    """Create a training scenario: ``POST /training``, sent once, and without checking whether it exists.

    :param body: its fields, by the API's names.
    :return: the scenario as the response shows it; ``None`` if the response has no body.
    """
    about = f"training scenario {in_quotes(str(body.get('title')))}"
    return _write(client, CREATE_TRAINING.request(body=dict(body), about=about))


def update_training_scenario(
    client: OpenCXClient, scenario_id: str, body: Mapping[str, JsonValue]
) -> TrainingScenario | None:
    """Change a training scenario: ``PUT /training/{id}``. Whether what is left out stays is not documented.

    :param body: all its fields, by the API's names.
    :return: the scenario as the response shows it; ``None`` if the response has no body.
    """
    return _write(client, UPDATE_TRAINING.request(path_parameters={"id": scenario_id}, body=dict(body)))


def set_training_draft(client: OpenCXClient, scenario_id: str, is_draft: bool) -> None:
    """Make a training scenario a draft, or publish it: ``PUT /training/{id}/draft``, whose body is inferred.

    Its name says that it toggles: it is sent once, and the scenario is to be read afterwards.
    """
    client.send(SET_TRAINING_DRAFT.request(path_parameters={"id": scenario_id}, body={"is_draft": is_draft}))


def _write(client: OpenCXClient, request: Request) -> TrainingScenario | None:
    response = client.send(request)
    with response.named():
        return TrainingScenario.from_response(response.decoded()) if response.body.strip() else None
