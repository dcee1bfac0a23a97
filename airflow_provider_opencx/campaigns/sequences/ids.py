"""Reads which sequence an argument names: by id, custom id, or a sequence that a task returned. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.resources.models import LONGEST_ID
from airflow_provider_opencx.text import UNSTORABLE


def checked_sequence_ids(sequence_id: object) -> str | list[str]:
    """Return the ids of the sequences to wait for: one, or a list.

    :param sequence_id: an id, a custom id, or a sequence as a task returns it; or a list of these.
    :raises OpenCXArgumentError: if it is something else.
    """
    if isinstance(sequence_id, Sequence) and not isinstance(sequence_id, str | bytes):
        return [checked_sequence_id(each, f" (element {place} of the list)") for place, each in enumerate(sequence_id)]
    return checked_sequence_id(sequence_id)


def checked_sequence_id(value: object, place: str = "") -> str:
    """Return the id of one sequence.

    :param value: an id, a custom id, or a sequence as a task returns it.
    :param place: where it is in a list, for messages.
    :raises OpenCXArgumentError: if it is something else.
    """
    if value is None:
        raise OpenCXArgumentError(
            f"sequence_id: is None{place}, as it is where the task that should have returned it was skipped, or pushes"
            " no result"
        )
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        raise OpenCXArgumentError(
            f"sequence_id: must be one sequence, and is a list{place}; to make a task for each, write"
            " .partial(...).expand(sequence_id=...)"
        )
    if isinstance(value, Mapping):
        value = value.get("id")
        if not isinstance(value, str):
            raise OpenCXArgumentError(
                f"sequence_id: a mapping must be a sequence as a task returns it, with its id{place}; write"
                " sequence_id=started.output, or sequence_id=started.output['id']"
            )
    if not isinstance(value, str) or not value.strip():
        raise OpenCXArgumentError(f"sequence_id: must be a string that is not empty{place}")
    if UNSTORABLE.search(value):
        raise OpenCXArgumentError(f"sequence_id: holds a NUL, or half of a character, which no sequence has{place}")
    if len(value) > LONGEST_ID:
        raise OpenCXArgumentError(f"sequence_id: has {len(value):,} characters, which no sequence has{place}")
    return value
