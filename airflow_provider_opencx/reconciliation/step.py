"""One step of a plan for many items: a declaration, and what to do for it. Pure."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import JsonValue

from airflow_provider_opencx.reconciliation.items import ItemsT, ItemT
from airflow_provider_opencx.reconciliation.plans import ChangesT, Create, Plan, Refuse, SpecT, Unchanged, Update


@dataclass(frozen=True)
class Step(ABC, Generic[SpecT, ItemT, ChangesT, ItemsT]):
    """One item: its declaration, and the plan for it.

    :param spec: the declaration.
    :param plan: the plan.
    """

    named_by: ClassVar[str]
    """The key under which :meth:`as_dict` has the name by which a step of an approved plan is found."""

    spec: SpecT
    plan: Plan[SpecT, ItemT, ChangesT]

    @property
    @abstractmethod
    def name(self) -> str:
        """The name by which the same step of another plan is found, and which messages show."""

    @abstractmethod
    def plan_from(self, items: ItemsT) -> Plan[SpecT, ItemT, ChangesT]:
        """Return the plan for the item from another list."""

    def planned_from(self, items: ItemsT) -> Self:
        """Return this step with its plan from another list."""
        return replace(self, plan=self.plan_from(items))

    @abstractmethod
    def comparable_form(self, field: str, value: JsonValue) -> JsonValue:
        """Return the form of a field's value that is the same for all values of one meaning."""

    @property
    def item(self) -> ItemT | None:
        """The item as it is, ``None`` if it is yet to be created, or the plan is refused."""
        return self.plan.item if isinstance(self.plan, Update | Unchanged) else None

    @property
    def item_id(self) -> str | None:
        """The id of the item, as far as there is one."""
        return None if self.item is None else self.item.id

    @property
    def action(self) -> str:
        """The action, in a word for people and other tasks: ``create``, ``update``, ``unchanged`` or ``refuse``."""
        return self.plan.action

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the step as plain JSON."""
        return {
            self.named_by: self.name,
            "id": self.item_id,
            "action": self.action,
            "changes": [
                {"field": change.field, "actual": change.actual, "wanted": change.wanted}
                for change in self.plan.differences
            ],
            "declaration": self._declaration(),
        }

    def is_approved_by(self, approved: Mapping[str, JsonValue] | None) -> bool:
        """Return whether this step matches the approval, or has nothing left to do.

        :param approved: the same item's step as JSON, ``None`` if nothing was approved for it.
        """
        if approved is None or approved.get("declaration") != self._declaration():
            return False
        if approved.get("id") not in (None, self.item_id):
            return False
        if self.item_id is not None and not self.drift:
            return True
        step = self.as_dict()
        return approved.get("action") == self.action and self._meanings(step) <= self._meanings(approved)

    @property
    def is_unreadable(self) -> bool:
        """Whether there is no plan because something cannot be read; another try may be able to."""
        return isinstance(self.plan, Refuse) and not self.plan.error.is_permanent

    @property
    def drift(self) -> tuple[str, ...]:
        """The fields in which the item is not as declared.

        A declared null for which the service stored a default is not drift, although every run sends it again.
        """
        return tuple(
            difference.field
            for difference in self.plan.differences
            if isinstance(self.plan, Create) or not difference.is_left_to_the_service
        )

    def _meanings(self, step: Mapping[str, JsonValue]) -> set[str]:
        """Return a text for each change of a step that is the same for two changes of one meaning."""
        changes = step.get("changes")
        return {*map(self._meaning_of, changes)} if isinstance(changes, list) else set()

    def _meaning_of(self, change: JsonValue) -> str:
        if not isinstance(change, dict):
            return _canonical(change)
        field = str(change.get("field"))
        return _canonical([field, *(self.comparable_form(field, change.get(side)) for side in ("actual", "wanted"))])

    def _declaration(self) -> str:
        """Return a digest of what is declared."""
        declared = {field: self.comparable_form(field, value) for field, value in self.spec.declared_fields.items()}
        return sha256(_canonical(declared).encode()).hexdigest()


AnyStepT = TypeVar("AnyStepT", bound=Step[Any, Any, Any, Any])


def sharing_an_item(steps: Sequence[AnyStepT]) -> list[Sequence[AnyStepT]]:
    """Return, for each step, all steps that are about the same item; none where no other is, or there is no item."""
    by_id: dict[str, list[AnyStepT]] = {}
    for step in steps:
        if step.item_id is not None:
            by_id.setdefault(step.item_id, []).append(step)
    shared = {item_id: found for item_id, found in by_id.items() if len(found) > 1}
    return [shared.get(step.item_id or "", []) for step in steps]


def _canonical(value: object) -> str:
    """Return the canonical text of a JSON value, to compare two of them: true is not 1."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
