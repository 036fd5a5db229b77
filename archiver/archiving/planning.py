"""What to do for one link now: pure and total, never a request that is not due."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from archiver.archiving import choose
from archiver.archiving.actions import (
    HALF_A_YEAR,
    Action,
    ArchiveLimits,
    Conclude,
    LookUp,
    Nothing,
    Poll,
    Purpose,
    Situation,
    Submit,
    Verify,
    Wait,
)
from archiver.archiving.answers import Outcome
from archiver.archiving.eligibility import SECRET
from archiver.archiving.record import ArchiveRecord, Phase
from archiver.archiving.transitions import (
    CLOCK_LEEWAY,
    DAY,
    HELD,
    JOB_LIFE,
    MINUTE,
    ONE_DAY,
    SUBMIT_GRACE,
    enter,
    note_unknown,
    settle_absence,
    submit_not_before,
)
from archiver.model import ALIVE, ArchiveState, Capture, Verdict

# How long a capture that only precedes the publication lets the next submission wait.
EARLY_REASK = 30 * DAY


def plan(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    """Say what to do for this link now; see `pipeline` for what each action obliges to."""
    if situation.mode == "off":
        return Nothing("mode-off")
    if record.phase is not Phase.IDLE:
        return _PHASE_PLANS[record.phase](record, situation, now, settings)
    if situation.refused in SECRET:
        return _plan_secret(record, situation, now)
    urgent = _plan_urgent(record, situation)
    if urgent is None:
        return _STATE_PLANS[record.state](record, situation, now, settings)
    if record.ask_at is None or now >= record.ask_at:
        return urgent
    action = _STATE_PLANS[record.state](record, situation, now, settings)
    if isinstance(action, Wait):
        return Wait(min(action.until, record.ask_at), action.reason)
    return action


def priority(record: ArchiveRecord, situation: Situation) -> tuple[int, int, int, float]:
    """Return the place in the queue, smallest first (reference wayback §9.2.7).

    On demand, then failing, then never archived (tier, importance, oldest), then the rest.
    """
    if situation.asked_at is not None:
        group = 0
    elif situation.verdict is Verdict.FAILING:
        group = 1
    else:
        group = 3 if record.state in HELD else 2
    tier = situation.tier if situation.tier is not None else 99
    age = record.since.timestamp() if record.since else 0.0
    return group, tier, -(situation.importance or 0), age


def _look_up(situation: Situation) -> LookUp:
    return LookUp(situation.url, choose.moments(situation.wanted))


def _plan_secret(record: ArchiveRecord, situation: Situation, now: datetime) -> Action:
    """Ask nobody about an address whose very mention would tell a stranger something."""
    if record.state is ArchiveState.UNARCHIVABLE and record.reason == situation.refused:
        return Nothing(record.reason)
    return Conclude(enter(record, ArchiveState.UNARCHIVABLE, now, situation.refused or ""))


def _plan_urgent(record: ArchiveRecord, situation: Situation) -> Action | None:
    """Return what goes before the state's own business: what a belief about the link waits for.

    `ask_at` holds it back after an archive gave no answer.
    """
    wanted = situation.answer_wanted_since
    if wanted is not None and (record.looked_up_at is None or record.looked_up_at < wanted):
        return _look_up(situation)
    doubted = situation.verdict in (Verdict.FAILING, Verdict.DEAD, Verdict.BLOCKED)
    if record.witness is not None and doubted:
        return Verify(record.witness, Purpose.WITNESS)
    return None


def _plan_submitting(
    record: ArchiveRecord, _: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    """Wait for the one who is submitting, or take the submission over as of unknown outcome."""
    started = record.attempt_at or now
    grace = max(SUBMIT_GRACE, settings.submit_timeout + MINUTE)
    if started - CLOCK_LEEWAY <= now < started + grace:
        return Wait(started + grace, "submitting")
    return Conclude(note_unknown(record, now, Outcome.UNKNOWN))


def _plan_unknown(
    record: ArchiveRecord, situation: Situation, now: datetime, _: ArchiveLimits
) -> Action:
    due = record.next_at or now
    if now < due and not _clock_went_back(record, now):
        return Wait(due, "unknown-outcome")
    return _look_up(situation)


def _plan_polling(record: ArchiveRecord, _: Situation, now: datetime, __: ArchiveLimits) -> Action:
    started = record.attempt_at or now
    if record.job_id is None or now > (record.job_until or started + JOB_LIFE):
        return Conclude(note_unknown(record, now, Outcome.EXPIRED))
    if record.next_at is not None and now < record.next_at and not _clock_went_back(record, now):
        return Wait(record.next_at, "polling")
    return Poll(record.job_id)


def _plan_search(
    record: ArchiveRecord, situation: Situation, now: datetime, _: ArchiveLimits
) -> Action:
    """Look up when due."""
    if _is_due(record, situation, now):
        return _look_up(situation)
    return Wait(record.next_at or now, record.reason)


def _plan_queued(
    record: ArchiveRecord, situation: Situation, now: datetime, _: ArchiveLimits
) -> Action:
    settled = settle_absence(record, situation, now)
    if settled.state is not ArchiveState.QUEUED:
        return Conclude(settled)
    if not _is_due(record, situation, now):
        return Wait(record.next_at or now, record.reason)
    age = _lookup_age(situation)
    if record.looked_up_at is None or now - record.looked_up_at >= age:
        return _look_up(situation)
    courtesy = situation.verdict is Verdict.DEAD
    if not courtesy and not (situation.submits and situation.worth_capturing):
        return Wait(record.looked_up_at + age, "not-to-be-submitted")
    return _submit(record, situation, now, courtesy=courtesy)


def _lookup_age(situation: Situation) -> timedelta:
    """Return how old an index answer may be before a queued link is looked up again."""
    if situation.strong and situation.verdict is Verdict.FAILING:
        return DAY
    return 7 * DAY if situation.submits else 30 * DAY


def _submit(
    record: ArchiveRecord,
    situation: Situation,
    now: datetime,
    *,
    courtesy: bool = False,
    refresh: bool = False,
) -> Action:
    until = submit_not_before(record, now)
    if now < until:
        return Wait(until, "cool-down")
    # What it called recent the last time is of no use to us: the index has no capture of this URL.
    fresh = refresh or bool(record.rejected) or record.outcome == Outcome.RECENT
    return Submit(
        situation.url,
        situation.mode,
        reserved=situation.asked_at is not None or situation.verdict is Verdict.FAILING,
        courtesy=courtesy,
        refresh=refresh,
        unless_newer_than=DAY if fresh else HALF_A_YEAR,
    )


def _plan_captured(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    if record.best is None:
        return _look_up(situation)
    ripe = record.best.captured_at + max(ONE_DAY, settings.verify_after)
    if now < ripe:
        return Wait(ripe, "too-young")
    if not _is_due(record, situation, now):
        return Wait(record.next_at or ripe, record.reason)
    return Verify(record.best)


def _plan_archived(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    if record.best is None:
        return _look_up(situation)
    reverify = record.next_at or now
    if now >= reverify:
        return Verify(record.best)
    later = [each.captured_at + settings.verify_after for each in record.also]
    refresh = _refresh_at(record, situation, settings)
    wakes = [reverify, *later, *([refresh] if refresh is not None else [])]
    if record.ask_at is not None and now < record.ask_at:
        return Wait(min(reverify, record.ask_at), "verified")
    for each, ripe in zip(record.also, later, strict=True):
        if now >= ripe:
            return Verify(each, Purpose.ALSO)
    if refresh is not None and now >= refresh:
        return _submit(record, situation, now, refresh=True)
    return Wait(min(wakes), "verified")


def _refresh_at(
    record: ArchiveRecord, situation: Situation, settings: ArchiveLimits
) -> datetime | None:
    """Return when a living page deserves a newer capture, or None when never.

    A copy from before the publication cannot hold the page: it is no reason to wait a year.
    """
    if not situation.submits or situation.refused or record.best is None:
        return None
    if situation.verdict not in ALIVE:
        return None
    if _is_too_early(record.best, situation):
        return record.reached_at + EARLY_REASK if record.reached_at else record.best.captured_at
    if settings.refresh_after is None:
        return None
    newest = max(
        moment
        for moment in (record.newest_at, record.reached_at, record.best.captured_at)
        if moment is not None
    )
    return newest + settings.refresh_after


def _is_too_early(best: Capture, situation: Situation) -> bool:
    choices = [choose.choose([best], wanted) for wanted in situation.wanted[:1]]
    return any(choice and choose.BEFORE_PUBLICATION in choice.flags for choice in choices)


def _plan_unarchivable(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    if situation.verdict is Verdict.DEAD:
        return Conclude(settle_absence(record, situation, now))
    return _plan_search(record, situation, now, settings)


def _plan_unrecoverable(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    if situation.verdict is not Verdict.DEAD and not situation.strong:
        return _look_up(situation)
    return _plan_search(record, situation, now, settings)


def _is_due(record: ArchiveRecord, situation: Situation, now: datetime) -> bool:
    """Say whether the schedule, or a person since the last step, wants the next step now."""
    if record.next_at is None or now >= record.next_at:
        return True
    asked = situation.asked_at
    return asked is not None and (record.touched_at is None or record.touched_at < asked)


def _clock_went_back(record: ArchiveRecord, now: datetime) -> bool:
    """Say whether the stored submission lies in the future: waiting for it would be endless."""
    return record.attempt_at is not None and record.attempt_at > now + CLOCK_LEEWAY


_Planner = Callable[[ArchiveRecord, Situation, datetime, ArchiveLimits], Action]
_PHASE_PLANS: Mapping[Phase, _Planner] = {
    Phase.SUBMITTING: _plan_submitting,
    Phase.POLLING: _plan_polling,
    Phase.UNKNOWN: _plan_unknown,
}
_STATE_PLANS: Mapping[ArchiveState, _Planner] = {
    ArchiveState.NONE: _plan_search,
    ArchiveState.SEARCHING: _plan_search,
    ArchiveState.QUEUED: _plan_queued,
    # A pending link has a phase; without one it is searched again.
    ArchiveState.PENDING: _plan_search,
    ArchiveState.CAPTURED: _plan_captured,
    ArchiveState.ARCHIVED: _plan_archived,
    ArchiveState.LOST: _plan_search,
    ArchiveState.EXCLUDED: _plan_search,
    ArchiveState.UNARCHIVABLE: _plan_unarchivable,
    ArchiveState.UNRECOVERABLE: _plan_unrecoverable,
}
