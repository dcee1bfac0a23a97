"""The generations of the API, each with an OpenAPI document."""

from __future__ import annotations

from typing import Literal, get_args

Generation = Literal["2024", "2025", "2026"]
GENERATIONS: tuple[Generation, ...] = get_args(Generation)
