"""What to do about a damaged database: which copy to put in its place, and how."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from archiver.config import Loaded
from archiver.errors import DatabaseUnusable
from archiver.service.maintenance import daily_copies
from archiver.store import CORRUPTED, connect, copies_before_migrations, sound


def with_the_way_back(error: DatabaseUnusable, loaded: Loaded) -> DatabaseUnusable:
    """Return the error with the copy to restore named, when it says that the file is damaged.

    A write-ahead log left beside another database file would be played into it and damage it too
    (sqlite.org/howtocorrupt.html §1.4), so it is always named.
    """
    if error.code != CORRUPTED:
        return error
    path = loaded.database_path
    aside = f"Stop the service and move {path} aside, with its -wal and -shm files"
    copy = newest_sound_copy(loaded)
    if copy is not None:
        step = f"{aside}; then copy {copy} to {path} and start again."
    else:
        step = (
            f"{aside}; no copy of it was found (database.backup_directory), so what"
            f" `sqlite3 {path.name} .recover` saves is all there is. Without it the next run"
            " starts anew from the event files."
        )
    return DatabaseUnusable(error.message, step, code=error.code)


def newest_sound_copy(loaded: Loaded) -> Path | None:
    """Return the newest copy that is whole, None without one; daily copies come first."""
    return next(filter(_is_sound, _copies(loaded)), None)


def _copies(loaded: Loaded) -> Iterator[Path]:
    path, directory = loaded.database_path, loaded.path("database.backup_directory")
    if directory is not None:
        yield from reversed(daily_copies(directory, path))
    yield from reversed(copies_before_migrations(path))


def _is_sound(copy: Path) -> bool:
    try:
        # At rest: nothing is made beside the copy.
        with closing(connect(copy, read_only=True, at_rest=True)) as database:
            sound(database)
    except DatabaseUnusable:
        return False
    return True
