"""The file itself: opened, migrated, refused, copied, locked."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from archiver.errors import AnotherDaemon, DatabaseUnusable
from archiver.store import DaemonLock, Store, copy_database, daemon_pid
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
