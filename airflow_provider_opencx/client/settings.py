"""The settings of a client: base URL, key, timeout and limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from airflow_provider_opencx.secret import Secret

BodyStyle: TypeAlias = Literal["camel", "snake", "both"]
"""How the keys of a call's body are written: ``phoneAgentId``, ``phone_agent_id``, or both of them."""


@dataclass(frozen=True)
class ClientSettings:
    """The settings of a client.

    :param base_url: URL of the API, without a slash at its end.
    :param api_key: the key; a text becomes a :class:`.Secret`.
    :param timeout: seconds to wait for a response, and for each next piece of it; the whole exchange may take
        :data:`.exchange.DEADLINE_FACTOR` times as long. Default 30.
    :param max_retries: how often one request is sent again. Default 4.
    :param requests_per_minute: the most requests a minute that all who share the coordination send with this key.
        Default 90.
    :param user_agent: the User-Agent header.
    :param name: label used in messages, such as ``connection 'opencx_default'``.
    :param coordination: who keeps to one rate limit and takes turns in creating a name: ``"machine"`` (default), all
        processes of this machine and user; ``"process"``, the threads of one process; or the address of a Redis, all
        that use it, which becomes a :class:`.Secret`, because a password may be in it.
    :param allow_calls: whether requests that may call people are sent. Default ``False``.
    :param call_body_style: how the keys of a call's body are written where the caller does not say it: ``"camel"``
        (default), ``"snake"`` or ``"both"``.
    :param dashboard_url: the address of an agent in the dashboard, with ``{id}`` instead of its id. Default: none.
    """

    base_url: str
    api_key: Secret
    timeout: float = 30.0
    max_retries: int = 4
    requests_per_minute: int = 90
    user_agent: str = "airflow-provider-opencx"
    name: str = ""
    coordination: str | Secret = "machine"
    allow_calls: bool = False
    call_body_style: BodyStyle = "camel"
    dashboard_url: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_key", Secret.of(self.api_key))
        if self.coordination not in ("process", "machine"):
            object.__setattr__(self, "coordination", Secret.of(self.coordination))

    @property
    def secrets(self) -> list[Secret]:
        """Values to mask in logs: the API key and the Redis password, URL-encoded and decoded."""
        return [self.api_key, *map(Secret, sorted(_passwords(self.coordination)))]


def _passwords(coordination: str | Secret) -> set[str]:
    password = urlsplit(coordination.reveal()).password if isinstance(coordination, Secret) else None
    return {password, unquote(password)} if password else set()
