"""A real Wayback for tests: pywb as a child process, and archive.org's manners in front of it.

pywb records and plays back; the front only changes spellings (reference wayback §8.4): paths, the
index's dialect, the status of "found capture at". Saving is answered in the shapes of the
stand-in, but what is captured, when, and how it plays is pywb's word.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urljoin

import aiohttp
import yarl
from aiohttp import web
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict

from archiver.clock import Clock
from archiver.demo.wayback import (
    FIELDS,
    NOT_ARCHIVED,
    STATUS_CODES,
    WaybackStandIn,
    _playback_parts,
)
from archiver.demo.wayback_memory import StoredCapture

# Where pywb is installed: `make test-wayback` says so.
ENVIRONMENT = os.environ.get("ARCHIVER_WAYBACK_BIN", "")
COLLECTION = "web"
_CONFIGURATION = """\
framed_replay: false
redirect_to_exact: true
enable_memento: true
collections: {live: $live}
recorder: {source_coll: live}
"""
_START_SECONDS = 30.0
_NAMES_IN_PYWB = {"mimetype": "mime", "statuscode": "status", "original": "url"}
# What belongs to one connection, not to the answer.
_NOT_PASSED_ON = {"connection", "transfer-encoding", "content-length", "date", "server"}


class Pywb:
    """pywb with one collection, serving and recording until it is stopped."""

    def __init__(self, folder: Path, resolver: AbstractResolver) -> None:
        """Keep everything in a folder; names are asked of `resolver`."""
        self._folder, self._resolver = folder, resolver
        self._process: asyncio.subprocess.Process | None = None
        self.origin = ""

    @property
    def archive(self) -> Path:
        """Return the folder of the collection's WARC files."""
        return self._folder / "collections" / COLLECTION / "archive"

    async def start(self) -> None:
        """Start it and wait until it answers."""
        for name in ("archive", "indexes"):
            (self.archive.parent / name).mkdir(parents=True)
        (self._folder / "config.yaml").write_text(_CONFIGURATION, encoding="utf-8")
        self._names = await asyncio.start_server(self._answer_name, "127.0.0.1", 0)
        names_port = self._names.sockets[0].getsockname()[1]
        port = _free_port()
        self.origin = f"http://127.0.0.1:{port}"
        self._log = (self._folder / "pywb.log").open("wb")
        self._process = await asyncio.create_subprocess_exec(
            str(Path(ENVIRONMENT) / "python"),
            str(Path(__file__).with_name("pywb_server.py")),
            *(str(names_port), "-b", "127.0.0.1", "-p", str(port)),
            *("-a", "--auto-interval", "1", "-d", str(self._folder)),
            stdout=self._log,
            stderr=self._log,
            stdin=asyncio.subprocess.DEVNULL,
        )
        await self._answers(port)

    async def _answers(self, port: int) -> None:
        assert self._process is not None
        loop = asyncio.get_running_loop()
        end = loop.time() + _START_SECONDS
        while self._process.returncode is None and loop.time() < end:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.1)
        await self.stop()
        raise RuntimeError((self._folder / "pywb.log").read_text(errors="replace")[-4000:])

    async def stop(self) -> None:
        """End the child process and the name service."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None
        self._names.close()
        self._log.close()

    async def _answer_name(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, port = (await reader.readline()).decode().split()
        answer: list[Any]
        try:
            [found, *_] = await self._resolver.resolve(host, int(port), socket.AF_INET)
            answer = [found["host"], found["port"]]
        except OSError as error:
            answer = [error.errno or socket.EAI_NONAME, error.strerror]
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        writer.close()

    def add(self, warc: Path) -> None:
        """Put a WARC file into the collection; it is indexed within about a second."""
        arriving = self.archive / f"{warc.name}.part"
        shutil.copy(warc, arriving)
        arriving.rename(self.archive / warc.name)


class Front(WaybackStandIn):
    """archive.org's addresses and dialect in front of pywb."""

    def __init__(self, pywb: Pywb, clock: Clock, **options: Any) -> None:
        """Ask `pywb` for everything that is captured, listed or played."""

        async def nothing(url: str) -> Any:
            raise AssertionError(f"pywb sees pages, not the stand-in: {url}")

        super().__init__(clock, nothing, **options)
        self._pywb = pywb
        self.recorded: list[tuple[str, int]] = []

    async def start(self) -> None:
        """Serve until `stop`."""
        self._session = aiohttp.ClientSession(
            auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        await super().start()

    async def stop(self) -> None:
        """Close every connection and the port."""
        await super().stop()
        await self._session.close()

    async def _ask(self, path: str) -> tuple[int, Any, bytes]:
        """GET from pywb as if at our own address, so that its links lead back here."""
        url = yarl.URL(self._pywb.origin + path, encoded=True)
        host = self.origin.partition("//")[2]
        headers = {"Host": host, "Accept-Encoding": "gzip, identity"}
        async with self._session.get(url, allow_redirects=False, headers=headers) as answer:
            try:
                body = await answer.read()
            except aiohttp.ClientPayloadError:
                body = b""
            return answer.status, answer.headers, body

    # ------------------------------------------------------------- saving

    async def _capture(self, url: str) -> tuple[list[StoredCapture], str]:
        """Let pywb record a page and the redirects before it."""
        made: list[StoredCapture] = []
        address = url
        for _ in range(5):
            status, headers, body = await self._ask(f"/{COLLECTION}/record/id_/{address}")
            self.recorded.append((address, status))
            if "Memento-Datetime" not in headers:
                return [], "cannot-fetch"
            if status >= 400:
                return [], STATUS_CODES.get(status, "no-captures")
            at = parsedate_to_datetime(headers["Memento-Datetime"]).astimezone(UTC)
            made.append(self.memory.add(StoredCapture(address, at, status, body, {})))
            location = headers.get("Location", headers.get("X-Archive-Orig-Location"))
            if location is None or not 300 < status < 400:
                self._saved.append((url, self._clock.now()))
                await self._listed(made)
                return made, ""
            address = _target(address, location)
        return [], "too-many-redirects"

    async def _listed(self, made: list[StoredCapture]) -> None:
        """Wait until pywb's index knows what it recorded: about a second."""
        for capture in made:
            for _ in range(50):
                if await self._rows({"url": capture.original, "from": capture.timestamp}):
                    break
                await asyncio.sleep(0.1)

    # ------------------------------------------------------------- reading

    async def _index(self, request: web.Request, url: str) -> web.StreamResponse:
        query = parse_qs(request.raw_path.partition("?")[2], keep_blank_values=True)
        plain = {name: values[0] for name, values in query.items()}
        rows = await self._rows(plain)
        for pattern in query.get("filter", []):
            name, _, expression = pattern.partition(":")
            rows = [row for row in rows if re.fullmatch(expression, row.get(name, ""))]
        limit = int(plain.get("limit", "0"))
        rows = rows[limit:] if limit < 0 else rows[: limit or None]
        names = plain.get("fl", ",".join(FIELDS)).split(",")
        table = [[row.get(name, "-") for name in names] for row in rows]
        if plain.get("output") == "json":
            return web.json_response([names, *table] if table else [])
        return web.Response(text="".join(" ".join(row) + "\n" for row in table))

    async def _rows(self, wanted: dict[str, str]) -> list[dict[str, str]]:
        """Ask pywb's index, and name its fields as archive.org does."""
        passed = {name: wanted[name] for name in ("from", "to", "matchType") if name in wanted}
        query = "".join(f"&{name}={quote(value)}" for name, value in passed.items())
        target = quote(wanted["url"], safe="")
        path = f"/{COLLECTION}/cdx?url={target}&output=json&allowFuzzy=false{query}"
        status, _, body = await self._ask(path)
        assert status in (200, 404), (status, body[:500])
        found = [json.loads(line) for line in body.splitlines()] if status == 200 else []
        return [
            {name: row.get(_NAMES_IN_PYWB.get(name, name), "-") for name in FIELDS} for row in found
        ]

    async def _playback(self, request: web.Request, _: str) -> web.StreamResponse:
        stamp, flag, url = _playback_parts(request.raw_path)
        path = f"/{COLLECTION}/{stamp}{flag}/{url}"
        status, headers, body = await self._ask(path)
        passed = [
            (name, value) for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON
        ]
        if "Memento-Datetime" not in headers:
            return self._own_answer(status, headers)
        location = headers.get("Location")
        if location is not None:
            played = parsedate_to_datetime(headers["Memento-Datetime"]).astimezone(UTC)
            target = f"/web/{played:%Y%m%d%H%M%S}{flag}/{_target(url, location)}"
            passed = [one for one in passed if one[0].lower() != "location"]
            passed.append(("Location", target))
        return web.Response(status=status, body=body, headers=_multi(passed))

    def _own_answer(self, status: int, headers: Any) -> web.StreamResponse:
        if 300 < status < 400:
            location = headers["Location"]
            found = re.search(r"/(\d{14})", location)
            reason = f"found capture at {found[1] if found else ''}"
            moved = {"Location": location, "X-Archive-Redirect-Reason": reason}
            return web.Response(status=302, headers=moved)
        text = NOT_ARCHIVED if status == 404 else "<html>An error of the archive's own.</html>"
        return web.Response(status=status, text=text, content_type="text/html")


def _target(base: str, location: str) -> str:
    """Return where a captured redirect leads, whether pywb rewrote it or not."""
    inner = re.search(r"/(?:\d{1,14}|record/?)(?:[a-z]{2}_)?/(https?://.*)$", location)
    return urljoin(base, inner[1] if inner else location)


def _multi(pairs: list[tuple[str, str]]) -> Any:
    return CIMultiDict(pairs)


def _free_port() -> int:
    with socket.socket() as probing:
        probing.bind(("127.0.0.1", 0))
        return int(probing.getsockname()[1])


@asynccontextmanager
async def wayback(
    folder: Path, resolver: AbstractResolver, clock: Clock, **options: Any
) -> AsyncIterator[tuple[Pywb, Front]]:
    """Open a real Wayback in `folder`."""
    pywb = Pywb(folder, resolver)
    await pywb.start()
    front = Front(pywb, clock, **options)
    try:
        await front.start()
        yield pywb, front
    finally:
        await front.stop()
        await pywb.stop()


def now() -> datetime:
    """Return the present: pywb stamps its captures with it."""
    return datetime.now(UTC).replace(microsecond=0)
