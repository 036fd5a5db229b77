"""The request line, byte for byte (law 4; reference checking §5.3)."""

from __future__ import annotations

import asyncio
import time

import pytest

from archiver.checking import pulse
from archiver.checking.hops import redirect_target, refresh_target, sibling_of
from archiver.urls import Address, read_address
from tests.checking.servers import (
    OK,
    Connection,
    Names,
    RawServer,
    answering,
    check_settings,
    fetching,
    look,
    status_line,
)

# as cited (path and query), as it must go out
TARGETS = [
    ("/a%2fb", "/a%2fb"),
    ("/a%2Fb", "/a%2Fb"),
    ("/%7Euser/%41", "/%7Euser/%41"),
    ("/100%", "/100%"),
    ("/a%zz%", "/a%zz%"),
    ('/a|b"c[d]{e}^`f', '/a|b"c[d]{e}^`f'),
    ("/a/../b/./c/%2e%2e/d", "/a/../b/./c/%2e%2e/d"),
    ("/a//b///", "/a//b///"),
    ("/a?", "/a?"),
    ("/?", "/?"),
    ("?", "/?"),
    ("", "/"),
    ("?q=1", "/?q=1"),
    ("/a??b?", "/a??b?"),
    ("/a?b=1&&c=;d=,e=:@/f", "/a?b=1&&c=;d=,e=:@/f"),
    ("/a?x=a+b%20c", "/a?x=a+b%20c"),
    ("/a?x=%E9", "/a?x=%E9"),
    ("/a?x[]=1&y='2'", "/a?x[]=1&y='2'"),
    ("/caf\u00e9?q=\u00fc", "/caf%C3%A9?q=%C3%BC"),
    ("/\U0001f600", "/%F0%9F%98%80"),
    ("/a b?c d", "/a%20b?c%20d"),
    ("/a#part", "/a"),
    ("/a?b#c?d", "/a?b"),
    ("/a?#c", "/a?"),
    ("/%252F;v=1,2", "/%252F;v=1,2"),
    ("/http://other.example/x?u=http://y.example/", "/http://other.example/x?u=http://y.example/"),
    ("/a*(b)!$&'~", "/a*(b)!$&'~"),
]


@pytest.mark.parametrize(("cited", "target"), TARGETS)
async def test_the_target_goes_out_as_cited(cited: str, target: str) -> None:
    async with RawServer(answering(OK)) as server, fetching() as fetcher:
        address = read_address(f"  http://127.0.0.1:{server.port}{cited} ")
        assert isinstance(address, Address)
        seen = await look(fetcher, address.wire)
        assert seen.status == 200
        assert server.visits[0].request_line == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize(
    ("cited", "sent"),
    [
        ("News.Example", "news.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("under_score.example", "under_score.example"),
    ],
)
async def test_the_host_goes_out_as_a_lower_case_a_label(cited: str, sent: str) -> None:
    async with RawServer(answering(OK)) as server:
        names = Names({sent: [("127.0.0.1", server.port)]})
        async with fetching(resolver=names) as fetcher:
            address = read_address(f"HTTP://{cited}/A")
            assert isinstance(address, Address)
            seen = await look(fetcher, address.wire)
            assert seen.status == 200
            assert server.visits[0].header("Host") == sent
            assert names.asked == [sent]


async def test_two_addresses_that_differ_in_an_empty_query_stay_two() -> None:
    async with RawServer(answering(OK)) as server, fetching() as fetcher:
        for path in ("/a", "/a?", "/a"):
            await look(fetcher, server.url(path))
        assert [one.target for one in server.visits] == ["/a", "/a?", "/a"]


async def test_a_redirects_target_goes_out_as_the_server_wrote_it() -> None:
    written = {
        "/1": "/a%2fb|c?x=%7E",
        "/2": "../up/./here?",
        "/3": "?only=query",
        "/4": "//127.0.0.1:{port}/other",
        "/5": "HTTP://127.0.0.1:{port}/upper#part",
        "/6": "http://user:secret@127.0.0.1:{port}/named",
        "/7": "  /spaces around  ",
        "/8": "/back\\slash",
        "/9": "plain",
    }
    expected = {
        "/1": "/a%2fb|c?x=%7E",
        "/2": "/up/here?",
        "/3": "/3?only=query",
        "/4": "/other",
        "/5": "/upper",
        "/6": "/named",
        "/7": "/spaces%20around",
        "/8": "/back/slash",
        "/9": "/plain",
    }

    async def onward(connection: Connection) -> None:
        location = written.get(connection.visit.target)
        if location is None:
            await connection.send(OK)
        else:
            line = "Location: " + location.replace("{port}", str(server.port))
            await connection.send(status_line("302 Found", line))

    async with RawServer(onward) as server, fetching() as fetcher:
        for path, target in expected.items():
            seen = await look(fetcher, server.url(path))
            assert (path, seen.status) == (path, 200)
            assert server.visits[-1].target == target
            assert server.visits[-1].header("Authorization") is None


@pytest.mark.parametrize(
    "location",
    [b"", b"   ", b"mailto:a@b", b"JavaScript:x", b"about:blank", b"http://", b"https:///x"],
)
def test_a_location_that_names_no_page_leads_nowhere(location: bytes) -> None:
    assert redirect_target("http://news.example/a/b", location) is None


def test_a_location_is_read_relative_to_the_page_that_gave_it() -> None:
    def target(location: bytes) -> str | None:
        found = redirect_target("https://news.example/a/b?c", location)
        return found.wire if found else None

    assert target(b"d") == "https://news.example/a/d"
    assert target(b"//other.example/d") == "https://other.example/d"
    assert target(b"https:d") == "https://news.example/a/d"
    assert target(b"http:d") is None
    assert target(b"/\xc3\xa9") == "https://news.example/%C3%A9"
    assert target(b"https://B\xc3\xbccher.example/x") == "https://xn--bcher-kva.example/x"


def test_a_refresh_within_five_seconds_is_a_redirect() -> None:
    base = "http://news.example/a"
    for header in ("0; url=/b", "5;URL='/b'", '3, url="/b"', " 1 ; /b", "0.5; url=/b"):
        found = refresh_target(base, header)
        assert found is not None, header
        assert found.wire == "http://news.example/b"
    for header in ("6; url=/b", "0", "url=/b", "", "soon; url=/b"):
        assert refresh_target(base, header) is None, header


def test_a_refresh_as_long_as_a_header_may_be_costs_next_to_nothing() -> None:
    start = time.process_time()
    assert refresh_target("http://news.example/a", "0; url=/b".ljust(32_000) + "c") is None
    assert time.process_time() - start < 0.1


def test_a_sibling_keeps_what_shapes_an_answer_and_invents_the_rest() -> None:
    plain = sibling_of("https://news.example/2019/story.html?id=7")
    assert plain is not None
    assert plain.startswith("https://news.example/2019/")
    assert plain.endswith(".html")
    name = plain.removeprefix("https://news.example/2019/").removesuffix(".html")
    assert len(name) == 24
    assert name.isalpha()
    folder = sibling_of("https://news.example/2019/story/")
    assert folder is not None
    assert folder.endswith("/")
    assert folder.count("/") == 5
    assert sibling_of("https://news.example/2019/story") != sibling_of(
        "https://news.example/2019/story"
    )
    for home in ("https://news.example/", "https://news.example/?a=b", "http://news.example/en/"):
        assert sibling_of(home) is None


async def test_silence_while_we_did_not_listen_ourselves_says_nothing_of_a_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(pulse, "LATE_SECONDS", 0.5)

    async def silent(_: Connection) -> None:
        time.sleep(0.9)  # noqa: ASYNC251  (all of the loop is to be held up)
        await asyncio.sleep(3)

    async with RawServer(silent) as server:
        names = Names({"news.example": [("127.0.0.1", server.port)]})
        check = check_settings(timeout="1s", connect_timeout="1s")
        async with fetching(check, resolver=names) as fetcher:
            seen = await look(fetcher, "http://news.example/story")
    assert seen.error == "local-trouble"
