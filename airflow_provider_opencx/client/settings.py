"""The settings of a client: base URL, key, timeout and limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class ClientSettings:
    """The settings of a client.

    :param base_url: URL of the API, without a slash at its end.
    :param api_key: the key; it is in no repr.
    :param timeout: seconds to wait for a response, and for each next piece of it; the whole exchange may take
        :data:`.exchange.DEADLINE_FACTOR` times as long. Default 30.
    :param max_retries: how often one request is sent again. Default 4.
    :param requests_per_minute: the most requests a minute that all who share the coordination send with this key.
        Default 90.
    :param user_agent: the User-Agent header.
    :param name: label used in messages, such as ``connection 'opencx_default'``.
    :param coordination: who keeps to one rate limit and takes turns in creating a name: ``"machine"`` (default), all
        processes of this machine and user; ``"process"``, the threads of one process; or the address of a Redis, all
        that use it. It may hold a password, and is in no repr.
    """

    base_url: str
    api_key: str = field(repr=False)
    timeout: float = 30.0
    max_retries: int = 4
    requests_per_minute: int = 90
    user_agent: str = "airflow-provider-opencx"
    name: str = ""
    coordination: str = field(default="machine", repr=False)

    @property
    def secrets(self) -> list[str]:
        """Values to mask in logs: the API key and the Redis password, URL-encoded and decoded."""
        password = urlsplit(self.coordination).password
        return [self.api_key, *({password, unquote(password)} if password else ())]
