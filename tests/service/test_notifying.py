"""Telling people around runs: one digest each, until it arrives, and nothing held up by it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from archiver.clock import RehearsalClock
from archiver.config import load_settings
from archiver.errors import CannotWork
from archiver.model import ArchiveState, Verdict
from archiver.service.desk import Desk
from archiver.service.duties import Duties
from archiver.service.notifying import (
    DONE,
    FIRST_WEEK,
    GIVEN_UP_AFTER,
    INTERRUPTED,
    OFFLINE,
    RETRIES,
    Notifying,
)
from archiver.service.once import one_pass
from archiver.store import Progress, Store
from tests.notify.receiver import Received, Receiver, receiver
from tests.store.making import look, scanned

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WEEK = FIRST_WEEK + timedelta(seconds=1)


class Bench:
    """A desk over a real database, some links in it, and a clock that only jumps."""

    def __init__(self, folder: Path, **notify: Any) -> None:
        environ = {f"ARCHIVER_NOTIFY__{name.upper()}": text for name, text in notify.items()}
        self.clock = RehearsalClock(START)
        self.store = Store.open(folder / "archiver.db")
        self.desk = Desk(load_settings(None, environ, folder), self.store, clock=self.clock)
        urls = [f"http://h{number}.test/a" for number in range(1, 41)]
        self.store.citations.replace_files([scanned(*urls)], START)
        self.believe(Verdict.OK, *range(1, 41))

    def believe(self, verdict: Verdict, *link_ids: int) -> None:
        for link in self.store.looks.known(link_ids):
            reason = "http-404" if verdict is Verdict.DEAD else "ok"
            self.store.looks.record([look(link, self.clock.now(), verdict, reason)], None)

    async def run(self, notifying: Notifying, outcome: str = DONE) -> None:
        """Make a run that finds nothing new itself, and try to deliver what is due."""
        with notifying.run() as note:
            note.ended(outcome, "40 looks")
        await notifying.deliver()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "events").mkdir()
    return tmp_path


@asynccontextmanager
async def after_the_first_week(
    folder: Path, other: Receiver, **notify: Any
) -> AsyncIterator[tuple[Bench, Notifying]]:
    """Yield a bench whose baseline was told and forgotten by the receiver."""
    bench = Bench(folder, webhook=other.url, **notify)
    notifying = Notifying(bench.desk)
    bench.clock.jump(WEEK)
    await bench.run(notifying)
    assert other.digests()[-1]["kind"] == "baseline"
    other.received.clear()
    try:
        yield bench, notifying
    finally:
        bench.store.close()


# -- what is told when ----------------------------------------------------------------------


async def test_the_first_week_is_one_digest(folder: Path) -> None:
    async with receiver() as other:
        bench = Bench(folder, webhook=other.url)
        notifying = Notifying(bench.desk)
        for link_id in (1, 2, 3):
            bench.clock.jump(timedelta(days=2))
            bench.believe(Verdict.DEAD, link_id)
            await bench.run(notifying)
        assert other.received == []
        bench.believe(Verdict.OK, 2)
        bench.clock.jump(timedelta(days=1, seconds=1))
        await bench.run(notifying)
        [baseline] = other.digests()
        assert baseline["kind"] == "baseline"
        assert baseline["counts"] == {"dead": 2, "archive-failed": 0, "recovered": 0}
        assert [item["url"] for item in baseline["items"]] == [
            *("http://h1.test/a", "http://h3.test/a"),
        ]
        assert baseline["links"] == 40
        bench.store.close()


async def test_notifications_switched_on_late_begin_with_how_things_stand(folder: Path) -> None:
    async with receiver() as other:
        bench = Bench(folder)
        bench.believe(Verdict.DEAD, *range(1, 31))
        await bench.run(Notifying(bench.desk))
        bench.clock.jump(timedelta(days=400))
        bench.desk.loaded = load_settings(None, {"ARCHIVER_NOTIFY__WEBHOOK": other.url}, folder)
        await bench.run(Notifying(bench.desk))
        [baseline] = other.digests()
        assert (baseline["total"], baseline["left_out"], len(baseline["items"])) == (30, 10, 20)
        bench.store.close()


async def test_one_digest_a_run_and_none_when_nothing_is_new(folder: Path) -> None:
    async with receiver() as other, after_the_first_week(folder, other) as (bench, notifying):
        await bench.run(notifying)
        assert other.received == []
        bench.believe(Verdict.DEAD, 1, 2)
        bench.store.archive.save(3, Progress(ArchiveState.EXCLUDED, None, "{}", 0))
        await bench.run(notifying)
        await bench.run(notifying)
        [digest] = other.digests()
        assert digest["kind"] == "changes"
        assert digest["counts"] == {"dead": 2, "archive-failed": 1, "recovered": 0}
        assert digest["id"] == other.ids()[0]
        bench.believe(Verdict.OK, 1)
        await bench.run(notifying)
        assert other.digests()[1]["counts"]["recovered"] == 1
        assert len(set(other.ids())) == 2


async def test_a_tick_without_anything_due_still_tells_what_archives_did(folder: Path) -> None:
    async with receiver() as other, after_the_first_week(folder, other) as (bench, notifying):
        bench.store.archive.save(3, Progress(ArchiveState.LOST, None, "{}", 0))
        notifying.nothing_due()
        await notifying.deliver()
        assert other.digests()[0]["items"][0]["archive_state"] == "lost"


async def test_what_is_not_worth_a_message_is_passed_over_for_good(folder: Path) -> None:
    async with (
        receiver() as other,
        after_the_first_week(folder, other, on="recovered") as (bench, notifying),
    ):
        bench.believe(Verdict.DEAD, 1)
        await bench.run(notifying)
        bench.desk.loaded = load_settings(None, {"ARCHIVER_NOTIFY__WEBHOOK": other.url}, folder)
        await bench.run(Notifying(bench.desk))
        assert other.received == []


@pytest.mark.parametrize("outcome", [OFFLINE, INTERRUPTED])
async def test_a_run_that_was_not_whole_makes_no_digest(folder: Path, outcome: str) -> None:
    async with receiver() as other, after_the_first_week(folder, other) as (bench, notifying):
        bench.believe(Verdict.DEAD, 1)
        await bench.run(notifying, outcome)
        assert other.received == []
        await bench.run(notifying)
        assert other.digests()[0]["counts"]["dead"] == 1


# -- until it arrives -----------------------------------------------------------------------


async def test_a_digest_is_sent_again_as_it_was_until_it_arrives(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiver() as other, after_the_first_week(folder, other) as (bench, notifying):
        other.answers = [(500, {}), (503, {"Retry-After": "7200"}), (404, {})]
        bench.believe(Verdict.DEAD, 1)
        await bench.run(notifying)
        bench.believe(Verdict.DEAD, 2)
        await bench.run(notifying)
        assert len(other.received) == 1
        bench.clock.jump(RETRIES[0] + timedelta(seconds=1))
        await notifying.deliver()
        bench.clock.jump(timedelta(minutes=119))
        await notifying.deliver()
        assert len(other.received) == 2
        bench.clock.jump(timedelta(minutes=2))
        await notifying.deliver()
        bench.clock.jump(RETRIES[2] + timedelta(seconds=1))
        await notifying.deliver()
        first, second, third, fourth, later = other.received
        assert first.body == second.body == third.body == fourth.body
        assert first.headers["x-archiver-digest"] == fourth.headers["x-archiver-digest"]
        assert later.headers["x-archiver-digest"] != first.headers["x-archiver-digest"]
        assert bench.store.outbox.waiting() == []
    assert "did not reach the webhook: it answered 503" in caplog.text


async def test_one_broken_channel_costs_the_other_nothing(folder: Path) -> None:
    code = "import sys\nsys.stdin.read()\nopen('told', 'a').write('x')\n"
    (folder / "tell.py").write_text(code)
    async with (
        receiver() as other,
        after_the_first_week(folder, other, command=f"{sys.executable},tell.py") as (
            bench,
            notifying,
        ),
    ):
        (folder / "told").unlink()
        other.answers = [(500, {})] * 3
        bench.believe(Verdict.DEAD, 1)
        await bench.run(notifying)
        for _ in range(2):
            bench.clock.jump(timedelta(hours=2))
            await notifying.deliver()
        assert len(other.received) == 3
        assert (folder / "told").read_text() == "x"
        assert [row["channel"] for row in bench.store.outbox.waiting()] == ["webhook"]


async def test_a_digest_is_given_up_after_a_week_and_the_next_one_goes_on(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiver() as other, after_the_first_week(folder, other) as (bench, notifying):
        other.answers = [(500, {})] * 2
        bench.believe(Verdict.DEAD, 1)
        await bench.run(notifying)
        bench.clock.jump(GIVEN_UP_AFTER + timedelta(hours=1))
        bench.believe(Verdict.DEAD, 2)
        await bench.run(notifying)
        assert [digest["items"][0]["url"] for digest in other.digests()] == [
            *("http://h1.test/a", "http://h1.test/a", "http://h2.test/a"),
        ]
        assert bench.store.outbox.waiting() == []
    assert "given up" in caplog.text


async def test_a_clock_that_goes_back_does_not_silence_us(folder: Path) -> None:
    async with receiver() as other, after_the_first_week(folder, other) as (bench, notifying):
        other.answers = [(500, {})]
        bench.believe(Verdict.DEAD, 1)
        await bench.run(notifying)
        bench.clock.jump(-timedelta(days=300))
        await notifying.deliver()
        assert len(other.received) == 2
        assert bench.store.outbox.waiting() == []


async def test_a_sending_cut_short_is_made_again_with_the_same_id(folder: Path) -> None:
    async with receiver() as other, after_the_first_week(folder, other) as (bench, notifying):
        bench.believe(Verdict.DEAD, 1)
        other.hold = asyncio.Event()
        with notifying.run():
            pass
        sending = asyncio.create_task(notifying.deliver())
        await until(lambda: len(other.received) == 1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        other.hold = None
        await Notifying(bench.desk).deliver()
        assert len(other.ids()) == 2
        assert len(set(other.ids())) == 1


# -- nothing is held up ---------------------------------------------------------------------


async def test_a_run_neither_waits_for_a_receiver_nor_fails_with_it(folder: Path) -> None:
    async with receiver() as other:
        bench = Bench(folder, webhook=other.url, heartbeat=f"{other.url}/hb")
        bench.clock.jump(WEEK)
        other.hold = asyncio.Event()
        async with Notifying(bench.desk) as notifying:
            began = time.monotonic()
            for _ in range(30):
                with notifying.run() as note:
                    note.ended(DONE, "fine")
                await asyncio.sleep(0)
            assert time.monotonic() - began < 1
            await until(lambda: len(other.received) >= 2)
        bench.store.close()


async def test_a_database_that_cannot_be_written_does_not_fail_the_run(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiver() as other, after_the_first_week(folder, other) as (bench, notifying):
        bench.believe(Verdict.DEAD, 1)
        bench.store.database.pragmas(["query_only = ON"])
        with notifying.run():
            pass
        assert "no digest was made" in caplog.text
        bench.store.database.pragmas(["query_only = OFF"])
        await bench.run(notifying)
        assert other.digests()[0]["counts"]["dead"] == 1


async def test_the_background_delivers_by_itself(folder: Path) -> None:
    async with (
        receiver() as other,
        after_the_first_week(folder, other) as (bench, _),
        Notifying(bench.desk) as notifying,
    ):
        bench.believe(Verdict.DEAD, 1)
        notifying.nothing_due()
        await until(lambda: bool(other.received))


async def test_nothing_configured_asks_nobody_and_keeps_the_outbox(folder: Path) -> None:
    bench = Bench(folder)
    bench.clock.jump(WEEK)
    bench.believe(Verdict.DEAD, 1)
    async with Notifying(bench.desk) as notifying:
        await bench.run(notifying)
        await notifying.finish()
    assert bench.store.outbox.news(("dead",), 9).counts == {"dead": 1}
    assert not bench.store.outbox.has_baseline()
    bench.store.close()


# -- signs of life --------------------------------------------------------------------------


async def test_each_run_is_watched_over_by_a_dead_mans_switch(folder: Path) -> None:
    async with receiver() as other:
        bench = Bench(folder, heartbeat=f"{other.url}/uuid")
        async with Notifying(bench.desk) as notifying:
            with notifying.run() as note:
                note.ended(DONE, "40 looks")
            with notifying.run() as note:
                note.ended(OFFLINE, "40 looks")
            with notifying.run() as note:
                note.ended(INTERRUPTED, "3 looks")
            await notifying.finish()
            with pytest.raises(CannotWork), notifying.run():
                raise CannotWork("The disk is full.", "Free some space.")
            with pytest.raises(ZeroDivisionError), notifying.run():
                raise ZeroDivisionError
            notifying.nothing_due()
            await notifying.finish()
        bench.store.close()
    assert [(each.target, each.body.decode()) for each in other.received] == [
        ("/uuid/start", ""),
        ("/uuid", "40 looks"),
        ("/uuid/start", ""),
        ("/uuid/fail", "offline: 40 looks"),
        ("/uuid/start", ""),
        ("/uuid/start", ""),
        ("/uuid/fail", "The disk is full. Free some space."),
        ("/uuid/start", ""),
        ("/uuid/fail", "ended in a mistake of the program (ZeroDivisionError)"),
        ("/uuid", "nothing was due"),
    ]


async def test_a_dead_heartbeat_is_said_once_and_without_its_address(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with receiver() as other:
        bench = Bench(folder, heartbeat=f"{other.url}/T0KEN")
        bench.desk.clock = RehearsalClock(START, speed=1000)
        async with Notifying(bench.desk) as notifying:
            other.answers = [(500, {})] * 6
            for _ in range(3):
                notifying.nothing_due()
            await notifying.finish()
        bench.store.close()
    assert caplog.text.count("a heartbeat did not arrive: it answered 500") == 1
    assert caplog.text.count("heartbeats arrive again") == 1
    assert "T0KEN" not in caplog.text


# -- through the whole program --------------------------------------------------------------


@asynccontextmanager
async def small_site() -> AsyncIterator[tuple[str, list[str]]]:
    """Serve pages of which `/gone` is not there; yield the origin and what was asked for."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path.startswith("/gone"):
            return web.Response(status=404, text="404 not found", content_type="text/html")
        text = f"<title>A title long enough to count</title><p>{'A page of words. ' * 40}"
        return web.Response(text=text, content_type="text/html")

    application = web.Application()
    application.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def write_project(folder: Path, site: str, told: str) -> Path:
    (folder / "events" / "one.md").write_text(
        "---\nid: one\ndate: 2020-01-01\nsources:\n"
        f"  - url: {site}/fine\n    title: A title long enough to count\n"
        f"  - url: {site}/gone\n    title: What was there\n---\n"
    )
    (folder / "key").write_text("a-secret-key\n")
    settings = folder / "archiver.toml"
    settings.write_text(
        f'[check]\nhost_delay = "0s"\ncontact = "x"\n[network]\nallow_private = ["127.0.0.0/8"]\n'
        f'[archive]\nmode = "off"\n[notify]\nwebhook = "{told}/hook/T0KEN"\n'
        f'secret_file = "key"\nheartbeat = "{told}/beat/T0KEN"\n'
    )
    return settings


async def test_a_death_is_told_by_the_pass_that_came_to_believe_it(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with small_site() as (site, _), receiver() as other:
        loaded = load_settings(write_project(folder, site, other.url), {}, folder)
        clock = RehearsalClock(START, speed=60)
        store = Store.open(loaded.database_path)
        desk = Desk(loaded, store, clock=clock, holder="run:test")
        for hours in (0, 30, 60, 90, 24 * 8):
            clock.jump(START + timedelta(hours=hours) - clock.now())
            await one_pass(desk)
        [hook] = hooks(other)
        assert b'"kind": "baseline"' in hook.body
        assert f"{site}/gone".encode() in hook.body
        assert hook.headers["x-archiver-signature-256"].startswith("sha256=")
        beats = [each.target for each in other.received if each.target.startswith("/beat")]
        assert beats == ["/beat/T0KEN/start", "/beat/T0KEN"] * 5
        dump = "\n".join(store.database.connection.iterdump())
        store.close()
    for secret in ("T0KEN", "a-secret-key"):
        assert secret not in caplog.text
        assert secret not in dump


async def test_the_daemons_check_duty_tells_and_goes_on(folder: Path) -> None:
    async with small_site() as (site, _), receiver() as other:
        loaded = load_settings(write_project(folder, site, other.url), {}, folder)
        store = Store.open(loaded.database_path)
        desk = Desk(loaded, store, clock=RehearsalClock(START, speed=60), holder="run:test")
        async with Duties(desk) as duties:
            await duties.scan()
            assert "2 looks" in await duties.check()
            assert await duties.check() == ""
            await until(lambda: len(other.received) == 3)
        store.close()
    assert other.targets() == ["/beat/T0KEN/start", "/beat/T0KEN", "/beat/T0KEN"]
    assert other.received[2].body == b"nothing was due"


async def test_killed_while_sending_the_next_start_sends_the_same_digest_again(
    folder: Path,
) -> None:
    async with small_site() as (site, asked), receiver() as other:
        settings = write_project(folder, site, other.url)
        store = Store.open(load_settings(settings, {}, folder).database_path)
        store.citations.replace_files([scanned(f"{site}/fine", path="events/two.md")], START)
        [known] = store.looks.known([1])
        long_ago = datetime.now(UTC) - WEEK
        store.looks.record([look(known, long_ago, Verdict.OK, "ok")], None)
        store.close()
        other.hold = asyncio.Event()
        first = await start_pass(settings)
        await until(lambda: bool(hooks(other)), seconds=20)
        first.kill()
        await first.communicate()
        other.hold.set()
        again = await start_pass(settings)
        out, err = await again.communicate()
        assert again.returncode == 0, err.decode()
        before, after = hooks(other)
        assert before.body == after.body
        assert before.headers["x-archiver-digest"] == after.headers["x-archiver-digest"]
        assert "/fine" in asked
        assert b"T0KEN" not in out + err


def hooks(other: Receiver) -> list[Received]:
    return [each for each in other.received if each.target == "/hook/T0KEN"]


async def start_pass(settings: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "archiver", "-c", str(settings), "run", "--once"),
        cwd=settings.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def until(holds: Any, seconds: float = 5.0) -> None:
    """Wait until something holds; fail after some seconds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        await asyncio.sleep(0.01)
