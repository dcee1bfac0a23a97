"""Creates many conversations at once, spread over a time. They are the same each time."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.conversations.conversation import Conversation
from airflow_provider_opencx.simulator.resources.conversations.outcomes import ending
from airflow_provider_opencx.simulator.resources.conversations.store import Make

_PEOPLE = 1000
_LATE = 10
"""Every tenth conversation changes late: up to the end of the time. The others change soon after they began."""


def sample(organization: str, first: int, last: int, count: int, fields: Mapping[str, Json]) -> Make:
    """Return what makes conversations whose creation is spread evenly from a first time to a last one.

    None of them changes after the last time.

    :param count: how many there will be
    :param fields: what each of them has, instead of what varies
    """
    people: dict[int, JsonObject] = {}
    variants: dict[int, Mapping[str, Json]] = {}
    made = 0

    def make(conversation_id: str, number: int) -> Conversation:
        nonlocal made
        created_at = first + (last - first) * made // max(1, count - 1)
        made += 1
        share = number * 7919 % 1000
        wait = (last - created_at) * share // (1000 if number % _LATE == 0 else 100_000)
        return Conversation(
            id=conversation_id,
            org_id=organization,
            number=number,
            created_at=created_at,
            updated_at=created_at + wait,
            fields=_shared(variants, ending(number), fields),
            contact=people.setdefault(number % _PEOPLE, _person(number % _PEOPLE)),
        )

    return make


def _shared(
    variants: dict[int, Mapping[str, Json]], variant: Mapping[str, Json], fields: Mapping[str, Json]
) -> Mapping[str, Json]:
    """Return a variant with some fields more: the same object for the same variant."""
    return variants.setdefault(id(variant), {**variant, **fields}) if fields else variant


def _person(number: int) -> JsonObject:
    return {
        "id": f"con_sample_{number:04d}",
        "email": f"person{number}@example.com",
        "phone_number": f"+1415555{number:04d}",
        "name": f"Person {number}",
        "custom_data": None,
    }
