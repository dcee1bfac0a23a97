"""Locks of names, so that only one process at a time creates an agent of a name; and the intents under them.

A lock is one of the operating system on a machine, which a process that dies releases, or one in a Redis, which expires
unless its holder lives, which redis-py has.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_opencx.client.coordination import (
    DIRECTORY,
    IMPORTS,
    digest,
    private_directory,
    redis_label,
)
from airflow_provider_opencx.client.redis_budget import redis_budget
from airflow_provider_opencx.exceptions import OpenCXCoordinationError
from airflow_provider_opencx.intents import Intent
from airflow_provider_opencx.secret import Secret, forget_locals
from airflow_provider_opencx.visible_text import in_quotes

if TYPE_CHECKING:
    from redis import Redis
    from redis.lock import Lock as RedisLock

    from airflow_provider_opencx.client.settings import ClientSettings

LOCK_TIMEOUT = 600.0
"""Seconds to wait for the locks of some names at most."""

REDIS_LOCK_EXPIRES_AFTER = 30.0
"""Seconds after which a lock in a Redis expires, unless its holder lives."""

REDIS_RESPONDS_WITHIN = 10.0
"""Seconds that each use of a lock waits for its Redis: a create is better late than without its lock."""

REDIS_INTENTS_EXPIRE_AFTER = 86_400
"""Seconds for which a Redis keeps an intent that nobody deletes."""

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0

log = logging.getLogger(__name__)


class NameLocks(ABC):
    """The locks of some names, held; and the intents that are recorded for them: an ``IntentStore``.

    :param keys: the names, each with the name of its lock.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = keys

    @abstractmethod
    def check(self, name: str) -> None:
        """Check that the lock of a name is still held, before a request that relies on it.

        :raises OpenCXCoordinationError: if it is not.
        """

    def read(self, names: Collection[str]) -> Mapping[str, Intent]:
        """Return the intents of these names, as far as there are any."""
        found = {name: self._read(self._keys[name]) for name in names}
        return {name: intent for name, intent in found.items() if intent is not None}

    def write(self, intents: Mapping[str, Intent]) -> None:
        """Record intents. They replace earlier ones of the same names; the others stay."""
        for name, intent in intents.items():
            self._write(self._keys[name], intent)

    def delete(self, names: Collection[str]) -> None:
        """Delete the intents of these names; there may be none."""
        for name in names:
            self._delete(self._keys[name])

    @abstractmethod
    def _take(self, key: str, held: ExitStack) -> bool:
        """Take one lock if nobody holds it, and let the stack release it; return whether it was taken."""

    @abstractmethod
    def _read(self, key: str) -> Intent | None:
        """Return an intent, ``None`` if there is none."""

    @abstractmethod
    def _write(self, key: str, intent: Intent) -> None:
        """Record an intent."""

    @abstractmethod
    def _delete(self, key: str) -> None:
        """Delete an intent."""


@contextmanager
def hold(settings: ClientSettings, names: Collection[str]) -> Generator[NameLocks]:
    """Hold the locks of some names.

    A lock is that of a name at a Base URL, with any key: two keys of one organization must take turns. So do two
    organizations that have a name in common, which costs a moment.

    :param settings: the settings of the client, which say who takes turns.
    :param names: the names.
    :raises OpenCXCoordinationError: if others hold one of them for :data:`LOCK_TIMEOUT`, or the Redis cannot be used.
    """
    keys = {name: digest("name", settings.base_url, name) for name in names}
    locks = _locks(settings.coordination, keys)
    with ExitStack() as held:
        ends_at = time.monotonic() + LOCK_TIMEOUT
        # All processes use the same order, or two could wait for each other.
        for name, key in sorted(keys.items(), key=lambda item: item[1]):
            _wait_for(name, lambda key=key: locks._take(key, held), ends_at)  # type: ignore[misc]
        yield locks


def _locks(coordination: str | Secret, keys: Mapping[str, str]) -> NameLocks:
    if isinstance(coordination, Secret):
        return _RedisLocks(keys, coordination)
    if coordination == "process":
        return _ProcessLocks(keys)
    try:
        return _FileLocks(keys, private_directory())
    except OSError as error:
        _go_on_alone(error)
        return _ProcessLocks(keys)


def _wait_for(name: str, take: Callable[[], bool], ends_at: float) -> None:
    """Take a lock as soon as nobody holds it."""
    began = time.monotonic()
    pause = _FIRST_PAUSE
    while not take():
        if pause == _FIRST_PAUSE:
            log.info("Waiting for another task that has the lock of %s.", in_quotes(name))
        if time.monotonic() >= ends_at:
            raise OpenCXCoordinationError(
                f"Another task has been creating {in_quotes(name)} for {LOCK_TIMEOUT:.0f} s, so nothing was sent. The"
                " next try waits again. If no other task is running, end the process that holds the lock."
            )
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    if pause != _FIRST_PAUSE:
        log.info("Waited %.1f s for another task that had the lock of %s.", time.monotonic() - began, in_quotes(name))


class _LocalLocks(NameLocks):
    """Locks of this machine, which nobody takes away from a process that lives."""

    def check(self, name: str) -> None:
        pass


class _ProcessLocks(_LocalLocks):
    """Locks that only the threads of this process share."""

    def _take(self, key: str, held: ExitStack) -> bool:
        return _take_in_process(key, held)

    def _read(self, key: str) -> Intent | None:
        return _intents.get(key)

    def _write(self, key: str, intent: Intent) -> None:
        _intents[key] = intent

    def _delete(self, key: str) -> None:
        _intents.pop(key, None)


def _take_in_process(key: str, held: ExitStack) -> bool:
    # A dict's setdefault is atomic, that of a WeakValueDictionary is not: two threads could get a lock each.
    lock = _thread_locks.setdefault(key, threading.Lock())
    if not lock.acquire(blocking=False):
        return False
    held.callback(lock.release)
    return True


_thread_locks: dict[str, threading.Lock] = {}
_intents: dict[str, Intent] = {}
_lock_files: set[int] = set()
_reasons_to_go_on_alone: set[str] = set()


def _begin_anew() -> None:
    """Let a fork begin without what threads of its parent hold, or have recorded."""
    for file in list(_lock_files):
        _unlock(file)
    _thread_locks.clear()
    _intents.clear()
    _reasons_to_go_on_alone.clear()


os.register_at_fork(after_in_child=_begin_anew)


def forget_intents() -> None:
    """Forget what ``coordination`` ``process`` has recorded, for tests: a port may have been an earlier service's."""
    _intents.clear()


class _FileLocks(_LocalLocks):
    """Locks of files in a directory that belongs only to this user."""

    def __init__(self, keys: Mapping[str, str], directory: Path) -> None:
        super().__init__(keys)
        self._directory = directory

    def _take(self, key: str, held: ExitStack) -> bool:
        try:
            file = _lock(self._directory / f"{key}.lock")
        except BlockingIOError:
            return False
        except OSError as error:
            _go_on_alone(error)
            return _take_in_process(key, held)
        held.callback(_unlock, file)
        return True

    def _read(self, key: str) -> Intent | None:
        try:
            with os.fdopen(os.open(self._file(key), os.O_RDONLY | os.O_NOFOLLOW)) as opened:
                recorded = opened.read()
                written_at = os.fstat(opened.fileno()).st_mtime
        except FileNotFoundError:
            return None
        except OSError as error:
            _go_on_alone(error)
            return None
        return _read_intent(recorded, written_at)

    def _write(self, key: str, intent: Intent) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(self._file(key), flags, 0o600), "w") as opened:
                json.dump(intent.as_json(), opened)
        except OSError as error:
            _go_on_alone(error)

    def _delete(self, key: str) -> None:
        with suppress(OSError):
            self._file(key).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._directory / f"{key}.intent"


def _lock(path: Path) -> int:
    """Lock a file and return its descriptor. Closing it frees the lock, so that no dead process holds one.

    :raises BlockingIOError: if somebody else holds it.
    :raises OSError: if the file cannot be opened, or its file system has no locks.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    _lock_files.add(file)
    return file


def _unlock(file: int) -> None:
    """Close a locked file. A fork has closed it before: it must not hold the lock for as long as it lives."""
    if file in _lock_files:
        _lock_files.remove(file)
        os.close(file)


def _read_intent(recorded: str | bytes, written_at: float) -> Intent:
    """Return a recorded intent, also one whose writer was killed in the middle."""
    try:
        value = json.loads(recorded)
    except ValueError:
        value = None
    return Intent.from_json(value, written_at)


def _go_on_alone(error: OSError) -> None:
    """Log, once in a process for each reason, that nobody takes turns with this task."""
    reason = f"{type(error).__name__}: {error}"
    if reason not in _reasons_to_go_on_alone:
        _reasons_to_go_on_alone.add(reason)
        log.warning(
            "The extra coordination does not keep others from creating the same agent, or starting the same sequence:"
            " the directory %s of the temporary directory cannot be used. Going on alone. %s",
            DIRECTORY,
            reason,
        )


class _RedisLocks(NameLocks):
    """Locks in a Redis, which expire unless they are kept alive."""

    def __init__(self, keys: Mapping[str, str], address: Secret) -> None:
        super().__init__(keys)
        with IMPORTS:
            from airflow_provider_opencx.client.bounded_redis import bounded_redis
        self._redis: Redis = bounded_redis(address, REDIS_RESPONDS_WITHIN)
        self._label = redis_label(address)
        self._held: dict[str, RedisLock] = {}

    def check(self, name: str) -> None:
        with self._errors():
            owned = self._held[self._keys[name]].owned()
        if not owned:
            raise OpenCXCoordinationError(
                f"{self._label} has given up the lock of {in_quotes(name)}, so it was not created. The next try takes"
                " it again."
            )

    def _take(self, key: str, held: ExitStack) -> bool:
        lock = self._redis.lock(
            f"airflow-provider-opencx:lock:{key}", timeout=REDIS_LOCK_EXPIRES_AFTER, thread_local=False
        )
        with self._errors():
            if not lock.acquire(blocking=False):
                return False
        if not self._held:
            held.enter_context(self._kept_alive())
        self._held[key] = lock
        return True

    @contextmanager
    def _kept_alive(self) -> Generator[None]:
        """Extend the locks again and again, for as long as this process lives and holds them; then release them."""
        ended = threading.Event()

        def keep_alive() -> None:
            while not ended.wait(REDIS_LOCK_EXPIRES_AFTER / 3):
                for lock in list(self._held.values()):
                    if ended.is_set():
                        return
                    with self._warning("did not extend a lock"), redis_budget(REDIS_RESPONDS_WITHIN):
                        lock.reacquire()

        thread = threading.Thread(target=keep_alive, name="opencx-locks", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            self._release()
            thread.join()

    def _release(self) -> None:
        """Release all locks within one budget; a lock that is not released expires by itself."""
        with redis_budget(REDIS_RESPONDS_WITHIN):
            while self._held:
                _, lock = self._held.popitem()
                with self._warning("did not release the lock of a name"):
                    lock.release()

    def _read(self, key: str) -> Intent | None:
        with self._errors():
            recorded = self._redis.get(self._intent(key))
        return _read_intent(recorded, time.time()) if isinstance(recorded, bytes) else None

    def _write(self, key: str, intent: Intent) -> None:
        with self._errors():
            self._redis.set(self._intent(key), json.dumps(intent.as_json()), ex=REDIS_INTENTS_EXPIRE_AFTER)

    def _delete(self, key: str) -> None:
        with self._warning("did not delete what was recorded of a create"), redis_budget(REDIS_RESPONDS_WITHIN):
            self._redis.delete(self._intent(key))

    def _intent(self, key: str) -> str:
        return f"airflow-provider-opencx:intent:{key}"

    @contextmanager
    def _warning(self, problem: str) -> Generator[None]:
        try:
            yield
        except Exception as error:
            log.warning("%s %s: %s", self._label, problem, type(error).__name__)

    @contextmanager
    def _errors(self) -> Generator[None]:
        """Turn redis-py's errors into ours: nothing is created without the coordination that was asked for."""
        try:
            with redis_budget(REDIS_RESPONDS_WITHIN):
                yield
        except BaseException as error:
            forget_locals(error)  # of redis-py, which hold the password
            if not isinstance(error, Exception):
                raise
            raise OpenCXCoordinationError(
                f"{self._label} cannot be used, so nothing was created: {type(error).__name__}. The connection's extra"
                " coordination names it, so that no two tasks create the same agent. The next try asks it again."
            ) from error
