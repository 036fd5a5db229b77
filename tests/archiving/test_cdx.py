"""The index client: what is an answer, what is none, and whose rows are whose."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.archiving.answers import Lookup
from archiver.archiving.cdx import (
    NEWEST_ROWS,
    IndexClient,
    captures_from_rows,
    read_answer,
    read_rows,
)
from archiver.archiving.wire import ArchiveWire, RawAnswer
from archiver.clock import SystemClock
from archiver.demo.wayback import EXCLUSION, Scripted
from tests.archiving.conftest import START, World

URL = "https://news.example/story"


def at(year: int, month: int = 1, day: int = 1) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


async def test_a_known_capture_is_found_with_its_address(world: World) -> None:
    address = world.archive.add_capture(URL, at(2020, 5, 6))
    answer = await world.index.look_up(URL)
    assert answer.outcome is Lookup.FOUND
    (capture,) = answer.captures
    assert (capture.archive_url, capture.status, capture.captured_at) == (
        address,
        200,
        at(2020, 5, 6),
    )
    assert answer.requests == 1


async def test_an_empty_list_is_a_clean_negative(world: World) -> None:
    assert (await world.index.look_up(URL)).outcome is Lookup.NOTHING


@pytest.mark.parametrize(
    ("response", "outcome", "pause"),
    [
        (Scripted(429, "slow down"), Lookup.THROTTLED, None),
        (Scripted(429, "", headers={"Retry-After": "90"}), Lookup.THROTTLED, 90),
        (Scripted(503, "<html>Internet Archive: Temporarily Offline</html>"), Lookup.TROUBLE, None),
        (Scripted(504), Lookup.TROUBLE, None),
        (Scripted(400, "Bad"), Lookup.TROUBLE, None),
        (Scripted(403, "go away"), Lookup.TROUBLE, None),
        (Scripted(302, headers={"Location": "http://127.0.0.1:1/"}), Lookup.TROUBLE, None),
        (Scripted(200, "<!doctype html><p>hello"), Lookup.TROUBLE, None),
        (Scripted(200, "[[1,2"), Lookup.TROUBLE, None),
        (Scripted(200, '[["a"],["b"]]'), Lookup.TROUBLE, None),
        (Scripted(200, '["The index is busy"]'), Lookup.TROUBLE, None),
        (Scripted(200, '[{"timestamp": "20200101000000"}]'), Lookup.TROUBLE, None),
        (Scripted(200, "[null]"), Lookup.TROUBLE, None),
        (Scripted(200, '[["timestamp", "original"], ["20200101000000"]]'), Lookup.TROUBLE, None),
        (Scripted(200, '[["timestamp", "original"], [2020, null]]'), Lookup.TROUBLE, None),
        (Scripted(reset=True), Lookup.TROUBLE, None),
        (Scripted(403, EXCLUSION, "text/plain"), Lookup.EXCLUDED, None),
        (Scripted(200, "org.archive…RobotAccessControlException: robots"), Lookup.EXCLUDED, None),
        (Scripted(200, ""), Lookup.NOTHING, None),
        (Scripted(200, "[]"), Lookup.NOTHING, None),
    ],
)
async def test_only_a_clean_answer_is_an_answer(
    world: World, response: Scripted, outcome: Lookup, pause: int | None
) -> None:
    world.archive.add_capture(URL, at(2020))
    world.archive.script("cdx", "story", response)
    answer = await world.index.look_up(URL)
    assert (answer.outcome, answer.retry_after) == (outcome, pause)
    assert answer.captures == ()


async def test_a_closed_port_is_the_firewall_not_an_absence(world: World) -> None:
    await world.archive.stop()
    assert (await world.index.look_up(URL)).outcome is Lookup.REFUSED


async def test_an_index_that_packs_its_rows_for_who_asks_is_understood() -> None:
    table = [["timestamp", "original", "statuscode"], ["20200506000000", URL, "200"]]

    async def answer(request: web.Request) -> web.Response:
        response = web.json_response(table)
        response.enable_compression()  # as the request's Accept-Encoding allows
        return response

    application = web.Application()
    application.router.add_get("/cdx", answer)
    async with TestServer(application) as server:
        cdx_url = str(server.make_url("/cdx"))
        async with ArchiveWire([cdx_url], user_agent="archiver-test") as wire:
            index = IndexClient(
                wire, SystemClock(), cdx_url=cdx_url, playback_url="https://a.example/web"
            )
            assert (await index.look_up(URL)).outcome is Lookup.FOUND


async def test_an_excluded_site_is_excluded(world: World) -> None:
    world.archive.add_capture(URL, at(2020))
    world.archive.exclude("news.example")
    assert (await world.index.look_up(URL)).outcome is Lookup.EXCLUDED


async def test_a_page_about_exclusion_is_not_excluded(world: World) -> None:
    url = "https://code.example/wayback/AdministrativeAccessControlException.java"
    world.archive.add_capture(url, at(2020))
    assert (await world.index.look_up(url)).outcome is Lookup.FOUND


async def test_a_sibling_that_differs_in_case_is_not_ours(world: World) -> None:
    world.archive.add_capture("https://video.example/watch?v=AbC", at(2020))
    answer = await world.index.look_up("https://video.example/watch?v=abc")
    assert answer.outcome is Lookup.NOTHING
    assert answer.variants == ()


async def test_scheme_and_www_are_the_same_url_but_a_slash_is_a_variant(world: World) -> None:
    world.archive.add_capture("http://www.news.example:80/story", at(2020))
    world.archive.add_capture("https://news.example/story/", at(2021))
    answer = await world.index.look_up(URL)
    assert [each.original_url for each in answer.captures] == ["http://www.news.example:80/story"]
    assert [each.original_url for each in answer.variants] == ["https://news.example/story/"]


async def test_a_url_with_campaign_parameters_is_looked_up_without_them_too(world: World) -> None:
    world.archive.add_capture(URL, at(2020))
    answer = await world.index.look_up(URL + "?utm_source=mail")
    assert answer.outcome is Lookup.NOTHING
    assert [each.original_url for each in answer.variants] == [URL]
    assert answer.requests == 2


async def test_the_url_arrives_whole(world: World) -> None:
    odd = "https://news.example/a%2Fb?x=1&y=%23&z=a+b;c"
    await world.index.look_up(odd)
    assert {each.url for each in world.archive.asked("cdx")} == {odd}


async def test_a_revisit_is_good_when_its_payload_is(world: World) -> None:
    world.archive.add_capture(URL, at(2019), body="same")
    world.archive.add_capture(URL, at(2020), body="same", is_revisit=True)
    world.archive.add_capture(URL, at(2021), body="other", is_revisit=True)
    statuses = [each.status for each in (await world.index.look_up(URL)).captures]
    assert statuses == [200, 200, None]


@pytest.mark.parametrize(
    ("digest", "own", "status"),
    [
        ("-", "-", None),
        ("", "-", None),
        ("3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ", "-", None),  # the empty body
        ("AAA", "404", 404),
        ("AAA", "-", 200),
    ],
)
def test_a_revisit_borrows_a_status_only_by_a_payload_it_has_and_only_without_its_own(
    digest: str, own: str, status: int | None
) -> None:
    names = ("timestamp", "original", "mimetype", "statuscode", "digest")
    rows = [
        dict(zip(names, ("20190101000000", URL + "/", "text/html", "200", digest), strict=True)),
        dict(zip(names, ("20200101000000", URL, "warc/revisit", own, digest), strict=True)),
    ]
    found = captures_from_rows(rows, "https://web.archive.org/web")
    assert [each.status for each in found] == [200, status]


async def test_a_long_history_is_asked_again_around_the_wanted_date(world: World) -> None:
    world.archive.add_capture(URL, at(2001))
    for minute in range(NEWEST_ROWS + 5):
        world.archive.add_capture(URL, at(2020) + timedelta(minutes=minute), body="x")
    answer = await world.index.look_up(URL, [at(2002)])
    assert answer.captures[0].captured_at == at(2001)
    assert answer.requests == 3


async def test_siblings_that_fill_the_answer_do_not_hide_ours(world: World) -> None:
    world.archive.add_capture("http://video.example/watch?v=abc", at(2010))
    for minute in range(NEWEST_ROWS):
        address = "http://video.example/watch?v=ABC"
        world.archive.add_capture(address, at(2020) + timedelta(minutes=minute), body="x")
    answer = await world.index.look_up("https://video.example/watch?v=abc")
    assert [each.captured_at for each in answer.captures] == [at(2010)]


async def test_a_host_is_asked_about_as_a_whole(world: World) -> None:
    world.archive.add_capture("https://news.example/other", at(2020))
    world.archive.add_capture("https://errors.example/other", at(2020), 404)
    assert (await world.index.look_up_host("news.example")).outcome is Lookup.FOUND
    assert (await world.index.look_up_host("errors.example")).outcome is Lookup.NOTHING
    assert (await world.index.look_up_host("unknown.example")).outcome is Lookup.NOTHING
    assert len(world.archive.requests) == 3
    world.archive.script("cdx", "", Scripted(504))
    assert (await world.index.look_up_host("news.example")).outcome is Lookup.TROUBLE


def test_rows_are_read_leniently() -> None:
    header = ["timestamp", "original", "mimetype", "statuscode", "digest"]
    row = ["20200101000000", "https://a.example/", "text/html", "200", "AAA"]
    table = [
        header,
        row,
        row,
        ["20000800241623", "http://a.example/", "unk", "200", "BBB"],
        ["20210101000000", "http://mailto:x@a.example", "text/html", "200", "C"],
        ["20210101000000", "data:text/html,x", "text/html", "200", "D"],
        ["20210101000000", "http://[bad/", "text/html", "200", "E"],
        ["abc", "http://a.example/", "text/html", "200", "F"],
        ["short"],
        [1, 2, 3, 4, 5],
        [],
        ["com%2Cexample%29%2F+20210101000001%21"],
    ]
    rows = read_rows(json.dumps(table))
    assert rows is not None
    captures = captures_from_rows(rows, "https://web.archive.org/web")
    assert [each.archive_url for each in captures] == [
        "https://web.archive.org/web/20000800241623/http://a.example/",
        "https://web.archive.org/web/20200101000000/https://a.example/",
    ]


def test_text_rows_with_a_space_in_the_original_are_read_from_both_ends() -> None:
    text = "com,example)/a%20b 20200101000000 http://example.com/a b text/html 200 AAA 512\n"
    rows = read_rows(text)
    assert rows is not None
    assert rows[0]["original"] == "http://example.com/a b"
    assert rows[0]["statuscode"] == "200"


@settings(max_examples=200)
@given(st.binary(max_size=300), st.integers(200, 599))
def test_no_answer_whatever_crashes_the_reader(body: bytes, status: int) -> None:
    answer = read_answer(RawAnswer(status, {}, body), START)
    rows = answer if isinstance(answer, list) else []
    captures_from_rows(rows, "http://127.0.0.1/web")


@settings(max_examples=200)
@given(st.recursive(st.text() | st.none() | st.integers(), st.lists, max_leaves=20))
def test_no_json_whatever_crashes_the_reader(value: object) -> None:
    rows = read_rows(json.dumps([value, ["timestamp", "original"], value]))
    captures_from_rows(rows or [], "http://127.0.0.1/web")
