"""Assets for objects in OpenCX: creates their URIs, and checks URIs that are written by hand.

An address is ``opencx://<connection>/...`` with each part percent-encoded. Airflow asks :func:`sanitize_uri` about each
such address, through the ``asset-uris`` of the provider info, so a wrong one is an error where the Dag is parsed, and
two spellings of one name are one asset. Airflow 3.0 and later.

An asset is a name that Dags share. It is updated by a task that has it among its ``outlets``, or by an
``AssetWatcher``; nothing looks at the service because of an address.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.templates import has_no_template
from airflow_provider_opencx.visible_text import in_quotes

# Airflow imports this module for the address of any asset: it imports nothing heavy.
if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetWatcher

SCHEME: Final = "opencx"

_NAME: Final = None
"""Stands for a part of a path that is any name."""

_PATHS: Final[tuple[tuple[str | None, ...], ...]] = (
    ("agents",),
    ("agents", _NAME),
    ("agents", _NAME, "phone_number"),
    ("training", _NAME),
    ("sequences", _NAME),
)

_ALLOWED = (
    "opencx://CONNECTION/agents, opencx://CONNECTION/agents/NAME, opencx://CONNECTION/agents/NAME/phone_number,"
    " opencx://CONNECTION/training/COLLECTION or opencx://CONNECTION/sequences/CUSTOM_ID, each part percent-encoded"
)


def agent_asset(name: str, opencx_conn_id: str = DEFAULT_CONN_ID, *, watchers: Sequence[AssetWatcher] = ()) -> Asset:
    """Return the asset of a phone agent: ``opencx://<connection>/agents/<name>``.

    :param name: the agent's name.
    :param opencx_conn_id: the connection. Default ``opencx_default``.
    :param watchers: what updates the asset beside tasks, such as an ``AssetWatcher`` with an
        :class:`.triggers.phone_agent_events.OpenCXPhoneAgentEventTrigger`.
    """
    return _asset(opencx_conn_id, "agents", _literal("name", name), watchers=watchers)


def phone_number_asset(
    name: str, opencx_conn_id: str = DEFAULT_CONN_ID, *, watchers: Sequence[AssetWatcher] = ()
) -> Asset:
    """Return the asset of the phone number of an agent: ``opencx://<connection>/agents/<name>/phone_number``.

    :param name: the agent's name.
    :param opencx_conn_id: the connection. Default ``opencx_default``.
    :param watchers: as for :func:`agent_asset`.
    """
    return _asset(opencx_conn_id, "agents", _literal("name", name), "phone_number", watchers=watchers)


def agents_asset(opencx_conn_id: str = DEFAULT_CONN_ID, *, watchers: Sequence[AssetWatcher] = ()) -> Asset:
    """Return the asset of all phone agents of a connection: ``opencx://<connection>/agents``.

    :param opencx_conn_id: the connection. Default ``opencx_default``.
    :param watchers: as for :func:`agent_asset`.
    """
    return _asset(opencx_conn_id, "agents", watchers=watchers)


def training_asset(collection: str = "default", opencx_conn_id: str = DEFAULT_CONN_ID) -> Asset:
    """Return the asset of a collection of training scenarios: ``opencx://<connection>/training/<collection>``.

    :param collection: the collection. Default ``"default"``.
    :param opencx_conn_id: the connection. Default ``opencx_default``.
    """
    return _asset(opencx_conn_id, "training", _literal("collection", collection))


def sequence_asset(custom_id: str, opencx_conn_id: str = DEFAULT_CONN_ID) -> Asset:
    """Return the asset of a sequence: ``opencx://<connection>/sequences/<custom id>``.

    :param custom_id: the custom id that the Dag gives the sequence.
    :param opencx_conn_id: the connection. Default ``opencx_default``.
    """
    return _asset(opencx_conn_id, "sequences", _literal("custom_id", custom_id))


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return an ``opencx://`` address in the form in which two are compared; Airflow calls this for each.

    :param uri: the address, split.
    :raises ValueError: if it is not the address of an asset; the message says what is allowed.
    """
    try:
        connection, parts = _read(uri)
    except ValueError as wrong:
        raise OpenCXArgumentError(f"asset {in_quotes(uri.geturl())}: {wrong}. Write {_ALLOWED}.") from None
    return uri._replace(netloc=_encoded(connection), path="".join(f"/{_encoded(part)}" for part in parts))


def agent_named_by(uri: str) -> str | None:
    """Return the name of the agent whose asset, or whose number's asset, has an address; ``None`` for any other.

    :param uri: the address, as Airflow holds it.
    """
    split = urlsplit(uri)
    if split.scheme != SCHEME:
        return None
    _, (kind, *names) = _read(split)
    return names[0] if kind == "agents" and names else None


def _asset(opencx_conn_id: str, *parts: str, watchers: Sequence[AssetWatcher] = ()) -> Asset:
    from airflow.sdk import Asset

    path = "/".join(map(_encoded, (_literal("opencx_conn_id", opencx_conn_id), *parts)))
    return Asset(uri=f"{SCHEME}://{path}", watchers=[*watchers])


def _literal(argument: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise OpenCXArgumentError(f"{argument}: must be a string that is not empty")
    if not has_no_template(value):
        raise OpenCXArgumentError(f"{argument}: Airflow renders no template in an asset; write the value itself")
    return value


def _read(uri: SplitResult) -> tuple[str, list[str]]:
    """Return the connection and the parts of the path, decoded; raises ``ValueError`` if it is not an address."""
    if "@" in uri.netloc or ":" in uri.netloc or uri.query or uri.fragment:
        raise ValueError("it has a user, a port, a query or a fragment")
    connection = unquote(uri.netloc, errors="strict")
    parts = [unquote(part, errors="strict") for part in uri.path.split("/")[1:]]
    if not connection.strip():
        raise ValueError("it names no connection")
    if not has_no_template([uri.netloc, uri.path]):
        raise ValueError("Airflow renders no template in an asset")
    if not any(_fits(parts, path) for path in _PATHS):
        raise ValueError("its path is not known")
    return connection, parts


def _fits(parts: Sequence[str], path: Sequence[str | None]) -> bool:
    return len(parts) == len(path) and all(
        part.strip() if expected is _NAME else part == expected for part, expected in zip(parts, path, strict=True)
    )


def _encoded(part: str) -> str:
    """Return a part of an address; names that are compared as one are written as one."""
    return quote(normalize_name(part), safe="")
