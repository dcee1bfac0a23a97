"""The voices of the service: ``GET /phone/voices``. The path is confirmed, the fields of a voice are inferred."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import JsonValue

from airflow_provider_opencx.client.operation import Operation
from airflow_provider_opencx.client.pagination import Listed, list_items
from airflow_provider_opencx.resources.models import ResourceModel
from airflow_provider_opencx.resources.odd_items import warn_of_odd_items
from airflow_provider_opencx.visible_text import identifier

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

LIST_VOICES = Operation(
    id="listPhoneVoices",
    method="GET",
    path="/phone/voices",
    scope="phone:read",
    noun="voice",
    summary="The voices that can be given as `voice_id`.",
    repeatable=True,
)


class Voice(ResourceModel):
    """A voice that can be given as ``voice_id``. The page of this operation is not public: every field is optional."""

    noun: ClassVar[str] = "a voice"

    voice_id: str | None = None
    name: str | None = None
    labels: JsonValue = None
    description: JsonValue = None
    preview_url: JsonValue = None


def list_voices(client: OpenCXClient) -> Listed[Voice]:
    """List the voices that can be given as ``voice_id``: ``GET /phone/voices``.

    What cannot be read is left out: of a voice a field, see :attr:`Voice.unreadable`, of the list an item.
    """
    voices = list_items(client, LIST_VOICES.request(), Voice.from_response)
    warn_of_odd_items(LIST_VOICES, voices, lambda voice: f"voice {identifier(voice.voice_id or '')}")
    return voices
