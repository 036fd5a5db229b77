"""What robots.txt allows, and the sibling probe that obeys it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.checking.robots import MemoryRobots, read_robots
from archiver.clock import RehearsalClock
from archiver.config import NetworkSettings
from tests.checking.servers import (
    OK,
    Connection,
    Names,
    RawServer,
    fetching,
    read_nothing,
    status_line,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
AGENT = "source-link-archiver/1.0 (+https://timeline.example)"


def allowed(text: str, path: str) -> bool:
    return read_robots(200, text.encode(), AGENT, NOW).allows("https://news.example" + path)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("", "/a", True),
        ("User-agent: *\nDisallow:", "/a", True),
        ("User-agent: *\nDisallow: /", "/a", False),
        ("user-AGENT: *\r\ndisALLOW: /private\r\n", "/private/a", False),
        ("User-agent: *\nDisallow: /private", "/public", True),
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("User-agent: *\nAllow: /a/b\nDisallow: /a", "/a/c", False),
        ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),
        ("User-agent: *\nDisallow: /*.html", "/x/y.html?z", False),
        ("User-agent: *\nDisallow: /*.html$", "/x/y.html?z", True),
        ("User-agent: *\nDisallow: /*.html$", "/x/y.html", False),
        ("User-agent: *\nDisallow: /a*b*c", "/a1b2c3", False),
        ("User-agent: *\nDisallow: /a$", "/ab", True),
        ("User-agent: *\nDisallow: /?q=", "/?q=1", False),
        ("User-agent: *\nDisallow: /caf\u00e9", "/caf%C3%A9/x", False),
        ("User-agent: *\nDisallow: /%7Euser", "/~user", False),
        ("User-agent: other\nDisallow: /", "/a", True),
        ("User-agent: source-link-archiver\nDisallow: /\n\nUser-agent: *\nAllow: /", "/a", False),
        (
            "User-agent: *\nDisallow: /\n\nUser-agent: Source-Link-Archiver\nDisallow: /x",
            "/a",
            True,
        ),
        ("User-agent: one\nUser-agent: *\nDisallow: /a", "/a", False),
        ("User-agent: *\nCrawl-delay: 5\nDisallow: /a # why\n", "/a", False),
        ("User-agent: *\nDisallow: /a\n\nUser-agent: *\nDisallow: /b", "/b", False),
        ("Disallow: /", "/a", True),
        ("\ufeffUser-agent: *\nDisallow: /", "/a", False),
        ("<html>not found</html>", "/a", True),
        ("Sitemap: https://news.example/map.xml\nUser-agent: *\nDisallow: /a", "/a", False),
    ],
)
def test_the_longest_matching_rule_of_our_group_decides(
    text: str, path: str, expected: bool
) -> None:
    assert allowed(text, path) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, True),
        (403, True),
        (410, True),
        (429, False),
        (500, False),
        (503, False),
        (None, False),
    ],
)
def test_no_rules_allow_and_no_answer_forbids(status: int | None, expected: bool) -> None:
    robots = read_robots(status, b"User-agent: *\nDisallow: /", AGENT, NOW)
    assert robots.allows("https://news.example/a") is expected


def test_a_pattern_full_of_stars_takes_no_time() -> None:
    pattern = "User-agent: *\nDisallow: /" + "*a" * 5000 + "b$"
    assert allowed(pattern, "/" + "a" * 20_000)


@settings(max_examples=50)
@given(st.text(max_size=300), st.text(alphabet="/abc*$?%", max_size=30))
def test_any_text_can_be_read(text: str, path: str) -> None:
    assert allowed(text, "/" + path) in (True, False)


def _site(rules: str) -> tuple[RawServer, list[str]]:
    asked: list[str] = []

    async def serve(connection: Connection) -> None:
        asked.append(connection.visit.target)
        if connection.visit.target == "/robots.txt":
            await connection.send(status_line("200 OK", body=rules.encode()))
        elif connection.visit.target == "/news/story.html":
            await connection.send(OK)
        else:
            await connection.send(status_line("404 Not Found", body=b"no such page"))

    return RawServer(serve), asked


async def test_a_probe_asks_an_invented_sibling_and_robots_txt_once_a_month() -> None:
    site, asked = _site("User-agent: *\nDisallow: /admin")
    clock = RehearsalClock(NOW)
    robots = MemoryRobots()
    async with site as server:
        names = Names({"news.example": [("127.0.0.1", server.port)]})
        for _ in range(2):
            # A second process, or the same after a restart: what was told is still known.
            async with fetching(clock=clock, resolver=names, robots=robots) as fetcher:
                url = "http://news.example/news/story.html?page=2"
                seen = await fetcher.probe(url, on_page=read_nothing)
                assert seen is not None
                assert seen.status == 404
                assert seen.page is not None
                assert seen.page.title == "no such page"
        assert asked.count("/robots.txt") == 1
        clock.jump(timedelta(days=31))
        async with fetching(clock=clock, resolver=names, robots=robots) as fetcher:
            await fetcher.probe(url, on_page=read_nothing)
        assert asked.count("/robots.txt") == 2
    siblings = [target for target in asked if target != "/robots.txt"]
    assert len(set(siblings)) == 3
    for target in siblings:
        assert target.startswith("/news/")
        assert target.endswith(".html")
        assert len(target) == len("/news/.html") + 24


async def test_no_probe_goes_where_robots_txt_disallows_it() -> None:
    site, asked = _site("User-agent: *\nDisallow: /news/*.html$")
    async with site as server, fetching() as fetcher:
        assert await fetcher.probe(server.url("/news/story.html"), on_page=read_nothing) is None
        assert asked == ["/robots.txt"]


async def test_there_is_no_sibling_of_a_home_page() -> None:
    site, asked = _site("")
    async with site as server, fetching() as fetcher:
        for path in ("/", "/index.html", "/?utm_source=x"):
            assert await fetcher.probe(server.url(path), on_page=read_nothing) is None
        assert asked == []


async def test_a_host_that_does_not_answer_about_robots_is_not_probed() -> None:
    network = NetworkSettings(allow_private=["127.0.0.0/8"])
    async with fetching(network=network, resolver=Names({})) as fetcher:
        assert await fetcher.probe("http://gone.example/a/b", on_page=read_nothing) is None
