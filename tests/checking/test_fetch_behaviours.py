"""What servers do (reference checking §5.1), each against a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
from datetime import UTC, datetime

import pytest

from archiver.checking.resolver import NameTimeout
from archiver.clock import Clock, RehearsalClock
from archiver.config import CheckSettings
from archiver.model import Hop
from tests.checking.servers import (
    OK,
    Behaviour,
    Connection,
    Names,
    RawServer,
    answering,
    check_settings,
    fetching,
    look,
    status_line,
    unused_port,
)


async def _silence(connection: Connection) -> None:
    await asyncio.sleep(3)


async def _close(connection: Connection) -> None:
    return


async def _reset(connection: Connection) -> None:
    connection.reset()


async def _reset_in_header(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
    await asyncio.sleep(0.1)
    connection.reset()


async def _trickle_headers(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(60):
        await connection.send(b"x")
        await asyncio.sleep(0.05)


async def _trickle_body(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    for _ in range(60):
        await connection.send(b"drop ")
        await asyncio.sleep(0.05)


async def _reset_in_body(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf")
    await asyncio.sleep(0.1)
    connection.reset()


# behaviour, error, how many requests it may cost
FAILURES: dict[str, tuple[Behaviour, str, int]] = {
    "row 11: accepted and closed": (_close, "empty-answer", 2),
    "row 12: accepted and reset": (_reset, "reset", 2),
    "row 12: reset in the header": (_reset_in_header, "reset", 1),
    "row 13: silent": (_silence, "read-timeout", 1),
    "row 14: headers trickle": (_trickle_headers, "read-timeout", 1),
    "row 15: header cut": (answering(b"HTTP/1.1 200 OK\r\nContent-"), "empty-answer", 1),
    "row 26: HTTP/2 frames": (
        answering(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\r\n\r\n"),
        "unreadable-http",
        1,
    ),
    "row 54: status abc": (answering(b"HTTP/1.1 abc OK\r\n\r\n"), "unreadable-http", 1),
    "row 54: status 20": (answering(b"HTTP/1.1 20 OK\r\n\r\n"), "unreadable-http", 1),
    "row 54: status 1000": (answering(b"HTTP/1.1 1000 OK\r\n\r\n"), "unreadable-http", 1),
    "row 55: HTTP/0.9": (answering(b"<html>hello</html>\r\n\r\n"), "unreadable-http", 1),
    "row 55: ICY": (answering(b"ICY 200 OK\r\n\r\n"), "unreadable-http", 1),
    "row 55: space in a header name": (
        answering(b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n"),
        "unreadable-http",
        1,
    ),
    "row 55: no colon": (answering(b"HTTP/1.1 200 OK\r\nnothing\r\n\r\n"), "unreadable-http", 1),
    "row 57: one huge header": (
        answering(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 40_000 + b"\r\n\r\n"),
        "unreadable-http",
        1,
    ),
    "row 57: too many headers": (
        answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n"),
        "unreadable-http",
        1,
    ),
    "row 57: too many bytes of headers": (
        answering(b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"a" * 1000 + b"\r\n") * 100 + b"\r\n"),
        "unreadable-http",
        1,
    ),
    "row 58: two lengths": (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
        "unreadable-http",
        1,
    ),
    "row 58: a negative length": (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok"),
        "unreadable-http",
        1,
    ),
}


@pytest.mark.parametrize("row", FAILURES)
async def test_a_failure_has_its_word(row: str) -> None:
    behaviour, word, cost = FAILURES[row]
    async with RawServer(behaviour) as server, fetching(check_settings(timeout="1s")) as fetcher:
        seen = await look(fetcher, server.url())
        assert (seen.status, seen.error) == (None, word)
        assert seen.page is None
        assert len(server.visits) == cost


ANSWERS: dict[str, tuple[bytes, int, str]] = {
    "row 27: early hints first": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
        200,
        "hello",
    ),
    "row 28: an unasked 304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", 304, ""),
    "row 29: 206": (status_line("206 Partial", body=b"part"), 206, "part"),
    "row 30: an empty page": (status_line("200 OK"), 200, ""),
    "row 30: no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
    "row 31: choices": (status_line("300 Multiple", "Location: /y", body=b"two"), 300, "two"),
    "row 33: no Location": (status_line("302 Found", body=b"here"), 302, "here"),
    "row 33: an empty Location": (status_line("302 Found", "Location: ", body=b"e"), 302, "e"),
    "row 42: 999": (status_line("999 Denied", body=b"no"), 999, "no"),
    "row 44: 404": (status_line("404 Not Found", body=b"gone"), 404, "gone"),
    "row 51: 511": (status_line("511 Portal", body=b"log in"), 511, "log in"),
    "row 52: 522": (status_line("522", body=b"error code: 522"), 522, "error code: 522"),
    "row 56: line feeds only": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok"),
    "row 56: HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nold", 200, "old"),
    "row 56: no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    "row 59: identity coding": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nplain",
        200,
        "plain",
    ),
    "row 70: no type": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
}


@pytest.mark.parametrize("row", ANSWERS)
async def test_an_answer_is_taken_as_it_is(row: str) -> None:
    data, status, text = ANSWERS[row]
    async with RawServer(answering(data)) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url())
        assert (seen.status, seen.error) == (status, None)
        assert seen.page is not None
        assert (seen.page.title, seen.page.truncated) == (text, False)
        assert len(server.visits) == 1


BROKEN_BODIES: dict[str, tuple[Behaviour, str]] = {
    "row 60: shorter than promised": (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf"),
        "half",
    ),
    "row 60: chunks cut": (
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        "half",
    ),
    "row 60: reset in the body": (_reset_in_body, "half"),
    "row 69: trickling": (_trickle_body, "drop"),
}


@pytest.mark.parametrize("row", BROKEN_BODIES)
async def test_a_broken_body_leaves_the_status_and_what_was_read(row: str) -> None:
    behaviour, text = BROKEN_BODIES[row]
    async with RawServer(behaviour) as server, fetching(check_settings(timeout="1s")) as fetcher:
        seen = await look(fetcher, server.url())
        assert (seen.status, seen.error) == (200, None)
        assert seen.page is not None
        assert seen.page.title.startswith(text)
        assert seen.page.truncated
        assert len(server.visits) == 1


@pytest.mark.parametrize(
    "data",
    [
        status_line("200 OK", "Content-Encoding: gzip", body=b"certainly not gzip"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
    ],
)
async def test_row_63_a_body_nobody_can_read_is_no_empty_page(data: bytes) -> None:
    async with RawServer(answering(data)) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url())
        assert (seen.status, seen.error, seen.page) == (200, None, None)


async def test_a_compressed_page_is_read_and_one_cut_off_is_read_as_far_as_it_goes() -> None:
    packed = gzip.compress(b"hello " * 1000)
    whole = status_line("200 OK", "Content-Encoding: gzip", body=packed)
    cut = status_line("200 OK", "Content-Encoding: gzip", body=packed[:-12])
    async with fetching() as fetcher:
        for data in (whole, cut):
            async with RawServer(answering(data)) as server:
                seen = await look(fetcher, server.url())
                assert seen.status == 200
                assert seen.page is not None
                assert seen.page.title.startswith("hello hello")
                assert server.visits[0].header("Accept-Encoding") == "gzip, deflate"


async def test_row_8_nobody_listens() -> None:
    async with fetching() as fetcher:
        seen = await look(fetcher, f"http://127.0.0.1:{unused_port()}/")
        assert (seen.status, seen.error) == (None, "refused")


async def test_row_10_a_backlog_that_is_full_swallows_the_connection() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    place = listener.getsockname()
    fillers = [socket.socket() for _ in range(4)]
    try:
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(place)
        async with fetching(check_settings(connect_timeout="1s", timeout="3s")) as fetcher:
            seen = await look(fetcher, f"http://127.0.0.1:{place[1]}/")
            assert seen.error == "connect-timeout"
            assert seen.duration < 2
    finally:
        for opened in (listener, *fillers):
            opened.close()


NAMES = {
    "row 1: no such name": (socket.gaierror(socket.EAI_NONAME, "x"), "dns-gone"),
    "row 2: no address": (socket.gaierror(socket.EAI_NODATA, "x"), "dns-no-address"),
    "row 3: the resolver is in trouble": (socket.gaierror(socket.EAI_AGAIN, "x"), "dns-error"),
    "row 3: refused": (socket.gaierror(socket.EAI_FAIL, "x"), "dns-error"),
    "row 4: no answer": (NameTimeout("x"), "dns-timeout"),
}


@pytest.mark.parametrize("row", NAMES)
async def test_a_name_that_does_not_resolve_has_its_word(row: str) -> None:
    error, word = NAMES[row]
    async with fetching(resolver=Names({"news.example": error})) as fetcher:
        seen = await look(fetcher, "http://news.example/a")
        assert (seen.status, seen.error) == (None, word)
        assert seen.final_url == "http://news.example/a"


async def test_row_4_a_resolver_that_never_answers_is_not_waited_for() -> None:
    class Silent(Names):
        async def resolve(self, host, port=0, family=socket.AF_INET):  # type: ignore[no-untyped-def]
            await asyncio.sleep(30)

    async with fetching(check_settings(connect_timeout="1s"), resolver=Silent({})) as fetcher:
        seen = await look(fetcher, "http://news.example/a")
        assert seen.error == "dns-timeout"
        assert seen.duration < 1.5


async def test_row_5_a_resolver_that_answers_nothing_is_a_name_without_address() -> None:
    async with fetching(resolver=Names({"news.example": []})) as fetcher:
        seen = await look(fetcher, "http://news.example/a")
        assert seen.error == "dns-no-address"


async def test_the_systems_resolver_tells_a_missing_name_by_number() -> None:
    async with fetching() as fetcher:
        seen = await look(fetcher, "http://no-such-name.invalid/")
        assert seen.error in ("dns-gone", "dns-error", "dns-timeout")


REDIRECTS: dict[str, tuple[str, str]] = {
    "row 35: mailto": ("mailto:a@b.example", "bad-redirect"),
    "row 35: javascript": ("javascript:alert(1)", "bad-redirect"),
    "row 35: data": ("data:text/html,hi", "bad-redirect"),
    "row 35: ftp": ("ftp://127.0.0.1/", "bad-redirect"),
    "row 35: file": ("file:///etc/passwd", "bad-redirect"),
    "row 36: no host": ("http:///x", "bad-redirect"),
    "row 36: a broken address": ("http://[::1/", "bad-redirect"),
    "row 36: a port too high": ("http://127.0.0.1:99999/", "bad-redirect"),
    "row 37: a private address": ("http://10.0.0.1/", "private-address"),
    "row 37: cloud metadata": ("http://169.254.169.254/latest/", "private-address"),
    "row 37: an address in disguise": ("http://2130706433/", "private-address"),
    "a bad port": ("http://127.0.0.1:25/", "bad-port"),
}


@pytest.mark.parametrize("row", REDIRECTS)
async def test_a_redirect_that_leads_nowhere_we_go_is_not_followed(row: str) -> None:
    location, word = REDIRECTS[row]
    data = status_line("302 Found", f"Location: {location}")
    async with RawServer(answering(data)) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url())
        assert seen.error == word
        assert len(server.visits) == 1


async def test_row_38_a_loop_is_noticed_at_its_second_turn() -> None:
    data = status_line("302 Found", "Location: /x")
    async with RawServer(answering(data)) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url())
        assert (seen.status, seen.error) == (302, "redirect-loop")
        assert len(server.visits) == 1


async def test_row_38_an_endless_chain_ends_after_ten_hops() -> None:
    async def onward(connection: Connection) -> None:
        await connection.send(status_line("301 Moved", f"Location: {connection.visit.target}x"))

    async with RawServer(onward) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url())
        assert (seen.status, seen.error) == (301, "redirect-loop")
        assert len(seen.redirects) == 10
        assert len(server.visits) == 11


async def test_ten_redirects_are_followed_to_their_end() -> None:
    async def onward(connection: Connection) -> None:
        step = int(connection.visit.target.removeprefix("/"))
        if step == 10:
            await connection.send(OK)
        else:
            await connection.send(status_line("302 Found", f"Location: /{step + 1}"))

    async with RawServer(onward) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url("/0"))
        assert (seen.status, len(seen.redirects)) == (200, 10)
        assert seen.redirects[3] == Hop(302, server.url("/3"))
        assert seen.final_url == server.url("/10")


async def test_row_39_a_loop_until_a_cookie_returns_ends_well_and_looks_share_no_cookies() -> None:
    async def gate(connection: Connection) -> None:
        if connection.visit.header("Cookie") == 'seen=a"b,c':
            await connection.send(OK)
        else:
            await connection.send(
                status_line("302 Found", 'Set-Cookie: seen=a"b,c; Path=/', "Location: /x")
            )

    async with RawServer(gate) as server, fetching() as fetcher:
        for _ in range(2):
            seen = await look(fetcher, server.url())
            assert (seen.status, seen.redirects) == (200, (Hop(302, server.url()),))
        assert [one.header("Cookie") is None for one in server.visits] == [True, False] * 2


async def test_row_34_a_raw_latin_1_location_goes_out_percent_encoded() -> None:
    async def onward(connection: Connection) -> None:
        if connection.visit.target == "/x":
            await connection.send(b"HTTP/1.1 302 Found\r\nLocation: /caf\xe9?q=\xe9\r\n\r\n")
        else:
            await connection.send(OK)

    async with RawServer(onward) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url())
        assert seen.status == 200
        assert server.visits[-1].target == "/caf%E9?q=%E9"


async def test_row_40_a_refresh_header_of_a_near_empty_page_is_one_hop() -> None:
    async def onward(connection: Connection) -> None:
        if connection.visit.target == "/x":
            await connection.send(status_line("200 OK", "Refresh: 0; url=/there", body=b"..."))
        else:
            await connection.send(status_line("200 OK", "Refresh: 0; url=/further", body=b"end"))

    async with RawServer(onward) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url())
        assert seen.final_url == server.url("/there")
        assert seen.redirects == (Hop(200, server.url()),)
        assert seen.page is not None
        assert seen.page.title == "end"


@pytest.mark.parametrize(
    ("refresh", "body"),
    [
        ("30; url=/there", b"short"),
        ("0; url=/there", b"long " * 200),
        ("0; url=/x", b"itself"),
        ("nonsense", b"short"),
        ("0; url=http://10.0.0.1/", b"private"),
        ("0; url=mailto:a@b.example", b"mail"),
    ],
)
async def test_row_40_a_refresh_that_is_no_redirect_leaves_the_page_as_it_is(
    refresh: str, body: bytes
) -> None:
    data = status_line("200 OK", f"Refresh: {refresh}", body=body)
    async with RawServer(answering(data)) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url())
        assert (seen.status, seen.error, seen.redirects) == (200, None, ())
        assert len(server.visits) == 1


async def test_a_connection_broken_once_is_tried_again_and_then_fine() -> None:
    async def first_time_broken(connection: Connection) -> None:
        if len(server.visits) > 1:
            await connection.send(OK)

    async with RawServer(first_time_broken) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url())
        assert seen.status == 200
        assert len(server.visits) == 2


async def _connections(
    check: CheckSettings, *, closes: bool, clock: Clock | None = None
) -> tuple[list[int], list[int]]:
    """Look three times at a server; return the statuses and how many requests each
    connection carried."""
    carried: list[int] = []
    ended: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(done := asyncio.Event())
        place = len(carried)
        carried.append(0)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while await reader.readuntil(b"\r\n\r\n"):
                if closes and carried[place]:
                    break
                carried[place] += 1
                writer.write(OK)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        done.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, fetching(check, clock=clock) as fetcher:
        looks = [await look(fetcher, f"http://127.0.0.1:{port}/{number}") for number in range(3)]
    for one in ended:
        await one.wait()
    return [seen.status or 0 for seen in looks], carried


async def test_a_connection_is_kept_where_a_host_may_be_asked_at_once() -> None:
    assert await _connections(check_settings(), closes=False) == ([200] * 3, [3])


async def test_no_connection_is_kept_where_a_host_is_asked_rarely() -> None:
    clock = RehearsalClock(datetime(2026, 11, 24, tzinfo=UTC), speed=100)
    check = check_settings(host_delay="1s", timeout="30s")
    assert await _connections(check, closes=False, clock=clock) == ([200] * 3, [1, 1, 1])


async def test_a_kept_connection_that_was_closed_meanwhile_is_no_bad_look() -> None:
    statuses, carried = await _connections(check_settings(), closes=True)
    assert statuses == [200] * 3
    assert carried == [1, 1, 1]


async def test_a_request_says_who_asks_and_what_it_takes() -> None:
    check = check_settings(contact="https://timeline.example/about")
    async with RawServer(answering(OK)) as server, fetching(check) as fetcher:
        await look(fetcher, server.url())
        visit = server.visits[0]
        assert visit.request_line == "GET /x HTTP/1.1"
        assert "https://timeline.example/about" in (visit.header("User-Agent") or "")
        assert (visit.header("Accept") or "").startswith("text/html")
        assert visit.header("Host") == f"127.0.0.1:{server.port}"
        assert visit.header("Cookie") is None
        assert visit.header("Authorization") is None


async def test_without_a_contact_the_user_agent_says_so() -> None:
    async with RawServer(answering(OK)) as server, fetching() as fetcher:
        await look(fetcher, server.url())
        assert "no contact" in (server.visits[0].header("User-Agent") or "")


async def test_the_headers_that_rules_read_are_kept_and_cookies_only_by_name() -> None:
    data = status_line(
        "503 Busy",
        "CF-Mitigated: challenge",
        "X-Secret: no",
        "Retry-After: 120",
        "Set-Cookie: within.website-x-cmd-anubis-auth=sesame; Path=/",
        "Content-Type: text/html; charset=utf-8",
    )
    async with RawServer(answering(data)) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url())
        assert seen.headers["cf-mitigated"] == "challenge"
        assert seen.headers["set-cookie"] == "within.website-x-cmd-anubis-auth"
        assert "x-secret" not in seen.headers
        assert seen.content_type == "text/html; charset=utf-8"
        assert seen.retry_after == 120


async def test_a_page_reader_that_fails_costs_the_page_and_nothing_else() -> None:
    def broken(body: bytes, content_type: str | None, /, *, truncated: bool, url: str):  # type: ignore[no-untyped-def]
        raise RuntimeError("no")

    async with RawServer(answering(OK)) as server, fetching() as fetcher:
        seen = await fetcher.look(server.url(), on_page=broken)
        assert (seen.status, seen.page) == (200, None)


async def test_an_unusable_address_is_an_observation_too() -> None:
    async with fetching() as fetcher:
        seen = await look(fetcher, "gopher://old.example/")
        assert seen.error == "unsupported-scheme"
