"""A database that others lock, or that may not be written: said clearly, waited for, recovered."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.service.children import ForkedChild, Hardship
from tests.service.town import Place, Town, ended, stopped, until

NEWS = "/news/harbour-dredging-contract-awarded-without-tender"
OTHER = "/news/council-sold-the-waterworks-to-its-own-treasurer"
BOUND = Hardship(bound=True)
LOCKED = "is locked by another program"


@contextmanager
def locked(database: Path, *, readers_too: bool = False) -> Iterator[None]:
    """Hold the write lock of a database, as another program would; with `readers_too` all of it."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        if readers_too:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("UPDATE state SET value = value")
        yield
        connection.execute("ROLLBACK")


async def recorded(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"', schedule__scan='"1s"', schedule__check='"1s"')
    done = await place.run("run", "--once")
    assert done.code == 0, done.err


async def test_a_lock_longer_than_we_wait_ends_commands_and_is_outlived_by_the_service(
    place: Place, town: Town
) -> None:
    # Two databases at once: every wait is ten seconds.
    other = Place(place.folder / "other", place.children)
    (other.folder / "events").mkdir(parents=True)
    await asyncio.gather(recorded(place, town), recorded(other, town))
    service = await place.start("run")
    assert isinstance(service, ForkedChild)
    await until(lambda: "the service is running" in service.said(), "the service", service)
    with locked(place.database), locked(other.database, readers_too=True):
        place.cite(town.url(OTHER), event="2017-01-01--second")
        waiting = await other.start("run")
        assert isinstance(waiting, ForkedChild)
        writers = [
            await place.start("check", town.url(NEWS)),
            await place.start("mark", town.url(NEWS), "ignore"),
            await place.start("db", "prune"),
            await other.start("run", "--dry-run"),
            await other.start("check"),
            await other.start("status"),
            await other.start("report"),
            await other.start("db", "backup", "copy.db"),
            await other.start("db", "rebuild"),
        ]
        # Who only reads need not wait for a writer.
        for command in (("status",), ("report",), ("db", "backup", "copy.db")):
            done = await place.run(*command)
            assert done.code == 0, done.err
        for done in await asyncio.gather(*map(ended, writers)):
            assert done.code == 4, done.err
            assert LOCKED in done.err
            assert "Close what holds it (`fuser " in done.err
            assert "Traceback" not in done.err
        assert not (other.folder / "copy.db").exists()
        await until(lambda: LOCKED in service.said(), "the word of the lock", service, 40)
        await until(
            lambda: "The service waits" in waiting.said(), "the same at a start", waiting, 40
        )
    await until(lambda: len(place.rows("SELECT id FROM looks")) == 2, "the look", service, 40)
    await until(lambda: "the service is running" in waiting.said(), "the start", waiting, 40)
    for child in (service, waiting):
        done = await stopped(child)
        assert done.code == 0
        assert "Traceback" not in done.err


def let_only_read(place: Place) -> None:
    """Let everybody read all of a place and nobody write any of it."""
    for path in (place.folder, *place.folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.mark.parametrize("folder_too", [False, True])
async def test_a_database_that_may_not_be_written_is_exit_4_and_what_to_do(
    place: Place, town: Town, folder_too: bool
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"')
    done = await place.run("run", "--once", hardship=BOUND)
    assert done.code == 0, done.err
    before = place.database.read_bytes()
    place.cite(town.url(OTHER), event="2017-01-01--second")
    if folder_too:
        let_only_read(place)
    else:
        place.database.chmod(0o444)
    for command in (("run",), ("run", "--once"), ("check",), ("mark", town.url(NEWS), "ignore")):
        done = await place.run(*command, hardship=BOUND)
        assert done.code == 4, (command, done.err)
        assert str(place.database) in done.err
        assert "permissions" in done.err
        assert "Traceback" not in done.err
    assert place.database.read_bytes() == before
    for path in (place.folder, *place.folder.iterdir()):
        path.chmod(0o755)
    assert len(town.visits) == 1
    done = await place.run("check", hardship=BOUND)
    assert done.code == 0, done.err
    assert len(place.rows("SELECT id FROM looks")) == 2
