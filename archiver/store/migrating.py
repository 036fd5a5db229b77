"""Migrations: what is pending, a copy before the first change, one write lock around both."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from archiver.errors import DatabaseUnusable
from archiver.store.copying import copy_database
from archiver.store.database import BUSY_TIMEOUT_SECONDS, Database, connect
from archiver.store.schema import migrations
from archiver.store.troubles import spoken


def pending_migrations(database: Database) -> list[str]:
    """Name the migrations this program has and the file lacks; raise when the file is newer."""
    with spoken(database.path):
        known = {migration.name for migration in migrations._migrations}
        applied = {migration.name for migration in migrations.applied(database.tables)}
        if applied - known:
            raise DatabaseUnusable(
                f"The database {database.path} was written by a newer archiver.",
                "Upgrade this program, or restore the backup made before the upgrade.",
                code="database-newer",
            )
        if not applied and _tables(database):
            raise DatabaseUnusable(
                f"{database.path} is a database, but not one of archiver.",
                "Name another file in database.path.",
                code="database-foreign",
            )
        return [migration.name for migration in migrations.pending(database.tables)]


def _tables(database: Database) -> int:
    return int(
        database.value("SELECT count(*) FROM sqlite_master WHERE type='table' AND name<>?", ["x"])
    )


# What to do around a migration, which may take minutes: the names of what is pending come in.
Around = Callable[[Sequence[str]], AbstractContextManager[None]]


def migrate(
    database: Database, around: Around | None = None, *, keeps_copy: bool = True
) -> list[str]:
    """Bring the schema up to date, after a copy of a file that holds something; name what ran.

    The copy is made and the schema changed under one write lock: of two processes that come at
    the same moment one migrates, and the other finds nothing left to do and copies nothing.
    """
    pending = pending_migrations(database)
    if not pending:
        return []
    takes_time = around is not None and _tables(database) > 0
    with around(pending) if around and takes_time else contextlib.nullcontext():
        _use_write_ahead_log(database)
        with database.atomic():
            pending = pending_migrations(database)
            if keeps_copy and pending and _tables(database):
                _copy_before(database.path, pending[0])
            migrations.apply(database.tables)
    return pending


def _use_write_ahead_log(database: Database) -> None:
    """Switch to WAL; SQLite does not wait by itself for another process that switches."""
    end = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except DatabaseUnusable as error:
            if error.code != "database-locked" or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def _copy_before(path: Path, migration: str) -> None:
    """Copy a database as it is before a migration, by a reader beside the one that will write."""
    with contextlib.closing(connect(path, read_only=True)) as reader:
        copy_database(reader, path.with_name(f"{path.name}.before-{migration}"))
