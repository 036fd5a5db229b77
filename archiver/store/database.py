"""The connection: opened safely, one short transaction at a time.

Every failure of SQLite becomes a `DatabaseUnusable` that says what to do next (`troubles`);
nothing else in the program meets a `sqlite3.Error`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlite_utils

from archiver.errors import DatabaseUnusable
from archiver.store.troubles import CORRUPTED, REPLACED, RESTORE, spoken
from archiver.text import shown

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


class Database:
    """One open database file."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Wrap an open connection; use `open_database` to get one."""
        self.path = path
        self.connection = connection
        self.tables = sqlite_utils.Database(connection, execute_plugins=False, strict=True)
        self._file = _identity(path)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def require_its_file(self) -> None:
        """Raise `DatabaseUnusable` when the file was removed, or replaced, since it was opened.

        SQLite would go on with a file without a name, which is lost with its last user.
        """
        with contextlib.suppress(OSError):  # a disk that does not answer tells nothing
            found = _identity(self.path)
            if found != self._file:
                raise DatabaseUnusable(
                    f"The database {self.path} was {'replaced' if found else 'removed'} under the"
                    " running program; nothing more is done.",
                    "Start again with what is there now; stop the service before you touch it.",
                    code=REPLACED if found else "database-unreachable",
                )

    def empty_log(self) -> None:
        """Write the log back into the file, if nobody reads: what comes in its place would get it.

        SQLite does so at the end itself, but not for a file that was moved.
        """
        with self.impatient(_CUT_PATIENCE_SECONDS):
            self.pragmas(["wal_checkpoint(TRUNCATE)"])

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
    def one_moment(self) -> Iterator[None]:
        """Read everything in a block as it was at its first read, whatever others write since.

        For reading only: what is written in it could fail without waiting (see `atomic`).
        """
        if self.connection.in_transaction:
            yield
            return
        self.execute("BEGIN")
        try:
            yield
        finally:
            # A reader who left early may find the database closed.
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("COMMIT")

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Let what is written in the block reach the disk with the next commit that waits.

        For leases and claims, which need not outlive a power cut. Processes still see them at
        once, and a killed one leaves them behind. A transaction that is under way keeps its own
        promise.
        """
        if self.connection.in_transaction:
            yield
            return
        self.pragmas(["synchronous = NORMAL"])
        try:
            yield
        finally:
            self.pragmas(["synchronous = FULL"])

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


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which file stands at a path; None for none."""
    with contextlib.suppress(FileNotFoundError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


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
            uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if at_rest else ''}"
            connection = sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None)
        else:
            connection = sqlite3.connect(path, timeout=patience, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return Database(path, connection)


def is_new(path: Path) -> bool:
    """Say whether opening this path would create a database."""
    return not path.exists() or path.stat().st_size == 0


def sound(database: Database) -> None:
    """Raise `DatabaseUnusable` when the file is damaged, as far as a quick check can tell."""
    verdict = database.value("PRAGMA quick_check(1)")
    if verdict != "ok":
        found = shown(" ".join(str(verdict).split()), 120)
        raise DatabaseUnusable(
            f"The database {database.path} is damaged ({found}).",
            RESTORE,
            code=CORRUPTED,
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
