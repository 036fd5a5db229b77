"""The archive pipeline as a pure state machine (reference wayback §9.2, contract §2).

One `ArchiveRecord` per link; nothing here touches a network, a clock or a database. The caller
does, for one link at a time:

1. `action = plan(record, situation, now, settings)`;
2. by the kind of action:
   `Wait`/`Nothing`: store `next_at`, go on to the next link;
   `Conclude`: store `action.record` (no request is needed), then plan again;
   `LookUp`: ask the index → `after_lookup`;
   `Submit`: in ONE transaction store `begin_submit(...)` and an `attempts` row whose outcome is
   NULL, *then* POST, then `after_submit`;
   `Poll`: ask for the job → `after_poll`;
   `Verify`: play the capture, judge the page, `verify.verify` → `after_verify`;
3. in ONE transaction store `step.record`, `step.captures`, and close the open `attempts` row
   with `step.attempt` when that is set.

Killed between intent and answer, the record is found in phase SUBMITTING; `plan` then treats
the submission as one of unknown outcome: look-ups ≥ 10 and ≥ 70 minutes after it, and no other
submission of this URL within the cool-down (design §6). Budgets, paces and breakers are asked
separately (`pacing`) before a LookUp, Submit, Poll or Verify is sent; when they say wait, the
record simply stays as it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from archiver.archiving import choose
from archiver.archiving.answers import (
    JobState,
    Lookup,
    LookupAnswer,
    Outcome,
    PollAnswer,
    SubmitAnswer,
)
from archiver.archiving.choose import Wanted
from archiver.archiving.record import ArchiveRecord, Phase
from archiver.archiving.refusals import Kind, refusal_for
from archiver.archiving.verify import Passed, Verification
from archiver.model import ALIVE, ArchiveState, Capture, Run, Verdict

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# A capture is only called archived when it is still there a day later (reference wayback §0.9).
ONE_DAY = DAY
COOL_DOWN = DAY
FIRST_LOOK, SECOND_LOOK = 10 * MINUTE, 70 * MINUTE
SUBMIT_GRACE = 3 * MINUTE  # reference wayback §9.2.1
JOB_LIFE = HOUR  # §9.2.3: status records live about an hour
UNKNOWNS_PER_WEEK = 2
FAILED_TRIES = 5
LOOKUP_STALE = 7 * DAY
ABSENT_REASK = 90 * DAY
CANDIDATES = 3  # §9.4.6: on failure the next best, at most three
CLOCK_LEEWAY = 5 * MINUTE

_POLL_DELAYS = (8, 10, 15, 20, 30, 60)  # seconds, reference wayback §1.6
_TROUBLE_DELAYS = (10 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, DAY)
_MISSING_DELAY = 6 * HOUR  # §9.3, V1
_HELD = (ArchiveState.CAPTURED, ArchiveState.ARCHIVED)


class ArchiveLimits(Protocol):
    """The part of the `[archive]` settings that the pipeline reads."""

    @property
    def submit_timeout(self) -> timedelta:
        """How long one submission may take."""

    @property
    def verify_after(self) -> timedelta:
        """How old a capture must be before its playback counts."""

    @property
    def reverify_every(self) -> timedelta:
        """How often an archived capture is played again."""

    @property
    def refresh_after(self) -> timedelta | None:
        """How old the newest capture of a living page may become; None for ever."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What must be known of a link, besides its record, to decide the next step.

    `mode` is `spn2`, `anonymous`, `lookup` or `off` (`auto` is resolved by the caller).
    `strong` says that the last counted look was strong evidence of death. `failing_since` is
    the first bad look of the present run. `refused` is `eligibility.refusal(url)`.
    `answer_wanted_since`: somebody (a death about to be believed) needs an index answer newer
    than this. `asked_at`: a person asked for this link then; schedules give way, cool-downs do
    not. `wanted` has one entry per citation.
    """

    url: str
    verdict: Verdict = Verdict.UNCHECKED
    strong: bool = False
    failing_since: datetime | None = None
    mode: str = "anonymous"
    refused: str | None = None
    wanted: tuple[Wanted, ...] = ()
    answer_wanted_since: datetime | None = None
    asked_at: datetime | None = None
    tier: int | None = None
    importance: int | None = None

    @property
    def submits(self) -> bool:
        """Say whether this mode may submit at all."""
        return self.mode in ("spn2", "anonymous")

    @property
    def worth_capturing(self) -> bool:
        """Say whether a new capture could show the page (not while it fails on strong evidence)."""
        if self.verdict is Verdict.FAILING:
            return not self.strong
        if self.verdict is Verdict.UNCHECKED:
            return self.asked_at is not None
        return self.verdict is not Verdict.DEAD


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask the index about `url`, especially around these moments."""

    url: str
    around: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Submit:
    """Ask the archive to capture `url`; store the intent (`begin_submit`) first.

    `reserved`: it may use the part of the daily budget kept back. `unless_newer_than` is what
    SPN2's `if_not_archived_within` is set to.
    """

    url: str
    backend: str
    reserved: bool = False
    courtesy: bool = False
    refresh: bool = False
    unless_newer_than: timedelta = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask how this job stands."""

    job_id: str


class Purpose(StrEnum):
    """Why a capture is played: as the link's copy, as another citation's, as a witness of life."""

    CHOSEN = "chosen"
    ALSO = "also"
    WITNESS = "witness"


@dataclass(frozen=True, slots=True)
class Verify:
    """Play this capture and judge the page."""

    capture: Capture
    purpose: Purpose = Purpose.CHOSEN


@dataclass(frozen=True, slots=True)
class Conclude:
    """Store this record: something can be said without asking anybody."""

    record: ArchiveRecord


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing before this moment."""

    until: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing to do until the link's situation or the settings change."""

    reason: str = ""


Action = LookUp | Submit | Poll | Verify | Conclude | Wait | Nothing


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """What to write into the open `attempts` row; `final` fills `ended_at`."""

    outcome: Outcome
    http_status: int | None = None
    job_id: str | None = None
    code: str = ""
    message: str = ""
    capture_url: str | None = None
    final: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """A step's result: the new record and what is to be stored beside it.

    `archive_saw` is what the archive's crawler saw of the page, as a reason word (`http-404`,
    `dns-gone`): a look of vantage `archive` (design §5), None when it says nothing.
    """

    record: ArchiveRecord
    captures: tuple[Capture, ...] = ()
    attempt: AttemptEnd | None = None
    archive_saw: str | None = None


# --------------------------------------------------------------------------- plan


def plan(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    """Say what to do for this link now; total, never asks for a request that is not due."""
    if situation.mode == "off":
        return Nothing("mode-off")
    if situation.refused in SECRET and record.phase is Phase.IDLE:
        return _plan_secret(record, situation, now)
    if record.phase is not Phase.IDLE:
        return _PHASE_PLANS[record.phase](record, situation, now, settings)
    if _answer_is_wanted(record, situation, now):
        return LookUp(situation.url, choose.moments(situation.wanted))
    if record.witness is not None and situation.verdict in (Verdict.FAILING, Verdict.DEAD):
        return _verify_when_due(record.witness, Purpose.WITNESS, record.ask_at, now)
    return _STATE_PLANS[record.state](record, situation, now, settings)


# Addresses that are not even shown to an archive: the question itself would tell a stranger.
SECRET = frozenset({"credentials-in-url", "private-address"})


def _plan_secret(record: ArchiveRecord, situation: Situation, now: datetime) -> Action:
    if record.state is ArchiveState.UNARCHIVABLE and record.reason == situation.refused:
        return Nothing(record.reason)
    return Conclude(_enter(record, ArchiveState.UNARCHIVABLE, now, situation.refused or ""))


def _plan_submitting(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    """Wait for the one who is submitting, or take the submission over as of unknown outcome."""
    started = record.attempt_at or now
    grace = max(SUBMIT_GRACE, settings.submit_timeout + MINUTE)
    if started <= now < started + grace:
        return Wait(started + grace, "submitting")
    unknown = _note_unknown(record, started)
    return Conclude(replace(unknown, phase=Phase.UNKNOWN, next_at=started + FIRST_LOOK))


def _plan_unknown(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    due = record.next_at or now
    if now < due and not _clock_went_back(record, now):
        return Wait(due, "unknown-outcome")
    return LookUp(situation.url, choose.moments(situation.wanted))


def _plan_polling(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    started = record.attempt_at or now
    if record.job_id is None or now > (record.job_until or started + JOB_LIFE):
        return Conclude(_expire(record, now))
    if record.next_at is not None and now < record.next_at and not _clock_went_back(record, now):
        return Wait(record.next_at, "polling")
    return Poll(record.job_id)


def _plan_search(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    """Look up when due: states none, searching, lost and excluded."""
    if _is_due(record, situation, now):
        return LookUp(situation.url, choose.moments(situation.wanted))
    return Wait(record.next_at or now, record.reason)


def _plan_queued(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    settled = _settle_absence(record, situation, now)
    if settled.state is not ArchiveState.QUEUED:
        return Conclude(settled)
    if not _is_due(record, situation, now):
        return Wait(record.next_at or now, record.reason)
    stale = record.looked_up_at is None or now - record.looked_up_at >= _lookup_age(situation)
    if stale:
        return LookUp(situation.url, choose.moments(situation.wanted))
    courtesy = situation.verdict is Verdict.DEAD
    if not courtesy and not (situation.submits and situation.worth_capturing):
        return Wait((record.looked_up_at or now) + _lookup_age(situation), "not-to-be-submitted")
    return _submit(record, situation, now, courtesy=courtesy)


def _lookup_age(situation: Situation) -> timedelta:
    """Return how old an index answer may be before it is asked again for a queued link."""
    return DAY if situation.strong and situation.verdict is Verdict.FAILING else LOOKUP_STALE


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
    on_demand = _is_asked(record, situation)
    return Submit(
        situation.url,
        situation.mode,
        reserved=on_demand or situation.verdict is Verdict.FAILING,
        courtesy=courtesy,
        refresh=refresh,
        unless_newer_than=DAY if refresh else timedelta(days=180),
    )


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


def _plan_captured(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    if record.best is None:
        return LookUp(situation.url, choose.moments(situation.wanted))
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
        return LookUp(situation.url, choose.moments(situation.wanted))
    reverify = record.next_at or now
    if now >= reverify:
        return Verify(record.best)
    ripe = [each for each in record.also if now >= each.captured_at + settings.verify_after]
    if ripe and (record.ask_at is None or now >= record.ask_at):
        return Verify(ripe[0], Purpose.ALSO)
    refresh = _refresh_at(record, situation, now, settings)
    if refresh is not None and now >= refresh:
        return _submit(record, situation, now, refresh=True)
    return Wait(min(filter(None, (reverify, refresh))), "verified")


def _refresh_at(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> datetime | None:
    """Return when a living page deserves a newer capture, or None when never."""
    if settings.refresh_after is None or not situation.submits or situation.refused:
        return None
    if situation.verdict not in ALIVE:
        return None
    known = [record.newest_at, record.attempt_at, record.best and record.best.captured_at]
    return max(filter(None, known), default=now) + settings.refresh_after


def _plan_unarchivable(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    if situation.verdict is Verdict.DEAD:
        return Conclude(_settle_absence(record, situation, now))
    return _plan_search(record, situation, now, settings)


def _plan_unrecoverable(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> Action:
    if situation.verdict is not Verdict.DEAD and not situation.strong:
        revived = _enter(record, ArchiveState.SEARCHING, now, "alive-again")
        return Conclude(replace(revived, next_at=now))
    return _plan_search(record, situation, now, settings)


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


# --------------------------------------------------------------------------- steps


def begin_submit(record: ArchiveRecord, action: Submit, now: datetime) -> ArchiveRecord:
    """Return the intent that is stored, with its `attempts` row, before the wire."""
    begun = replace(
        record,
        phase=Phase.SUBMITTING,
        backend=action.backend,
        attempt_at=now,
        accepted_at=now,
        touched_at=now,
        outcome=None,
        job_id=None,
        job_until=None,
        polls=0,
        unknown_looks=0,
        next_at=now + SUBMIT_GRACE if record.state not in _HELD else record.next_at,
        courtesy_at=now if action.courtesy else record.courtesy_at,
    )
    return (
        begun if record.state in _HELD else _enter(begun, ArchiveState.PENDING, now, "submitting")
    )


def after_lookup(
    record: ArchiveRecord,
    answer: LookupAnswer,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> Step:
    """Fold one index answer in. Only a clean answer counts as one (design §6)."""
    record = replace(record, touched_at=now)
    if not answer.outcome.is_clean:
        return Step(_after_trouble(record, answer, now))
    record = replace(record, looked_up_at=now, troubles=0, ask_at=None)
    if answer.outcome is Lookup.EXCLUDED:
        idle = _enter(_idle(record), ArchiveState.EXCLUDED, now, "excluded")
        return Step(replace(idle, next_at=now + settings.reverify_every))
    if any(_is_candidate(record, capture) for capture in answer.captures):
        return _after_found(record, answer, situation, now, settings)
    captures = answer.captures + answer.variants
    return Step(_after_nothing(record, answer, situation, now), captures)


def _after_trouble(record: ArchiveRecord, answer: LookupAnswer, now: datetime) -> ArchiveRecord:
    delay = _TROUBLE_DELAYS[min(record.troubles, len(_TROUBLE_DELAYS) - 1)]
    if answer.retry_after is not None:
        delay = max(delay, timedelta(seconds=answer.retry_after))
    later = now + _spread(delay, record)
    record = replace(record, troubles=record.troubles + 1, ask_at=later)
    if record.phase is Phase.IDLE and record.state in _HELD:
        return record
    if record.state is ArchiveState.NONE:
        record = _enter(record, ArchiveState.SEARCHING, now, answer.outcome.value)
    return replace(record, next_at=later)


def _after_found(
    record: ArchiveRecord,
    answer: LookupAnswer,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> Step:
    """Take the captures over; in phase UNKNOWN a capture of that time closes the attempt."""
    usable = [capture for capture in answer.captures if _is_candidate(record, capture)]
    newest = choose.newest_good(usable)
    attempt, own = None, _own_capture(record, usable)
    if record.phase is Phase.UNKNOWN and own is not None:
        attempt = AttemptEnd(Outcome.CAPTURED, capture_url=own.archive_url)
        record = replace(record, outcome=Outcome.CAPTURED)
    if record.phase is Phase.UNKNOWN and record.state in _HELD and own is None:
        record = _count_unknown_look(record, now)
    else:
        record = _idle(record)
    record = replace(
        record,
        negatives=Run(),
        newest_at=_latest(record.newest_at, newest and newest.captured_at),
        witness=_witness(record, newest, situation),
    )
    captures = answer.captures + answer.variants
    return Step(_adopt(record, usable, situation, now, settings), captures, attempt)


def _after_nothing(
    record: ArchiveRecord, answer: LookupAnswer, situation: Situation, now: datetime
) -> ArchiveRecord:
    """Count a clean negative; what it allows to be said is `_settle_absence`'s matter."""
    run = record.negatives
    record = replace(record, negatives=Run(run.count + 1, run.first_at or now, now))
    if record.phase is Phase.UNKNOWN:
        record = _count_unknown_look(record, now)
        if record.phase is Phase.UNKNOWN:
            return record
    if record.state in _HELD:
        return record  # an index that forgets a capture we play proves nothing (§0.16)
    if answer.variants and situation.verdict is Verdict.DEAD:
        searching = _enter(record, ArchiveState.SEARCHING, now, "only-variants")
        return replace(searching, negatives=Run(), next_at=now + ABSENT_REASK)
    return _settle_absence(replace(record, next_at=None), situation, now)


def _count_unknown_look(record: ArchiveRecord, now: datetime) -> ArchiveRecord:
    """Count a look-up after an unknown outcome: one ≥ 10 and one ≥ 70 minutes after it."""
    sent = record.attempt_at or now
    if now >= sent + SECOND_LOOK and record.unknown_looks >= 1:
        return _idle(record)
    if now < sent + FIRST_LOOK:
        return replace(record, next_at=sent + FIRST_LOOK)
    following = max(sent + SECOND_LOOK, now + FIRST_LOOK)
    return replace(record, unknown_looks=record.unknown_looks + 1, next_at=following)


def after_submit(
    record: ArchiveRecord,
    answer: SubmitAnswer,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> Step:
    """Fold the answer to a submission in. A failed or refused one is never a capture (law 9)."""
    record = replace(record, touched_at=now, outcome=answer.outcome, job_id=answer.job_id)
    end = AttemptEnd(
        answer.outcome,
        answer.http_status,
        answer.job_id,
        answer.code,
        answer.message,
        answer.capture.archive_url if answer.capture else None,
        final=answer.outcome not in (Outcome.SUBMITTED, Outcome.DELAYED),
    )
    if answer.capture is not None and answer.outcome in (Outcome.CAPTURED, Outcome.RECENT):
        return Step(*_take(record, answer.capture, situation, now, settings), attempt=end)
    match answer.outcome:
        case Outcome.SUBMITTED | Outcome.DELAYED if answer.job_id:
            return Step(_start_polling(record, answer, now), attempt=end)
        case Outcome.RECENT:
            return Step(_search_again(record, now, "recent-capture", timedelta(0)), attempt=end)
        case Outcome.THROTTLED:
            return Step(_not_accepted(record, answer, situation, now), attempt=end)
        case Outcome.REFUSED | Outcome.FAILED:
            saw = refusal_for(answer.code).sees
            refused = _after_refusal(record, answer.code, situation, now)
            if answer.code == "unreachable":
                refused = replace(refused, accepted_at=None, tries=record.tries)
            return Step(refused, attempt=end, archive_saw=saw)
        case _:
            unknown = _note_unknown(record, record.attempt_at or now)
            due = (record.attempt_at or now) + FIRST_LOOK
            unknown = replace(unknown, phase=Phase.UNKNOWN, next_at=due)
            return Step(unknown, attempt=replace(end, outcome=Outcome.UNKNOWN))


def after_poll(
    record: ArchiveRecord,
    answer: PollAnswer,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> Step:
    """Fold one job status in; success gives a capture that is known, not yet archived."""
    record = replace(record, touched_at=now, polls=record.polls + 1)
    if answer.state in (JobState.PENDING, JobState.UNANSWERED):
        delay = _POLL_DELAYS[min(record.polls, len(_POLL_DELAYS) - 1)]
        later = now + timedelta(seconds=max(delay, answer.retry_after or 0))
        return Step(replace(record, next_at=later))
    if answer.state is JobState.SUCCESS and answer.capture is not None:
        record = replace(record, outcome=Outcome.CAPTURED)
        end = AttemptEnd(
            Outcome.CAPTURED, None, answer.job_id, capture_url=answer.capture.archive_url
        )
        return Step(*_take(record, answer.capture, situation, now, settings), attempt=end)
    if answer.state is JobState.ERROR:
        record = replace(record, outcome=Outcome.FAILED)
        end = AttemptEnd(Outcome.FAILED, None, answer.job_id, answer.code, answer.message)
        failed = _after_refusal(record, answer.code, situation, now)
        return Step(failed, attempt=end, archive_saw=refusal_for(answer.code).sees)
    end = AttemptEnd(Outcome.EXPIRED, None, answer.job_id, answer.code, answer.message)
    return Step(_expire(record, now), attempt=end)


def after_verify(
    record: ArchiveRecord,
    verification: Verification,
    action: Verify,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> Step:
    """Fold one playback in. `archived` only when it passed ≥ 24 h after the capture (law 9)."""
    record = replace(record, touched_at=now)
    if verification.word is Passed.UNANSWERED:
        later = now + timedelta(seconds=max(verification.retry_after or 0, 1800))
        if action.purpose is Purpose.CHOSEN:
            return Step(replace(record, next_at=later))
        return Step(replace(record, ask_at=later))
    if verification.word is Passed.GOOD:
        record = replace(
            record,
            living_at=_latest(record.living_at, action.capture.captured_at),
            played=_bounded((*record.played, action.capture.archive_url)),
        )
    if action.purpose is Purpose.WITNESS:
        record = replace(record, witness=None)
    elif action.purpose is Purpose.ALSO:
        record = replace(record, also=_without(record.also, action.capture))
    if verification.word is Passed.NOT_EVIDENCE:
        record = replace(record, rejected=_bounded((*record.rejected, action.capture.archive_url)))
    if action.purpose is not Purpose.CHOSEN:
        return Step(record)
    return Step(_after_chosen(record, verification, situation, now, settings))


def _after_chosen(
    record: ArchiveRecord,
    verification: Verification,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> ArchiveRecord:
    best = record.best
    if best is None:
        return _search_again(record, now, "no-capture", timedelta(0))
    if verification.word is Passed.GOOD:
        if now - best.captured_at < ONE_DAY:
            return replace(record, next_at=best.captured_at + settings.verify_after, missing=0)
        archived = _enter(record, ArchiveState.ARCHIVED, now, "verified")
        following = now + _spread(settings.reverify_every, record)
        return replace(archived, verified_at=now, missing=0, next_at=following, until=None)
    if verification.word is Passed.EXCLUDED:
        excluded = _enter(record, ArchiveState.EXCLUDED, now, "excluded")
        return replace(excluded, next_at=now + settings.reverify_every)
    if verification.word is Passed.MISSING:
        return _after_missing(record, situation, now, settings)
    return _next_candidate(record, situation, now, settings, verification.reason)


def _after_missing(
    record: ArchiveRecord, situation: Situation, now: datetime, settings: ArchiveLimits
) -> ArchiveRecord:
    """One missing playback proves nothing; the second ends it (contract §2, `lost`)."""
    if record.missing == 0:
        return replace(record, missing=1, next_at=now + _MISSING_DELAY, reason="missing-once")
    gone = record.best.archive_url if record.best else ""
    record = replace(record, rejected=_bounded((*record.rejected, gone)), missing=0)
    if record.state is ArchiveState.ARCHIVED:
        lost = _enter(record, ArchiveState.LOST, now, "missing-twice")
        return replace(lost, best=None, verified_at=None, next_at=now)
    return _next_candidate(record, situation, now, settings, "missing")


def _next_candidate(
    record: ArchiveRecord,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
    reason: str,
) -> ArchiveRecord:
    """Try the next best capture; without one the link has no usable capture."""
    if record.best is not None:
        record = replace(record, rejected=_bounded((*record.rejected, record.best.archive_url)))
    left = tuple(each for each in record.candidates if each.archive_url not in record.rejected)
    if left:
        following = _enter(record, ArchiveState.CAPTURED, now, reason)
        ripe = max(now, left[0].captured_at + settings.verify_after)
        return replace(
            following, best=left[0], candidates=left[1:], missing=0, verified_at=None, next_at=ripe
        )
    return replace(
        _search_again(record, now, reason, timedelta(0)),
        best=None,
        candidates=(),
        verified_at=None,
        missing=0,
    )


def adopt(
    record: ArchiveRecord,
    capture: Capture,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> ArchiveRecord:
    """Take in a capture learnt otherwise: a confirmed claim, another archive's copy."""
    if record.phase is not Phase.IDLE or record.state in _HELD:
        known = (record.best, *record.candidates, *record.also)
        if capture in known or not _is_candidate(record, capture):
            return record
        return replace(record, candidates=(*record.candidates, capture)[:CANDIDATES])
    return _adopt(replace(record, negatives=Run()), [capture], situation, now, settings)


# --------------------------------------------------------------------------- helpers


def _adopt(
    record: ArchiveRecord,
    usable: Sequence[Capture],
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> ArchiveRecord:
    """Choose among usable captures; an archived link keeps its verified copy."""
    wanted = situation.wanted or (Wanted(),)
    chosen = choose.choose_for_all(usable, wanted)
    if not chosen:
        return record
    ranked = [choice.capture for choice in choose.rank(usable, wanted[0])]
    if record.state is ArchiveState.ARCHIVED and record.best is not None:
        others = [each for each in chosen if each.archive_url not in record.played]
        others = [each for each in others if each.archive_url != record.best.archive_url]
        return replace(
            record, also=tuple(others[:CANDIDATES]), candidates=tuple(ranked[:CANDIDATES])
        )
    best = chosen[0]
    record = _enter(record, ArchiveState.CAPTURED, now, "capture-found")
    return replace(
        record,
        best=best,
        candidates=tuple(each for each in ranked if each != best)[: CANDIDATES - 1],
        also=tuple(chosen[1 : CANDIDATES + 1]),
        missing=0,
        until=None,
        next_at=max(now, best.captured_at + settings.verify_after),
    )


def _take(
    record: ArchiveRecord,
    capture: Capture,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> tuple[ArchiveRecord, tuple[Capture, ...]]:
    """Take in the capture our own submission made; it serves unless a better one is held."""
    record = replace(
        _idle(record),
        tries=0,
        negatives=Run(),
        newest_at=_latest(record.newest_at, capture.captured_at),
    )
    if record.state in _HELD:
        return record, (capture,)
    return _adopt(record, [capture], situation, now, settings), (capture,)


def _start_polling(record: ArchiveRecord, answer: SubmitAnswer, now: datetime) -> ArchiveRecord:
    start = now + timedelta(seconds=answer.start_in)
    first = start + timedelta(seconds=_POLL_DELAYS[0])
    polling = replace(record, phase=Phase.POLLING, job_until=start + JOB_LIFE, next_at=first)
    if record.state in _HELD:
        return polling
    return _enter(polling, ArchiveState.PENDING, now, answer.outcome.value)


def _not_accepted(
    record: ArchiveRecord, answer: SubmitAnswer, situation: Situation, now: datetime
) -> ArchiveRecord:
    """Put a link back into the queue: the archive had no room, which is no try of this link."""
    delay = timedelta(seconds=max(answer.retry_after or 0, 60))
    back = replace(_idle(record), accepted_at=None)
    if record.state in _HELD:
        return back
    queued = _enter(back, ArchiveState.QUEUED, now, answer.code or answer.outcome.value)
    courtesy = None if record.courtesy_at == record.attempt_at else record.courtesy_at
    return replace(queued, next_at=now + delay, courtesy_at=courtesy)


def _after_refusal(
    record: ArchiveRecord, code: str, situation: Situation, now: datetime
) -> ArchiveRecord:
    """Apply the row of this code (reference wayback §1.8, §9.2.8)."""
    row = refusal_for(code)
    word = code.removeprefix("error:") or "refused"
    record = _idle(record)
    if record.state in _HELD:
        return record
    if row.kind in (Kind.ACCOUNT, Kind.OPERATOR):
        queued = _enter(replace(record, accepted_at=None), ArchiveState.QUEUED, now, word)
        return replace(queued, next_at=now + min(row.again, HOUR))
    tries = record.tries + 1
    record = replace(record, tries=tries)
    if row.kind is Kind.DAILY_URL:
        return _search_again(record, now, word, timedelta(0))
    worn_out = tries >= min(row.tries, FAILED_TRIES)
    if row.kind is Kind.PERMANENT or worn_out:
        delay = row.again if row.kind is Kind.PERMANENT else 30 * DAY
        ended = _enter(record, ArchiveState.UNARCHIVABLE, now, word)
        return replace(ended, until=now + delay, next_at=now + delay)
    delay = _spread(min(row.again * 2 ** (tries - 1), 7 * DAY), record)
    if row.look_first:
        return _search_again(record, now, word, max(delay, FIRST_LOOK))
    return replace(_enter(record, ArchiveState.QUEUED, now, word), next_at=now + delay)


def _settle_absence(record: ArchiveRecord, situation: Situation, now: datetime) -> ArchiveRecord:
    """Say what the absence of a usable capture means for this link (design §6)."""
    if situation.verdict is Verdict.DEAD:
        return _settle_dead(record, situation, now)
    if situation.refused:
        ended = _enter(record, ArchiveState.UNARCHIVABLE, now, situation.refused)
        return replace(ended, next_at=now + ABSENT_REASK)
    if record.state is ArchiveState.UNARCHIVABLE and record.until and now < record.until:
        return record
    queued = _enter(record, ArchiveState.QUEUED, now, record.reason or "no-capture")
    return queued if record.next_at is not None else replace(queued, next_at=now)


def _settle_dead(record: ArchiveRecord, situation: Situation, now: datetime) -> ArchiveRecord:
    """A dead link: one courtesy submission in its life, then two negatives a day apart."""
    if courtesy_is_due(record, situation):
        if record.state is ArchiveState.QUEUED:
            return record
        return replace(_enter(record, ArchiveState.QUEUED, now, "courtesy"), next_at=now)
    run = record.negatives
    if run.count >= 2 and run.first_at and run.last_at and run.last_at - run.first_at >= ONE_DAY:
        ended = _enter(record, ArchiveState.UNRECOVERABLE, now, "no-capture-anywhere")
        return replace(ended, next_at=now + ABSENT_REASK)
    searching = _enter(record, ArchiveState.SEARCHING, now, "second-look-up")
    return replace(searching, next_at=(run.first_at or now - ONE_DAY) + ONE_DAY)


def courtesy_is_due(record: ArchiveRecord, situation: Situation) -> bool:
    """Say whether a dead link without capture is still owed its one submission (design §6)."""
    if not situation.submits or situation.refused or record.courtesy_at is not None:
        return False
    began = situation.failing_since
    return record.attempt_at is None or (began is not None and record.attempt_at < began)


def _search_again(
    record: ArchiveRecord, now: datetime, reason: str, delay: timedelta
) -> ArchiveRecord:
    record = _idle(record)
    if record.state is ArchiveState.ARCHIVED and record.best and reason == "recent-capture":
        return record
    return replace(_enter(record, ArchiveState.SEARCHING, now, reason), next_at=now + delay)


def _expire(record: ArchiveRecord, now: datetime) -> ArchiveRecord:
    """A job nobody can tell about any more: an unknown outcome, to be looked up."""
    started = record.attempt_at or now
    unknown = _note_unknown(replace(record, outcome=Outcome.EXPIRED), started)
    return replace(unknown, phase=Phase.UNKNOWN, next_at=max(now, started + FIRST_LOOK))


def _note_unknown(record: ArchiveRecord, moment: datetime) -> ArchiveRecord:
    kept = tuple(each for each in record.unknown_at if moment - each < 7 * DAY)
    outcome = record.outcome if record.outcome == Outcome.EXPIRED else Outcome.UNKNOWN
    noted = replace(record, unknown_at=(*kept, moment), unknown_looks=0, outcome=outcome)
    if noted.state in _HELD:
        return noted
    return replace(noted, state=ArchiveState.PENDING, reason="unknown-outcome")


def _idle(record: ArchiveRecord) -> ArchiveRecord:
    """End the submission; a link that was only pending must be given a state by the caller."""
    return replace(record, phase=Phase.IDLE, job_id=None, job_until=None, polls=0, unknown_looks=0)


def _enter(record: ArchiveRecord, state: ArchiveState, now: datetime, reason: str) -> ArchiveRecord:
    since = record.since if record.state is state and record.since else now
    return replace(record, state=state, since=since, reason=reason)


def _answer_is_wanted(record: ArchiveRecord, situation: Situation, now: datetime) -> bool:
    """Say whether a belief waits for an index answer newer than the one we have."""
    wanted = situation.answer_wanted_since
    if wanted is None or (record.looked_up_at is not None and record.looked_up_at >= wanted):
        return False
    return record.ask_at is None or now >= record.ask_at


def _verify_when_due(
    capture: Capture, purpose: Purpose, due: datetime | None, now: datetime
) -> Action:
    return Wait(due, "witness") if due is not None and now < due else Verify(capture, purpose)


def _is_asked(record: ArchiveRecord, situation: Situation) -> bool:
    asked = situation.asked_at
    return asked is not None and (record.touched_at is None or record.touched_at <= asked)


def _is_due(record: ArchiveRecord, situation: Situation, now: datetime) -> bool:
    if record.next_at is None or now >= record.next_at:
        return True
    asked = situation.asked_at
    return asked is not None and (record.touched_at is None or record.touched_at < asked)


def _clock_went_back(record: ArchiveRecord, now: datetime) -> bool:
    """Say whether the stored submission lies in the future: waiting for it would be endless."""
    return record.attempt_at is not None and record.attempt_at > now + CLOCK_LEEWAY


def _is_candidate(record: ArchiveRecord, capture: Capture) -> bool:
    return choose.is_usable(capture) and capture.archive_url not in record.rejected


def _own_capture(record: ArchiveRecord, usable: Sequence[Capture]) -> Capture | None:
    """Return the capture that the submission of unknown outcome seems to have made."""
    sent = record.attempt_at
    if sent is None:
        return None
    made = [each for each in usable if each.captured_at >= sent - CLOCK_LEEWAY]
    return min(made, key=lambda each: each.captured_at, default=None)


def _witness(record: ArchiveRecord, newest: Capture | None, situation: Situation) -> Capture | None:
    """Return a capture made after the link began to fail, to be played as a sign of life."""
    began = situation.failing_since
    if newest is None or began is None or newest.captured_at <= began:
        return None
    known = record.living_at is not None and record.living_at >= newest.captured_at
    return None if known else newest


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(filter(None, (one, other)), default=None)


def _without(captures: tuple[Capture, ...], gone: Capture) -> tuple[Capture, ...]:
    return tuple(each for each in captures if each.archive_url != gone.archive_url)


def _bounded(urls: tuple[str, ...], limit: int = 20) -> tuple[str, ...]:
    return tuple(dict.fromkeys(urls))[-limit:]


def _spread(delay: timedelta, record: ArchiveRecord) -> timedelta:
    """Spread a delay by up to ±10 %, the same for the same link and try."""
    seed = f"{record.best.original_url if record.best else ''}{record.tries}{record.since}"
    share = zlib.crc32(seed.encode("utf-8", "surrogatepass")) / 0xFFFFFFFF
    return delay * (0.9 + 0.2 * share)


def priority(record: ArchiveRecord, situation: Situation) -> tuple[int, int, int, float]:
    """Return the place in the queue, smallest first (§9.2.7).

    On demand, then failing, then never archived (tier, importance, oldest), then the rest.
    """
    if _is_asked(record, situation):
        group = 0
    elif situation.verdict is Verdict.FAILING:
        group = 1
    elif record.state not in _HELD:
        group = 2
    else:
        group = 3
    tier = situation.tier if situation.tier is not None else 99
    age = record.since.timestamp() if record.since else 0.0
    return group, tier, -(situation.importance or 0), age
