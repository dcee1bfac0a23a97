"""The connection's form and the meaning of its extras, declared once.

The same declaration feeds the provider info that Airflow 3.2 and later build the form from, the hook's form
methods that Airflow 3.0 and 3.1 ask, and the reading of a connection. Airflow imports this module while it
reads its own configuration, so nothing heavy, and nothing of Airflow, is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CONN_TYPE = "opencx"
DEFAULT_CONN_ID = "opencx_default"
HOOK_NAME = "OpenCX"
DEFAULT_BASE_URL = "https://api.open.cx"

HIDDEN_FIELDS = ["schema", "login", "port"]
RELABELING = {"password": "API key", "host": "Base URL"}
PLACEHOLDERS = {
    "host": DEFAULT_BASE_URL,
    "password": "from the OpenCX dashboard, with phone:read and phone:write",
}


@dataclass(frozen=True)
class ExtraField:
    """One extra of the connection.

    :param name: the key in the connection's extra JSON.
    :param label: what the form calls it.
    :param description: the form's help text.
    :param type: its JSON type; ``string`` is validated in :mod:`.extras`.
    :param default: what holds when it is left out or empty.
    :param minimum: the least allowed value of a number.
    :param maximum: the greatest allowed value of a number.
    :param allowed: which texts are allowed, for messages; empty for another type.
    """

    name: str
    label: str
    description: str
    type: Literal["number", "integer", "boolean", "string"]
    default: float | int | bool | str
    minimum: float | int | None = None
    maximum: float | int | None = None
    allowed: str = ""


TIMEOUT = ExtraField(
    name="timeout",
    label="Timeout (seconds)",
    description=(
        "Seconds to wait for a response of the OpenCX API, and for each next piece of it. Reading a large body may take"
        " up to 4 times as long."
    ),
    type="number",
    default=30,
    minimum=1,
    maximum=3600,
)
MAX_RETRIES = ExtraField(
    name="max_retries",
    label="Retries of a request",
    description=(
        "How often one request is sent again after a temporary error. A create is sent again only if the first one"
        " certainly was not handled. Waiting for a number does not use these retries: the next poll is the retry."
    ),
    type="integer",
    default=4,
    minimum=0,
    maximum=100,
)
REQUESTS_PER_MINUTE = ExtraField(
    name="requests_per_minute",
    label="Requests a minute",
    description=(
        "The most requests that all processes that share the coordination send over this connection. The service allows"
        " 100 for an organization in all."
    ),
    type="integer",
    default=90,
    minimum=1,
    maximum=1_000_000,
)
COORDINATION = ExtraField(
    name="coordination",
    label="Coordination",
    description=(
        "Which processes share the requests a minute, and take turns in creating an agent: machine (all processes of"
        " this machine and user), process (each process for itself), or the address of a Redis, redis://host:6379/0"
        " (all machines; for Celery and Kubernetes)."
    ),
    type="string",
    default="machine",
    allowed="machine, process, or the address of a Redis such as redis://host:6379/0",
)
ALLOW_CALLS = ExtraField(
    name="allow_calls",
    label="Allow calls",
    description=(
        "Lets tasks call people over this connection. If it is off, nobody is called, and write requests of your own"
        " code (client.request) are not sent. It is read again before each call: switch it off to stop a batch."
    ),
    type="boolean",
    default=False,
)
CALL_BODY_STYLE = ExtraField(
    name="call_body_style",
    label="Keys of a call's body",
    description=(
        "How the keys of a call are written, because the documentation of the service does not say it: camel"
        " (phoneAgentId), snake (phone_agent_id) or both. Change it if the service refuses calls."
    ),
    type="string",
    default="camel",
    allowed="camel, snake or both",
)
DASHBOARD_URL = ExtraField(
    name="dashboard_url",
    label="Dashboard",
    description=(
        "The address of an agent in the OpenCX dashboard, as your browser shows it, with {id} in place of the agent's"
        " id. The links of tasks lead there if Airflow has no page of agents."
    ),
    type="string",
    default="",
    allowed="an https address with {id} in place of the agent's id",
)
ALLOW_INSECURE_HTTP = ExtraField(
    name="allow_insecure_http",
    label="Allow plain http",
    description="Lets the API key travel unencrypted to a host other than this machine. Leave it off.",
    type="boolean",
    default=False,
)

EXTRA_FIELDS = (
    TIMEOUT,
    MAX_RETRIES,
    REQUESTS_PER_MINUTE,
    COORDINATION,
    ALLOW_CALLS,
    CALL_BODY_STYLE,
    DASHBOARD_URL,
    ALLOW_INSECURE_HTTP,
)


def conn_fields() -> dict[str, dict[str, object]]:
    """Return the extras in the form of provider info's ``conn-fields`` (Airflow 3.2 and later)."""
    return {
        field.name: {
            "label": field.label,
            "description": field.description,
            "schema": {
                "type": [field.type, "null"],
                "default": field.default,
                **({} if field.minimum is None else {"minimum": field.minimum}),
                **({} if field.maximum is None else {"maximum": field.maximum}),
            },
        }
        for field in EXTRA_FIELDS
    }
