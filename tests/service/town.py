"""A small town on loopback, and the program as a child process beside it.

Every address `127.0.0.N` is a host of its own with a real HTTP server; an archive stand-in sees
the same pages. Child processes are told to go nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from archiver.clock import SystemClock
from archiver.demo.seen import Seen
from archiver.demo.wayback import WaybackStandIn
from tests.service.children import (
    NO_HARDSHIP,
    ROOT,
    Child,
    ForkedChild,
    Hardship,
    start_fresh,
)

HTML = "text/html; charset=utf-8"
# Longer than a look waits for a host (checking.lanes), so that a round need not stay open.
BUSY_SECONDS = 150
FIRST, SECOND, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"

# A resolver without an answer and a system without a route: what a machine without internet is.
_NO_INTERNET = """\
import errno, socket

def _no_answer(*_, **__):
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

class _Socket(socket.socket):
    def connect(self, place):
        if self.family != socket.AF_UNIX:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return super().connect(place)

socket.getaddrinfo = _no_answer
socket.socket = _Socket
"""


def article(path: str) -> str:
    """Return the article that an address of the town carries; its title is in the address."""
    title = title_of(path)
    lines = "".join(
        f"<p>Paragraph {number} of the report on {title}, with the sober detail that the paper"
        " is known for among its readers along the river.</p>"
        for number in range(12)
    )
    return (
        f"<!doctype html><html lang='en'><title>{title}</title>"
        f"<article><h1>{title}</h1>{lines}</article></html>"
    )


def title_of(path: str) -> str:
    """Return the title that stands in an address."""
    return path.rsplit("/", 1)[-1].replace("-", " ").capitalize()


@dataclass
class Visit:
    """One request as a server of the town saw it, in monotonic seconds."""

    host: str
    path: str
    started: float
    ended: float | None = None


@dataclass
class Town:
    """The servers, the archive, and what they saw.

    `/news/…` is an article, `/gone/…` a 404, `/wall/…` a 403, `/login/…` a 511, `/slow/…` an
    article that waits for `gate`, `/busy/…` a 429 that asks for `BUSY_SECONDS`. Every answer
    takes `lag` seconds. `on_save` is called with a URL when the archive's crawler asks for it,
    before the archive has answered who wants it saved.
    """

    archive: WaybackStandIn
    gate: asyncio.Event
    ports: dict[str, int] = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    lag: float = 0.0
    on_save: list[Callable[[str], None]] = field(default_factory=list)

    def url(self, path: str, host: str = FIRST) -> str:
        """Return the address of a page."""
        return f"http://{host}:{self.ports[host]}{path}"

    def asked(self, path: str) -> list[Visit]:
        """Return the requests for one path."""
        return [visit for visit in self.visits if visit.path == path]

    def answer(self, path: str) -> tuple[int, str]:
        """Return what the page at a path says now."""
        kind = path.split("/")[1]
        if kind == "wall":
            return 403, "<title>Forbidden</title><h1>Forbidden</h1>"
        if kind == "login":
            return 511, "<title>Guests</title><h1>Accept our terms</h1>"
        if kind == "busy":
            return 429, "<title>Too many requests</title><h1>Too many requests</h1>"
        if kind in ("news", "slow") and path not in self.gone:
            return 200, article(path)
        return 404, "<title>Not found</title><h1>Not found</h1>"

    def overlaps(self) -> list[tuple[str, str]]:
        """Return every pair of requests that one host had to serve at once."""
        found = []
        for host in self.ports:
            visits = sorted((v for v in self.visits if v.host == host), key=lambda v: v.started)
            for first, second in pairwise(visits):
                if first.ended is None or second.started < first.ended:
                    found.append((first.path, second.path))
        return found


@asynccontextmanager
async def open_town(hosts: Sequence[str] = (FIRST, SECOND, THIRD)) -> AsyncIterator[Town]:
    """Serve the town until the block ends."""
    seen_by: list[Town] = []

    async def see(url: str) -> Seen:
        town = seen_by[0]
        for callback in town.on_save:
            callback(url)
        status, body = town.answer(urlsplit(url).path)
        return Seen(status, {"content-type": HTML}, body.encode())

    town = Town(WaybackStandIn(SystemClock(), see), asyncio.Event())
    seen_by.append(town)
    runners = []
    await town.archive.start()
    try:
        for host in hosts:
            runners.append(await _serve(town, host))
        yield town
    finally:
        town.gate.set()
        for runner in runners:
            await runner.cleanup()
        await town.archive.stop()


async def _serve(town: Town, host: str) -> web.AppRunner:
    async def answer(request: web.Request) -> web.Response:
        visit = Visit(host, request.path, time.monotonic())
        town.visits.append(visit)
        try:
            if request.path.startswith("/slow/"):
                await asyncio.wait_for(town.gate.wait(), 20)
            if town.lag:
                await asyncio.sleep(town.lag)
            status, body = town.answer(request.path)
            asks = {"Retry-After": str(BUSY_SECONDS)} if status == 429 else {}
            return web.Response(status=status, text=body, content_type="text/html", headers=asks)
        finally:
            visit.ended = time.monotonic()

    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(
        application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
    )
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    town.ports[host] = runner.addresses[0][1]
    return runner


@dataclass(frozen=True)
class Done:
    """How a child process ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the object on standard output."""
        return json.loads(self.out)


@dataclass
class Place:
    """A folder with events, a configuration and a database, where the program is run."""

    folder: Path
    children: list[Child] = field(default_factory=list)

    @property
    def database(self) -> Path:
        """Return where the database is, or would be."""
        return self.folder / "archiver.db"

    def cite(self, *urls: str, event: str = "2016-11-30--example", **source: object) -> Path:
        """Write an event that cites URLs, with the title that stands in each."""
        lines = ["---", f"id: {event}", "date: 2016-11-30", "title: An example", "importance: 7"]
        lines.append("sources:")
        for url in urls:
            lines += [f"  - url: {url}", f"    title: {title_of(urlsplit(url).path)}"]
            lines += ["    publisher: The Paper", "    date: 2016-11-30", "    tier: 1"]
            lines += [f"    {key}: {value}" for key, value in source.items()]
        path = self.folder / "events" / f"{event}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([*lines, "---", "", "Text.", ""]), encoding="utf-8")
        return path

    def configure(self, town: Town | None = None, **options: str) -> Path:
        """Write the configuration; an option is `section__key = "value in TOML"`."""
        sections: dict[str, dict[str, str]] = {
            "check": {
                "contact": '"https://example.org/me"',
                "host_delay": '"0s"',
                "timeout": '"5s"',
                "connect_timeout": '"2s"',
            },
            "network": {"allow_private": '["127.0.0.0/8"]'},
            "archive": {"anonymous_per_minute": "15", "reads_per_minute": "600"},
        }
        if town is not None:
            for name in ("save_url", "cdx_url", "playback_url", "availability_url"):
                sections["archive"][name] = json.dumps(getattr(town.archive, name))
        for option, value in options.items():
            section, _, key = option.partition("__")
            sections.setdefault(section, {})[key] = value
        lines = []
        for section, keys in sections.items():
            lines += [f"[{section}]", *(f"{key} = {value}" for key, value in keys.items())]
        path = self.folder / "config" / "archiver.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def take_the_internet_away(self) -> dict[str, str]:
        """Return an environment in which no name resolves and nothing can be reached."""
        hook = self.folder / "no-internet"
        hook.mkdir(exist_ok=True)
        (hook / "sitecustomize.py").write_text(_NO_INTERNET, encoding="utf-8")
        return {"PYTHONPATH": f"{hook}{os.pathsep}{ROOT}"}

    async def start(
        self,
        *arguments: str,
        fresh: bool = False,
        hardship: Hardship = NO_HARDSHIP,
        **environ: str,
    ) -> Child:
        """Start the program here, on request in an interpreter of its own."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ARCHIVER_", "IA_", "CREDENTIALS_", "NOTIFY_", "PYTEST"))
        }
        # Another path for modules takes effect in a new interpreter only.
        new = fresh or "PYTHONPATH" in environ
        given = {**inherited, **environ}
        child: Child = (
            await start_fresh(arguments, self.folder, given)
            if new
            else ForkedChild(arguments, self.folder, given, hardship)
        )
        self.children.append(child)
        return child

    async def run(
        self,
        *arguments: str,
        fresh: bool = False,
        hardship: Hardship = NO_HARDSHIP,
        **environ: str,
    ) -> Done:
        """Run the program to its end."""
        return await ended(await self.start(*arguments, fresh=fresh, hardship=hardship, **environ))

    async def stop_all(self) -> None:
        """Kill every child that still runs, and clear up after all."""
        for child in self.children:
            if child.returncode is None:
                child.kill()
            await child.communicate()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Read from the database as a stranger would."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def value(self, query: str, *values: object) -> Any:
        """Return one value from the database, None while there is no such thing."""
        try:
            rows = self.rows(query, *values)
        except sqlite3.OperationalError:
            return None
        return rows[0][0] if rows else None


async def ended(child: Child, within: float = 30.0) -> Done:
    """Wait for a child to end by itself."""
    out, err = await asyncio.wait_for(child.communicate(), within)
    assert child.returncode is not None
    return Done(child.returncode, out.decode(), err.decode())


async def until(
    true: Callable[[], object],
    what: str,
    child: Child | None = None,
    within: float = 20.0,
) -> None:
    """Wait until something is so; fail with what was waited for, at once when a child ended."""
    end = time.monotonic() + within
    while not true():
        if child is not None and child.returncode is not None:
            out, err = await child.communicate()
            raise AssertionError(f"ended before {what}: {(out + err).decode()}")
        assert time.monotonic() < end, f"never came: {what}"
        await asyncio.sleep(0.02)


async def stopped(child: Child, number: int = signal.SIGTERM) -> Done:
    """Send a signal and wait for the end it brings."""
    child.send_signal(number)
    return await ended(child)


def stamps(texts: Iterable[str]) -> list[datetime]:
    """Read stored moments; raises ValueError for any that is not in the contract's form."""
    found = []
    for text in texts:
        assert len(text) == 20
        assert text.endswith("Z")
        found.append(datetime.fromisoformat(text))
    return found
