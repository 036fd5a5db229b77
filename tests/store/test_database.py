"""The file itself: opened, migrated, refused, copied, locked."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from archiver.errors import AnotherDaemon, DatabaseUnusable
from archiver.store import DaemonLock, Store, copy_database, daemon_pid, settle_journal
from archiver.store.lock import no_daemon
from tests.store.conftest import NOW
from tests.store.making import scanned

CONTRACT_COLUMNS = (
    "path line position event_id event_date source_title publisher tier source_date "
    "cited_url link_id host verdict reason verdict_since last_look_at next_look_at "
    "archive_state archive_url archive_url_in_file problem source_key access_date "
    "importance final_url http_status first_seen_at last_seen_alive_at "
    "last_seen_alive_by archive_verified_at archive_distance_days archive_claim"
).split()
CONTRACT = {
    "source_status": CONTRACT_COLUMNS,
    "rot": CONTRACT_COLUMNS,
    "needs_archive": CONTRACT_COLUMNS,
    "suspect_citations": CONTRACT_COLUMNS,
    "by_host": (
        "host links citations ok moved blocked failing dead unchecked archived last_look_at"
    ).split(),
    "by_day": (
        "day looks ok moved blocked failing dead_findings went_dead recovered archived"
    ).split(),
    "looks": (
        "id link_id looked_at vantage status error final_url redirects duration "
        "content_type title verdict reason facts run_id"
    ).split(),
    "attempts": (
        "id link_id url archive started_at ended_at http_status job_id outcome code "
        "message capture_url"
    ).split(),
    "captures": (
        "id link_id captured_at archive_url original_url status source first_seen_at "
        "verified_at judged"
    ).split(),
    "problems": ("path line position name level message").split(),
    "runs": ("id started_at ended_at kind outcome").split(),
    "changes": ("id link_id changed_at from_verdict to_verdict reason look_id").split(),
}


@pytest.mark.parametrize("name", CONTRACT)
def test_views_and_tables_have_the_contracts_columns_in_order(store: Store, name: str) -> None:
    columns = [row[1] for row in store.database.rows(f"PRAGMA table_info({name})")]
    assert columns[: len(CONTRACT[name])] == CONTRACT[name]


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "archiver.db"
    opened = Store.open(path)
    opened.database.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        " VALUES ('archiver', 'm999_from_the_future', 'later')"
    )
    opened.close()
    with pytest.raises(DatabaseUnusable) as caught:
        Store.open(path)
    assert caught.value.code == "database-newer"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "archiver.db"
    path.write_bytes(b"these are no tables at all" * 100)
    with pytest.raises(DatabaseUnusable) as caught:
        Store.open(path)
    assert caught.value.code == "database-corrupted"
    assert path.read_bytes().startswith(b"these are")


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(DatabaseUnusable) as caught:
        Store.open(path)
    assert caught.value.code == "database-foreign"


def test_a_missing_folder_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="cannot be opened"):
        Store.open(tmp_path / "no" / "such" / "archiver.db")


def test_a_copy_is_whole_and_holds_what_was_there(store: Store, tmp_path: Path) -> None:
    store.citations.replace_files([scanned("http://x.test/a")], NOW)
    copy_database(store.database, tmp_path / "copy.db")
    copied = Store.open(tmp_path / "copy.db")
    assert copied.queries.citation_count() == 1
    copied.close()
    assert sorted(item.name for item in tmp_path.glob("copy*")) == ["copy.db"]


@pytest.mark.parametrize("name", ["plain.db", "a %3f? #odd 'one'.db", os.fsdecode(b"\xff.db")])
def test_a_copy_in_memory_is_made_of_any_path(tmp_path: Path, name: str) -> None:
    # A path may begin with two slashes: "$PWD/archiver.db" in the root folder.
    path = Path(f"/{tmp_path / name}")
    Store.open(path).close()
    with closing(Store.copy_in_memory(path)) as copy:
        assert copy.queries.link_count() == 0


def test_a_second_daemon_is_told_the_firsts_pid(tmp_path: Path) -> None:
    path = tmp_path / "archiver.db"
    lock = DaemonLock(path)
    lock.take()
    assert daemon_pid(path) == os.getpid()
    code = (
        "import sys; from pathlib import Path; from archiver.store import DaemonLock\n"
        "from archiver.errors import AnotherDaemon\n"
        "try: DaemonLock(Path(sys.argv[1])).take()\n"
        "except AnotherDaemon as error: print(error)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert f"pid {os.getpid()}" in told
    lock.give_back()
    assert daemon_pid(path) is None


def test_a_lock_can_be_taken_again_after_it_was_given_back(tmp_path: Path) -> None:
    path = tmp_path / "archiver.db"
    for _ in range(2):
        lock = DaemonLock(path)
        lock.take()
        second = DaemonLock(path)
        with pytest.raises(AnotherDaemon):
            second.take()
        lock.give_back()


def test_asking_who_the_daemon_is_never_keeps_one_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "archiver.db"
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            daemon_pid(path)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(50):
            lock = DaemonLock(path)
            lock.take()
            lock.give_back()
    finally:
        over.set()
        for asker in askers:
            asker.join()


def test_a_daemon_starts_only_when_a_command_has_migrated(tmp_path: Path) -> None:
    path = tmp_path / "archiver.db"
    with no_daemon(path) as alone:
        assert alone
        taken = threading.Event()
        lock = DaemonLock(path)
        starting = threading.Thread(target=lambda: (lock.take(), taken.set()))
        starting.start()
        assert not taken.wait(0.2)
        assert daemon_pid(path) is None
    assert taken.wait(5)
    starting.join()
    with no_daemon(path) as alone:
        assert not alone
    lock.give_back()


def test_commands_may_migrate_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "archiver.db"
    with no_daemon(path) as one, no_daemon(path) as two:
        assert one
        assert two


def test_a_command_beside_a_daemon_that_makes_the_database_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "archiver.db"
    lock = DaemonLock(path)
    lock.take()
    opened: list[Store] = []
    command = threading.Thread(target=lambda: opened.append(_opened_for_another_thread(path)))
    command.start()
    time.sleep(0.2)
    assert opened == []
    daemon = Store.open(path, as_daemon=True)
    command.join(5)
    assert len(opened) == 1
    daemon.close()
    lock.give_back()


def _opened_for_another_thread(path: Path) -> Store:
    store = Store.open(path)
    store.close()
    return store


def test_tidying_up_waits_its_turn_while_others_write(store: Store) -> None:
    rows = [(f"http://x.test/{number}",) for number in range(3000)]
    store.database.execute_many(
        "INSERT INTO links (url, wire, host, first_seen_at) VALUES (?1, ?1, 'x.test', 'now')", rows
    )
    # New figures are made only of what was asked for, and has grown or was never counted.
    store.queries.due_count(NOW)
    with closing(sqlite3.connect(store.database.path, timeout=0, isolation_level=None)) as other:
        met: list[str] = []

        def write_between(statement: str) -> None:
            if "ANALYZE" in statement:
                met.append(statement)
                with suppress(sqlite3.OperationalError):
                    other.execute("INSERT OR REPLACE INTO state VALUES ('other', '1')")

        store.database.connection.set_trace_callback(write_between)
        settle_journal(store.database)
        store.database.connection.set_trace_callback(None)
    assert met


def test_cutting_the_log_keeps_nobody_waiting_for_a_long_reader(store: Store) -> None:
    path = store.database.path
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM links").fetchone()
        store.journal.set_state("something", "written since")
        began = time.monotonic()
        settle_journal(store.database)
        assert time.monotonic() - began < 0.5
    settle_journal(store.database)
    assert path.with_name(path.name + "-wal").stat().st_size == 0


def test_asking_for_requests_waits_for_no_lock_where_nobody_asked(store: Store) -> None:
    store.citations.replace_files([scanned("http://x.test/a")], NOW)
    with closing(sqlite3.connect(store.database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with store.database.impatient(0.01):
            assert store.journal.take_requests("check", NOW) == []
        other.execute("ROLLBACK")
    asked = store.journal.ask(1, "check", NOW)
    assert store.journal.take_requests("check", NOW) == [(asked, 1)]
