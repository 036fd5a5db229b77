"""A disk that fills: said clearly, nothing acknowledged lost, and the service goes on by itself.

The disk is a limit on the size of files (setrlimit(2), RLIMIT_FSIZE), which the kernel enforces on
every write of the program, SQLite's too; prlimit(2) lifts it from a running one.
"""

from __future__ import annotations

import resource
import sqlite3
from contextlib import closing

import pytest

from tests.service.children import Child, ForkedChild, Hardship
from tests.service.town import SECOND, Place, Town, ended, stopped, until

NEWS = "/news/harbour-dredging-contract-awarded-without-tender"
SLOW = "/slow/council-sold-the-waterworks-to-its-own-treasurer"
# Enough for the index of the write-ahead log (32 KiB), not for the log of a scan.
FULL = Hardship(file_limit=40_000)
SAID = "the disk is full or failing, or a quota or a limit"


def many(town: Town, count: int = 300) -> list[str]:
    """Return addresses that fill more than the limit when they are stored."""
    page = "/gone/minutes-of-the-harbour-board"
    return [town.url(f"{page}-{number:04}", SECOND) for number in range(count)]


def everything(place: Place) -> list[str]:
    """Return all that the database holds, after a check that it is sound."""
    with closing(sqlite3.connect(place.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return list(connection.iterdump())


def beside_runs(dump: list[str]) -> list[str]:
    """Leave the journal of runs out: that one was begun may be written down."""
    return [line for line in dump if '"runs"' not in line and "'runs'" not in line]


def looks(place: Place) -> int:
    return place.value("SELECT count(*) FROM looks WHERE vantage = 'here'") or 0


def fill_the_disk(place: Place, child: Child) -> None:
    """Let no file of a running child grow any more."""
    log = place.database.with_name(place.database.name + "-wal")
    size = max(log.stat().st_size, 40_000)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def free_the_disk(child: Child) -> None:
    """Let files grow again."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, unlimited)


async def recorded(place: Place, town: Town) -> list[str]:
    """Make one look, and return all that the database then holds."""
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"')
    done = await place.run("run", "--once")
    assert done.code == 0, done.err
    return everything(place)


@pytest.mark.parametrize("command", [("run", "--once"), ("check",), ("check", "events/*.md")])
async def test_a_scan_on_a_full_disk_ends_with_4_and_leaves_what_was_recorded(
    place: Place, town: Town, command: tuple[str, ...]
) -> None:
    before = await recorded(place, town)
    place.cite(*many(town), event="2017-01-01--minutes")
    done = await place.run(*command, hardship=FULL)
    assert done.code == 4, done.err
    assert SAID in done.err
    assert "Free some space or raise the limit; nothing recorded so far is lost." in done.err
    assert "Traceback" not in done.err
    assert beside_runs(everything(place)) == beside_runs(before)


async def test_a_database_that_cannot_be_made_on_a_full_disk_is_made_once_there_is_room(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"')
    full = await place.run("run", "--once", hardship=FULL)
    assert full.code == 4, full.err
    assert "Free some space" in full.err
    done = await place.run("run", "--once")
    assert done.code == 0, done.err
    assert looks(place) == 1


async def test_a_backup_on_a_full_disk_leaves_the_earlier_one_and_no_half_one(
    place: Place, town: Town
) -> None:
    await recorded(place, town)
    copy = place.folder / "copies" / "archiver.db"
    copy.parent.mkdir()
    assert (await place.run("db", "backup", str(copy))).code == 0
    before = copy.read_bytes()
    done = await place.run("db", "backup", str(copy), hardship=FULL)
    assert done.code == 4
    assert f"No copy of {place.database} was made at {copy}" in done.err
    assert "has room" in done.err
    assert [file.name for file in copy.parent.iterdir()] == [copy.name]
    assert copy.read_bytes() == before


@pytest.mark.parametrize("to_a_file", [True, False])
async def test_a_report_on_a_full_disk_says_so_and_leaves_the_earlier_one(
    place: Place, town: Town, to_a_file: bool
) -> None:
    await recorded(place, town)
    place.cite(*many(town), event="2017-01-01--minutes")
    assert (await place.run("check", town.url(NEWS))).code == 0
    target = place.folder / "out" / "report.html"
    assert (await place.run("report", "-f", "html", "-o", str(target))).code == 0
    before = target.read_bytes()
    assert len(before) > 2 * 40_000
    place_for_it = ("-o", str(target)) if to_a_file else ()
    done = await place.run("report", "-f", "html", *place_for_it, hardship=FULL)
    assert done.code == 4, done.err
    assert "File too large" in done.err
    assert "space" in done.err
    assert [file.name for file in target.parent.iterdir()] == [target.name]
    assert target.read_bytes() == before


async def test_the_service_survives_a_full_disk_and_goes_on_when_there_is_room(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"', schedule__scan='"1s"', schedule__check='"1s"')
    child = await place.start("run")
    assert isinstance(child, ForkedChild)
    await until(lambda: looks(place) == 1, "the first look", child)
    [kept] = place.rows("SELECT * FROM looks")
    fill_the_disk(place, child)
    place.cite(*many(town), town.url(NEWS, SECOND), event="2017-01-01--minutes")
    word = f"scan: The database {place.database} cannot grow: {SAID}"
    await until(lambda: word in child.said(), "the word that the disk is full", child)
    free_the_disk(child)
    await until(lambda: looks(place) == 302, "the looks after it", child)
    assert place.rows("SELECT * FROM looks ORDER BY id LIMIT 1") == [kept]
    done = await stopped(child)
    assert done.code == 0
    assert "scan: it works again" in done.err
    assert "Traceback" not in done.err
    assert "mistake" not in done.err
    assert everything(place)


async def test_looks_in_flight_when_the_disk_fills_are_stored_once_there_is_room(
    place: Place, town: Town
) -> None:
    place.cite(town.url(SLOW), *many(town, 40))
    place.configure(town, archive__mode='"off"', schedule__check='"1s"')
    child = await place.start("run")
    assert isinstance(child, ForkedChild)
    await until(lambda: town.asked(SLOW) and len(town.visits) == 41, "the looks in flight", child)
    fill_the_disk(place, child)
    town.gate.set()
    await until(lambda: "could not be stored yet" in child.said(), "the word of it", child)
    free_the_disk(child)
    await until(lambda: looks(place) == 41, "the looks", child)
    assert len(town.visits) == 41
    done = await stopped(child)
    assert done.code == 0
    assert "Traceback" not in done.err


async def test_a_service_started_on_a_full_disk_waits_for_room(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"')
    child = await place.start("run", hardship=FULL)
    assert isinstance(child, ForkedChild)
    await until(lambda: "The service waits" in child.said(), "the word of it", child)
    free_the_disk(child)
    await until(lambda: looks(place) == 1, "the look", child)
    done = await stopped(child)
    assert done.code == 0
    assert done.err.count("The service waits") == 1
    assert "Traceback" not in done.err


async def test_a_persons_request_outlives_a_full_disk(place: Place, town: Town) -> None:
    place.cite(town.url(SLOW), town.url(NEWS))
    place.configure(town, archive__mode='"off"')
    child = await place.start("run")
    assert isinstance(child, ForkedChild)
    await until(lambda: town.asked(SLOW), "the service to hold the host", child)
    asking = await place.start("check", town.url(NEWS), "--json")
    state = "SELECT state FROM requests"
    await until(lambda: place.value(state) == "taken", "the request to be taken", child)
    fill_the_disk(place, child)
    town.gate.set()
    await until(lambda: "warning archiver: requests:" in child.said(), "the trouble", child)
    assert place.value(state) == "taken"
    free_the_disk(child)
    answer = await ended(asking)
    assert answer.code == 0, answer.err
    assert answer.json["results"][0]["belief"]["verdict"] == "ok"
    await until(lambda: place.value(state) == "done", "the answer", child)
    done = await stopped(child)
    assert done.code == 0
    assert "Traceback" not in done.err
