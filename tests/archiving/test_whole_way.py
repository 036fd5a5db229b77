"""The whole way of a link through clients and pipeline, and what a kill at any point leaves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from archiver.archiving.anonymous import AnonymousSaver, SaveEndpoint
from archiver.archiving.pipeline import (
    ArchiveRecord,
    Conclude,
    LookUp,
    Nothing,
    Poll,
    Situation,
    Step,
    Submit,
    Verify,
    Wait,
    after_lookup,
    after_poll,
    after_submit,
    after_verify,
    begin_submit,
    from_json,
    plan,
    to_json,
)
from archiver.archiving.spn2 import AccountKeys, SavePageNow
from archiver.archiving.verify import leeway_for, needs_judgement, verify
from archiver.config import ArchiveSettings
from archiver.demo.seen import Seen
from archiver.demo.wayback import Scripted
from archiver.model import ArchiveState, Finding, Verdict
from tests.archiving.conftest import World

URL = "https://news.example/story"
SETTINGS = ArchiveSettings()
OK = Finding(Verdict.OK, "ok")


class Killed(Exception):
    """The process dies here."""


@dataclass
class Caller:
    """The smallest caller that keeps the pipeline's contract; `stored` is its database."""

    world: World
    situation: Situation
    finding: Finding = OK
    die_at: str = ""
    stored: str = "{}"
    outcomes: list[str] = field(default_factory=list)
    saw: list[str] = field(default_factory=list)

    @property
    def record(self) -> ArchiveRecord:
        return from_json(self.stored)

    def die(self, point: str) -> None:
        if self.die_at == point:
            self.die_at = ""
            raise Killed

    async def work(self) -> None:
        """Do all that is due now."""
        for _ in range(20):
            now = self.world.clock.now()
            action = plan(self.record, self.situation, now, SETTINGS)
            if isinstance(action, Wait | Nothing):
                return
            await self.carry_out(action)
        raise AssertionError("never waits")

    async def live(self, **period: float) -> None:
        """Let time pass from one due moment to the next, starting again after each kill."""
        end = self.world.clock.now() + timedelta(**period)
        while True:
            try:
                await self.work()
            except Killed:
                self.world.jump(seconds=1)
                continue
            now = self.world.clock.now()
            action = plan(self.record, self.situation, now, SETTINGS)
            if not isinstance(action, Wait) or action.until >= end:
                self.world.jump(seconds=max(0.0, (end - now).total_seconds()))
                return
            self.world.jump(seconds=(action.until - now).total_seconds() + 1)

    async def carry_out(self, action: object) -> None:
        match action:
            case Conclude(record):
                self.stored = to_json(record)
            case LookUp(url, around):
                answer = await self.world.index.look_up(url, around)
                self.keep(after_lookup(*self.given(answer)))
            case Submit():
                self.stored = to_json(begin_submit(self.record, action, self.world.clock.now()))
                self.die("intent")
                answer = await self.submit(action)
                self.die("sent")
                self.keep(after_submit(*self.given(answer)))
                self.die("stored")
            case Poll(job_id):
                answer = (await self.service().poll({job_id: self.situation.url}))[job_id]
                self.die("polled")
                self.keep(after_poll(*self.given(answer)))
            case Verify(capture):
                address = capture.archive_url
                answer = await self.world.player.play(address, leeway=leeway_for(capture))
                self.die("played")
                finding = self.finding if needs_judgement(answer) else None
                word = verify(answer, finding, capture, self.situation.url)
                now = self.world.clock.now()
                self.keep(after_verify(self.record, word, action, now, SETTINGS))

    def given(self, answer):  # type: ignore[no-untyped-def]
        return self.record, answer, self.situation, self.world.clock.now(), SETTINGS

    def keep(self, step: Step) -> None:
        self.stored = to_json(step.record)
        if step.attempt is not None:
            self.outcomes.append(step.attempt.outcome.value)
        if step.archive_saw is not None:
            self.saw.append(step.archive_saw)

    def service(self) -> SavePageNow:
        archive = self.world.archive
        return SavePageNow(
            self.world.wire,
            self.world.clock,
            AccountKeys("access", "secret"),
            save_url=archive.save_url,
            playback_url=archive.playback_url,
        )

    async def submit(self, action: Submit):  # type: ignore[no-untyped-def]
        if action.backend == "spn2":
            return await self.service().submit(
                action.url, unless_newer_than=action.unless_newer_than
            )
        archive = self.world.archive
        endpoint = SaveEndpoint(archive.save_url, archive.playback_url, "test", read_seconds=5.0)
        return await AnonymousSaver(endpoint, self.world.clock).submit(action.url)

    @property
    def submissions(self) -> int:
        return len(self.world.archive.asked("spn2")) + len(self.world.archive.asked("save"))


def caller(world: World, mode: str, verdict: Verdict = Verdict.OK) -> Caller:
    return Caller(world, Situation(URL, verdict, mode=mode))


MODES = pytest.mark.parametrize("mode", ["spn2", "anonymous"])


@MODES
async def test_a_living_link_ends_archived(world: World, mode: str) -> None:
    world.pages.put(URL)
    world.archive.job_time = timedelta(seconds=30)
    world.archive.index_lag = timedelta(hours=6)
    link = caller(world, mode)
    await link.live(hours=20)
    assert link.record.state is ArchiveState.CAPTURED
    await link.live(hours=10)
    assert link.record.state is ArchiveState.ARCHIVED
    assert link.submissions == 1
    assert link.outcomes[-1] == "captured"
    await link.live(days=100)
    assert link.record.state is ArchiveState.ARCHIVED
    assert len(world.archive.asked("playback")) == 2  # verified, and verified again


@MODES
@pytest.mark.parametrize("point", ["intent", "sent", "stored", "polled", "played"])
async def test_a_kill_at_any_point_neither_loses_nor_repeats_a_submission(
    world: World, mode: str, point: str
) -> None:
    world.pages.put(URL)
    world.archive.job_time = timedelta(seconds=30)
    link = caller(world, mode)
    link.die_at = point
    await link.live(hours=23)
    assert link.submissions <= 1
    await link.live(days=5)
    assert link.record.state is ArchiveState.ARCHIVED
    assert link.submissions == 1


async def test_an_outage_at_the_post_is_looked_up_and_tried_again_a_day_later(
    world: World,
) -> None:
    world.pages.put(URL)
    world.archive.script("save", "story", Scripted(503), times=1)
    link = caller(world, "anonymous")
    await link.live(hours=23)
    assert (link.submissions, link.outcomes) == (1, ["unknown"])
    looks = world.archive.asked("cdx")
    assert len(looks) == 3  # before it, ≥ 10 and ≥ 70 minutes after it
    await link.live(days=3)
    assert (link.submissions, link.outcomes) == (2, ["unknown", "captured"])
    assert link.record.state is ArchiveState.ARCHIVED


async def test_a_capture_made_in_spite_of_an_error_is_found(world: World) -> None:
    """The archive answers 520 but has captured the page (reference wayback §1.10)."""
    world.archive.script("save", "story", Scripted(520), times=1)
    link = caller(world, "anonymous")
    await link.work()
    world.archive.add_capture(URL, world.clock.now())
    await link.live(hours=30)
    assert link.submissions == 1
    assert link.outcomes == ["unknown", "captured"]
    assert link.record.state is ArchiveState.ARCHIVED


async def test_an_announced_capture_that_vanishes_is_never_archived(world: World) -> None:
    world.pages.put(URL)
    link = caller(world, "spn2")
    await link.live(hours=1)
    assert link.record.state is ArchiveState.CAPTURED
    world.archive.memory.forget(URL)
    world.archive.script("spn2", "story", Scripted(503))
    await link.live(days=3)
    assert link.record.state is not ArchiveState.ARCHIVED
    assert link.record.archive_url is None


async def test_a_captured_wall_is_not_archived_and_not_asked_for_again(world: World) -> None:
    world.pages.put(URL, "<title>Just a moment...</title>")
    link = caller(world, "spn2", Verdict.BLOCKED)
    link.finding = Finding(Verdict.BLOCKED, "challenge")
    await link.live(days=20)
    assert link.record.state is ArchiveState.UNARCHIVABLE
    assert link.record.reason == "challenge"
    assert link.submissions == 1


async def test_a_dead_link_without_capture_ends_unrecoverable_after_one_courtesy(
    world: World,
) -> None:
    world.pages.pages[URL] = Seen(404)
    link = caller(world, "spn2", Verdict.DEAD)
    link.situation = replace(
        link.situation, strong=True, failing_since=world.clock.now() - timedelta(days=4)
    )
    await link.live(days=2)
    assert link.record.state is ArchiveState.UNRECOVERABLE
    assert link.saw == ["http-404"]
    await link.live(days=400)
    assert link.submissions == 1


async def test_a_throttled_index_never_leads_to_a_submission(world: World) -> None:
    world.pages.put(URL)
    world.archive.script("cdx", "", Scripted(429, headers={"Retry-After": "60"}))
    link = caller(world, "spn2")
    await link.live(days=3)
    assert link.record.state is ArchiveState.SEARCHING
    assert link.submissions == 0


async def test_a_clock_that_jumps_weeks_ahead_repeats_nothing(world: World) -> None:
    world.pages.put(URL)
    world.archive.job_time = timedelta(seconds=30)
    link = caller(world, "spn2")
    await link.work()
    world.jump(days=40)  # the machine slept with a job under way
    await link.live(days=3)
    assert link.submissions == 1
    assert link.outcomes == ["submitted", "captured"]
    assert link.record.state is ArchiveState.ARCHIVED
