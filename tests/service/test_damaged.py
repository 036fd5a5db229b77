"""A damaged database: commands say so, name the copy to restore, and leave the file alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from archiver.cli import main
from archiver.config import load_settings
from archiver.errors import DatabaseUnusable
from archiver.service.desk import Desk
from archiver.service.maintenance import maintain
from archiver.service.restoring import newest_sound_copy
from archiver.store import Store
from tests.service.children import ForkedChild
from tests.service.damaging import (
    DAMAGES,
    URLS,
    garbage_in_an_index,
    garbage_in_the_looks,
    make_database,
    no_database,
    truncated,
)
from tests.service.town import Place, ended, until

OLD, GOOD, BAD = (
    f"archiver-2026112{day}T033000Z.db" for day in (1, 2, 3)
)  # a copy that is damaged itself is not proposed
COMMANDS = [
    ("check",),
    ("check", URLS[0]),
    ("archive", URLS[0]),
    ("mark", URLS[0], "ignore"),
    ("why", URLS[0]),
    ("status",),
    ("status", "--check"),
    ("report",),
    ("report", "-f", "html", "-o", "report.html"),
    ("db", "backup", "copy.db"),
    ("db", "rebuild"),
    ("db", "prune"),
    ("run", "--dry-run"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "archiver.db"
    make_database(path)
    return path


@pytest.fixture
def prepared(place: Place, whole: Path) -> Place:
    """Return a place with a database and three copies, the newest of them damaged."""
    place.cite(*URLS[:20], event="0")
    shutil.copy(whole, place.database)
    place.configure(
        database__backup_directory='"backups"',
        database__backup_keep="3",
        archive__mode='"lookup"',
        archive__cdx_url='"http://127.0.0.1:9/cdx"',
        archive__playback_url='"http://127.0.0.1:9/web"',
    )
    (place.folder / "backups").mkdir()
    for name in (OLD, GOOD, BAD, "notes.db"):
        shutil.copy(whole, place.folder / "backups" / name)
    truncated(place.folder / "backups" / BAD)
    return place


def backups(place: Place) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (place.folder / "backups").iterdir()}


def assert_said(said: str, place: Place) -> None:
    """Expect one clear message: what is damaged, and which copy to put where."""
    assert f"The database {place.database} is damaged" in said
    copy = place.folder / "backups" / GOOD
    assert f"move {place.database} aside, with its -wal and -shm files" in said
    assert f"copy {copy} to {place.database}" in said
    assert "Traceback" not in said
    assert "mistake" not in said


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_says_so_and_touches_neither_the_file_nor_its_copies(
    prepared: Place,
    damage: str,
    command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(prepared.folder)
    DAMAGES[damage](prepared.database)
    before, copies = prepared.database.read_bytes(), backups(prepared)
    code = main(command)
    assert_said(capsys.readouterr().err, prepared)
    assert code == (1 if "--check" in command else 4)
    assert prepared.database.read_bytes() == before
    assert backups(prepared) == copies
    assert not list(prepared.folder.glob("copy*"))


@pytest.mark.parametrize("damage", [*DAMAGES.values(), garbage_in_the_looks])
@pytest.mark.parametrize("command", [("run",), ("run", "--once")])
async def test_neither_service_nor_pass_begins_on_it(prepared, damage, command) -> None:
    damage(prepared.database)
    before, copies = prepared.database.read_bytes(), backups(prepared)
    done = await prepared.run(*command)
    assert done.code == 4
    assert_said(done.err, prepared)
    assert prepared.database.read_bytes() == before
    assert backups(prepared) == copies


@pytest.mark.parametrize(
    "command", [("db", "rebuild"), ("db", "backup", "copy.db"), ("why", URLS[5])]
)
def test_damage_that_shows_only_in_the_middle_of_the_work_is_no_mistake_of_the_program(
    prepared: Place,
    command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(prepared.folder)
    garbage_in_the_looks(prepared.database)
    assert main(["status"]) == 0  # what it needs is whole
    capsys.readouterr()
    assert main(command) == 4
    assert_said(capsys.readouterr().err, prepared)
    assert not list(prepared.folder.glob("copy*"))


def test_a_refused_backup_leaves_the_copy_it_was_to_replace(
    prepared: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.folder)
    copies = backups(prepared)
    garbage_in_the_looks(prepared.database)
    assert main(["db", "backup", f"backups/{GOOD}"]) == 4
    assert_said(capsys.readouterr().err, prepared)
    assert backups(prepared) == copies


def test_a_backup_is_refused_even_where_the_copy_would_have_been_whole(
    prepared: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.folder)
    garbage_in_an_index(prepared.database)
    assert main(["db", "backup", "copy.db"]) == 4
    assert_said(capsys.readouterr().err, prepared)
    assert not list(prepared.folder.glob("copy*"))


def test_with_json_the_error_names_the_copy_too(
    prepared: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.folder)
    no_database(prepared.database)
    assert main(["status", "--json"]) == 4
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "database-corrupted"
    assert GOOD in error["next"]


def test_without_any_copy_it_says_what_is_left_to_do(
    prepared: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.folder)
    shutil.rmtree("backups")
    no_database(prepared.database)
    assert main(["report"]) == 4
    said = capsys.readouterr().err
    assert "no copy of it was found" in said
    assert ".recover" in said


def test_the_copy_made_before_a_migration_is_better_than_none(
    prepared: Place, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.folder)
    for name in (OLD, GOOD):
        (prepared.folder / "backups" / name).unlink()
    copy = prepared.folder / "archiver.db.before-m004_captured_pages"
    shutil.copy(whole, copy)
    loaded = load_settings(None, {}, prepared.folder)
    assert newest_sound_copy(loaded) == copy


def test_the_named_copy_put_in_its_place_works_again(
    prepared: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.folder)
    no_database(prepared.database)
    assert main(["status"]) == 4
    for file in prepared.folder.glob("archiver.db*"):
        file.rename(file.with_name(f"aside-{file.name}"))
    shutil.copy(prepared.folder / "backups" / GOOD, prepared.database)
    assert main(["status"]) == 0
    assert prepared.value("SELECT count(*) FROM looks") == 3 * len(URLS)
    capsys.readouterr()


def test_maintenance_of_a_damaged_database_drops_no_copy_and_no_look(prepared: Place) -> None:
    garbage_in_the_looks(prepared.database)
    before, copies = prepared.database.read_bytes(), backups(prepared)
    desk = Desk(load_settings(None, {}, prepared.folder), Store.open(prepared.database))
    with pytest.raises(DatabaseUnusable) as caught:
        maintain(desk)
    desk.store.close()
    assert caught.value.code == "database-corrupted"
    assert prepared.database.read_bytes() == before
    assert backups(prepared) == copies


async def test_a_service_whose_database_is_damaged_under_it_ends_and_names_the_copy(
    prepared: Place,
) -> None:
    (prepared.folder / "backups" / BAD).unlink()
    prepared.configure(
        database__backup_directory='"backups"',
        database__backup_keep="3",
        archive__mode='"off"',
        schedule__maintenance='"1s"',
    )
    child = await prepared.start("run")
    kept = [GOOD, OLD, "notes.db"]

    def copied() -> list[str]:
        return sorted(set(backups(prepared)) - set(kept))

    await until(copied, "a copy made by maintenance", child)
    garbage_in_the_looks(prepared.database)
    done = await ended(child)
    assert done.code == 4
    assert "Traceback" not in done.err
    copies = sorted(name for name in backups(prepared) if name != "notes.db")
    assert f"copy {prepared.folder / 'backups' / copies[-1]} to {prepared.database}" in done.err
    # Whatever was copied before the damage is whole, and the last good ones are still there.
    for name in copies:
        store = Store.open(prepared.folder / "backups" / name)
        assert store.counting.looks_ever() == 3 * len(URLS)
        store.close()


async def test_a_service_whose_database_is_removed_or_replaced_under_it_does_nothing_more(
    place: Place, whole: Path
) -> None:
    place.cite(*URLS[:2], event="0")
    place.configure(archive__mode='"off"', schedule__scan='"1s"', schedule__check='"1s"')
    child = await place.start("run")
    assert isinstance(child, ForkedChild)
    await until(lambda: place.value("SELECT count(*) FROM looks") == 2, "two looks", child)
    moved = place.database.rename(place.folder / "moved.db")
    place.cite(*URLS[2:4], event="1")
    await until(lambda: "was removed" in child.said(), "the word of it", child)
    shutil.copy(whole, place.database)
    done = await ended(child)
    assert done.code == 4
    assert "was replaced" in done.err
    assert "Traceback" not in done.err
    # The log of the one is not played into the other, and all that was done is in the first.
    for path, looks in ((moved, 2), (place.database, 3 * len(URLS))):
        store = Store.open(path, checked=True)
        assert store.counting.looks_ever() == looks
        store.close()


def test_a_backup_onto_the_database_itself_is_refused(
    prepared: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.folder)
    (prepared.folder / "link.db").symlink_to(prepared.database)
    before = prepared.database.stat().st_ino
    for name in ("archiver.db", "link.db"):
        assert main(["db", "backup", name]) == 4
        assert "is the database itself; nothing was copied." in capsys.readouterr().err
    assert prepared.database.stat().st_ino == before


@pytest.mark.parametrize("end", ["-wal", "-journal"])
def test_a_backup_beside_the_log_of_an_older_copy_is_refused(
    end: str, prepared: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared.folder)
    assert main(["db", "backup", "copy.db"]) == 0
    log = prepared.folder / f"copy.db{end}"
    log.write_bytes(b"what a killed program wrote")
    before = (prepared.folder / "copy.db").stat().st_ino
    assert main(["db", "backup", "copy.db"]) == 4
    assert "would be played into the copy" in capsys.readouterr().err
    assert (prepared.folder / "copy.db").stat().st_ino == before
    log.write_bytes(b"")
    assert main(["db", "backup", "copy.db"]) == 0
