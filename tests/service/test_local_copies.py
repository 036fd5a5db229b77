"""Copies of our own: one more fetch of what no archive holds, as mannerly as any look."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

import pytest

from archiver.archiving.local import OPEN
from archiver.clock import RehearsalClock
from archiver.config import load_settings
from archiver.service.checking import Checking
from archiver.service.desk import Desk, Silent
from archiver.service.kept_copies import is_full
from archiver.service.local_copies import Copied, LocalCopies
from archiver.service.once import Pass, one_pass
from archiver.service.report import render
from archiver.service.status import status
from archiver.store import Store
from tests.checking.servers import Connection, Names, RawServer, status_line

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
PAGE = "/2026/05/17/104221.html"
WEEK = timedelta(days=8)


def article(name: str) -> bytes:
    return page(f"The {name} story told", seed=name)


def page(title: str, seed: str) -> bytes:
    chance = random.Random(seed)
    words = ("".join(chance.choices("aeiourstlnmdk", k=7)) for _ in range(400))
    return f"<html><title>{title}</title><p>{' '.join(words)}</p></html>".encode()


GONE = status_line("404 Not Found", "Content-Type: text/html", body=b"<title>Not found</title>")


@dataclass
class World:
    """A few hosts on loopback, events that cite them, and a database."""

    folder: Path
    clock: RehearsalClock
    server: RawServer
    answers: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    desk: Desk | None = None

    async def behave(self, connection: Connection) -> None:
        host, target = connection.visit.header("Host"), connection.visit.target
        connection.visit.name = f"{host}{target}"
        await connection.send(self.answers.get(f"{host}{target}", GONE))

    def cite(self, *names: str, file: str = "a.md") -> None:
        """Cite the page of a host called `name.example`, and let it answer."""
        entries = [
            f"  - url: http://{name}.example{PAGE}\n    title: The {name} story told\n"
            for name in names
        ]
        events = self.folder / "events"
        events.mkdir(exist_ok=True)
        text = f"---\nid: a\ndate: 2026-01-01\ntitle: An event\nsources:\n{''.join(entries)}---\n"
        (events / file).write_text(text, encoding="utf-8")
        for name in names:
            self.put(name, article(name))

    def put(self, name: str, body: bytes) -> None:
        self.answers[f"{name}.example{PAGE}"] = status_line(
            "200 OK", "Content-Type: text/html", body=body
        )

    def open(self, **local: Any) -> Desk:
        """Open the desk, with these settings of [archive.local]."""
        self.close()
        rows = {"enabled": True, **local}
        written = "\n".join(f"{key} = {_toml(value)}" for key, value in rows.items())
        file = self.folder / "archiver.toml"
        file.write_text(
            '[check]\ncontact = "https://example.org/"\nhost_delay = "50s"\ntimeout = "3600s"\n'
            'connect_timeout = "3600s"\n[network]\nallow_private = ["127.0.0.0/8"]\n'
            f'[archive]\nmode = "off"\n[archive.local]\n{written}\n',
            encoding="utf-8",
        )
        loaded = load_settings(file, {}, self.folder)
        names = [host.partition("/")[0] for host in self.answers]
        resolver = Names({name: [("127.0.0.1", self.server.port)] for name in names})
        store = Store.open(loaded.database_path)
        self.desk = Desk(loaded, store, clock=self.clock, resolver=resolver, holder="run:test")
        return self.desk

    def close(self) -> None:
        if self.desk is not None:
            self.desk.store.close()
            self.desk = None

    async def one_pass(self) -> Pass:
        assert self.desk is not None
        return await one_pass(self.desk)

    async def copy(self, **options: Any) -> Copied:
        """Make one round of copies alone."""
        assert self.desk is not None
        async with Checking(self.desk) as checking, LocalCopies(checking, **options) as copies:
            return await copies.work()

    def asked(self, name: str) -> int:
        return sum(visit.name == f"{name}.example{PAGE}" for visit in self.server.visits)

    def link_id(self, name: str) -> int:
        assert self.desk is not None
        link = self.desk.store.queries.link_by_url(f"http://{name}.example{PAGE}")
        assert link is not None
        return int(link["id"])

    def copy_of(self, name: str) -> Any:
        assert self.desk is not None
        return self.desk.store.copies.of_link(self.link_id(name))

    def page_at(self, name: str) -> bytes:
        """Read the record to which the index leads."""
        row = self.copy_of(name)
        raw = (self.folder / "captures" / row["file"]).read_bytes()
        return zlib.decompressobj(31).decompress(raw[row["offset"] :][: row["length"]])

    @property
    def files(self) -> list[str]:
        folder = self.folder / "captures"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


@asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[World]:
    clock = RehearsalClock(START, 3600.0)
    opened: list[World] = []

    async def behave(connection: Connection) -> None:
        await opened[0].behave(connection)

    async with RawServer(behave) as server:
        opened.append(World(folder, clock, server))
        try:
            yield opened[0]
        finally:
            opened[0].close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with _world(tmp_path) as opened:
        yield opened


def agreed(folder: Path) -> bool:
    tool = Path(sys.executable).with_name("warcio")
    files = [str(path) for path in folder.glob("*.warc.gz")]
    assert files
    return subprocess.run([str(tool), "check", *files], check=False).returncode == 0


async def test_nothing_is_fetched_twice_and_nothing_written_unless_asked_for(world: World) -> None:
    world.cite("one")
    world.open(enabled=False)
    result = await world.one_pass()
    assert world.asked("one") == 1
    assert (world.files, result.copies.copies) == ([], 0)


async def test_after_the_first_good_look_one_extra_fetch_makes_a_copy(world: World) -> None:
    world.cite("one", "two")
    world.answers[f"gone.example{PAGE}"] = GONE
    world.open()
    result = await world.one_pass()
    assert result.copies.copies == 2
    assert (world.asked("one"), world.asked("two")) == (2, 2)
    assert article("one") in world.page_at("one")
    assert article("two") in world.page_at("two")
    assert len(world.files) == 1
    assert world.files[0].endswith(".warc.gz")
    assert agreed(world.folder / "captures")
    assert list((world.folder / "archiver.db").parent.glob("report/report.html"))
    world.clock.jump(WEEK)
    await world.one_pass()
    assert (world.asked("one"), world.asked("two")) == (3, 3)  # a look, and no further copy


async def test_what_does_not_live_or_is_archived_gets_no_copy(world: World) -> None:
    world.cite("one", "dead", "wall", "kept")
    world.answers[f"dead.example{PAGE}"] = GONE
    world.answers[f"wall.example{PAGE}"] = status_line("403 Forbidden", body=b"no")
    desk = world.open(enabled=False)
    await world.one_pass()
    desk.store.database.execute(
        "UPDATE links SET archive_state = 'archived' WHERE host = 'kept.example'"
    )
    world.open()
    done = await world.copy()
    assert done.copies == 1
    assert world.copy_of("one") is not None
    assert [world.asked(name) for name in ("dead", "wall", "kept")] == [1, 1, 1]


async def test_a_page_that_turns_bad_between_look_and_copy_is_not_kept(world: World) -> None:
    world.cite("one")
    world.open(enabled=False)
    await world.one_pass()
    world.open()
    world.answers[f"one.example{PAGE}"] = status_line("403 Forbidden", body=b"no")
    done = await world.copy()
    assert (done.copies, done.failures, world.files) == (0, 1, [])
    await world.copy()
    assert world.asked("one") == 2  # not again before the next good look
    world.put("one", article("one"))
    world.clock.jump(WEEK)
    result = await world.one_pass()
    assert result.copies.copies == 1


async def test_a_page_that_never_lets_itself_be_copied_is_left_alone(world: World) -> None:
    world.cite("one")
    desk = world.open(enabled=False)
    await world.one_pass()
    world.open()
    desk = world.desk
    assert desk is not None
    world.answers[f"one.example{PAGE}"] = GONE
    for _ in range(5):
        await world.copy()
        world.clock.jump(timedelta(days=1))
        later = desk.clock.now().isoformat()[:19] + "Z"
        desk.store.database.execute("UPDATE links SET last_look_at = ?", [later])
    assert world.asked("one") == 1 + 3


async def test_drift_brings_another_copy(world: World) -> None:
    world.cite("one")
    desk = world.open()
    await world.one_pass()
    first = world.copy_of("one")
    world.put("one", page("Casino bonus here", seed="casino"))
    for _ in range(3):
        world.clock.jump(WEEK)
        await world.one_pass()
    row = desk.store.queries.link_by_url(f"http://one.example{PAGE}")
    assert row is not None
    assert (row["verdict"], row["reason"]) == ("ok", "content-drift")
    assert world.copy_of("one")["id"] > first["id"]
    assert b"Casino bonus" in world.page_at("one")
    asked = world.asked("one")
    world.clock.jump(timedelta(days=40))
    await world.one_pass()
    assert world.asked("one") == asked + 1  # the drift was copied once


async def test_a_page_copied_before_is_a_revisit_of_the_same_payload(world: World) -> None:
    world.cite("one")
    world.cite("twin", file="b.md")
    world.put("twin", article("one"))
    world.cite("twin", file="b.md")
    world.put("twin", article("one"))
    desk = world.open()
    text = (world.folder / "events" / "b.md").read_text()
    (world.folder / "events" / "b.md").write_text(text.replace("twin story", "one story"))
    await world.one_pass()
    kinds = sorted(row["kind"] for row in desk.store.database.rows("SELECT kind FROM local_copies"))
    assert kinds == ["response", "revisit"]
    assert agreed(world.folder / "captures")


async def test_copies_keep_the_delay_of_a_host(world: World) -> None:
    world.cite("one")
    for number in range(4):
        world.answers[f"one.example/{number}"] = status_line(
            "200 OK", "Content-Type: text/html", body=article("one") + str(number).encode()
        )
    entries = "".join(
        f"  - url: http://one.example/{number}\n    title: The one story told\n"
        for number in range(4)
    )
    (world.folder / "events" / "a.md").write_text(f"---\nid: a\nsources:\n{entries}---\n")
    world.open()
    result = await world.one_pass()
    assert result.copies.copies == 4
    visits = sorted(world.server.visits, key=lambda visit: visit.began)
    assert sum(visit.name[-2:] in ("/0", "/1", "/2", "/3") for visit in visits) == 8
    # 50 s of the fast clock are 14 ms; a server sees an answer's end a little later than we do.
    assert min(later.began - earlier.began for earlier, later in pairwise(visits)) > 0.012


async def test_at_max_total_it_stops_and_says_so(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.cite("one", "two", "three")
    for name in ("one", "two", "three"):
        world.put(name, article(name) + os.urandom(200_000).hex().encode())
    desk = world.open(max_total="700 KiB")
    result = await world.one_pass()
    assert result.copies.copies == 1
    assert result.copies.full
    assert "archive.local.max_total is reached" in str(result.copies)
    assert "archive.local.max_total" in caplog.text
    assert is_full(desk)
    assert desk.store.copies.total() <= 700 * 1024
    assert sum(path.stat().st_size for path in (world.folder / "captures").iterdir()) <= 700 * 1024
    asked = len(world.server.visits)
    assert (await world.copy()).full
    assert len(world.server.visits) == asked  # full means that nothing is fetched any more
    desk = world.open(max_total="5 GiB")
    assert not is_full(desk)
    assert (await world.copy()).copies == 2


async def test_removed_files_make_room_and_are_offered_no_more(world: World) -> None:
    world.cite("one")
    desk = world.open()
    await world.one_pass()
    [name] = world.files
    (world.folder / "captures" / name).rename(world.folder / "elsewhere")
    await world.copy()
    assert world.copy_of("one") is None
    assert (desk.store.copies.total(), desk.store.copies.count()) == (0, 0)
    assert world.asked("one") == 2  # what a person removed is not fetched again
    (world.folder / "elsewhere").rename(world.folder / "captures" / name)
    await world.copy()
    assert article("one") in world.page_at("one")


async def test_files_are_rotated_by_size_and_by_age(world: World) -> None:
    world.cite("one", "two")
    desk = world.open(enabled=False)
    await world.one_pass()
    desk = world.open()
    await world.copy(rotate_bytes=1)
    assert len(world.files) == 2
    assert all(name.endswith(".warc.gz") for name in world.files)
    rows = desk.store.copies.files()
    sizes = {row["name"]: row["size"] for row in rows}
    assert sizes == {
        name: (world.folder / "captures" / name).stat().st_size for name in world.files
    }
    async with Checking(desk) as checking, LocalCopies(checking) as copies:
        world.cite("three", file="c.md")
        desk.resolver = Names(
            {f"{name}.example": [("127.0.0.1", world.server.port)] for name in ("three",)}
        )
        await world.one_pass()
        await copies.work()
        copies.close()
    assert not [name for name in world.files if name.endswith(OPEN)]


async def test_a_growing_file_is_named_as_it_is_on_the_disk(world: World) -> None:
    world.cite("one")
    world.open(enabled=False)
    await world.one_pass()
    desk = world.open()
    async with Checking(desk) as checking, LocalCopies(checking) as copies:
        await copies.work()
        assert world.copy_of("one")["file"].endswith(".warc.gz" + OPEN)
        assert article("one") in world.page_at("one")
        world.clock.jump(timedelta(days=2))
        await copies.work()
        assert world.copy_of("one")["file"].endswith(".warc.gz")
        assert article("one") in world.page_at("one")


async def test_a_full_disk_ends_the_round_and_loses_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.cite("one")
    world.open(enabled=False)
    await world.one_pass()
    (world.folder / "captures").write_text("in the way")
    world.open()
    done = await world.copy()
    assert (done.copies, done.failures) == (0, 0)
    assert "stopped for now" in caplog.text
    (world.folder / "captures").unlink()
    assert (await world.copy()).copies == 1


ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import asyncio, os, sys
from pathlib import Path, PurePath
from tests.service import test_local_copies as tests
from archiver.archiving.local import CopyFile
from archiver.store.copies import Copies

point = sys.argv[2]

def dies(kind, name, after):
    original = getattr(kind, name)
    def method(*arguments, **named):
        if not after:
            os._exit(9)
        result = original(*arguments, **named)
        os._exit(9)
    setattr(kind, name, method)

dies(*{
    "file listed": (Copies, "begin_file", True),
    "file created": (Copies, "grew", False),
    "record written": (CopyFile, "write", True),
    "record listed": (Copies, "add", True),
    "file renamed": (Copies, "close_file", False),
}[point])

async def main():
    async with tests._world(Path(sys.argv[1])) as world:
        world.cite("one", "two")
        world.open()
        await world.one_pass()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "point",
    ["file listed", "file created", "record written", "record listed", "file renamed"],
)
async def test_killed_at_any_point_no_listed_copy_is_lost_and_every_file_is_whole(
    world: World, point: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(world.folder), point, cwd=ROOT
    )
    assert await asyncio.wait_for(process.wait(), 30) == 9
    world.cite("one", "two")
    world.clock.jump(timedelta(hours=6))  # until the dead process' hosts are free again
    desk = world.open()
    listed = {row["link_id"] for row in desk.store.database.rows("SELECT * FROM local_copies")}
    assert bool(listed) == (point in ("record listed", "file renamed"))
    await world.copy()
    assert not [name for name in world.files if name.endswith(OPEN)]
    for name in ("one", "two"):
        assert article(name) in world.page_at(name)
    assert agreed(world.folder / "captures")
    on_disk = {name: (world.folder / "captures" / name).stat().st_size for name in world.files}
    there = {row["name"]: row["size"] for row in desk.store.copies.files() if not row["gone_at"]}
    assert there == on_disk


async def test_asked_to_stop_it_stops_between_pages_and_leaves_the_file_whole(
    world: World,
) -> None:
    names = [f"host{number}" for number in range(12)]
    world.cite(*names)
    world.open(enabled=False)
    await world.one_pass()
    desk = world.open()
    kept: list[int] = []

    class Stopping:
        def begin(self, what: str, total: int | None) -> None: ...

        def advance(self, steps: int = 1) -> None:
            kept.append(steps)
            desk.stopping = True

        def end(self) -> None: ...

    desk.progress = Stopping()
    done = await world.copy()
    assert kept
    assert desk.store.copies.count() == done.copies
    desk.stopping, desk.progress = False, Silent()
    assert (await world.copy()).copies == 12 - done.copies
    assert agreed(world.folder / "captures")


async def test_a_link_that_is_dropped_leaves_its_records_in_the_index(world: World) -> None:
    world.cite("one")
    desk = world.open()
    await world.one_pass()
    database = desk.store.database
    database.execute("UPDATE links SET cited = 0, uncited_since = '2000-01-01T00:00:00Z'")
    for table in ("citations", "requests"):
        database.execute(f"DELETE FROM {table}")
    desk.store.citations.prune_uncited(desk.clock.now() + timedelta(days=1))
    assert desk.store.queries.link_count() == 0
    [row] = list(database.rows("SELECT * FROM local_copies"))
    assert (row["link_id"], row["url"]) == (None, f"http://one.example{PAGE}")


async def test_reports_name_file_and_offset_of_a_copy(world: World) -> None:
    world.cite("one", "gone")
    world.answers[f"gone.example{PAGE}"] = GONE
    desk = world.open(directory="own/copies")
    result = await world.one_pass()
    told = json.loads("".join(render(desk, "json")))
    rows = {row["host"]: row["local_copy"] for row in told["rows"]}
    assert rows["gone.example"] is None
    copy = rows["one.example"]
    assert copy["file"].startswith("own/copies/archiver-")
    raw = (world.folder / copy["file"]).read_bytes()[copy["offset"] :]
    assert article("one") in zlib.decompressobj(31).decompress(raw)
    # A page that lives needs no mending: once it fails, the lists that people read name it too.
    world.answers[f"one.example{PAGE}"] = GONE
    world.clock.jump(timedelta(days=9))
    await world.one_pass()
    place = f"own/copies/{PurePath(copy['file']).name} at offset {copy['offset']}"
    assert place in "".join(render(desk, "html"))
    assert place in "".join(render(desk, "md"))
    assert result.copies.copies == status(desk)["local_copies"]["pages"] == 1


async def test_reports_stay_as_they_are_where_no_copies_are_kept(world: World) -> None:
    world.cite("one")
    desk = world.open(enabled=False)
    await world.one_pass()
    [row] = json.loads("".join(render(desk, "json")))["rows"]
    assert "local_copy" not in row


async def test_a_page_cut_at_max_body_is_offered_as_not_whole(world: World) -> None:
    world.cite("one")
    world.put("one", article("one") + b"x" * 300_000)
    desk = world.open(max_body="200 KiB")
    await world.one_pass()
    assert world.copy_of("one")["truncated"] == "length"
    world.answers[f"one.example{PAGE}"] = GONE
    world.clock.jump(timedelta(days=9))
    await world.one_pass()
    assert "not whole: captures/" in "".join(render(desk, "html"))
