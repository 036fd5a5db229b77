"""The connection: opened safely, migrated with a backup, one short transaction at a time.

Every failure of SQLite becomes a `DatabaseUnusable` that says what to do next; nothing else in
the program meets a `sqlite3.Error`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import sqlite_utils

from archiver.errors import DatabaseUnusable
from archiver.store.schema import migrations
from archiver.text import shown

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# The end of the name of a copy that is not whole yet, as a pattern.
HALF_COPY = r"\.partial-\d+"

# The end of the name of a copy made before a migration.
_BEFORE = re.compile(r"\.before-m\d+\w*")

# How long a writer waits for another process's transaction. All of ours are short.
BUSY_TIMEOUT_SECONDS = 10.0
# How long a reader does that only answers whether we are well.
READER_PATIENCE_SECONDS = 1.0
# How long cutting the write-ahead log waits for readers; nobody can write meanwhile.
_CUT_PATIENCE_SECONDS = 0.1

# What a connection that works for long may keep of the database in memory.
WORKING_CACHE_KIB = 32_000

# STRICT tables need 3.37 (sqlite.org/stricttables.html).
OLDEST_SQLITE = (3, 37, 0)

# Troubles that pass, or that a person mends while the service goes on (contract §1).
PASSING = frozenset({"database-locked", "disk-full"})

# A write that the system refused without saying that the disk is full: most often a quota or a
# limit on the size of files (setrlimit(2), RLIMIT_FSIZE), or a disk that fails.
_REFUSED_WRITES = frozenset(
    {
        *("SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE", "SQLITE_IOERR_SHMSIZE"),
        *("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"),
    }
)

# Commands name the copy, too (`service.restoring`).
_RESTORE = (
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
        "database-corrupted",
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
        return DatabaseUnusable(
            f"The database {path} is damaged.", _RESTORE, code="database-corrupted"
        )
    return DatabaseUnusable(
        f"The database {path} cannot be used: {error}.", "Try again; report it if it stays."
    )


class Database:
    """One open database file."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Wrap an open connection; use `open_database` to get one."""
        self.path = path
        self.connection = connection
        self.tables = sqlite_utils.Database(connection, execute_plugins=False, strict=True)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def interrupt(self) -> None:
        """End the statement that runs, from another thread; its caller gets `interrupted`."""
        with contextlib.suppress(sqlite3.Error):  # it was closed in this very moment
            self.connection.interrupt()

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Run a block as one transaction, taking the write lock at once.

        A deferred transaction that reads first and writes later can fail without waiting when
        another process wrote in between; `BEGIN IMMEDIATE` waits its turn instead.
        """
        with spoken(self.path):
            if self.connection.in_transaction:
                with self.tables.atomic():
                    yield
                return
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            try:
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def impatient(self, seconds: float = READER_PATIENCE_SECONDS) -> Iterator[None]:
        """Wait only a moment for a lock inside the block: what is done there can be left out."""
        self.pragmas([f"busy_timeout = {int(1000 * seconds)}"])
        try:
            yield
        finally:
            self.pragmas([f"busy_timeout = {int(1000 * BUSY_TIMEOUT_SECONDS)}"])

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        with spoken(self.path):
            return self.connection.execute(sql, values)

    def fetch(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        """Run one statement and return all its rows.

        A write that returns rows is committed only when the last one was fetched, so this is
        where a full disk shows.
        """
        with spoken(self.path):
            return self.connection.execute(sql, values).fetchall()

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any] | Mapping[str, Any]]) -> None:
        """Run one statement for every row, inside a transaction."""
        with self.atomic(), spoken(self.path):
            self.connection.executemany(sql, rows)

    def rows(
        self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()
    ) -> Iterator[sqlite3.Row]:
        """Stream the rows of a query."""
        with spoken(self.path):
            # Not `yield from`: that would close the cursor of a reader who left early, which
            # fails when the database is closed by then.
            for row in self.connection.execute(sql, values):  # noqa: UP028
                yield row

    def row(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        with spoken(self.path):
            found: sqlite3.Row | None = self.connection.execute(sql, values).fetchone()
            return found

    def value(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Any:
        """Return the first column of the first row, or None."""
        row = self.row(sql, values)
        return None if row is None else row[0]

    def pragmas(self, statements: Iterable[str]) -> None:
        """Set pragmas."""
        for statement in statements:
            self.execute(f"PRAGMA {statement}")


def connect(
    path: Path,
    *,
    read_only: bool = False,
    at_rest: bool = False,
    patience: float = BUSY_TIMEOUT_SECONDS,
) -> Database:
    """Open a file without touching its schema; raise `DatabaseUnusable`.

    Even a reader makes the two files of a write-ahead log beside the database; with `at_rest`
    it makes none, which is right only while nobody else has the database open.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise DatabaseUnusable(
            f"SQLite {sqlite3.sqlite_version} is too old; STRICT tables need 3.37.",
            "Use a Python built with a newer SQLite.",
        )
    with spoken(path):
        if read_only:
            uri = f"file:{_escaped(path)}?mode=ro{'&immutable=1' if at_rest else ''}"
            connection = sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None)
        else:
            connection = sqlite3.connect(path, timeout=patience, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return Database(path, connection)


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def is_new(path: Path) -> bool:
    """Say whether opening this path would create a database."""
    return not path.exists() or path.stat().st_size == 0


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
    reader = connect(path, read_only=True)
    try:
        copy_database(reader, path.with_name(f"{path.name}.before-{migration}"))
    finally:
        reader.close()


def copies_before_migrations(path: Path) -> list[Path]:
    """Return the copies that migrations of a database have left beside it, oldest first."""
    with contextlib.suppress(OSError):
        found = [file for file in path.parent.iterdir() if file.name.startswith(path.name)]
        copies = [file for file in found if _BEFORE.fullmatch(file.name[len(path.name) :])]
        return sorted(copies, key=lambda file: (file.stat().st_mtime, file.name))
    return []


# Troubles with a copy that are told without a sentence about where it was to be made.
_SAID_AS_IT_IS = frozenset(
    {"database-corrupted", "copy-damaged", "copy-onto-itself", "interrupted"}
)


def copy_database(database: Database, destination: Path) -> None:
    """Write a consistent copy while others work: whole or not at all, and checked.

    `VACUUM INTO` a temporary name, `integrity_check`, fsync, rename (reference operations §9).
    """
    partial = destination.with_name(f"{destination.name}.partial-{os.getpid()}")
    try:
        _require_another_file(database.path, destination)
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
        if error.code != "database-corrupted":
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


def _require_another_file(path: Path, destination: Path) -> None:
    """Refuse to put a copy in the place of what is copied, whose log would no longer fit it."""
    if destination.exists() and destination.samefile(path):
        raise DatabaseUnusable(
            f"{destination} is the database itself; nothing was copied.",
            "Name another file for the copy.",
            code="copy-onto-itself",
        )


def _reach_the_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sound(database: Database) -> None:
    """Raise `DatabaseUnusable` when the file is damaged, as far as a quick check can tell."""
    verdict = database.value("PRAGMA quick_check(1)")
    if verdict != "ok":
        found = shown(" ".join(str(verdict).split()), 120)
        raise DatabaseUnusable(
            f"The database {database.path} is damaged ({found}).",
            _RESTORE,
            code="database-corrupted",
        )


def settle_journal(database: Database) -> None:
    """Refresh the planner's figures and shorten the write-ahead log, without holding others up.

    Most of the log is written back beside others' work; only then it is cut, which keeps every
    writer out, and is given up in a moment when a long reader stands in the way.
    """
    # `optimize` reads first and writes later, which fails at once when another process wrote in
    # between; under the write lock it waits its turn (sqlite.org/rescode.html#busy_snapshot).
    with database.atomic():
        database.pragmas(["analysis_limit = 400", "optimize"])
    database.pragmas(["wal_checkpoint(PASSIVE)"])
    with database.impatient(_CUT_PATIENCE_SECONDS):
        database.pragmas(["wal_checkpoint(TRUNCATE)"])


def tune(database: Database, *, cache_kib: int = WORKING_CACHE_KIB) -> None:
    """Set what every working connection wants (reference perf §3 and §4).

    FULL: nothing acknowledged is lost in a power cut; affordable because looks are written in
    batches. A later checkpoint and a larger cache keep recording flat in big databases.
    """
    database.pragmas(
        [
            "foreign_keys = ON",
            "synchronous = FULL",
            f"cache_size = -{cache_kib}",
            "wal_autocheckpoint = 8000",
            "temp_store = MEMORY",
        ]
    )
