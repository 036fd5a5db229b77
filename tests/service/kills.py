"""Killing the service again and again on one database, and what has to hold after each time."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.service.children import Child
from tests.service.town import BUSY_SECONDS, Place, Town, Visit, until

KEYS = {"IA_ACCESS_KEY": "access-word-of-sixteen", "IA_SECRET_KEY": "secret-word-of-sixteen"}
HOSTS = [f"127.0.0.{number}" for number in range(10, 80)]
BUSY_HOSTS = [f"127.0.0.{number}" for number in range(80, 83)]
# A host whose delay is longer than a start of the service takes.
STRICT_HOST = "127.0.0.90"
DELAYS = {STRICT_HOST: 3.0}
DELAY_SECONDS = 1.0
# New citations come while the service works, so that rounds begin and end all the time.
_NEW_EVERY_SECONDS = 1.0

# What was acknowledged: rows that are there for good once somebody could read them.
_KEPT = {
    "looks": "SELECT id, link_id, looked_at, vantage, verdict, reason FROM looks",
    "changes": "SELECT id, link_id, changed_at, to_verdict FROM changes",
    "attempts": "SELECT id, link_id, url, started_at FROM attempts",
    "jobs": "SELECT id, job_id FROM attempts WHERE job_id IS NOT NULL",
    "captures": "SELECT id, link_id, archive_url, captured_at FROM captures",
    "citations": "SELECT path, cited_url FROM source_status",
}


@dataclass
class Acknowledged:
    """What readers of the database have ever seen, by kind."""

    rows: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)

    def read(self, place: Place) -> None:
        """Look into the database, and expect that all ever seen is still there."""
        if not place.database.exists():
            assert not self.rows
            return
        with closing(sqlite3.connect(f"file:{place.database}?mode=ro", uri=True)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name='links'").fetchone():
                assert not self.rows
                return
            connection.execute("BEGIN")  # all of it as it is at one moment
            found = {name: set(connection.execute(sql)) for name, sql in _KEPT.items()}
        for name, rows in self.rows.items():
            assert rows <= found[name], f"{name} lost: {sorted(rows - found[name])[:5]}"
        self.rows = found

    def count(self, name: str) -> int:
        """Return how many rows of a kind there are."""
        return len(self.rows.get(name, ()))


@dataclass
class Lives:
    """One database, and the lives and deaths of the processes on it."""

    place: Place
    town: Town
    chance: random.Random
    # How many pages are cited anew each time.
    at_once: int
    acknowledged: Acknowledged = field(default_factory=Acknowledged)
    commands: list[Child] = field(default_factory=list)
    cited: int = 0
    # Busy hosts of which the database said at some moment that they are to be left alone.
    paused: dict[str, float] = field(default_factory=dict)

    async def one(self, seconds: float) -> None:
        """Start the service, sometimes with a command beside it, and kill it after a while.

        The command goes on: it has to get along with the dead and with whoever comes next.
        """
        service = await self.place.start("run", **KEYS)
        await self._maybe_command()
        await self.work_for(seconds)
        self.see()
        assert service.returncode is None, (await service.communicate())[1].decode()
        service.kill()
        await service.communicate()
        self.see()
        await self.hear_commands()
        expect_sound(self.place)

    async def one_killed_on_the_wire(self) -> None:
        """Kill the service while the strict host answers it."""
        self.place.cite(self.town.url("/news/the-last-ferry", STRICT_HOST), event="2018-01-01")
        service = await self.place.start("run", **KEYS)
        await until(lambda: self.asked(STRICT_HOST), "the strict host to be asked", service)
        service.kill()
        await service.communicate()
        self.see()

    def asked(self, host: str) -> int:
        """Return how often a host was asked."""
        return sum(visit.host == host for visit in self.town.visits)

    def see(self) -> None:
        """Look into the database: what is there now must still be there later."""
        self.acknowledged.read(self.place)
        if self.acknowledged.rows:
            now = time.monotonic()
            for (host,) in self.place.rows("SELECT host FROM hosts WHERE not_before IS NOT NULL"):
                self.paused.setdefault(host, now)

    def all_pauses_are_stored(self) -> bool:
        """Say whether the database knows of every host that asked for rest."""
        return all(host in self.paused for host in BUSY_HOSTS if self.asked(host))

    async def work_for(self, seconds: float) -> None:
        """Let time pass in which more and more is cited."""
        end = time.monotonic() + seconds
        self.cite_more()
        for _ in range(int(seconds / _NEW_EVERY_SECONDS)):
            await asyncio.sleep(_NEW_EVERY_SECONDS)
            self.cite_more()
        await asyncio.sleep(max(0.0, end - time.monotonic()))

    def cite_more(self) -> None:
        """Cite one more page of a few hosts, in an event of its own."""
        self.cited += 1
        name = f"minutes-of-the-harbour-board-number-{self.cited:04}"
        pages = [
            self.town.url(f"/news/{name}", host) for host in self.chance.sample(HOSTS, self.at_once)
        ]
        if self.cited % 3 == 0:
            pages.append(self.town.url(f"/busy/{name}", self.chance.choice(BUSY_HOSTS)))
        self.place.cite(*pages, event=f"2017-01-01--{self.cited:04}")

    async def _maybe_command(self) -> None:
        if self.chance.random() < 0.7 or not self.acknowledged.count("citations"):
            return
        _, url = self.chance.choice(sorted(self.acknowledged.rows["citations"]))
        command = await self.place.start("check", url, "--json", "--fail-on", "never", **KEYS)
        self.commands.append(command)

    async def hear_commands(self) -> None:
        """What a command has printed is in the database, whoever was killed beside it."""
        for command in [one for one in self.commands if one.returncode is not None]:
            self.commands.remove(command)
            out, err = await command.communicate()
            # 4: the service that it had asked is dead, or its database is just being made.
            assert command.returncode in (0, 4), err.decode()
            assert b"Traceback" not in err
            looked_at = {row[2] for row in self.acknowledged.rows["looks"]}
            for line in out.decode().splitlines():
                if '"looked_at": "' in line:
                    assert line.split('"')[3] in looked_at, line


def expect_sound(place: Place) -> None:
    """The database opens, is whole, and its references lead somewhere."""
    if not place.database.exists():
        return
    with closing(sqlite3.connect(place.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def expect_manners(lives: Lives) -> None:
    """Law 6 as the servers saw it: one at a time, the delay, and the rest they asked for."""
    by_host: dict[str, list[Visit]] = {}
    for visit in sorted(lives.town.visits, key=lambda visit: visit.started):
        by_host.setdefault(visit.host, []).append(visit)
    for host, visits in by_host.items():
        for earlier, later in pairwise(visits):
            assert earlier.ended is not None
            gap = later.started - earlier.ended
            assert gap >= DELAYS.get(host, DELAY_SECONDS), (
                f"{host}: {gap:.3f} s before {later.path}"
            )
            if host in BUSY_HOSTS and lives.paused.get(host, later.started) < later.started:
                assert gap >= BUSY_SECONDS, f"{host}: {gap:.3f} s instead of its Retry-After"


def expect_single_submissions(lives: Lives) -> None:
    """Law 8 as the archive saw it: no address twice within its cool-down of a day."""
    posts = Counter(request.url for request in lives.town.archive.asked("spn2"))
    assert not {url: count for url, count in posts.items() if count > 1}
