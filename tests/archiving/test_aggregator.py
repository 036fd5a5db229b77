"""Other archives: what an aggregator names, and what their captures prove."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.archiving.aggregator import Aggregator, play_elsewhere, read_mementos
from archiver.archiving.answers import Lookup, Playback
from archiver.archiving.verify import Passed, verify
from archiver.archiving.wire import ArchiveWire, Failure, RawAnswer
from archiver.demo.wayback import Scripted
from archiver.model import Capture, Finding, Verdict
from tests.archiving.conftest import START, World

URL = "https://news.example/story"
ELSEWHERE = f"https://archive.example/20150101000000/{URL}"
WHEN = datetime(2015, 1, 1, tzinfo=UTC)
TIME_MAP = (
    f'<{URL}>; rel="original", <https://x.example/tm>; rel="self"; type="application/link-format",'
    f'\n<{ELSEWHERE}>; rel="first memento"; datetime="Thu, 01 Jan 2015 00:00:00 GMT",'
    f'\n<https://b.example/{URL}>; rel="last memento"; datetime="Sun, 01 Jan 2017 00:00:00 GMT"'
)
LINKS = {"content-type": "application/link-format"}


def found(raw: RawAnswer) -> list[tuple[str, int, str]]:
    answer = read_mementos(raw, URL, START)
    assert answer.outcome is Lookup.FOUND
    return [(each.archive, each.captured_at.year, each.original_url) for each in answer.captures]


def test_a_time_map_names_the_archives() -> None:
    raw = RawAnswer(200, LINKS, TIME_MAP.encode())
    assert found(raw) == [("archive.example", 2015, URL), ("b.example", 2017, URL)]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"])
def test_a_moment_at_the_end_of_the_calendar_ends_no_look_up(moment: str) -> None:
    value = {"mementos": {"list": [{"datetime": moment, "uri": ELSEWHERE}]}}
    raw = RawAnswer(200, {"content-type": "application/json"}, json.dumps(value).encode())
    assert len(found(raw)) == 1


def test_memgators_json_is_read() -> None:
    value = {"mementos": {"list": [{"datetime": "2015-01-01T00:00:00Z", "uri": ELSEWHERE}]}}
    raw = RawAnswer(200, {"content-type": "application/json"}, json.dumps(value).encode())
    assert found(raw) == [("archive.example", 2015, URL)]


def test_a_moment_that_no_clock_shows_is_passed_over() -> None:
    moments = ["9999-12-31T23:59:59-05:00", "2015-01-01T00:00:00Z"]
    value = {"mementos": {"list": [{"datetime": each, "uri": ELSEWHERE} for each in moments]}}
    raw = RawAnswer(200, {"content-type": "application/json"}, json.dumps(value).encode())
    assert found(raw) == [("archive.example", 2015, URL)]


def test_a_time_gates_redirect_is_read() -> None:
    links = f'<{ELSEWHERE}>; rel="memento"; datetime="Thu, 01 Jan 2015 00:00:00 GMT"'
    assert found(RawAnswer(302, {"location": ELSEWHERE, "link": links})) == [
        ("archive.example", 2015, URL)
    ]


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (RawAnswer(404), Lookup.NOTHING),
        (RawAnswer(429), Lookup.THROTTLED),
        (RawAnswer(503), Lookup.TROUBLE),
        (RawAnswer(200, {"content-type": "text/html"}, b"<p>hello"), Lookup.TROUBLE),
        (RawAnswer(200, {"content-type": "application/json"}, b"{"), Lookup.TROUBLE),
        (RawAnswer(failure=Failure.REFUSED), Lookup.REFUSED),
        (RawAnswer(failure=Failure.TIMEOUT), Lookup.TROUBLE),
    ],
)
def test_only_a_404_means_that_nobody_has_it(raw: RawAnswer, outcome: Lookup) -> None:
    assert read_mementos(raw, URL, START).outcome is outcome


async def test_the_aggregator_is_asked_for_the_url_as_it_is(world: World) -> None:
    world.archive.script("unknown", "", Scripted(200, TIME_MAP, "application/link-format"))
    base = world.archive.origin + "/timemap/link"
    async with ArchiveWire([base], user_agent="x") as wire:
        answer = await Aggregator(wire, world.clock, aggregator_url=base).look_up(URL + "?a=%2F")
    assert world.archive.requests[0].target == f"/timemap/link/{URL}?a=%2F"
    assert len(answer.captures) == 2


def memento(status: int = 200, original: str = URL, **headers: str) -> RawAnswer:
    return RawAnswer(
        status,
        {
            "memento-datetime": "Thu, 01 Jan 2015 00:00:00 GMT",
            "link": f'<{original}>; rel="original"',
            "content-type": "text/html",
            **headers,
        },
        b"<p>hello, reader</p>" * 30,
    )


async def judged(answers: dict[str, RawAnswer]) -> tuple[Playback, Passed, str]:
    capture = Capture(WHEN, ELSEWHERE, URL, None, source="aggregator")

    async def fetch(address: str) -> RawAnswer:
        return answers.get(address, RawAnswer(404))

    answer = await play_elsewhere(capture, fetch)
    word = verify(answer, Finding(Verdict.OK, "ok"), capture, URL)
    return answer.outcome, word.word, word.reason


async def test_another_archives_memento_is_verified_by_the_same_rules() -> None:
    good = await judged({ELSEWHERE: memento()})
    assert good == (Playback.MEMENTO, Passed.GOOD, "ok")
    error = await judged({ELSEWHERE: memento(404)})
    assert error[1:] == (Passed.NOT_EVIDENCE, "captured-404")
    other = await judged({ELSEWHERE: memento(original="https://other.example/")})
    assert other[1:] == (Passed.NOT_EVIDENCE, "wrong-url")


async def test_an_address_alone_proves_no_original() -> None:
    silent = memento()
    bare = RawAnswer(200, {**silent.headers, "link": ""}, silent.body)
    assert (await judged({ELSEWHERE: bare}))[1:] == (Passed.NOT_EVIDENCE, "wrong-url")


async def test_what_is_no_memento_is_none() -> None:
    assert (await judged({}))[1] is Passed.MISSING
    page = RawAnswer(200, {"content-type": "text/html"}, b"<p>welcome")
    assert (await judged({ELSEWHERE: page}))[1] is Passed.UNANSWERED


async def test_redirects_stay_on_the_archives_host() -> None:
    inside = "https://archive.example/new"
    moved = RawAnswer(302, {"location": "/new"})
    assert (await judged({ELSEWHERE: moved, inside: memento()}))[1] is Passed.GOOD
    astray = RawAnswer(302, {"location": "http://169.254.169.254/"})
    assert (await judged({ELSEWHERE: astray}))[1] is Passed.UNANSWERED
    loop = RawAnswer(302, {"location": ELSEWHERE})
    assert (await judged({ELSEWHERE: loop}))[1] is Passed.UNANSWERED


@settings(max_examples=200)
@given(
    st.binary(max_size=200),
    st.sampled_from(["application/link-format", "application/json", "text/html"]),
    st.text(max_size=80),
)
def test_no_answer_whatever_crashes_the_reader(body: bytes, kind: str, link: str) -> None:
    read_mementos(RawAnswer(200, {"content-type": kind, "link": link}, body), URL, START)
    read_mementos(RawAnswer(302, {"location": link, "link": link}, body), URL, START)
