"""Keeps one value of a watcher with each of its assets, in the asset state store of Airflow 3.3."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pydantic import JsonValue

log = logging.getLogger(__name__)


class _Accessor(Protocol):
    """Reads and writes the state of one asset."""

    async def aget(self, key: str) -> JsonValue:
        """Return a value, ``None`` if there is none."""

    async def aset(self, key: str, value: JsonValue) -> None:
        """Write a value."""


class AssetState:
    """One value in the state of each asset that a watcher is for.

    :param store: what Airflow has given the trigger: the accessors of its assets, or ``None``.
    :param key: the key of the value.
    """

    def __init__(self, store: object, key: str) -> None:
        self._key = key
        self._accessors = [] if store is None else _of_each_asset(store)
        self._cannot_tell_apart = self._accessors == [store]

    @property
    def exists(self) -> bool:
        """Whether there is a store at all."""
        return bool(self._accessors)

    async def read(self) -> list[JsonValue]:
        """Return what is stored with each asset, ``None`` where there is nothing.

        :raises Exception: of any kind, if the state of an asset cannot be read.
        """
        try:
            return [await accessor.aget(self._key) for accessor in self._accessors]
        except ValueError:
            if not self._cannot_tell_apart:
                raise
            log.warning("This Airflow does not let a watcher of several assets find their states. It goes on without.")
            self._accessors = []
            return []

    async def write(self, value: JsonValue) -> None:
        """Store a value, with each asset: one that cannot be written keeps it from no other.

        :raises Exception: of any kind, if it cannot be stored with one of them.
        """
        failed: Exception | None = None
        for accessor in self._accessors:
            try:
                await accessor.aset(self._key, value)
            except Exception as error:
                failed = error
        if failed is not None:
            raise failed


def _of_each_asset(store: object) -> Sequence[_Accessor]:
    """Return the accessor of each asset.

    Airflow names no public way to list them. Without the private one, the store itself is the accessor of a watcher's
    only asset, and refuses to be one if there are several.
    """
    by_asset = [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]
    return by_asset or [store]  # which has the same methods
