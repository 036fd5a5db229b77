"""The decision table of reference wayback §4.3, row by row."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.archiving.addresses import read_capture_url, read_stamp
from archiver.archiving.answers import Playback
from archiver.archiving.playback import DECODED_LIMIT, decode, memento_datetime
from archiver.demo.wayback import EXCLUSION, Scripted
from tests.archiving.conftest import World

URL = "https://news.example/story"
WHEN = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)


async def test_a_memento_gives_the_archived_page(world: World) -> None:
    address = world.archive.add_capture(URL, WHEN, body="<p>hello", headers={"server": "nginx"})
    answer = await world.player.play(address)
    assert answer.outcome is Playback.MEMENTO
    assert (answer.status, answer.body, answer.original) == (200, b"<p>hello", URL)
    assert answer.captured_at == WHEN
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["server"] == "nginx"
    assert answer.archive_url == address
    assert world.archive.asked("playback")[0].target == f"/web/20200506070809id_/{URL}"


@pytest.mark.parametrize("status", [404, 429, 503])
async def test_an_archived_error_is_a_memento_and_no_throttle(world: World, status: int) -> None:
    answer = await world.player.play(world.archive.add_capture(URL, WHEN, status))
    assert (answer.outcome, answer.status) == (Playback.MEMENTO, status)


async def test_another_moment_is_named_not_taken(world: World) -> None:
    world.archive.add_capture(URL, WHEN)
    answer = await world.player.play(f"{world.archive.playback_url}/20190101000000/{URL}")
    assert (answer.outcome, answer.captured_at, answer.original) == (
        Playback.ELSEWHERE,
        WHEN,
        URL,
    )
    assert answer.body == b""


async def test_a_second_beside_is_the_same_moment(world: World) -> None:
    world.archive.add_capture(URL, WHEN)
    answer = await world.player.play(f"{world.archive.playback_url}/20200506070810/{URL}")
    assert (answer.outcome, answer.captured_at) == (Playback.MEMENTO, WHEN)


async def test_a_captured_redirect_is_followed_to_its_page(world: World) -> None:
    target = "https://news.example/2020/story"
    address = world.archive.add_capture(URL, WHEN, 301, b"", {"location": "/2020/story"})
    world.archive.add_capture(target, WHEN + timedelta(hours=3), body="<p>page")
    answer = await world.player.play(address)
    assert (answer.outcome, answer.status, answer.original) == (Playback.MEMENTO, 200, target)
    assert [(hop.status, hop.original) for hop in answer.hops] == [(301, URL)]
    assert (answer.first_original, answer.first_captured_at) == (URL, WHEN)


async def test_a_redirect_whose_target_was_captured_much_later_leads_to_no_page(
    world: World,
) -> None:
    address = world.archive.add_capture(URL, WHEN, 302, b"", {"location": "/2020/story"})
    world.archive.add_capture("https://news.example/2020/story", WHEN + timedelta(days=3))
    answer = await world.player.play(address)
    assert (answer.outcome, answer.status, answer.detail) == (
        Playback.MEMENTO,
        302,
        "target-not-captured",
    )


async def test_circular_captured_redirects_end(world: World) -> None:
    address = world.archive.add_capture(URL, WHEN, 302, b"", {"location": URL + "2"})
    world.archive.add_capture(URL + "2", WHEN, 302, b"", {"location": URL})
    answer = await world.player.play(address)
    assert (answer.status, answer.detail) == (302, "redirect-loop")


async def test_an_endless_chain_of_captured_redirects_ends(world: World) -> None:
    for number in range(12):
        headers = {"location": f"https://news.example/{number + 1}"}
        world.archive.add_capture(f"https://news.example/{number}", WHEN, 302, b"", headers)
    address = f"{world.archive.playback_url}/20200506070809/https://news.example/0"
    answer = await world.player.play(address)
    assert (answer.status, answer.detail) == (302, "redirect-loop")
    assert len(world.archive.asked("playback")) <= 7


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (Scripted(404, "<p>not archived"), Playback.MISSING),
        (Scripted(403, EXCLUSION), Playback.EXCLUDED),
        (Scripted(200, "This URL has been excluded from the Wayback Machine"), Playback.EXCLUDED),
        (Scripted(403, "RobotAccessControlException"), Playback.EXCLUDED),
        (Scripted(403, "no"), Playback.TROUBLE),
        (Scripted(200, "a page without Memento-Datetime"), Playback.TROUBLE),
        (Scripted(503, "offline"), Playback.TROUBLE),
        (Scripted(429, ""), Playback.THROTTLED),
        (Scripted(reset=True), Playback.TROUBLE),
        (Scripted(302, headers={"Location": "http://127.0.0.1:1/steal"}), Playback.TROUBLE),
        (Scripted(302, headers={"Location": "http://[bad"}), Playback.TROUBLE),
        (Scripted(200, headers={"Memento-Datetime": "yesterday"}), Playback.TROUBLE),
    ],
)
async def test_the_archives_own_answers_are_no_mementos(
    world: World, response: Scripted, outcome: Playback
) -> None:
    world.archive.script("playback", "story", response)
    answer = await world.player.play(f"{world.archive.playback_url}/20200506070809/{URL}")
    assert answer.outcome is outcome


async def test_a_closed_port_is_the_firewall(world: World) -> None:
    await world.archive.stop()
    answer = await world.player.play(f"{world.archive.playback_url}/20200506070809/{URL}")
    assert answer.outcome is Playback.REFUSED


async def test_two_content_encodings_do_not_hide_the_page(world: World) -> None:
    body = gzip.compress(b"<p>hello")
    address = world.archive.add_capture(URL, WHEN, body=body, headers={"content-encoding": "gzip"})
    assert (await world.player.play(address)).body == b"<p>hello"


async def test_a_large_capture_is_cut(world: World) -> None:
    address = world.archive.add_capture(URL, WHEN, body=b"x" * 3_000_000)
    answer = await world.player.play(address)
    assert answer.truncated
    assert len(answer.body) <= DECODED_LIMIT


async def test_an_address_of_the_real_archive_is_asked_at_the_endpoint(world: World) -> None:
    world.archive.add_capture(URL, WHEN)
    answer = await world.player.play(f"https://web.archive.org/web/20200506070809if_/{URL}")
    assert answer.outcome is Playback.MEMENTO


async def test_odd_characters_of_the_original_arrive_as_they_are(world: World) -> None:
    odd = "https://news.example/a%2Fb/../c?x=%2F&y=a+b|c"
    await world.player.play(f"{world.archive.playback_url}/20200506070809/{odd}")
    assert world.archive.asked("playback")[0].target == f"/web/20200506070809id_/{odd}"


async def test_spaces_and_umlauts_of_a_claim_make_no_broken_request(world: World) -> None:
    written = "https://news.example/Köln am Rhein"
    await world.player.play(f"{world.archive.playback_url}/20200506070809/{written}")
    encoded = "https://news.example/K%C3%B6ln%20am%20Rhein"
    assert world.archive.asked("playback")[0].target == f"/web/20200506070809id_/{encoded}"


def test_a_word_is_no_moment() -> None:
    assert memento_datetime({"memento-datetime": "yesterday"}) is None


def test_a_bomb_stays_small() -> None:
    body, readable = decode(gzip.compress(b"\0" * 50_000_000), "gzip")
    assert readable
    assert len(body) <= DECODED_LIMIT + 1


@given(st.binary(max_size=200), st.text(max_size=10))
def test_decoding_is_total(body: bytes, encoding: str) -> None:
    decode(b"\x1f\x8b" + body, encoding)
    decode(body, encoding)


@settings(max_examples=300)
@given(st.text(max_size=60), st.from_regex(r"\d{1,14}", fullmatch=True))
def test_reading_addresses_is_total(text: str, stamp: str) -> None:
    for prefix in ("", "/web/", f"/web/{stamp}/", "http://127.0.0.1:8/web/", "http://"):
        read_capture_url(prefix + text, "http://127.0.0.1:8/web")
    read_stamp(stamp)


@pytest.mark.parametrize("stamp", ["00010101000000", "99991231235959", "9999", "99999999999999"])
def test_every_stamp_leaves_room_to_reckon_with_it(stamp: str) -> None:
    for days in (-1, 30_000):
        assert read_stamp(stamp) + timedelta(days=days)


@pytest.mark.parametrize("year", ["0001", "9999"])
@pytest.mark.parametrize("zone", ["-2359", "GMT", "+2359"])
def test_a_memento_at_the_end_of_the_calendar_is_an_answer_like_others(
    year: str, zone: str
) -> None:
    for day in ("01 Jan", "31 Dec"):
        moment = memento_datetime({"memento-datetime": f"Fri, {day} {year} 23:59:59 {zone}"})
        assert moment is not None
        assert moment + timedelta(days=30_000)
