"""The voices that an agent can have: always the same."""

from __future__ import annotations

from airflow_provider_opencx.simulator.handler import AcceptedRequest, Handlers
from airflow_provider_opencx.simulator.json_values import Json

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


def list_phone_voices(request: AcceptedRequest) -> Json:
    """Return all voices."""
    return VOICES


HANDLERS: Handlers = {"listPhoneVoices": list_phone_voices}
