"""Guards: limits of what a plan may do, and the organization that it must be for. Pure.

A plan can be right in every step and still be a mistake: the key of another organization makes a fleet of forty
agents forty creates. A guard says beforehand what is not expected.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_opencx.arguments import whole_number
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXGuardError
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import in_quotes

_MOST_NAMED = 20


@dataclass(frozen=True)
class Guards:
    """What a plan may do at most, and for which organization; ``None`` means no guard.

    :param max_creates: the most that may be created.
    :param max_updates: the most that may be updated.
    :param expected_org_id: the id of the organization, as its agents show it in ``org_id``. An organization without
        agents shows no id, and is refused.
    :raises OpenCXArgumentError: if one of them is something else.
    """

    max_creates: int | None = None
    max_updates: int | None = None
    expected_org_id: str | None = None

    def __post_init__(self) -> None:
        for name in ("max_creates", "max_updates"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))
        org_id = self.expected_org_id
        if org_id is not None and (not isinstance(org_id, str) or not org_id.strip()):
            raise OpenCXArgumentError("expected_org_id: must be the id of an organization, as text")

    def check(self, creates: list[str], updates: list[str], organization: Organization, *, item: str = "agent") -> None:
        """Check what is to be done.

        :param creates: the names of what would be created.
        :param updates: the names of what would be updated.
        :param organization: where.
        :param item: what messages call one of them.
        :raises OpenCXGuardError: saying what would have been done.
        """
        if self.expected_org_id is not None and organization.org_id != self.expected_org_id.strip():
            shown = "shows no id (it has no agents, or they do not agree)" if organization.org_id is None else "is"
            raise OpenCXGuardError(
                f"Nothing was sent, because organization {in_quotes(self.expected_org_id)} is expected, and this"
                f" {shown} {organization}. {_would(creates, updates)} Check which API key the connection has; for an"
                " organization that is yet without agents, leave expected_org_id out once."
            )
        for most, names, verb, argument in (
            (self.max_creates, creates, "create", "max_creates"),
            (self.max_updates, updates, "update", "max_updates"),
        ):
            if most is not None and len(names) > most:
                raise OpenCXGuardError(
                    f"Nothing was sent, because the plan would {verb} {len(names)} {item}s in {organization}, and"
                    f" {argument} allows {most}. {_would(creates, updates)} If that is meant, allow more; if not, check"
                    " the declarations, and which API key the connection has."
                )


class LateUpdates:
    """The updates that come to a plan after its check: what was to be created, and exists by now.

    :param guards: what the plan may do at most; ``None`` means no guard.
    :param updates: the names of what is updated by the plan that was checked.
    """

    def __init__(self, guards: Guards | None, updates: Iterable[str]) -> None:
        self._most = None if guards is None else guards.max_updates
        self._names = set(updates)

    def check(self, name: str) -> None:
        """Check the update of an item.

        :param name: its declared name.
        :raises OpenCXGuardError: if it is one more than the guard allows.
        """
        self._names.add(name)
        if self._most is not None and len(self._names) > self._most:
            self._names.remove(name)
            raise OpenCXGuardError(
                f"Nothing was sent for {in_quotes(name)}: it was to be created, and exists by now, and to update it is"
                f" more than max_updates, {self._most}, allows. If that is meant, allow more."
            )


def _would(creates: list[str], updates: list[str]) -> str:
    parts = [
        f"{verb} {listed([*map(in_quotes, names)], _MOST_NAMED)}"
        for verb, names in (("create", creates), ("update", updates))
        if names
    ]
    return f"It would {' and '.join(parts)}." if parts else "It would write nothing."
