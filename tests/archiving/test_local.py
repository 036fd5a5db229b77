"""Copies of our own: what went over the wire stands in the file, and other tools agree."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from archiver.archiving.local import (
    OPEN,
    CopyFile,
    Earlier,
    StoredRecord,
    finish,
    new_name,
    payload_digest,
)
from archiver.checking.tape import Tape
from archiver.clock import SystemClock
from archiver.model import Observation
from tests.checking.servers import (
    Behaviour,
    Connection,
    RawServer,
    answering,
    check_settings,
    fetching,
    read_nothing,
    status_line,
)

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NAME = "archiver-20260601120000-00000000.warc.gz"


@dataclass
class Made:
    """An exchange made up for a test."""

    body: IO[bytes]
    length: int
    url: str = "http://a.example/x"
    at: datetime = NOW
    request_line: str = "GET /x HTTP/1.1"
    request_headers: tuple[tuple[bytes, bytes], ...] = ((b"Host", b"a.example"),)
    status: int = 200
    status_line: str = "HTTP/1.1 200 OK"
    headers: tuple[tuple[bytes, bytes], ...] = ((b"Content-Type", b"text/html"),)
    address: str | None = None
    cut: str = ""


def made(body: bytes, **fields: Any) -> Made:
    return Made(io.BytesIO(body), len(body), **fields)


def a_file(folder: Path, name: str = NAME) -> CopyFile:
    return CopyFile(folder, name, software="archiver/test")


@dataclass
class Read:
    """A record as warcio reads it."""

    kind: str
    fields: Mapping[str, str]
    first_line: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def records(path: Path, offset: int = 0) -> list[Read]:
    found = []
    with path.open("rb") as file:
        file.seek(offset)
        for record in ArchiveIterator(file):
            http = record.http_headers
            found.append(
                Read(
                    record.rec_type,
                    {name: value for name, value in record.rec_headers.headers},
                    f"{http.protocol} {http.statusline}".strip() if http else "",
                    list(http.headers) if http else [],
                    record.raw_stream.read(),
                )
            )
    return found


def warcio_agrees(path: Path) -> bool:
    tool = Path(sys.executable).with_name("warcio")
    checked = subprocess.run(
        [str(tool), "check", "-v", str(path)], capture_output=True, text=True, check=False
    )
    assert "digest pass" in checked.stdout
    return checked.returncode == 0 and "digest failed" not in checked.stdout


def spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=4096, mode="w+b")


@asynccontextmanager
async def taped(
    behaviour: Behaviour, path: str = "/x", *, limit: int = 1 << 20, **check: Any
) -> AsyncIterator[tuple[Tape, Observation, RawServer]]:
    tape = Tape(limit, spool, SystemClock().now)
    async with RawServer(behaviour) as server, fetching(check_settings(**check)) as fetcher:
        seen = await fetcher.record(server.url(path), tape, on_page=read_nothing)
        yield tape, seen, server
    tape.close()


def keep(folder: Path, tape: Tape) -> tuple[Path, list[StoredRecord]]:
    file = a_file(folder)
    stored = file.write(tape.exchanges, {})
    file.close()
    return folder / NAME, stored


PAGE = b"<html><title>A story</title><p>" + b"text " * 2000


async def test_a_page_is_kept_as_transferred_with_the_request_as_sent(tmp_path: Path) -> None:
    packed = gzip.compress(PAGE)
    halves = packed[:20], packed[20:]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(half), half) for half in halves) + b"0\r\n\r\n"
    head = (
        b"HTTP/1.1 200 Fine\r\nContent-Type: text/html\r\nX-Odd:  spaced \r\n"
        b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=1\r\n"
        b"Set-Cookie: b=2\r\n\r\n"
    )
    async with taped(answering(head + chunks), "/x?q=%2F&r=a%20b") as (tape, seen, server):
        path, _ = keep(tmp_path, tape)
        sent = server.visits[0].head
    assert seen.page is not None
    assert seen.page.title.startswith("<html><title>A story")
    information, response, request = records(path)
    assert information.kind == "warcinfo"
    assert b"software: archiver/test" in information.body
    assert (response.kind, response.first_line) == ("response", "HTTP/1.1 200 Fine")
    assert response.body == packed
    assert ("X-Orig-Transfer-Encoding", "chunked") in response.headers
    assert [value for name, value in response.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert response.fields["WARC-IP-Address"] == "127.0.0.1"
    assert response.fields["Content-Type"] == "application/http; msgtype=response"
    assert "WARC-Truncated" not in response.fields
    assert request.kind == "request"
    lines = [request.first_line, *(f"{name}: {value}" for name, value in request.headers)]
    assert "\r\n".join([*lines, "", ""]).encode("latin-1") == sent
    assert request.fields["WARC-Concurrent-To"] == response.fields["WARC-Record-ID"]
    assert request.fields["WARC-Date"] == response.fields["WARC-Date"]
    assert warcio_agrees(path)


async def test_every_hop_of_a_redirect_has_its_request_and_response(tmp_path: Path) -> None:
    async def behave(connection: Connection) -> None:
        if connection.visit.target == "/x":
            body = b"moved"
            await connection.send(status_line("301 Moved", "Location: /y", body=body))
        else:
            await connection.send(status_line("200 OK", "Content-Type: text/html", body=PAGE))

    async with taped(behave) as (tape, seen, server):
        path, stored = keep(tmp_path, tape)
        assert seen.final_url == server.url("/y")
        urls = [server.url("/x"), server.url("/y")]
    found = records(path)
    assert [one.kind for one in found] == ["warcinfo", *["response", "request"] * 2]
    assert [one.fields["WARC-Target-URI"] for one in found if one.kind == "response"] == urls
    assert found[1].body == b"moved"
    assert [one.url for one in stored] == urls
    assert warcio_agrees(path)


async def test_offset_and_length_lead_straight_to_the_record(tmp_path: Path) -> None:
    async with taped(answering(status_line("200 OK", body=PAGE))) as (tape, _, _):
        path, [stored] = keep(tmp_path, tape)
    member = path.read_bytes()[stored.offset : stored.offset + stored.length]
    block = zlib.decompressobj(31).decompress(member)
    assert block.startswith(b"WARC/1.1\r\n")
    assert PAGE in block
    assert records(path, stored.offset)[0].kind == "response"
    assert stored.digest == records(path, stored.offset)[0].fields["WARC-Payload-Digest"]


async def test_header_bytes_that_are_not_ascii_stay_as_they_came(tmp_path: Path) -> None:
    odd = b"X-Latin: caf\xe9\r\nX-Utf: caf\xc3\xa9\r\n"
    head = b"HTTP/1.1 200 D\xe9j\xe0\r\n" + odd + b"Content-Length: 2\r\n\r\nok"
    async with taped(answering(head)) as (tape, _, _):
        path, [stored] = keep(tmp_path, tape)
    block = zlib.decompressobj(31).decompress(path.read_bytes()[stored.offset :])
    assert odd in block
    assert b"HTTP/1.1 200 D\xe9j\xe0\r\n" in block
    assert warcio_agrees(path)


async def test_a_body_over_the_limit_is_cut_and_says_so(tmp_path: Path) -> None:
    async with taped(answering(status_line("200 OK", body=PAGE)), limit=1000) as (tape, seen, _):
        path, [stored] = keep(tmp_path, tape)
    assert seen.page is not None
    assert seen.page.truncated
    _, response, _ = records(path)
    assert response.body == PAGE[:1000]
    assert response.fields["WARC-Truncated"] == stored.cut == "length"
    assert ("X-Orig-Content-Length", str(len(PAGE))) in response.headers
    assert not [name for name, _ in response.headers if name.lower() == "content-length"]
    assert warcio_agrees(path)


async def test_a_body_that_breaks_off_is_kept_and_says_so(tmp_path: Path) -> None:
    async def behave(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nhalf a page")

    async with taped(behave) as (tape, _, _):
        path, [stored] = keep(tmp_path, tape)
    _, response, _ = records(path)
    assert (response.body, stored.cut) == (b"half a page", "disconnect")
    assert response.fields["WARC-Truncated"] == "disconnect"


async def test_a_body_that_takes_too_long_is_kept_and_says_so(tmp_path: Path) -> None:
    async def behave(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nslow")
        await connection.reader.read()

    async with taped(behave, timeout="1s", connect_timeout="1s") as (tape, _, _):
        path, [stored] = keep(tmp_path, tape)
    assert stored.cut == "time"
    assert records(path)[1].fields["WARC-Truncated"] == "time"


async def test_a_bomb_is_kept_small_and_read_no_further_than_any_page(tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * (64 << 20), 9)
    answer = status_line("200 OK", "Content-Encoding: gzip", body=bomb)
    async with taped(answering(answer)) as (tape, seen, _):
        [exchange] = tape.exchanges
        assert exchange.length == len(bomb)
        assert not exchange.cut
    assert seen.page is not None
    assert seen.page.truncated
    assert seen.page.text_length == check_settings().max_body


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("deflate", zlib.compress(PAGE)),
        ("deflate", zlib.compress(PAGE)[2:-4]),
        ("x-gzip", gzip.compress(PAGE)),
        ("identity", PAGE),
    ],
    ids=["zlib", "bare deflate", "x-gzip", "identity"],
)
async def test_a_tape_is_read_like_any_answer(encoding: str, packed: bytes) -> None:
    answer = status_line("200 OK", f"Content-Encoding: {encoding}", body=packed)
    async with taped(answering(answer)) as (_, seen, _):
        assert seen.page is not None
        assert seen.page.text_length == len(PAGE)


async def test_an_encoding_nobody_asked_for_is_kept_but_not_read(tmp_path: Path) -> None:
    answer = status_line("200 OK", "Content-Encoding: br", body=b"\x0b\x02\x80abc\x03")
    async with taped(answering(answer)) as (tape, seen, _):
        path, _ = keep(tmp_path, tape)
    assert seen.page is None
    assert records(path)[1].body == b"\x0b\x02\x80abc\x03"


async def test_nothing_is_on_the_tape_when_nothing_answered() -> None:
    async def behave(connection: Connection) -> None:
        connection.reset()

    async with taped(behave) as (tape, seen, server):
        assert tape.exchanges == []
        assert seen.error is not None
        assert len(server.visits) == 2  # the one second try of any look


def test_a_known_payload_is_a_revisit_without_a_body(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    first = made(b"the same page")
    [stored] = file.write([first], {})
    earlier = {stored.digest: Earlier(stored.url, stored.captured_at)}
    again = made(b"the same page", url="http://a.example/again")
    empty = made(b"", url="http://a.example/empty")
    cut = made(b"the same page", url="http://a.example/cut", cut="length")
    earlier[payload_digest(empty)] = earlier[stored.digest]
    kinds = [one.kind for one in file.write([again, empty, cut], earlier)]
    file.close()
    assert kinds == ["revisit", "response", "response"]
    revisit = next(one for one in records(tmp_path / NAME) if one.kind == "revisit")
    assert revisit.body == b""
    assert revisit.first_line == "HTTP/1.1 200 OK"
    assert revisit.fields["WARC-Refers-To-Target-URI"] == "http://a.example/x"
    assert revisit.fields["WARC-Refers-To-Date"] == "2026-06-01T12:00:00Z"
    assert revisit.fields["WARC-Payload-Digest"] == stored.digest
    assert revisit.fields["WARC-Profile"].endswith("/1.1/revisit/identical-payload-digest")
    assert warcio_agrees(tmp_path / NAME)


def test_what_our_own_proxy_is_told_stands_in_no_file() -> None:
    from archiver.checking.tape import _sent

    headers = [("Host", "a.example"), ("Proxy-Authorization", "Basic c2VjcmV0")]
    assert list(_sent(headers)) == [(b"Host", b"a.example")]


def test_a_file_has_its_final_name_only_when_it_is_closed(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    file.write([made(b"page")], {})
    growing = tmp_path / (NAME + OPEN)
    assert [path.name for path in tmp_path.iterdir()] == [growing.name]
    assert growing.stat().st_size == file.size
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


class Broken(io.BytesIO):
    """A body that cannot be read a second time."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError(28, "No space left on device")


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    file.write([made(b"first")], {})
    before = (tmp_path / (NAME + OPEN)).read_bytes()
    with pytest.raises(OSError, match="No space"):
        file.write([made(b"second" * 50_000), Made(Broken(), 5)], {})
    assert (tmp_path / (NAME + OPEN)).read_bytes() == before
    file.write([made(b"third")], {})
    file.close()
    bodies = [one.body for one in records(tmp_path / NAME) if one.kind == "response"]
    assert bodies == [b"first", b"third"]
    assert warcio_agrees(tmp_path / NAME)


def test_what_a_killed_process_left_is_cut_to_what_was_acknowledged(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    file.write([made(b"first")], {})
    acknowledged = file.size
    file._file.close()
    with (tmp_path / (NAME + OPEN)).open("ab") as left:
        left.write(b"\x1f\x8b half a record")
    assert finish(tmp_path / NAME, acknowledged)
    assert (tmp_path / NAME).stat().st_size == acknowledged
    assert warcio_agrees(tmp_path / NAME)
    assert finish(tmp_path / NAME, acknowledged)  # killed between renaming and noting it


def test_a_file_that_lost_acknowledged_bytes_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / (NAME + OPEN)).write_bytes(b"short")
    assert not finish(tmp_path / NAME, 100)
    assert (tmp_path / (NAME + OPEN)).read_bytes() == b"short"
    assert not finish(tmp_path / "archiver-never.warc.gz", 100)


def test_names_sort_by_time_and_never_meet() -> None:
    names = {new_name(NOW) for _ in range(50)}
    assert len(names) == 50
    assert all(name.startswith("archiver-20260601120000-") for name in names)
    assert min(names) > new_name(NOW.replace(month=5))


HEADER = st.tuples(
    st.from_regex(rb"\A[A-Za-z][A-Za-z0-9-]{0,20}\Z"),
    st.binary(max_size=30).map(lambda value: bytes(b for b in value if b not in b"\r\n\0").strip()),
)


@settings(max_examples=25, deadline=None)
@given(body=st.binary(max_size=3000), headers=st.lists(HEADER, max_size=6))
def test_any_answer_comes_back_from_the_file(
    body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    spoken_of = {b"content-length", b"transfer-encoding", b"content-encoding"}
    headers = [one for one in headers if one[0].lower() not in spoken_of]
    with tempfile.TemporaryDirectory() as folder:
        file = a_file(Path(folder))
        [stored] = file.write([made(body, headers=tuple(headers))], {})
        file.close()
        raw = (Path(folder) / NAME).read_bytes()[stored.offset :]
        block = zlib.decompressobj(31).decompress(raw)
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        assert block.endswith(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n" + body + b"\r\n\r\n")
        assert records(Path(folder) / NAME)[1].body == body
