"""No room in the file (PRAGMA max_page_count) or on the disk: one clear error, and no change."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from archiver.errors import DatabaseUnusable
from archiver.model import Verdict
from archiver.store import Store, migrate
from tests.store.conftest import NOW
from tests.store.making import look, scanned

STORE = Path(__file__).parents[2] / "archiver" / "store"


def pages(count: int) -> list[str]:
    return [f"http://x.test/minutes-of-the-harbour-board-{number}" for number in range(count)]


@contextmanager
def full_file(store: Store) -> Iterator[None]:
    """Let the database get no page more (sqlite.org/pragma.html#pragma_max_page_count)."""
    now = store.database.value("PRAGMA page_count")
    store.database.execute(f"PRAGMA max_page_count = {now}")
    try:
        yield
    finally:
        store.database.execute("PRAGMA max_page_count = 4294967294")


@contextmanager
def full_disk(store: Store) -> Iterator[None]:
    """Let the write-ahead log grow no further; other files of this process are smaller."""
    log = store.database.path.with_name(store.database.path.name + "-wal")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(log.stat().st_size, 8192), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def dump(store: Store) -> list[str]:
    assert store.database.value("PRAGMA integrity_check") == "ok"
    return list(store.database.connection.iterdump())


def scan(store: Store) -> None:
    store.citations.replace_files([scanned(*pages(400))], NOW)


def looks(store: Store) -> None:
    ids = list(store.queries.all_links())
    known = store.looks.known(ids)
    store.looks.record([look(one, NOW, Verdict.OK, "ok") for one in known * 5], None)


@pytest.mark.parametrize("full", [full_file, full_disk])
@pytest.mark.parametrize("write", [scan, looks])
def test_what_finds_no_room_changes_nothing_and_is_done_once_there_is_some(store, full, write):
    store.citations.replace_files([scanned(*pages(60))], NOW)
    before = dump(store)
    with full(store), pytest.raises(DatabaseUnusable) as caught:
        write(store)
    assert caught.value.code == "disk-full"
    assert "nothing recorded so far is lost" in str(caught.value)
    assert not store.database.connection.in_transaction
    assert dump(store) == before
    write(store)
    assert dump(store) != before


def test_a_lease_and_a_claim_without_room_are_the_same_clear_error(store: Store) -> None:
    # Rows that a write returns come before its commit: the error comes with the last row.
    store.citations.replace_files([scanned(*pages(3))], NOW)
    until = NOW + timedelta(minutes=1)
    store.journal.ask(1, "check", NOW)
    for write in (
        lambda: store.hosts.lease("x.test", "run:1", NOW, until),
        lambda: store.looks.claim_due(until, 10, "run:1"),
        lambda: store.journal.take_requests("check", NOW),
    ):
        with full_disk(store), pytest.raises(DatabaseUnusable) as caught:
            write()
        assert caught.value.code == "disk-full"
        assert write()


def test_a_migration_without_room_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "archiver.db")
    store.database.execute("DELETE FROM _sqlite_migrations WHERE name = 'm004_captured_pages'")
    store.database.execute("ALTER TABLE captures DROP COLUMN page")
    scan(store)
    before = dump(store)
    store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with full_disk(store), pytest.raises(DatabaseUnusable) as caught:
        migrate(store.database)
    assert caught.value.code == "disk-full"
    assert dump(store) == before
    assert not list(tmp_path.glob("*.before-*"))
    assert not list(tmp_path.glob("*.partial-*"))
    assert migrate(store.database) == ["m004_captured_pages"]
    store.close()


def test_nobody_takes_rows_from_a_cursor_where_an_error_would_go_untranslated() -> None:
    for file in STORE.glob("*.py"):
        taken = re.findall(r"\.fetch(?:all|one|many)\(", file.read_text(encoding="utf-8"))
        assert not taken or file.name == "database.py", file
