"""The small moves that planning and steps share: entering a state, and what absence means.

Pure; every function returns a new record.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import datetime, timedelta

from archiver.archiving.actions import Situation
from archiver.archiving.answers import Outcome
from archiver.archiving.record import ArchiveRecord, Phase
from archiver.model import ArchiveState, Verdict

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
COOL_DOWN = DAY  # design §6, per URL
FIRST_LOOK, SECOND_LOOK = 10 * MINUTE, 70 * MINUTE  # design §6, after an unknown outcome
ABSENCES_APART = DAY  # two clean negatives, design §6
ABSENT_REASK = 90 * DAY
UNKNOWNS_PER_WEEK = 2  # reference wayback §9.2.2
FAILED_TRIES = 5  # reference wayback §9.2.6
CLOCK_LEEWAY = 5 * MINUTE
# A capture is only called archived when it is still there a day later (reference wayback §0.9).
ONE_DAY = DAY
SUBMIT_GRACE = 3 * MINUTE  # reference wayback §9.2.1
JOB_LIFE = HOUR  # reference wayback §9.2.3: status records live about an hour

# The states in which a copy is known and a submission is only a refreshment.
HELD = (ArchiveState.CAPTURED, ArchiveState.ARCHIVED)


def enter(record: ArchiveRecord, state: ArchiveState, now: datetime, reason: str) -> ArchiveRecord:
    """Return the record in this state; `since` moves only when the state changes."""
    since = record.since if record.state is state and record.since else now
    return replace(record, state=state, since=since, reason=reason)


def idle(record: ArchiveRecord) -> ArchiveRecord:
    """End the submission; a link that was only pending is given a state by the caller."""
    return replace(record, phase=Phase.IDLE, job_id=None, job_until=None, polls=0, unknown_looks=0)


def search_again(
    record: ArchiveRecord, now: datetime, reason: str, delay: timedelta = timedelta(0)
) -> ArchiveRecord:
    """End the submission and have the index asked after `delay`."""
    record = idle(record)
    if record.state in HELD:
        return record
    return replace(enter(record, ArchiveState.SEARCHING, now, reason), next_at=now + delay)


def unarchivable(
    record: ArchiveRecord, now: datetime, reason: str, delay: timedelta
) -> ArchiveRecord:
    """End the submission; the link is asked about again after `delay`."""
    ended = enter(idle(record), ArchiveState.UNARCHIVABLE, now, reason)
    return replace(ended, until=now + delay, next_at=now + delay)


def note_unknown(record: ArchiveRecord, now: datetime, outcome: Outcome) -> ArchiveRecord:
    """Enter phase UNKNOWN: only look-ups ≥ 10 and ≥ 70 minutes after the attempt can tell."""
    sent = record.attempt_at or now
    kept = tuple(each for each in record.unknown_at if sent - each < 7 * DAY)
    noted = replace(
        record,
        phase=Phase.UNKNOWN,
        outcome=outcome,
        accepted_at=sent,
        reached_at=sent,
        unknown_at=(*kept, sent),
        unknown_looks=0,
        next_at=max(now, sent + FIRST_LOOK),
    )
    if noted.state in HELD:
        return noted
    return enter(noted, ArchiveState.PENDING, now, "unknown-outcome")


def submit_not_before(record: ArchiveRecord, now: datetime) -> datetime:
    """Return the earliest moment at which this URL may be submitted again (design §6).

    24 hours after the last submission that may have been accepted; with two unknown outcomes
    within a week, a week after the first of them.
    """
    moments = [now]
    if record.accepted_at is not None:
        moments.append(record.accepted_at + COOL_DOWN)
    recent = [each for each in record.unknown_at if each > now - 7 * DAY]
    if len(recent) >= UNKNOWNS_PER_WEEK:
        moments.append(min(recent) + 7 * DAY)
    return max(moments)


def settle_absence(record: ArchiveRecord, situation: Situation, now: datetime) -> ArchiveRecord:
    """Say what the absence of a usable capture means for this link (design §6)."""
    if situation.verdict is Verdict.DEAD:
        return _settle_dead(record, situation, now)
    if situation.refused:
        ended = enter(record, ArchiveState.UNARCHIVABLE, now, situation.refused)
        return replace(ended, until=None, next_at=now + ABSENT_REASK)
    if situation.asked_at is None:
        if record.until is not None and now < record.until:
            ended = enter(record, ArchiveState.UNARCHIVABLE, now, record.reason)
            return replace(ended, next_at=record.until)
        if record.tries >= FAILED_TRIES:
            ended = enter(record, ArchiveState.UNARCHIVABLE, now, "too-many-tries")
            return replace(ended, until=None, next_at=now + ABSENT_REASK)
    record = replace(record, until=None)
    queued = enter(record, ArchiveState.QUEUED, now, record.reason or "no-capture")
    return queued if record.next_at is not None else replace(queued, next_at=now)


def _settle_dead(record: ArchiveRecord, situation: Situation, now: datetime) -> ArchiveRecord:
    """A dead link: one courtesy submission in its life, then two negatives a day apart."""
    if courtesy_is_due(record, situation):
        if record.state is ArchiveState.QUEUED:
            return record
        return replace(enter(record, ArchiveState.QUEUED, now, "courtesy"), next_at=now)
    run = record.negatives
    if run.first_at and run.last_at and run.last_at - run.first_at >= ABSENCES_APART:
        word = "no-good-capture" if record.rejected else "no-capture-anywhere"
        ended = enter(record, ArchiveState.UNRECOVERABLE, now, word)
        return replace(ended, until=None, next_at=now + ABSENT_REASK)
    searching = enter(record, ArchiveState.SEARCHING, now, "second-look-up")
    return replace(searching, next_at=run.first_at + ABSENCES_APART if run.first_at else now)


def courtesy_is_due(record: ArchiveRecord, situation: Situation) -> bool:
    """Say whether a dead link without capture is still owed its one submission (design §6)."""
    if not situation.submits or situation.refused or record.courtesy_at is not None:
        return False
    began = situation.failing_since
    return record.reached_at is None or (began is not None and record.reached_at < began)


def spread(delay: timedelta, record: ArchiveRecord) -> timedelta:
    """Spread a delay by up to ±10 %, the same for the same link and try; whole seconds."""
    seed = f"{record.best.original_url if record.best else ''}{record.tries}{record.since}"
    share = zlib.crc32(seed.encode("utf-8", "surrogatepass")) / 0xFFFFFFFF
    return timedelta(seconds=round(delay.total_seconds() * (0.9 + 0.2 * share)))
