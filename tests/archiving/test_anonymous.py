"""Anonymous saving: one submission, bounded, mapped to outcomes, never outside the archive."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from aiohttp import web

from archiver.archiving.anonymous import AnonymousSaver, SaveEndpoint
from archiver.archiving.answers import Outcome, SubmitAnswer, Trouble
from archiver.demo.wayback import Scripted
from tests.archiving.conftest import START, World

URL = "https://news.example/story"


@pytest.fixture
async def endpoint(world: World) -> SaveEndpoint:
    return SaveEndpoint(
        world.archive.save_url, world.archive.playback_url, "archiver-test/1", read_seconds=5.0
    )


@pytest.fixture
async def saver(world: World, endpoint: SaveEndpoint) -> AnonymousSaver:
    return AnonymousSaver(endpoint, world.clock)


async def test_a_save_gives_the_capture_and_never_downloads_it(
    world: World, saver: AnonymousSaver
) -> None:
    world.pages.put(URL)
    answer = await saver.submit(URL)
    assert answer.outcome is Outcome.CAPTURED
    assert answer.capture is not None
    stamp = answer.capture.captured_at.strftime("%Y%m%d%H%M%S")
    assert answer.capture.archive_url == f"{world.archive.playback_url}/{stamp}/{URL}"
    assert abs((answer.capture.captured_at - START).total_seconds()) < 60
    assert [each.service for each in world.archive.requests] == ["save"]
    assert world.archive.requests[0].user_agent == "archiver-test/1"


async def test_the_url_reaches_the_archive_as_it_is(world: World, saver: AnonymousSaver) -> None:
    odd = "https://news.example/%7Ea/%2F?b=%41&c=d+e"
    world.pages.put(odd)
    await saver.submit(odd)
    assert world.archive.requests[0].url == odd


@pytest.mark.parametrize(
    ("response", "outcome", "trouble"),
    [
        (Scripted(429), Outcome.THROTTLED, Trouble.THROTTLED),
        (Scripted(429, headers={"Retry-After": "300"}), Outcome.THROTTLED, Trouble.THROTTLED),
        (Scripted(509), Outcome.THROTTLED, Trouble.SLOTS),
        (Scripted(520, "<p>Job failed"), Outcome.UNKNOWN, Trouble.NONE),
        (Scripted(404, "<p>?"), Outcome.UNKNOWN, Trouble.NONE),
        (Scripted(500), Outcome.UNKNOWN, Trouble.OUTAGE),
        (Scripted(503, headers={"Retry-After": "300"}), Outcome.UNKNOWN, Trouble.OUTAGE),
        (Scripted(523), Outcome.UNKNOWN, Trouble.OUTAGE),
        (Scripted(200, "<p>the form"), Outcome.UNKNOWN, Trouble.OUTAGE),
        (Scripted.json({"status": "error"}), Outcome.UNKNOWN, Trouble.OUTAGE),
        (Scripted(401, '{"message":"You need to be logged in"}'), Outcome.REFUSED, Trouble.KEYS),
        (Scripted(400), Outcome.REFUSED, Trouble.NONE),
        (Scripted(reset=True), Outcome.UNKNOWN, Trouble.OUTAGE),
    ],
)
async def test_each_answer_is_one_request_and_one_outcome(
    world: World,
    saver: AnonymousSaver,
    response: Scripted,
    outcome: Outcome,
    trouble: Trouble,
) -> None:
    world.archive.script("save", "story", response)
    began = time.monotonic()
    answer = await saver.submit(URL)
    assert (answer.outcome, answer.trouble) == (outcome, trouble)
    assert answer.capture is None
    assert len(world.archive.requests) == 1
    assert time.monotonic() - began < 3


async def test_retry_after_is_told_and_not_slept(world: World, saver: AnonymousSaver) -> None:
    world.archive.script("save", "story", Scripted(429, headers={"Retry-After": "300"}))
    assert (await saver.submit(URL)).retry_after == 300


async def test_a_hang_ends_as_an_unknown_outcome(world: World, endpoint: SaveEndpoint) -> None:
    world.archive.script("save", "story", Scripted(hang=3))
    saver = AnonymousSaver(replace(endpoint, read_seconds=0.3), world.clock)
    answer = await saver.submit(URL)
    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "timeout")


async def test_nothing_was_sent_when_the_port_is_closed(
    world: World, saver: AnonymousSaver
) -> None:
    await world.archive.stop()
    answer = await saver.submit(URL)
    assert (answer.outcome, answer.code, answer.trouble) == (
        Outcome.FAILED,
        "unreachable",
        Trouble.REFUSED,
    )


async def saved_with(world: World, saver: AnonymousSaver, **headers: str) -> SubmitAnswer:
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    status = 302 if "Location" in renamed else 200
    world.archive.script("save", "story", Scripted(status, "", headers=renamed))
    return await saver.submit(URL)


async def test_a_content_location_names_the_capture(world: World, saver: AnonymousSaver) -> None:
    path = f"/web/20260601120000/{URL}"
    answer = await saved_with(world, saver, Content_Location=path)
    assert answer.capture is not None
    assert answer.capture.archive_url == world.archive.origin + path


async def test_of_a_link_header_the_memento_itself_counts(
    world: World, saver: AnonymousSaver
) -> None:
    base = world.archive.playback_url
    link = (
        f'<{base}/20200101000000/{URL}>; rel="prev memento"; datetime="x", '
        f'<{base}/20260601120000/{URL}>; rel="memento"; datetime="y", '
        f'<{base}/20260601130000/{URL}>; rel="next memento"; datetime="z"'
    )
    answer = await saved_with(world, saver, Link=link)
    assert answer.capture is not None
    assert answer.capture.archive_url == f"{base}/20260601120000/{URL}"


async def test_an_error_that_names_a_capture_is_still_an_error(
    world: World, saver: AnonymousSaver
) -> None:
    headers = {"Content-Location": f"/web/20260601120000/{URL}"}
    world.archive.script("save", "story", Scripted(503, "", headers=headers))
    answer = await saver.submit(URL)
    assert (answer.outcome, answer.capture) == (Outcome.UNKNOWN, None)


async def test_a_capture_at_no_moment_is_none(world: World, saver: AnonymousSaver) -> None:
    answer = await saved_with(world, saver, Content_Location=f"/web/20261399999999/{URL}")
    assert (answer.outcome, answer.capture) == (Outcome.UNKNOWN, None)


async def test_an_old_capture_is_a_recent_one_not_ours(world: World, saver: AnonymousSaver) -> None:
    answer = await saved_with(world, saver, Location=f"/web/20260501120000/{URL}")
    assert answer.outcome is Outcome.RECENT
    assert answer.capture is not None


async def test_a_capture_of_another_url_is_not_taken(world: World, saver: AnonymousSaver) -> None:
    answer = await saved_with(world, saver, Location="/web/20260601120000/https://evil.example/")
    assert (answer.outcome, answer.capture) == (Outcome.RECENT, None)


async def test_a_redirect_out_of_the_archive_is_not_followed(
    world: World, saver: AnonymousSaver
) -> None:
    met: list[str] = []

    async def met_by(request: web.Request) -> web.Response:
        met.append(request.path)
        return web.Response()

    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", met_by)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        elsewhere = f"http://127.0.0.1:{runner.addresses[0][1]}/steal"
        answer = await saved_with(world, saver, Location=elsewhere)
    finally:
        await runner.cleanup()
    assert met == []
    assert answer.outcome is Outcome.UNKNOWN


async def test_redirects_inside_the_archive_end_after_three(
    world: World, saver: AnonymousSaver
) -> None:
    answer = await saved_with(world, saver, Location="/save/again/story")
    assert answer.outcome is Outcome.UNKNOWN
    assert len(world.archive.requests) == 4


async def test_the_body_is_never_read(world: World, saver: AnonymousSaver) -> None:
    headers = {"Content-Location": f"/web/20260601120000/{URL}"}
    world.archive.script("save", "story", Scripted(200, b"x" * 30_000_000, headers=headers))
    answer = await asyncio.wait_for(saver.submit(URL), 3)
    assert answer.outcome is Outcome.CAPTURED
