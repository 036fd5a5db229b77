"""Save Page Now 2: the cases A–O, the messages, the jobs, and where the keys may go."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.archiving.answers import JobState, Outcome, Trouble
from archiver.archiving.pacing import Account
from archiver.archiving.refusals import REFUSALS, UNKNOWN_CODE, Kind, refusal_for
from archiver.archiving.spn2 import (
    AccountAnswer,
    AccountKeys,
    SavePageNow,
    code_in_message,
    may_carry_keys,
    read_job,
    read_jobs,
    read_submit,
    seconds_in,
)
from archiver.archiving.wire import ArchiveWire, RawAnswer
from archiver.clock import SystemClock
from archiver.demo.seen import Seen
from archiver.demo.wayback import Scripted
from archiver.errors import ConfigurationError
from tests.archiving.conftest import START, World

URL = "https://news.example/story?a=1&b=%2F"
KEYS = AccountKeys("access", "secret")
JSON = {"content-type": "application/json"}
HALF_A_YEAR = timedelta(days=180)


@pytest.fixture
def service(world: World) -> SavePageNow:
    return SavePageNow(
        world.wire,
        world.clock,
        KEYS,
        save_url=world.archive.save_url,
        playback_url=world.archive.playback_url,
        submit_timeout=timedelta(seconds=2),
    )


async def job_of(service: SavePageNow, url: str = URL) -> str:
    answer = await service.submit(url)
    assert answer.job_id is not None
    return answer.job_id


# -------------------------------------------------------- against the stand-in


async def test_a_submission_becomes_a_job_and_then_a_capture(
    world: World, service: SavePageNow
) -> None:
    world.pages.put(URL)
    answer = await service.submit(URL, unless_newer_than=HALF_A_YEAR)
    assert answer.outcome is Outcome.SUBMITTED
    [request] = world.archive.requests
    assert (request.form["url"], request.form["capture_all"]) == (URL, "0")
    assert request.form["if_not_archived_within"] == "15552000"
    assert answer.job_id is not None
    job = (await service.poll({answer.job_id: URL}))[answer.job_id]
    assert job.state is JobState.SUCCESS
    assert job.capture is not None
    assert (job.capture.original_url, job.capture.status, job.capture.source) == (
        URL,
        200,
        "spn2",
    )
    played = await world.player.play(job.capture.archive_url)
    assert played.original == URL


async def test_a_job_takes_its_time(world: World, service: SavePageNow) -> None:
    world.archive.job_time = timedelta(seconds=30)
    world.pages.put(URL)
    job_id = await job_of(service)
    assert (await service.poll({job_id: URL}))[job_id].state is JobState.PENDING
    world.jump(seconds=31)
    assert (await service.poll({job_id: URL}))[job_id].state is JobState.SUCCESS


async def test_a_job_is_forgotten_after_an_hour(world: World, service: SavePageNow) -> None:
    world.pages.put(URL)
    job_id = await job_of(service)
    world.jump(hours=2)
    assert (await service.poll({job_id: URL}))[job_id].state is JobState.EXPIRED


async def test_jobs_are_polled_together(world: World, service: SavePageNow) -> None:
    urls = [f"https://news.example/{number}" for number in range(60)]
    jobs = {}
    for url in urls:
        world.pages.put(url)
        jobs[await job_of(service, url)] = url
    before = len(world.archive.requests)
    answers = await service.poll(jobs)
    assert len(world.archive.requests) - before == 2
    assert {each.state for each in answers.values()} == {JobState.SUCCESS}
    assert {each.capture.original_url for each in answers.values() if each.capture} == set(urls)


async def test_behind_a_redirect_our_own_url_is_what_was_captured(
    world: World, service: SavePageNow
) -> None:
    world.pages.redirect(URL, "https://news.example/b")
    world.pages.put("https://news.example/b")
    job_id = await job_of(service)
    job = (await service.poll({job_id: URL}))[job_id]
    assert job.final_url == "https://news.example/b"
    assert job.capture is not None
    assert (job.capture.original_url, job.capture.status) == (URL, None)


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (Seen(404), "not-found"),
        (Seen(403), "no-access"),
        (Seen(429), "too-many-requests"),
        (Seen(999), "blocked"),
        (Seen(None, error="invalid-host-resolution"), "invalid-host-resolution"),
        (Seen(None, error="read-timeout"), "read-timeout"),
    ],
)
async def test_a_failed_job_tells_its_code(
    world: World, service: SavePageNow, seen: Seen, code: str
) -> None:
    world.pages.pages[URL] = seen
    job_id = await job_of(service)
    job = (await service.poll({job_id: URL}))[job_id]
    assert (job.state, job.code, job.capture) == (JobState.ERROR, code, None)


async def test_an_existing_capture_is_told_as_recent(world: World, service: SavePageNow) -> None:
    world.archive.add_capture(URL, START - timedelta(days=7, hours=9))
    answer = await service.submit(URL, unless_newer_than=HALF_A_YEAR)
    assert answer.outcome is Outcome.RECENT
    assert answer.recent_at is not None
    assert abs(answer.recent_at - (START - timedelta(days=7, hours=9))) < timedelta(minutes=2)


async def test_full_slots_are_no_refusal(world: World, service: SavePageNow) -> None:
    world.archive.job_time = timedelta(hours=1)
    for number in range(4):
        url = f"https://news.example/{number}"
        world.pages.put(url)
        answer = await service.submit(url)
    assert (answer.outcome, answer.trouble) == (Outcome.THROTTLED, Trouble.SLOTS)


async def test_the_account_tells_its_figures(world: World, service: SavePageNow) -> None:
    world.pages.put(URL)
    await job_of(service)
    assert await service.user_status() == AccountAnswer(Account(3, 0, 1, 30_000))
    assert await service.system_status() == "ok"
    assert not world.archive.asked("system")[0].authorized


async def test_an_account_asked_about_too_often_says_how_long_to_wait(
    world: World, service: SavePageNow
) -> None:
    world.archive.script("user", "", Scripted(429, "", headers={"Retry-After": "600"}))
    assert await service.user_status() == AccountAnswer(None, Trouble.THROTTLED, 600)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"status": "Save Page Now servers are temporarily overloaded."}, "overloaded"),
        ({}, "overloaded"),
    ],
)
async def test_an_overloaded_service_says_so(
    world: World, service: SavePageNow, body: object, word: str
) -> None:
    world.archive.script("system", "", Scripted.json(body))
    assert await service.system_status() == word


async def test_a_broken_service_is_unreachable(world: World, service: SavePageNow) -> None:
    world.archive.script("system", "", Scripted(502))
    assert await service.system_status() == "unreachable"


async def test_wrong_keys_are_refused_after_one_request(world: World) -> None:
    service = SavePageNow(
        world.wire,
        world.clock,
        AccountKeys("access", "wrong"),
        save_url=world.archive.save_url,
        playback_url=world.archive.playback_url,
    )
    answer = await service.submit(URL)
    assert (answer.outcome, answer.code, answer.trouble) == (
        Outcome.REFUSED,
        "keys-refused",
        Trouble.KEYS,
    )
    assert await service.user_status() == AccountAnswer(None, Trouble.KEYS)
    job = (await service.poll({"spn2-1": URL}))["spn2-1"]
    assert (job.state, job.trouble) == (JobState.UNANSWERED, Trouble.KEYS)


@pytest.mark.parametrize(
    ("response", "outcome", "code", "trouble"),
    [
        # K: 5xx
        (Scripted(520), Outcome.UNKNOWN, "http-520", Trouble.OUTAGE),
        (Scripted(503, "<html>"), Outcome.UNKNOWN, "http-503", Trouble.OUTAGE),
        # L: a reset after sending, and silence
        (Scripted(reset=True), Outcome.UNKNOWN, "broken", Trouble.OUTAGE),
        (Scripted(hang=4), Outcome.UNKNOWN, "timeout", Trouble.OUTAGE),
        # N: a page instead of JSON
        (Scripted(200, "<html>log in</html>"), Outcome.UNKNOWN, "no-json", Trouble.OUTAGE),
        # O: a redirect
        (Scripted(302, headers={"Location": "/x"}), Outcome.UNKNOWN, "http-302", Trouble.OUTAGE),
        # H, I, J
        (Scripted(400, "<html>Bad"), Outcome.REFUSED, "bad-request", Trouble.NONE),
        (Scripted(403, "<html>no"), Outcome.REFUSED, "keys-refused", Trouble.KEYS),
        (Scripted(429), Outcome.THROTTLED, "http-429", Trouble.THROTTLED),
    ],
)
async def test_what_is_no_json_is_read_by_its_status(
    world: World,
    service: SavePageNow,
    response: Scripted,
    outcome: Outcome,
    code: str,
    trouble: Trouble,
) -> None:
    world.archive.script("spn2", "story", response)
    answer = await service.submit(URL)
    assert (answer.outcome, answer.code, answer.trouble) == (outcome, code, trouble)
    assert answer.capture is None


async def test_a_page_that_names_the_job_is_a_submission(
    world: World, service: SavePageNow
) -> None:
    page = '<script>spn.watchJob("spn2-0123abc", "/_static/")</script>'
    world.archive.script("spn2", "story", Scripted(200, page))
    assert await job_of(service) == "spn2-0123abc"


async def test_a_closed_port_means_nothing_was_sent(world: World, service: SavePageNow) -> None:
    await world.archive.stop()
    answer = await service.submit(URL)
    assert (answer.outcome, answer.code, answer.trouble) == (
        Outcome.FAILED,
        "unreachable",
        Trouble.REFUSED,
    )


# -------------------------------------------------------------------- reading


def answer_of(value: object, status: int = 200) -> RawAnswer:
    return RawAnswer(status, JSON, json.dumps(value).encode())


SESSION = "You have already reached the limit of active Save Page Now sessions. Please wait."
DELAY = "The capture will start in ~1 hour, 34 minutes because our service is overloaded."


@pytest.mark.parametrize(
    ("value", "outcome", "code"),
    [
        ({"url": URL, "job_id": "spn2-1"}, Outcome.SUBMITTED, ""),  # A
        ({"job_id": "b7c1-uuid"}, Outcome.SUBMITTED, ""),
        (
            {"job_id": "spn2-1", "message": "The same snapshot had been made 2 minutes ago."},
            Outcome.SUBMITTED,
            "",
        ),  # B
        (
            {
                "job_id": None,
                "message": "The same snapshot had been made 177 hours, 9 minutes ago.",
            },
            Outcome.RECENT,
            "",
        ),  # C
        ({"message": "This URL was captured 12 seconds ago"}, Outcome.RECENT, ""),
        ({"job_id": "spn2-1", "message": DELAY}, Outcome.DELAYED, ""),  # D
        (
            {"status": "error", "status_ext": "error:too-many-daily-captures", "message": "x"},
            Outcome.REFUSED,
            "too-many-daily-captures",
        ),  # E
        ({"message": SESSION}, Outcome.THROTTLED, "user-session-limit"),  # F
        ({"status_ext": "error:user-session-limit"}, Outcome.THROTTLED, "user-session-limit"),
        ({"status": "error", "status_ext": "error:brand-new"}, Outcome.REFUSED, "brand-new"),
        ({"status": "error", "message": "Something odd"}, Outcome.REFUSED, "unknown-error"),
        (
            {"status": "error", "status_ext": "Live page is not available (HTTP status=404)."},
            Outcome.REFUSED,
            "http-404",
        ),
        ({"job_id": None}, Outcome.UNKNOWN, "no-job-id"),
        ({}, Outcome.UNKNOWN, "no-job-id"),
        ({"job_id": 7, "message": ["x"]}, Outcome.UNKNOWN, "no-job-id"),
        ([], Outcome.UNKNOWN, "no-json"),
        ("text", Outcome.UNKNOWN, "no-json"),
    ],
)
def test_every_json_answer_has_its_meaning(value: object, outcome: Outcome, code: str) -> None:
    answer = read_submit(answer_of(value), START)
    assert (answer.outcome, answer.code) == (outcome, code)


def test_an_older_429_with_a_session_limit_is_no_throttle() -> None:
    answer = read_submit(answer_of({"message": SESSION}, 429), START)
    assert (answer.outcome, answer.trouble) == (Outcome.THROTTLED, Trouble.SLOTS)


def test_the_age_and_the_delay_are_read() -> None:
    recent = {
        "job_id": None,
        "message": "The same snapshot had been made 177 hours, 9 minutes ago.",
    }
    assert read_submit(answer_of(recent), START).recent_at == START - timedelta(
        hours=177, minutes=9
    )
    delayed = read_submit(answer_of({"job_id": "x", "message": DELAY}), START)
    assert delayed.start_in == 94 * 60
    begins = {"job_id": "x", "message": "Your capture will begin in 45s."}
    assert read_submit(answer_of(begins), START).start_in == 45
    assert seconds_in("nonsense") == 0


def test_a_message_of_nothing_but_digits_costs_next_to_nothing() -> None:
    start = time.process_time()
    assert seconds_in("1" * 8192) == 0
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (
            "This URL has been already captured 5 times today, try tomorrow",
            "too-many-daily-captures",
        ),
        (
            "You reached the daily limit we have set for that Resource type",
            "too-many-daily-captures",
        ),
        ("You cannot make more than 30,000 captures per day.", "daily-limit"),
        ("You reached your daily not-logged-in captures limit of 200 webpages", "daily-limit"),
        ("Cannot start capture", "celery"),
        ("The server encountered an internal error", "internal-server-error"),
        ("Crawling this host is paused for 60 seconds (HTTP status=429)", "host-paused"),
        ("Live page is not available: chrome-error://chromewebdata/", "no-browsers-available"),
        ("Live page is not available: https://x", "live-page-not-available"),
        ("This URL is in the Save Page Now service block list", "blocked-url"),
        ("Your IP address is in the Spamhaus block list", "blocked-client-ip"),
        ("This URL has been excluded from the Wayback Machine", "excluded"),
        ("blocked by robots.txt", "excluded"),
        ("The target answered badly (HTTP status=503).", "http-503"),
        ("There was a delay in registering this snapshot", "job-failed"),
        ("Save Page Now could not capture this URL because it was unreachable.", "no-captures"),
        ("You need to be logged in to use Save Page Now.", "keys-refused"),
        ("", ""),
    ],
)
def test_messages_are_classed(message: str, code: str) -> None:
    assert code_in_message(message) == code


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        ("daily-limit", Trouble.DAILY),
        ("max-daily-bandwidth", Trouble.DAILY),
        ("user-session-limit", Trouble.SLOTS),
        ("not-found", Trouble.NONE),
    ],
)
def test_some_refusals_speak_of_the_account(code: str, trouble: Trouble) -> None:
    value = {"status": "error", "status_ext": f"error:{code}"}
    assert read_submit(answer_of(value), START).trouble is trouble


def job(value: dict[str, object], job_id: str = "spn2-1") -> tuple[JobState, str]:
    answer = read_job(value, job_id, URL, "https://web.archive.org/web")
    return answer.state, answer.code


@pytest.mark.parametrize(
    ("value", "state", "code"),
    [
        ({"status": "pending", "job_id": "spn2-1"}, JobState.PENDING, ""),
        (
            {"status": "success", "timestamp": "20260827142259", "original_url": URL},
            JobState.SUCCESS,
            "",
        ),
        ({"status": "success", "timestamp": "2026", "original_url": URL}, JobState.UNANSWERED, ""),
        ({"status": "success", "timestamp": "20260827142259"}, JobState.UNANSWERED, ""),
        (
            {"status": "error", "job_id": "spn2-1", "status_ext": "error:not-found"},
            JobState.ERROR,
            "not-found",
        ),
        ({"status": "error", "job_id": "spn2-1"}, JobState.ERROR, "unknown-error"),
        ({"status": "error", "message": "no such job"}, JobState.EXPIRED, ""),
        ({"status": None}, JobState.UNANSWERED, ""),
        ({}, JobState.UNANSWERED, ""),
    ],
)
def test_every_job_status_has_its_meaning(
    value: dict[str, object], state: JobState, code: str
) -> None:
    assert job(value) == (state, code)


@pytest.mark.parametrize(
    "stamp", ["00000000000000", "20261399999999", "٢٠٢٦٠٦٠١١٢٠٠٠٠", "2026060112000"]
)
def test_a_success_at_no_moment_is_half_an_answer(stamp: str) -> None:
    value = {"status": "success", "timestamp": stamp, "original_url": URL}
    assert job(value) == (JobState.UNANSWERED, "")


def test_a_single_object_is_accepted_for_a_batch_and_strange_jobs_are_ignored() -> None:
    jobs = {"a": URL, "b": URL}
    raw = answer_of({"status": "pending", "job_id": "b"})
    states = {key: each.state for key, each in read_jobs(raw, jobs, "http://p/web").items()}
    assert states == {"a": JobState.UNANSWERED, "b": JobState.PENDING}
    raw = answer_of([{"status": "success", "job_id": "z"}, 3, None, {"job_id": "a"}])
    states = {key: each.state for key, each in read_jobs(raw, jobs, "http://p/web").items()}
    assert states == {"a": JobState.UNANSWERED, "b": JobState.UNANSWERED}


def test_an_outage_says_nothing_about_a_job() -> None:
    for raw in (RawAnswer(503), RawAnswer(429), answer_of({})):
        assert read_jobs(raw, {"a": URL}, "http://p/web")["a"].state is JobState.UNANSWERED


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from([200, 400, 401, 404, 429, 500]))
def test_no_bytes_whatever_crash_the_reader(body: bytes, status: int) -> None:
    raw = RawAnswer(status, JSON, body)
    read_submit(raw, START)
    read_jobs(raw, {"a": URL}, "http://p/web")


def test_a_megabyte_of_hostile_text_is_read_at_once() -> None:
    text = "cannot make more than " * 40_000
    began = time.monotonic()
    read_submit(answer_of({"message": text, "status": "error"}), START)
    assert time.monotonic() - began < 1


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=40)
NAMES = st.sampled_from(
    ["status", "status_ext", "message", "job_id", "timestamp", "original_url", "http_status"]
)


@settings(max_examples=300)
@given(st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=2)))
def test_no_json_whatever_crashes_the_reader(value: dict[str, object]) -> None:
    answer = read_submit(answer_of(value), START)
    assert answer.capture is None
    read_jobs(answer_of([value]), {"a": URL}, "http://p/web")


# ----------------------------------------------------------------------- codes


def test_every_code_has_a_row_that_makes_sense() -> None:
    for code, row in REFUSALS.items():
        assert row.again > timedelta(0), code
        assert row.tries >= 1, code
        assert row.text, code


def test_unknown_codes_get_the_careful_row() -> None:
    assert refusal_for("error:brand-new") is UNKNOWN_CODE
    assert refusal_for("a whole sentence") is UNKNOWN_CODE
    assert refusal_for("http-404").kind is Kind.PERMANENT
    assert refusal_for("http-503").kind is Kind.TRANSIENT


# ------------------------------------------------------------------------ keys


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://web.archive.org/save", True),
        ("https://web.archive.org:443/save", True),
        ("http://127.0.0.1:8090/save", True),
        ("http://[::1]:8090/save", True),
        ("http://localhost:8090/save", True),
        ("http://web.archive.org/save", False),
        ("https://web.archive.org.evil.example/save", False),
        ("https://web.archive.org@evil.example/save", False),
        ("https://web.archive.org:8443/save", False),
        ("https://archive.org/save", False),
        ("https://10.0.0.1/save", False),
    ],
)
def test_keys_go_to_the_archive_or_to_loopback_only(url: str, allowed: bool) -> None:
    assert may_carry_keys(url) is allowed
    if not allowed:
        wire = ArchiveWire([url], user_agent="x")
        with pytest.raises(ConfigurationError) as caught:
            SavePageNow(wire, SystemClock(), KEYS, save_url=url, playback_url=url)
        assert "secret" not in str(caught.value)


async def test_keys_that_the_archive_quotes_are_not_kept(
    world: World, service: SavePageNow
) -> None:
    quoted = f"There is no account with LOW {KEYS.access}:{KEYS.secret}"
    world.archive.script("spn2", "", Scripted.json({"message": quoted}, 401))
    world.archive.script("status", "", Scripted.json({"status": "error", "message": quoted}))
    told = [(await service.submit(URL)).message, (await service.poll({"j": URL}))["j"].message]
    assert told == ["There is no account with LOW [key]:[key]"] * 2


def test_keys_do_not_show() -> None:
    assert "secret" not in repr(KEYS)
    assert "access" not in repr(replace(KEYS))


async def test_keys_go_in_the_header_of_the_service_only(
    world: World, service: SavePageNow
) -> None:
    world.pages.put(URL)
    await service.poll({await job_of(service): URL})
    await service.user_status()
    await world.index.look_up(URL)
    carried = {each.service: each.authorized for each in world.archive.requests}
    assert carried == {"spn2": True, "status": True, "user": True, "cdx": False}
    assert "secret" not in "".join(each.target for each in world.archive.requests)
