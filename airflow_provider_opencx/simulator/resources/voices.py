"""The voices that an agent can have: the same in every organization, until a test sets others for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import RLock

from jsonschema import Draft202012Validator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_opencx.simulator.admin_forms import Form, read_form
from airflow_provider_opencx.simulator.admin_keys import key_in
from airflow_provider_opencx.simulator.contract import validation_errors
from airflow_provider_opencx.simulator.handler import AcceptedRequest, AdminRoutes, Handlers
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.responses import json_response
from airflow_provider_opencx.simulator.service import Service

DEFAULT_VOICE = "voice_aria"

VOICES: list[Json] = [
    {
        "voice_id": DEFAULT_VOICE,
        "name": "Aria",
        "labels": {"accent": "american", "gender": "female", "language": "en", "use_case": "conversational"},
        "description": "Calm and clear; the default voice",
        "preview_url": None,
    },
    {
        "voice_id": "voice_bruno",
        "name": "Bruno",
        "labels": {"accent": "british", "gender": "male", "language": "en", "age": "middle-aged"},
        "description": "Unhurried, for support lines",
        "preview_url": None,
    },
    {
        "voice_id": "voice_celia",
        "name": "Celia",
        "labels": {"accent": None, "gender": "female", "language": "es"},
        "description": None,
        "preview_url": None,
    },
]

_SCHEMA = "PhoneAgentVoiceDto"


class Voices:
    """Keeps the voices of each organization that has its own voices.

    :param service: the service whose state it is
    """

    def __init__(self, service: Service) -> None:
        self._of: dict[str, list[Json]] = {}
        self._lock = RLock()

    def of(self, organization: str) -> list[Json]:
        """Return the voices of an organization."""
        with self._lock:
            return self._of.get(organization, VOICES)

    def set(self, organization: str, voices: list[Json]) -> None:
        """Give an organization its own voices."""
        with self._lock:
            self._of[organization] = voices

    def default(self, organization: str) -> str | None:
        """Return the id of the voice that an agent has unless a request sets one: the first; None if there is none."""
        return next(iter(self.ids(organization)), None)

    def ids(self, organization: str) -> list[str]:
        """Return the ids of the voices of an organization: its agents can have no others."""
        return [str(voice["voice_id"]) for voice in self.of(organization) if isinstance(voice, dict)]


class VoiceControls(Service):
    """A service whose voices can be set without a request."""

    def voices(self, api_key: str | None = None) -> list[Json]:
        """Return the voices of an organization.

        :param api_key: the organization's key; None is the first one
        """
        return self.state(Voices).of(self._organization(api_key))

    def set_voices(self, voices: Sequence[Mapping[str, Json]], api_key: str | None = None) -> None:
        """Give an organization its own voices; a request cannot give its agents any other.

        The first one is the default voice of new agents. Agents that exist keep theirs.

        :param voices: voices in the form of the API; only ``voice_id`` and ``name`` are required
        :param api_key: the organization's key; None is the first one
        """
        organization = self._organization(api_key)
        validator = Draft202012Validator(self.contract.schemas[_SCHEMA])
        checked: list[Json] = []
        for number, voice in enumerate(voices):
            checked.append(dict(voice))
            if errors := validation_errors(validator, checked[-1]):
                raise ValueError(f"voices.{number}: {'; '.join(errors)}")
        ids = [voice["voice_id"] for voice in voices]
        if len({*map(str, ids)}) < len(ids):
            raise ValueError("voices: two of them have the same voice_id")
        self.state(Voices).set(organization, checked)


class _VoicesForm(Form):
    voices: list[JsonObject]


def list_phone_voices(request: AcceptedRequest) -> Json:
    """Return the voices of the organization."""
    return request.service.state(Voices).of(request.organization)


async def read_voices(service: VoiceControls, request: Request) -> Response:
    """Return the voices of an organization."""
    return json_response({"voices": service.voices(key_in(service, request))})


async def set_voices(service: VoiceControls, request: Request) -> Response:
    """Give an organization its own voices, and return them."""
    api_key, form = key_in(service, request), await read_form(request, _VoicesForm)
    try:
        service.set_voices(form.voices, api_key)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    return await read_voices(service, request)


HANDLERS: Handlers = {"listPhoneVoices": list_phone_voices}

ADMIN_ROUTES: AdminRoutes[VoiceControls] = [("GET", "/voices", read_voices), ("PUT", "/voices", set_voices)]
