"""The daily round: copies, thinning, a short log; nobody is shut out while it goes on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archiver.clock import RehearsalClock
from archiver.config import load_settings
from archiver.errors import DatabaseUnusable
from archiver.service.desk import Desk
from archiver.service.maintenance import maintain
from archiver.store import Store, connect, migrate
from archiver.store.copying import require_whole_copy
from tests.service.damaging import DAMAGES, URLS, garbage_in_an_index, make_database

START = datetime(2026, 11, 20, 3, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "archiver.toml").write_text(
        '[database]\nbackup_directory = "backups"\nbackup_keep = 2\n', encoding="utf-8"
    )
    make_database(tmp_path / "archiver.db")
    loaded = load_settings(None, {}, tmp_path)
    opened = Desk(loaded, Store.open(loaded.database_path), clock=RehearsalClock(START))
    yield opened
    opened.store.close()


def names(desk: Desk) -> list[str]:
    return sorted(file.name for file in (desk.store.database.path.parent / "backups").iterdir())


def pass_days(desk: Desk, days: float) -> None:
    assert isinstance(desk.clock, RehearsalClock)
    desk.clock.jump(timedelta(days=days))


def test_the_newest_copies_are_kept_each_of_them_whole_and_what_is_not_ours_left_alone(
    desk: Desk,
) -> None:
    maintain(desk)
    backups = desk.store.database.path.parent / "backups"
    for stranger in ("notes.txt", "archiver-before-upgrade.db", "other-20261101T033000Z.db"):
        (backups / stranger).write_text("kept", encoding="utf-8")
    strangers = set(names(desk)) - {"archiver-20261120T033000Z.db"}
    for _ in range(3):
        pass_days(desk, 1)
        maintain(desk)
    copies = [name for name in names(desk) if name not in strangers]
    assert copies == ["archiver-20261122T033000Z.db", "archiver-20261123T033000Z.db"]
    assert strangers < set(names(desk))
    for name in copies:
        with closing(sqlite3.connect(backups / name)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            looks = connection.execute("SELECT count(*) FROM looks").fetchone()
            assert looks == (3 * len(URLS),)


def test_copies_made_by_a_clock_that_was_ahead_drive_no_real_one_out(desk: Desk) -> None:
    pass_days(desk, 4000)
    for _ in range(2):
        maintain(desk)
        pass_days(desk, 1)
    pass_days(desk, -4002)
    for _ in range(2):
        maintain(desk)
        pass_days(desk, 1)
    assert names(desk) == ["archiver-20261120T033000Z.db", "archiver-20261121T033000Z.db"]


def test_what_a_killed_backup_left_behind_is_cleared_away_a_day_later(desk: Desk) -> None:
    maintain(desk)
    backups = desk.store.database.path.parent / "backups"
    old, young, stranger = (
        backups / "archiver-20261101T033000Z.db.partial-4711",
        backups / "archiver-20261120T032900Z.db.partial-4712",
        backups / "thesis.partial-1",
    )
    for file in (old, young, stranger):
        file.write_bytes(b"half a copy")
    for file in (old, stranger):
        before = datetime.now(UTC) - 2 * DAY
        os.utime(file, (before.timestamp(), before.timestamp()))
    maintain(desk)
    assert not old.exists()
    assert young.exists()
    assert stranger.exists()


def test_the_log_is_cut_short_and_nothing_is_rebuilt_in_its_place(desk: Desk) -> None:
    path = desk.store.database.path
    log = path.with_name(path.name + "-wal")
    desk.store.journal.set_state("a", "b" * 100_000)
    assert log.stat().st_size > 100_000
    statements: list[str] = []
    desk.store.database.connection.set_trace_callback(statements.append)
    maintain(desk)
    assert log.stat().st_size == 0
    vacuums = [text for text in statements if text.upper().startswith("VACUUM")]
    assert vacuums
    assert all(text.upper().startswith("VACUUM INTO") for text in vacuums)


def test_readers_and_a_writer_beside_it_are_not_shut_out(desk: Desk) -> None:
    path = desk.store.database.path
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM looks").fetchone() == (3 * len(URLS),)
        desk.store.journal.set_state("a", "b")
        maintain(desk)  # the log cannot be cut under a reader, which is no reason to fail
        assert reader.execute("SELECT count(*) FROM looks").fetchone() == (3 * len(URLS),)
        reader.execute("COMMIT")
    assert names(desk) == ["archiver-20261120T033000Z.db"]


def test_a_copy_that_cannot_be_made_drops_no_older_one_and_the_rest_is_still_done(
    desk: Desk,
) -> None:
    maintain(desk)
    pass_days(desk, 1)
    maintain(desk)
    before = names(desk)
    pass_days(desk, 1)
    backups = desk.store.database.path.parent / "backups"
    # A folder stands where the next copy is to be.
    (backups / "archiver-20261122T033000Z.db").mkdir()
    (backups / "archiver-20261122T033000Z.db" / "full").touch()
    old = "INSERT INTO probes (host, directory, asked_at, facts) VALUES ('x', '/', '2020', '{}')"
    desk.store.database.execute(old)
    with pytest.raises(DatabaseUnusable) as caught:
        maintain(desk)
    assert "archiver-20261122T033000Z.db" in str(caught.value)
    assert set(before) < set(names(desk))
    assert desk.store.database.value("SELECT count(*) FROM probes") == 0
    assert not list(backups.glob("*.partial-*"))


@pytest.mark.parametrize("damage", [*DAMAGES.values(), garbage_in_an_index])
def test_a_damaged_copy_is_told_apart_from_a_damaged_database(
    desk: Desk, damage: Callable[[Path], None]
) -> None:
    maintain(desk)
    [copy] = (desk.store.database.path.parent / "backups").iterdir()
    require_whole_copy(copy)
    damage(copy)
    with pytest.raises(DatabaseUnusable) as caught:
        require_whole_copy(copy)
    assert caught.value.code == "copy-damaged"
    assert str(copy) in str(caught.value)


def test_before_the_first_change_of_a_migration_a_copy_is_made(tmp_path: Path) -> None:
    path = tmp_path / "archiver.db"
    make_database(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM _sqlite_migrations WHERE name LIKE 'm004%'")
        connection.execute("ALTER TABLE captures DROP COLUMN page")
        earlier = sorted(connection.iterdump())
    database = connect(path)
    assert migrate(database) == ["m004_captured_pages"]
    database.close()
    copy = tmp_path / "archiver.db.before-m004_captured_pages"
    with closing(sqlite3.connect(copy)) as connection:
        assert sorted(connection.iterdump()) == earlier
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
