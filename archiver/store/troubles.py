"""What SQLite raises, said in words: what happened to which file, and what to do next."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archiver.errors import DatabaseUnusable

# Troubles that pass, or that a person mends while the service goes on (contract §1).
PASSING = frozenset({"database-locked", "disk-full"})

# The file is damaged, or none of ours: nothing more may be written into it.
CORRUPTED = "database-corrupted"

# Another file stands in its place: what is written into the old one is lost.
REPLACED = "database-replaced"

# A write that the system refused without saying that the disk is full: most often a quota or a
# limit on the size of files (setrlimit(2), RLIMIT_FSIZE), or a disk that fails.
_REFUSED_WRITES = frozenset(
    {
        *("SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE", "SQLITE_IOERR_SHMSIZE"),
        *("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"),
    }
)

# Commands name the copy, too (`service.restoring`).
RESTORE = (
    "Stop the service, move the file aside with its -wal and -shm files, and put the newest copy of"
    " database.backup_directory in its place."
)

# (fragment of SQLite's message, code, what happened, what to do next)
_TROUBLES = (
    (
        "interrupted",
        "interrupted",
        "The work on {path} was interrupted.",
        "It is done again the next time.",
    ),
    (
        "locked",
        "database-locked",
        "The database {path} is locked by another program.",
        "Close what holds it (`fuser {path}` names it) and try again.",
    ),
    (
        "locking protocol",
        "database-locked",
        "Other programs crowd around the database {path}.",
        "Try again in a moment.",
    ),
    (
        "disk is full",
        "disk-full",
        "The disk that holds {path} is full.",
        "Free some space and try again; nothing recorded so far is lost.",
    ),
    (
        "readonly",
        "database-read-only",
        "The database {path} cannot be written.",
        "Check the owner and permissions of the file and its folder.",
    ),
    (
        "unable to open",
        "database-unreachable",
        "The database {path} cannot be opened.",
        "Check that its folder exists and that you may write there.",
    ),
    (
        "disk i/o",
        "database-unreachable",
        "Reading or writing {path} failed (disk I/O error).",
        "Check the disk and the free space, then try again.",
    ),
    (
        "no such table",
        CORRUPTED,
        "The database {path} is no archiver database.",
        "Name another file in database.path.",
    ),
)


@contextmanager
def spoken(path: Path | str) -> Iterator[None]:
    """Turn whatever SQLite raises into one clear `DatabaseUnusable`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _in_words(error, path) from error


def _in_words(error: sqlite3.Error, path: Path | str) -> DatabaseUnusable:
    text = str(error).lower()
    if getattr(error, "sqlite_errorname", "") in _REFUSED_WRITES:
        return DatabaseUnusable(
            f"The database {path} cannot grow: the disk is full or failing, or a quota or a limit"
            " on the size of files is reached.",
            "Free some space or raise the limit; nothing recorded so far is lost.",
            code="disk-full",
        )
    for fragment, code, message, next_step in _TROUBLES:
        if fragment in text:
            return DatabaseUnusable(
                message.format(path=path), next_step.format(path=path), code=code
            )
    if isinstance(error, sqlite3.DatabaseError) and (
        "malformed" in text or "not a database" in text
    ):
        return DatabaseUnusable(f"The database {path} is damaged.", RESTORE, code=CORRUPTED)
    return DatabaseUnusable(
        f"The database {path} cannot be used: {error}.", "Try again; report it if it stays."
    )
