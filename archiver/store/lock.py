"""One daemon per database, and no change of its schema under one: a lock file beside it.

A daemon holds the lock alone, for as long as it lives; a command that migrates shares it with
others of its kind. The kernel drops a lock with its process, however that ends, so a stale file
never locks.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archiver.errors import AnotherDaemon, CannotWork, DatabaseUnusable

# A command that asks who the daemon is holds the lock for an instant, and a daemon that has just
# taken it writes its pid an instant later.
_INSTANT_SECONDS = 1.0
# A migrating command takes as long as a copy of the database does.
_MIGRATION_SECONDS = 20.0
_PAUSE_SECONDS = 0.02


def lock_path(database: Path) -> Path:
    """Return where the lock of a database lies."""
    return database.with_name(database.name + "-lock")


class DaemonLock:
    """The right to be the one daemon of a database."""

    def __init__(self, database: Path) -> None:
        """Name the lock; `take` takes it."""
        self._path = lock_path(database)
        self._handle: int | None = None

    def take(self) -> None:
        """Take the lock and write our pid into it; raise `AnotherDaemon` naming the other's."""
        handle = _open(self._path)
        try:
            _take_alone(handle)
        except BaseException:
            os.close(handle)
            raise
        # The lock holds without the pid too: a full disk must not keep a service from starting.
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def give_back(self) -> None:
        """Release the lock."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DatabaseUnusable(
            f"The lock file {path} cannot be opened: {error.strerror}.",
            "Check the permissions of the database's folder.",
            code="database-unreachable",
        ) from error


def _take_alone(handle: int) -> None:
    """Take the lock alone; wait for commands that hold it, never for another daemon."""
    began = time.monotonic()
    while not _locked(handle, fcntl.LOCK_EX):
        waited = time.monotonic() - began
        if _locked(handle, fcntl.LOCK_SH):
            fcntl.flock(handle, fcntl.LOCK_UN)
            if waited > _MIGRATION_SECONDS:
                raise CannotWork(
                    "A command is still migrating this database.",
                    "Start again when it has ended.",
                    code="migration-waits",
                )
        elif (pid := _written_pid(handle)) is not None or waited > _INSTANT_SECONDS:
            raise AnotherDaemon(
                f"Another `archiver run` (pid {pid or 'unknown'}) works on this database.",
                "Stop it first, or use `archiver check` and `archiver archive` beside it.",
            )
        time.sleep(_PAUSE_SECONDS)


def _locked(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _written_pid(handle: int) -> int | None:
    text = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdigit() else None


def daemon_pid(database: Path) -> int | None:
    """Return the pid of the daemon that holds this database, or None when there is none."""
    try:
        handle = os.open(lock_path(database), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _locked(handle, fcntl.LOCK_SH) else _written_pid(handle)
    finally:
        os.close(handle)


@contextmanager
def no_daemon(database: Path) -> Iterator[bool]:
    """Keep daemons from starting inside the block; yields False where one is at work already."""
    handle = _open(lock_path(database))
    try:
        yield _locked(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)
