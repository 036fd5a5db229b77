"""Copies of a database: made beside those who work on it, whole or not at all, and checked."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sqlite3
import time
from pathlib import Path

from archiver.errors import DatabaseUnusable
from archiver.store.database import BUSY_TIMEOUT_SECONDS, Database, connect
from archiver.store.troubles import CORRUPTED, spoken
from archiver.text import shown

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# The end of the name of a copy that is not whole yet, as a pattern.
HALF_COPY = r"\.partial-\d+"

# The end of the name of a copy made before a migration.
_BEFORE = re.compile(r"\.before-m\d+\w*")

# Troubles with a copy that are told without a sentence about where it was to be made.
_SAID_AS_IT_IS = frozenset(
    {CORRUPTED, "copy-damaged", "copy-has-log", "copy-onto-itself"}
    | {"copy-unwritable", "interrupted"}
)

# SQLite plays them into whatever database stands beside them (sqlite.org/howtocorrupt.html §1.4).
_LOGS = ("-wal", "-journal")


def copy_database(database: Database, destination: Path) -> None:
    """Write a consistent copy while others work: whole or not at all, and checked.

    `VACUUM INTO` a temporary name, `integrity_check`, fsync, rename (reference operations §9).
    """
    partial = destination.with_name(f"{destination.name}.partial-{os.getpid()}")
    try:
        _require_a_place(database.path, destination)
        _require_no_log(destination)
        partial.unlink(missing_ok=True)
        database.execute("VACUUM INTO ?", [str(partial)])
        require_whole_copy(partial)
        _reach_the_disk(partial)
        partial.replace(destination)
        _reach_the_disk(destination.parent)
    except DatabaseUnusable as error:
        if error.code in _SAID_AS_IT_IS:
            raise
        raise DatabaseUnusable(
            f"No copy of {database.path} was made at {destination}: {error.message}",
            "Name a folder that exists, where you may write, and that has room.",
            code=error.code,
        ) from error
    except OSError as error:
        raise DatabaseUnusable(
            f"The copy {destination} cannot be written: {error.strerror or error}.",
            "Name a folder that exists, where you may write, and that has room.",
            code="disk-full" if error.errno in _NO_ROOM else "copy-unwritable",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def require_whole_copy(copy: Path) -> None:
    """Raise `DatabaseUnusable` when a copy that was just made is damaged.

    That says nothing of the database itself, so it has a code of its own.
    """
    try:
        with contextlib.closing(connect(copy, read_only=True)) as opened:
            verdict = str(opened.value("PRAGMA integrity_check(1)"))
    except DatabaseUnusable as error:
        if error.code != CORRUPTED:
            raise
        verdict = "it cannot be read"
    if verdict != "ok":
        raise DatabaseUnusable(
            f"The copy {copy} is damaged ({shown(' '.join(verdict.split()), 120)}).",
            "It was thrown away. Check the disk of that folder, and try again.",
            code="copy-damaged",
        )


def copy_pages(source: Database, target: Database) -> None:
    """Copy one open database into another, page by page; raise `DatabaseUnusable`.

    Python tries a locked page again for ever (`Connection.backup`, sqlite3 docs); we do not.
    """
    end = time.monotonic() + BUSY_TIMEOUT_SECONDS

    def give_up_in_time(status: int, _left: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > end:
            raise sqlite3.OperationalError("database is locked")

    with spoken(source.path):
        source.connection.backup(target.connection, progress=give_up_in_time)


def _require_a_place(path: Path, destination: Path) -> None:
    """Refuse to put a copy in the place of a folder, a pipe or a device, or of what is copied.

    The log of what is copied would no longer fit it.
    """
    if destination.exists() and not destination.is_file():
        raise DatabaseUnusable(
            f"{destination} is no file; nothing was copied.",
            "Name a file for the copy.",
            code="copy-unwritable",
        )
    if destination.exists() and destination.samefile(path):
        raise DatabaseUnusable(
            f"{destination} is the database itself; nothing was copied.",
            "Name another file for the copy.",
            code="copy-onto-itself",
        )


def _require_no_log(destination: Path) -> None:
    """Refuse to replace a database whose log would be played into the copy and damage it."""
    for log in (destination.with_name(destination.name + end) for end in _LOGS):
        if log.exists() and log.stat().st_size:
            raise DatabaseUnusable(
                f"{log} would be played into the copy and damage it; nothing was copied.",
                f"Close what works on {destination} and move both aside, or name another file.",
                code="copy-has-log",
            )


def _reach_the_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copies_before_migrations(path: Path) -> list[Path]:
    """Return the copies that migrations of a database have left beside it, oldest first."""
    with contextlib.suppress(OSError):
        found = [file for file in path.parent.iterdir() if file.name.startswith(path.name)]
        copies = [file for file in found if _BEFORE.fullmatch(file.name[len(path.name) :])]
        return sorted(copies, key=lambda file: (file.stat().st_mtime, file.name))
    return []
