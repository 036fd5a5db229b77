"""What a playback proves, and the contract's word for a claim, played against the stand-in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from archiver.archiving.answers import PlaybackAnswer
from archiver.archiving.claims import judge_claim, nearest_capture, read_claim
from archiver.archiving.verify import (
    Passed,
    Verification,
    leeway_for,
    needs_judgement,
    observe,
    verify,
)
from archiver.demo.wayback import Scripted
from archiver.model import Capture, Claim, Finding, PageFacts, Vantage, Verdict
from tests.archiving.conftest import World

URL = "https://news.example/story"
WHEN = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
OK = Finding(Verdict.OK, "ok")
WALL = Finding(Verdict.BLOCKED, "challenge")
SOFT_404 = Finding(Verdict.FAILING, "soft-404-title")


def held(address: str, when: datetime = WHEN, source: str = "cdx") -> Capture:
    return Capture(when, address, URL, 200, source=source)


async def verified(
    world: World, address: str, finding: Finding = OK, link: str = URL, source: str = "cdx"
) -> Verification:
    capture = held(address, source=source)
    answer = await world.player.play(address, leeway=leeway_for(capture))
    judged = finding if needs_judgement(answer) else None
    return verify(answer, judged, capture, link)


async def test_a_memento_of_this_url_that_judges_ok_is_good(world: World) -> None:
    address = world.archive.add_capture(URL, WHEN)
    assert await verified(world, address) == Verification(Passed.GOOD, "ok")


@pytest.mark.parametrize("finding", [WALL, SOFT_404, Finding(None, "offline")])
async def test_a_captured_wall_or_soft_404_is_no_evidence(world: World, finding: Finding) -> None:
    address = world.archive.add_capture(URL, WHEN)
    assert await verified(world, address, finding) == Verification(
        Passed.NOT_EVIDENCE, finding.reason
    )


@pytest.mark.parametrize("status", [404, 429, 500])
async def test_a_captured_error_is_no_evidence(world: World, status: int) -> None:
    address = world.archive.add_capture(URL, WHEN, status)
    word = await verified(world, address)
    assert word == Verification(Passed.NOT_EVIDENCE, f"captured-{status}")


@pytest.mark.parametrize(
    ("body", "kind", "word"),
    [
        (b"<html></html>", "text/html", Passed.NOT_EVIDENCE),
        (b"<html>" + b" " * 506, "text/html", Passed.NOT_EVIDENCE),
        (b"<html>" + b" " * 507, "text/html", Passed.GOOD),
        (b"5.3", "text/plain", Passed.GOOD),
    ],
)
async def test_a_captured_page_of_half_a_kilobyte_is_no_evidence(
    world: World, body: bytes, kind: str, word: Passed
) -> None:
    address = world.archive.add_capture(URL, WHEN, body=body, headers={"content-type": kind})
    assert (await verified(world, address)).word is word


async def test_a_page_nobody_judged_is_no_evidence(world: World) -> None:
    address = world.archive.add_capture(URL, WHEN)
    answer = await world.player.play(address)
    assert verify(answer, None, held(address), URL).word is Passed.NOT_EVIDENCE


async def test_a_sibling_that_plays_back_is_another_url(world: World) -> None:
    world.archive.add_capture("https://video.example/watch?v=AbC", WHEN)
    asked = f"{world.archive.playback_url}/20200506070809/https://video.example/watch?v=abc"
    word = await verified(world, asked, link="https://video.example/watch?v=abc")
    assert word == Verification(Passed.NOT_EVIDENCE, "wrong-url")


@pytest.mark.parametrize(
    "links",
    [
        '<https://other.example/>; rel="original"',
        '<https://other.example/>; type="text/html"; rel="original"',
        "<https://other.example/>; crossorigin; rel=original",
        "<https://a.example/map>; rel='timemap', <https://other.example/>; rel='original'",
    ],
)
async def test_what_a_memento_says_it_is_of_counts_however_it_is_written(
    world: World, links: str
) -> None:
    moment = {"Memento-Datetime": "Wed, 06 May 2020 07:08:09 GMT"}
    world.archive.script("playback", "", Scripted(200, "x", headers={**moment, "Link": links}))
    asked = f"{world.archive.playback_url}/20200506070809/{URL}"
    assert await verified(world, asked) == Verification(Passed.NOT_EVIDENCE, "wrong-url")


@pytest.mark.parametrize(
    "original", ["http://www.news.example:80/story", "https://NEWS.example/story"]
)
async def test_scheme_www_port_and_host_case_are_the_same_url(world: World, original: str) -> None:
    address = world.archive.add_capture(original, WHEN)
    assert (await verified(world, address)).word is Passed.GOOD


async def test_a_missing_capture_is_missing_and_so_is_one_of_another_day(world: World) -> None:
    address = f"{world.archive.playback_url}/20200506070809/{URL}"
    assert (await verified(world, address)).word is Passed.MISSING
    world.archive.add_capture(URL, WHEN - timedelta(days=3))
    assert await verified(world, address) == Verification(Passed.MISSING, "redirects-elsewhere")


async def test_a_captured_redirect_to_a_page_of_the_day_is_good(world: World) -> None:
    address = world.archive.add_capture(URL, WHEN, 301, b"", {"location": "/2020/story"})
    world.archive.add_capture("https://news.example/2020/story", WHEN + timedelta(hours=20))
    assert (await verified(world, address)).word is Passed.GOOD


async def test_a_captured_redirect_home_is_no_evidence(world: World) -> None:
    address = world.archive.add_capture(URL, WHEN, 302, b"", {"location": "/"})
    world.archive.add_capture("https://news.example/", WHEN)
    assert await verified(world, address) == Verification(
        Passed.NOT_EVIDENCE, "captured-redirect-home"
    )


async def test_our_own_capture_behind_a_redirect_may_be_some_seconds_older(world: World) -> None:
    world.archive.add_capture(URL, WHEN - timedelta(seconds=9), 301, b"", {"location": "/b"})
    world.archive.add_capture("https://news.example/b", WHEN)
    address = f"{world.archive.playback_url}/20200506070809/{URL}"
    assert (await verified(world, address, source="spn2")).word is Passed.GOOD
    assert (await verified(world, address)).word is Passed.MISSING


@pytest.mark.parametrize(
    ("response", "word"),
    [
        (Scripted(429, headers={"Retry-After": "60"}), Passed.UNANSWERED),
        (Scripted(503), Passed.UNANSWERED),
        (Scripted(reset=True), Passed.UNANSWERED),
        (Scripted(200, "This URL has been excluded from the Wayback Machine"), Passed.EXCLUDED),
    ],
)
async def test_no_answer_proves_nothing(world: World, response: Scripted, word: Passed) -> None:
    address = world.archive.add_capture(URL, WHEN)
    world.archive.script("playback", "story", response)
    assert (await verified(world, address)).word is word


async def test_the_archived_page_becomes_a_look_of_the_archive(world: World) -> None:
    address = world.archive.add_capture(URL, WHEN, 301, b"", {"location": "/b"})
    world.archive.add_capture("https://news.example/b", WHEN, body="<title>T</title>")
    answer = await world.player.play(address)
    asked: list[tuple[bytes, str | None, bool, str]] = []

    def read_page(body: bytes, kind: str | None, *, truncated: bool, url: str) -> PageFacts:
        asked.append((body, kind, truncated, url))
        return PageFacts(title="T")

    look = observe(answer, WHEN, read_page)
    assert asked == [
        (b"<title>T</title>", "text/html; charset=utf-8", False, "https://news.example/b")
    ]
    assert (look.url, look.status, look.final_url) == (URL, 200, "https://news.example/b")
    assert [(hop.status, hop.url) for hop in look.redirects] == [(301, URL)]
    assert look.vantage is Vantage.ARCHIVE
    assert look.page == PageFacts(title="T")


# -------------------------------------------------------------------- claims


@pytest.mark.parametrize(
    ("written", "verdict"),
    [
        (None, Claim.ABSENT),
        ("", Claim.ABSENT),
        ("  ", Claim.ABSENT),
        ("yes", Claim.NOT_A_CAPTURE),
        ("https://news.example/story", Claim.NOT_A_CAPTURE),
        (f"https://web.archive.org/web/*/{URL}", Claim.NOT_A_CAPTURE),
        (f"https://web.archive.org/web/2020*/{URL}", Claim.NOT_A_CAPTURE),
        (f"https://web.archive.org/web/{URL}", Claim.NOT_A_CAPTURE),
        (f"https://web.archive.org/save/{URL}", Claim.NOT_A_CAPTURE),
        (f"https://web.archive.org/web/٢٠٢٠/{URL}", Claim.NOT_A_CAPTURE),
        ("https://web.archive.org/web/20200506070809/https://other.example/", Claim.WRONG_URL),
        ("https://archive.ph/AbCdE", Claim.OTHER_ARCHIVE),
        ("https://perma.cc/ABCD-EFGH", Claim.OTHER_ARCHIVE),
        (f"https://web.archive.org/web/20200506070809/{URL}", None),
        ("http://web.archive.org/web/20200506070809if_/http://www.news.example/story", None),
        ("http://[bad", Claim.NOT_A_CAPTURE),
    ],
)
def test_what_reading_a_claim_decides(written: str | None, verdict: Claim | None) -> None:
    assert read_claim(written, URL, "https://web.archive.org/web").verdict is verdict


async def claimed(world: World, stamp: str, finding: Finding = OK) -> Claim | None:
    written = f"https://web.archive.org/web/{stamp}/{URL}"
    claim = read_claim(written, URL, world.archive.playback_url)
    assert claim.capture is not None
    answer: PlaybackAnswer = await world.player.play(claim.capture.archive_url)
    judged = finding if needs_judgement(answer) else None
    return judge_claim(answer, judged, claim.capture, URL)


async def test_a_true_claim_is_confirmed(world: World) -> None:
    world.archive.add_capture(URL, WHEN)
    assert await claimed(world, "20200506070809") is Claim.CONFIRMED


async def test_an_invented_timestamp_redirects_elsewhere(world: World) -> None:
    world.archive.add_capture(URL, WHEN)
    assert await claimed(world, "20200506000000") is Claim.REDIRECTS_ELSEWHERE


async def test_a_claim_that_plays_another_days_capture_leads_elsewhere(world: World) -> None:
    told = {
        "Memento-Datetime": "Mon, 01 Jan 2018 00:00:00 GMT",
        "Link": f'<{URL}>; rel="original"',
    }
    world.archive.script("playback", "", Scripted(200, "x", headers=told))
    word = await claimed(world, "20200506070809")
    assert word is Claim.REDIRECTS_ELSEWHERE


async def test_a_claim_of_a_page_without_captures_is_missing(world: World) -> None:
    assert await claimed(world, "20200506000000") is Claim.MISSING


@pytest.mark.parametrize("finding", [WALL, SOFT_404])
async def test_a_claimed_wall_is_not_a_capture(world: World, finding: Finding) -> None:
    world.archive.add_capture(URL, WHEN)
    assert await claimed(world, "20200506070809", finding) is Claim.NOT_A_CAPTURE


async def test_a_claimed_error_is_not_a_capture(world: World) -> None:
    world.archive.add_capture(URL, WHEN, 404)
    assert await claimed(world, "20200506070809") is Claim.NOT_A_CAPTURE


async def test_a_claim_that_leads_home_redirects_elsewhere(world: World) -> None:
    world.archive.add_capture(URL, WHEN, 302, b"", {"location": "/"})
    world.archive.add_capture("https://news.example/", WHEN)
    assert await claimed(world, "20200506070809") is Claim.REDIRECTS_ELSEWHERE


async def test_a_claim_of_an_excluded_site_is_excluded(world: World) -> None:
    world.archive.add_capture(URL, WHEN)
    world.archive.exclude("news.example")
    assert await claimed(world, "20200506070809") is Claim.EXCLUDED


async def test_an_outage_leaves_a_claim_unchecked(world: World) -> None:
    world.archive.script("playback", "story", Scripted(503))
    assert await claimed(world, "20200506070809") is None


def test_the_real_nearest_capture_is_proposed() -> None:
    days = [-400, -3, 90]
    captures = [held(f"a{each}", WHEN + timedelta(days=each)) for each in days]
    captures.append(replace(held("error", WHEN), status=404))
    nearest = nearest_capture(captures, WHEN)
    assert nearest is not None
    assert (nearest.capture.archive_url, nearest.distance_days) == ("a-3", 3)
    assert nearest_capture([], WHEN) is None
