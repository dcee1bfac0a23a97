"""Identifies the organization of a plan, and compares it with that of another plan or connection. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pydantic import JsonValue

from airflow_provider_opencx.visible_text import in_quotes


@dataclass(frozen=True)
class Organization:
    """An organization: its id, as far as a list of its agents shows it, and how it is reached.

    :param base_url: base URL of the API. The organizations of two services may have the same id.
    :param connection: id of the Airflow connection, empty where there is none.
    :param org_id: the id that every listed agent shows; ``None`` if there are no agents, or they do not agree.
    """

    base_url: str = ""
    connection: str = ""
    org_id: str | None = None

    @classmethod
    def of_plan(cls, plan: Mapping[str, JsonValue]) -> Organization:
        """Return the organization of a plan that is plain JSON."""
        base_url, connection, org_id = (plan.get(name) for name in ("base_url", "connection", "org_id"))
        return cls(str(base_url), str(connection), None if org_id is None else str(org_id))

    def is_still(self, here: Organization) -> bool:
        """Return whether a plan for this organization may be applied here.

        Where a plan was made from an empty list, the connection replaces the id. Where the list was not empty and is
        now, it is not the same: the connection may have got the key of an organization that has no agents.
        """
        if self.base_url != here.base_url:
            return False
        return self.connection == here.connection if self.org_id is None else self.org_id == here.org_id

    def as_dict(self) -> dict[str, JsonValue]:
        """Return the organization as plain JSON."""
        return asdict(self)

    def __str__(self) -> str:
        org_id = "an organization of unknown id" if self.org_id is None else f"organization {in_quotes(self.org_id)}"
        connection = f"connection {in_quotes(self.connection)}, " if self.connection else ""
        return f"{org_id} ({connection}{self.base_url})"
