"""One daemon per database: a lock file beside it, held as long as the process lives.

The kernel drops the lock with the process, however it ends, so a stale file never locks.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from archiver.errors import AnotherDaemon, DatabaseUnusable


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
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DatabaseUnusable(
                f"The lock file {self._path} cannot be opened: {error.strerror}.",
                "Check the permissions of the database's folder.",
                code="database-unreachable",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.read(handle, 32).decode("ascii", "replace").strip()
            os.close(handle)
            raise AnotherDaemon(
                f"Another `archiver run` (pid {pid or 'unknown'}) works on this database.",
                "Stop it first, or use `archiver check` and `archiver archive` beside it.",
            ) from error
        # The lock holds without the pid too: a full disk must not keep a service from starting.
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
        self._handle = handle

    def give_back(self) -> None:
        """Release the lock."""
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None


def daemon_pid(database: Path) -> int | None:
    """Return the pid of the daemon that holds this database, or None when there is none."""
    try:
        handle = os.open(lock_path(database), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.read(handle, 32).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else None
    else:
        return None
    finally:
        os.close(handle)
