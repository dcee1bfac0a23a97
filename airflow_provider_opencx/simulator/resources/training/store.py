"""The training scenarios of every organization, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from threading import RLock
from uuid import uuid4

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.list_view import History
from airflow_provider_opencx.simulator.service import Service
from airflow_provider_opencx.simulator.timestamps import timestamp

INPUT_DEFAULTS: Mapping[str, Json] = {
    "title": "",
    "content": "",
    "type": "SCENARIO_SPECIFIC",
    "is_draft": False,
    "directory_id": None,
    "restricted_to_channels": [],
    "restricted_to_segments": [],
    "metadata": {},
    "start_time": None,
    "end_time": None,
}
"""The fields that a request sets, and what they are where it leaves them out, in an update as in a create."""


class UnknownTrainingError(LookupError):
    """There is no such training scenario."""


@dataclass(frozen=True, eq=False)
class Training:
    """A training scenario at one moment. It is immutable: a changed one is another object with the same id."""

    id: str
    org_id: str
    sequence: int
    fields: Mapping[str, Json]
    draft_title: str | None
    draft_content: str | None
    current_version: int | None
    published_at: str | None
    created_at: str
    updated_at: str

    @property
    def is_draft(self) -> bool:
        """Whether no agent uses it."""
        return self.fields["is_draft"] is True

    def all_fields(self) -> JsonObject:
        """Return the fields of 2026, and those of the earlier list."""
        return {
            **self.fields,
            "id": self.id,
            "draft_title": self.draft_title,
            "draft_content": self.draft_content,
            "current_version": self.current_version,
            "published_at": self.published_at,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "organization_id": self.org_id,
            "question": self.fields["title"],
            "answer": self.fields["content"],
        }


class Store:
    """Keeps the training scenarios in the order of their creation.

    :param service: the service whose state it is
    """

    def __init__(self, service: Service) -> None:
        self._clock = service.clock
        self._histories: dict[str, History[Training]] = {}
        self._sequence = count(1)
        self._lock = RLock()

    def histories(self, organization: str) -> list[History[Training]]:
        """Return what the scenarios of an organization are and were, also the removed ones."""
        with self._lock:
            return [history for history in self._histories.values() if history.latest.org_id == organization]

    def trainings(self, organization: str) -> list[Training]:
        """Return the scenarios of an organization."""
        return [history.latest for history in self.histories(organization) if not history.is_removed]

    def find(self, training_id: str, organization: str | None = None) -> Training:
        """Return a scenario, or raise an UnknownTrainingError.

        :param organization: only find a scenario of this organization
        """
        with self._lock:
            history = self._histories.get(training_id)
            if history is None or history.is_removed or organization not in (None, history.latest.org_id):
                raise UnknownTrainingError(training_id)
            return history.latest

    def create(self, organization: str, fields: Mapping[str, Json]) -> Training:
        """Add a scenario; a draft has no version yet."""
        now = timestamp()
        stored = with_defaults(fields)
        published = not stored["is_draft"]
        training = Training(
            id=str(uuid4()),
            org_id=organization,
            sequence=next(self._sequence),
            fields=stored,
            draft_title=None,
            draft_content=None,
            current_version=1 if published else None,
            published_at=now if published else None,
            created_at=now,
            updated_at=now,
        )
        with self._lock:
            self._histories[training.id] = History(((self._clock(), training),))
        return training

    def replace(self, training_id: str, fields: Mapping[str, Json]) -> Training:
        """Set all fields of a scenario: what is left out gets its default.

        A draft of a text that is published is an edit beside it, until a request publishes it.
        """
        with self._lock:
            training = self.find(training_id)
            stored = with_defaults(fields)
            if stored["is_draft"] and not training.is_draft:
                text = {name: training.fields[name] for name in ("title", "content")}
                edited = replace(training, fields={**stored, **text, "is_draft": False})
                return self._put(_with_edit(edited, str(stored["title"]), str(stored["content"])))
            if stored["is_draft"]:
                return self._put(replace(training, fields=stored, draft_title=None, draft_content=None))
            return self._put(_published(replace(training, fields=stored)))

    def set_draft(self, training_id: str, is_draft: bool) -> Training:
        """Make a scenario a draft, or publish it as it is."""
        with self._lock:
            training = self.find(training_id)
            changed = replace(training, fields={**training.fields, "is_draft": is_draft})
            return self._put(changed if is_draft else _published(changed))

    def edit(self, training_id: str, title: str | None, content: str | None) -> Training:
        """Edit the text of a scenario without publishing the edit."""
        with self._lock:
            training = self.find(training_id)
            return self._put(
                _with_edit(
                    training,
                    str(training.fields["title"]) if title is None else title,
                    str(training.fields["content"]) if content is None else content,
                )
            )

    def remove(self, training_id: str) -> None:
        """Remove a scenario."""
        with self._lock:
            self.find(training_id)
            self._histories[training_id] = replace(self._histories[training_id], removed_at=self._clock())

    def _put(self, training: Training) -> Training:
        training = replace(training, updated_at=timestamp(training.updated_at))
        self._histories[training.id] = self._histories[training.id].followed_by(self._clock(), training)
        return training


def with_defaults(fields: Mapping[str, Json]) -> JsonObject:
    """Return the fields that a request sets; raise a ValueError for one that a scenario does not have."""
    if unknown := sorted(fields.keys() - INPUT_DEFAULTS.keys()):
        raise ValueError(f"A training scenario has no field {', '.join(unknown)}.")
    return {**INPUT_DEFAULTS, **fields}


def _with_edit(training: Training, title: str, content: str) -> Training:
    return replace(training, draft_title=title, draft_content=content)


def _published(training: Training) -> Training:
    version = (training.current_version or 0) + 1
    return replace(training, draft_title=None, draft_content=None, current_version=version, published_at=timestamp())
