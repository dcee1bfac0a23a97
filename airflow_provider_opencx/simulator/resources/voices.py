"""The voices that the simulator offers."""

from __future__ import annotations

from airflow_provider_opencx.simulator.json_values import Json

DEFAULT_VOICE = "voice_aria"

VOICES: list[Json] = [
    {
        "voice_id": DEFAULT_VOICE,
        "name": "Aria",
        "labels": {"accent": "american", "gender": "female", "language": "en", "use_case": "conversational"},
        "description": "Calm and clear; what an agent gets that asks for none",
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
