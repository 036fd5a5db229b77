"""Many processes on one database: the service, commands of all kinds, and a long reader.

Everything here is real: child processes, their signals and exit codes, servers on loopback that
write down who asked them when. The long reader is what Datasette is to us: a read transaction of
somebody else that stays open and keeps the write-ahead log from being cut.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from itertools import pairwise

import pytest

from tests.service.children import ROOT, Child
from tests.service.town import Done, Place, Town, ended, open_town, stopped, until

HOSTS = [f"127.0.0.{number}" for number in range(2, 8)]
PAGES = ["harbour-dredging-awarded", "waterworks-sold-to-treasurer", "ferry-inspections-hidden"]
DELAY = 1.0

# Reads as Datasette does, and keeps the transaction open until it is told to end.
LONG_READER = """
import sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, isolation_level=None)
connection.execute("BEGIN")
print(connection.execute("SELECT count(*) FROM source_status").fetchone()[0], flush=True)
sys.stdin.read()
"""

# The program one release later: the same code with one migration more.
LATER_RELEASE = """
import sys
from archiver.store.schema import migrations

@migrations()
def m099_a_later_release(database):
    database.execute("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT")

from archiver.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with open_town(HOSTS) as opened:
        yield opened


def page(name: str, host: str) -> str:
    """Return the path of an article; its words are its host's own."""
    return f"/news/{name}-in-district-{host.rpartition('.')[2]}"


def cite_everything(place: Place, town: Town) -> list[str]:
    """Cite every page of every host and return the addresses."""
    urls = [town.url(page(name, host), host) for host in HOSTS for name in PAGES]
    place.cite(*urls)
    return urls


@asynccontextmanager
async def long_reader(place: Place) -> AsyncIterator[None]:
    """Let a stranger read the database for as long as the block takes."""
    reader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LONG_READER, str(place.database)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert reader.stdout is not None
    try:
        assert int(await asyncio.wait_for(reader.stdout.readline(), 20)) > 0
        yield
        assert reader.returncode is None
    finally:
        await reader.communicate(b"")
    assert reader.returncode == 0


async def later_release(place: Place, *arguments: str) -> Done:
    """Run a command of the next release here."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LATER_RELEASE, *arguments),
        cwd=place.folder,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return await ended(started)


def migrations(place: Place) -> list[str]:
    """Return which migrations the database has."""
    return [row[0] for row in place.rows("SELECT name FROM _sqlite_migrations ORDER BY name")]


def gaps(town: Town) -> list[float]:
    """Return the pauses between one answer of a host and the next request to it."""
    found = []
    for host in HOSTS:
        visits = sorted((v for v in town.visits if v.host == host), key=lambda v: v.started)
        found += [
            later.started - (earlier.ended or later.started) for earlier, later in pairwise(visits)
        ]
    return found


def unlooked(place: Place) -> int:
    """Count the cited links that nobody has looked at yet."""
    counted: int | None = place.value(
        "SELECT count(*) FROM links WHERE cited = 1 AND last_look_at IS NULL"
    )
    return len(HOSTS) * len(PAGES) if counted is None else counted


def no_lock_reached_a_person(done: dict[str, Done]) -> None:
    for name, one in done.items():
        said = (one.out + one.err).lower()
        assert not re.search(r"\blocked", said), f"{name}: {said}"
        assert "traceback" not in said, f"{name}: {said}"
        assert "mistake of the program" not in said, f"{name}: {said}"


async def test_service_commands_and_a_long_reader_work_on_one_database_at_once(
    place: Place, town: Town
) -> None:
    urls = cite_everything(place, town)
    place.configure(town, check__host_delay='"1s"', schedule__scan='"1s"', schedule__report='"1s"')
    service = await place.start("run", fresh=True)
    await until(lambda: len(town.visits) >= len(HOSTS), "the first look at every host", service)
    asked = urls[2::5]
    async with long_reader(place):
        commands = await start_commands(place, asked, urls)
        done = {name: await ended(child) for name, child in commands.items()}
        await until(lambda: unlooked(place) == 0, "a look at every link", service)
    second = await place.run("run")
    done["a second service"] = second
    assert second.code == 4
    assert f"pid {service.pid}" in second.err
    done["a second pass"] = await place.run("run", "--once")
    assert done["a second pass"].code == 4
    assert service.returncode is None
    done["the service"] = await stopped(service)
    expected = {"a second service": 4, "a second pass": 4}
    codes = {name: one.code for name, one in done.items()}
    assert codes == {name: expected.get(name, 0) for name in done}, {
        n: o.err for n, o in done.items() if o.code
    }
    no_lock_reached_a_person(done)
    nothing_was_done_twice(place, town, urls, asked)
    assert town.overlaps() == []
    assert min(gaps(town)) >= DELAY
    the_copy_is_whole(place, len(urls))


async def start_commands(place: Place, asked: list[str], urls: list[str]) -> dict[str, Child]:
    """Start everything a person may start beside the service, all at once."""
    lines = {
        **{f"check {url}": ("check", url, "--json") for url in asked},
        "check --due": ("check", "--due"),
        "archive": ("archive", urls[0], "--json"),
        "archive again": ("archive", urls[0], urls[6], "--json"),
        "mark": ("mark", urls[1], "alive", "--note", "read it myself"),
        "report": ("report", "-f", "json"),
        "report html": ("report", "-f", "html", "-o", "mine.html"),
        "status": ("status", "--json"),
        "backup": ("db", "backup", "copy.db"),
        "prune": ("db", "prune"),
        "rebuild": ("db", "rebuild"),
        "lint": ("events", "lint"),
        "why": ("why", urls[0], "--json"),
    }
    return {name: await place.start(*arguments) for name, arguments in lines.items()}


def nothing_was_done_twice(place: Place, town: Town, urls: list[str], asked: list[str]) -> None:
    """Every link was looked at once because it was due, and once more for who asked by name."""
    visits = Counter(f"http://{v.host}:{town.ports[v.host]}{v.path}" for v in town.visits)
    for url in urls:
        assert 1 <= visits[url] <= 1 + (url in asked), url
    stored = dict(
        place.rows(
            "SELECT l.url, count(*) FROM looks o JOIN links l ON l.id = o.link_id"
            " WHERE o.vantage = 'here' GROUP BY l.url"
        )
    )
    assert stored == {url: visits[url] for url in urls}
    submitted = Counter(row[0] for row in place.rows("SELECT url FROM attempts"))
    assert all(count == 1 for count in submitted.values()), submitted
    assert place.value("SELECT count(*) FROM links WHERE claimed_by IS NOT NULL") == 0
    assert place.value("SELECT count(*) FROM hosts WHERE leased_by IS NOT NULL") == 0


def the_copy_is_whole(place: Place, links: int) -> None:
    with closing(sqlite3.connect(place.folder / "copy.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM links").fetchone() == (links,)


async def test_a_command_of_a_later_release_never_migrates_under_a_running_service(
    place: Place, town: Town
) -> None:
    url = town.url(page(PAGES[0], HOSTS[0]))
    place.cite(url)
    place.configure(town)
    service = await place.start("run")
    await until(lambda: town.visits, "a look", service)
    before = migrations(place)
    commands = (*(("check", url), ("mark", url, "alive"), ("status",), ("db", "migrate")),)
    for done in await asyncio.gather(*(later_release(place, *command) for command in commands)):
        assert done.code == 4, done
        assert f"pid {service.pid}" in done.err
        assert "Restart the service first" in done.err
    assert migrations(place) == before
    assert not list(place.folder.glob("*.before-*"))
    assert service.returncode is None
    assert (await stopped(service)).code == 0
    done = await later_release(place, "db", "migrate")
    assert (done.code, migrations(place)) == (0, [*before, "m099_a_later_release"]), done.err
    assert len(list(place.folder.glob("*.before-m099*"))) == 1
    older = await place.run("status")
    assert older.code == 4
    assert "newer archiver" in older.err


async def test_a_command_beside_a_single_pass_waits_for_its_turn_at_the_host(
    place: Place, town: Town
) -> None:
    slow, mine = town.url("/slow/a-page-that-takes-its-time"), town.url(page(PAGES[0], HOSTS[0]))
    place.cite(slow, town.url(page(PAGES[1], HOSTS[0])))
    place.configure(town, archive__mode='"off"', check__host_delay='"1s"')
    single = await place.start("run", "--once")
    await until(lambda: town.visits, "the pass to ask the host", single)
    command = await place.start("check", mine, "--json")
    await until(lambda: place.value("SELECT 1 FROM links WHERE url = ?", mine), "it", command)
    town.gate.set()
    passed, checked = await ended(single), await ended(command)
    assert (passed.code, checked.code) == (0, 0), checked.err
    assert checked.json["results"][0]["belief"]["verdict"] == "ok"
    assert town.overlaps() == []
    assert min(gaps(town)) >= DELAY
