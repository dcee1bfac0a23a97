"""The actions that an agent can call: ``GET /actions``, confirmed. Read-only.

The API can also import a whole set of actions, and delete all of them at once; this package has no code that could.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, JsonValue

from airflow_provider_opencx.client.operation import Operation
from airflow_provider_opencx.client.pagination import Listed, list_items
from airflow_provider_opencx.resources.models import LONGEST_ID, ResourceModel
from airflow_provider_opencx.resources.odd_items import warn_of_odd_items
from airflow_provider_opencx.visible_text import identifier, in_quotes

if TYPE_CHECKING:
    from airflow_provider_opencx.client.client import OpenCXClient

LIST_ACTIONS = Operation(
    id="listActions",
    method="GET",
    path="/actions",
    scope="actions:read",
    noun="action",
    summary="The actions that can be given as `action_ids`.",
    repeatable=True,
)

PHONE_CHANNEL = "phone_voice"
"""The channel of phone calls."""


class Action(ResourceModel):
    """An action that an agent can call. Only ``id`` is required; unknown fields are kept."""

    noun: ClassVar[str] = "an action"

    id: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
    name: str | None = None
    description: JsonValue = None
    api_endpoint: JsonValue = None
    request_type: JsonValue = None
    operation_id: JsonValue = None
    status: str | None = None
    pinned: JsonValue = None
    tags: JsonValue = None
    enabled_on_channel: JsonValue = None

    @property
    def label(self) -> str:
        """The action in messages: its name and id."""
        named = "" if self.name is None else f"{in_quotes(self.name)} "
        return f"action {named}({identifier(self.id)})"

    @property
    def channels(self) -> list[str] | None:
        """The channels on which it is enabled; ``None`` if the service does not say. A new one is so only on the web.

        The field is ``enabled_on_channel: {"channels": [...]}``, confirmed for a request and inferred for a response.
        """
        enabled = self.enabled_on_channel
        channels = enabled.get("channels") if isinstance(enabled, dict) else None
        return [str(channel) for channel in channels] if isinstance(channels, list) else None


def list_actions(client: OpenCXClient) -> Listed[Action]:
    """List the actions of the organization: ``GET /actions``, a plain array.

    What cannot be read is left out: of an action a field, see :attr:`Action.unreadable`, of the list an item.
    """
    actions = list_items(client, LIST_ACTIONS.request(), Action.from_response)
    warn_of_odd_items(LIST_ACTIONS, actions, lambda action: action.label)
    return actions
