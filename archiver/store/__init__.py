"""The SQLite database: its schema, its writes and its reads.

`Store` is the one door: it opens a file, brings its schema up to date, and hands out the
drawers. Nothing outside this room writes SQL.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from archiver.errors import DatabaseUnusable
from archiver.store.archive import Archive, ArchiveTask, Progress, as_captures
from archiver.store.citations import Citations, Removals, ScannedFile
from archiver.store.copies import CopiedRecord, Copies
from archiver.store.copying import (
    HALF_COPY,
    copies_before_migrations,
    copy_database,
    copy_pages,
)
from archiver.store.counting import Counting
from archiver.store.database import (
    READER_PATIENCE_SECONDS,
    WORKING_CACHE_KIB,
    Database,
    connect,
    is_new,
    settle_journal,
    sound,
    tune,
)
from archiver.store.hosts import Hosts
from archiver.store.journal import Journal
from archiver.store.lock import DaemonLock, daemon_pid, no_daemon
from archiver.store.looks import KnownLink, Looks, RecordedLook
from archiver.store.migrating import Around, migrate, pending_migrations
from archiver.store.outbox import News, Outbox
from archiver.store.pruning import Pruned, Pruning
from archiver.store.queries import Queries
from archiver.store.troubles import CORRUPTED, PASSING, REPLACED

__all__ = [
    "CORRUPTED",
    "HALF_COPY",
    "PASSING",
    "REPLACED",
    "ArchiveTask",
    "Around",
    "CopiedRecord",
    "DaemonLock",
    "Database",
    "KnownLink",
    "News",
    "Progress",
    "Pruned",
    "RecordedLook",
    "Removals",
    "ScannedFile",
    "Store",
    "as_captures",
    "connect",
    "copies_before_migrations",
    "copy_database",
    "daemon_pid",
    "is_new",
    "migrate",
    "pending_migrations",
    "settle_journal",
    "sound",
]

# A daemon that has just started migrates, or makes the database, within moments.
_STARTING_SECONDS = 10.0
_PAUSE_SECONDS = 0.05


class Store:
    """One open, migrated database with its drawers."""

    def __init__(self, database: Database) -> None:
        """Wrap an open, migrated database; use `Store.open`."""
        self.database = database
        self.citations = Citations(database)
        self.looks = Looks(database)
        self.hosts = Hosts(database)
        self.archive = Archive(database)
        self.copies = Copies(database)
        self.journal = Journal(database)
        self.outbox = Outbox(database)
        self.pruning = Pruning(database)
        self.queries = Queries(database)
        self.counting = Counting(database)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        as_daemon: bool = False,
        checked: bool = False,
        around: Around | None = None,
        cache_kib: int = WORKING_CACHE_KIB,
    ) -> Store:
        """Open (or create) a database and migrate it; raise `DatabaseUnusable`.

        A command never migrates under a running daemon, which may be of another version
        (design §7), and no daemon starts while a command migrates.
        `checked`: the whole file is read first, and nothing is written when it is not sound.
        `around` is entered while migrations run; `cache_kib` is what may be kept in memory.
        """
        database = connect(path)
        try:
            if checked and not is_new(path):
                sound(database)
            if as_daemon:
                migrate(database, around)
            else:
                _migrate_for_command(database, around)
            tune(database, cache_kib=cache_kib)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @classmethod
    def open_reader(cls, path: Path, *, patience: float = READER_PATIENCE_SECONDS) -> Store:
        """Open an existing database to read it beside others, as it is; raise `DatabaseUnusable`.

        For answers that must not wait: it gives up on a lock after `patience` seconds.
        """
        return cls(connect(path, read_only=True, patience=patience))

    @classmethod
    def copy_in_memory(cls, path: Path) -> Store:
        """Copy a database (or an empty one) into memory: what is written there is forgotten."""
        copy = connect(Path(":memory:"))
        try:
            if not is_new(path):
                # A log beside the file means that somebody works on it, or died: then join in.
                at_rest = not path.with_name(path.name + "-wal").exists()
                with closing(connect(path, read_only=True, at_rest=at_rest)) as source:
                    copy_pages(source, copy)
            # What is wrong with the copy is wrong with the file.
            copy.path = path
            migrate(copy, keeps_copy=False)
        except BaseException:
            copy.close()
            raise
        return cls(copy)

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Run a block as one transaction."""
        with self.database.atomic():
            yield


def _migrate_for_command(database: Database, around: Around | None) -> None:
    """Migrate where no daemon is at work; raise `DatabaseUnusable` where an older one is."""
    end = time.monotonic() + _STARTING_SECONDS
    while pending_migrations(database):
        with no_daemon(database.path) as alone:
            if alone:
                migrate(database, around)
                return
            pid = daemon_pid(database.path)
            if _is_up(database, pid) or time.monotonic() > end:
                raise DatabaseUnusable(
                    f"The database must be migrated, but a daemon (pid {pid or 'unknown'}) uses"
                    " it.",
                    "Restart the service first; it migrates when it starts.",
                    code="migration-waits",
                )
        time.sleep(_PAUSE_SECONDS)


def _is_up(database: Database, pid: int | None) -> bool:
    """Say whether that daemon has opened the database, so that it migrates no more."""
    try:
        daemon = Journal(database).state("daemon", {})
    except DatabaseUnusable:  # a database that is just being made has no such table yet
        return False
    return pid is not None and daemon.get("pid") == pid
