"""Copies outside the Wayback Machine's own index: other archives, and copies cited as sources.

What an aggregator names are strangers' servers: they are asked through the checker's own guard
and manners, and judged by the same playback rules.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

from archiver.archiving.addresses import capture_url, read_capture_url
from archiver.archiving.aggregator import Aggregator, play_elsewhere
from archiver.archiving.answers import Lookup, LookupAnswer, PlaybackAnswer
from archiver.archiving.copies import MISSING_DELAY, put_off
from archiver.archiving.pipeline import ArchiveRecord, LookUp, Situation
from archiver.archiving.transitions import ONE_DAY
from archiver.archiving.verify import Passed, Verification
from archiver.archiving.wire import RETRY_AFTER_CAP, Failure, RawAnswer
from archiver.checking.fetch import Fetcher
from archiver.checking.lanes import HostUnavailable, Lanes
from archiver.checking.wire import Answer
from archiver.clock import from_stamp, to_stamp
from archiver.model import ArchiveState, Capture, Verdict
from archiver.service.desk import Desk
from archiver.store import ArchiveTask

_PLAYBACK_SECONDS = 60.0
_PLAYBACK_BYTES = 256 * 1024
# The name of the state, and the pause of an aggregator that throttles and names no time
# (reference wayback §5).
_RESTS, _LEAST_REST = "aggregator-rests", 60
IS_ARCHIVE = "is-archive-url"
# The source of a capture that is itself cited: the link's own address is the archive's.
CITED = "cited"


class Elsewhere:
    """Asks an aggregator, and plays what other archives hold; an async context manager."""

    def __init__(self, desk: Desk, aggregator: Aggregator | None) -> None:
        """Ask `aggregator` where one is configured."""
        self._desk = desk
        self._aggregator = aggregator
        self._fetcher = Fetcher(
            desk.settings.check,
            desk.settings.network,
            desk.settings.hosts,
            desk.clock,
            Lanes(
                desk.settings.check,
                desk.settings.hosts,
                desk.clock,
                desk.store.hosts,
                holder=f"{desk.holder}:archives",
            ),
            resolver=desk.resolver,
        )

    async def __aenter__(self) -> Elsewhere:
        await self._fetcher.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._fetcher.__aexit__(None, None, None)

    async def ask(self, answer: LookupAnswer, situation: Situation, action: LookUp) -> LookupAnswer:
        """Ask the other archives about a dead link that the first does not have."""
        wanted = situation.verdict is Verdict.DEAD and answer.outcome is Lookup.NOTHING
        if self._aggregator is None or not wanted or answer.variants:
            return answer
        rest = self._seconds_of_rest()
        if rest:
            return LookupAnswer(Lookup.THROTTLED, retry_after=rest, requests=answer.requests)
        found = await self._aggregator.look_up(action.url, action.around)
        self._note_rest(found)
        return replace(found, requests=answer.requests + found.requests)

    def _seconds_of_rest(self) -> int:
        """Return how long the aggregator wants to be left alone still, 0 for not at all."""
        until = self._desk.store.journal.state(_RESTS)
        if until is None:
            return 0
        left = math.ceil((from_stamp(until) - self._desk.clock.now()).total_seconds())
        # None is longer than the cap: such a one was noted by a clock that was ahead.
        return left if 0 < left <= RETRY_AFTER_CAP + 1 else 0

    def _note_rest(self, found: LookupAnswer) -> None:
        """Keep a pause that the aggregator asks for, also across a restart."""
        seconds = found.retry_after or 0
        if found.outcome is Lookup.THROTTLED:
            seconds = max(seconds, _LEAST_REST)
        if seconds:
            until = self._desk.clock.now() + timedelta(seconds=seconds + 1)
            self._desk.store.journal.set_state(_RESTS, to_stamp(until))

    async def play(self, capture: Capture) -> PlaybackAnswer:
        """Play a capture that another archive holds."""
        return await play_elsewhere(capture, self._fetch)

    async def _fetch(self, url: str) -> RawAnswer:
        try:
            answer = await self._fetcher.get(
                url, seconds=_PLAYBACK_SECONDS, max_body=_PLAYBACK_BYTES
            )
        except HostUnavailable as busy:
            return RawAnswer(failure=Failure.UNREACHABLE, detail=busy.message)
        if not isinstance(answer, Answer):
            return RawAnswer(failure=Failure.BROKEN, detail=answer.word)
        headers = dict(answer.headers)
        if answer.location is not None:
            headers["location"] = answer.location.decode("utf-8", "replace")
        # The checker's wire has already unpacked the body.
        headers.pop("content-encoding", None)
        return RawAnswer(answer.status, headers, answer.body, answer.truncated)


def cited_copy(task: ArchiveTask, playback_url: str) -> Capture | None:
    """Return the capture that is itself cited as a source, when it is one we can play."""
    address = read_capture_url(task.wire, playback_url)
    if address is None:
        return None
    return Capture(
        captured_at=address.captured_at,
        archive_url=capture_url(playback_url, address.stamp, address.original),
        original_url=address.original,
        status=None,
        source=CITED,
    )


def after_cited_copy(
    record: ArchiveRecord,
    capture: Capture | None,
    verification: Verification | None,
    now: datetime,
    reverify_every: timedelta,
) -> ArchiveRecord:
    """Say what a copy cited as a source amounts to: it is verified, never archived again."""
    record = replace(record, touched_at=now, since=record.since or now)
    if capture is None or verification is None:
        return replace(
            record, state=ArchiveState.UNARCHIVABLE, reason=IS_ARCHIVE, next_at=now + reverify_every
        )
    if verification.word is Passed.UNANSWERED:
        record, later = put_off(record, verification, now)
        return replace(record, next_at=later)
    good, young = verification.word is Passed.GOOD, now - capture.captured_at < ONE_DAY
    if verification.word is Passed.MISSING and (young or not record.missing):
        return _missing_once(record, now, young=young)
    held = ArchiveState.CAPTURED if young else ArchiveState.ARCHIVED
    return replace(
        record,
        state=held if good else _end_of(record, verification),
        reason="verified" if good else verification.reason,
        unplayed=0,
        missing=0,
        best=capture if good else None,
        played=(capture.archive_url,) if good else (),
        verified_at=now if good else None,
        next_at=now + (timedelta(hours=26) if young and good else reverify_every),
    )


def _missing_once(record: ArchiveRecord, now: datetime, *, young: bool) -> ArchiveRecord:
    """Ask again soon: one missing playback proves nothing, and of a new copy none does."""
    known = record.state is not ArchiveState.NONE
    return replace(
        record,
        state=record.state if known else ArchiveState.SEARCHING,
        reason="missing-once",
        unplayed=0,
        missing=0 if young else 1,
        next_at=now + MISSING_DELAY,
    )


def _end_of(record: ArchiveRecord, verification: Verification) -> ArchiveState:
    """Return the state of a copy that is none: `lost` was archived (contract §2)."""
    if verification.word is Passed.EXCLUDED:
        return ArchiveState.EXCLUDED
    was = verification.word is Passed.MISSING and record.state is ArchiveState.ARCHIVED
    return ArchiveState.LOST if was else ArchiveState.UNARCHIVABLE
