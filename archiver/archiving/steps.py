"""What an answer does to a record: pure; a failed or refused submission is never a capture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from archiver.archiving import choose
from archiver.archiving.actions import (
    ArchiveLimits,
    AttemptEnd,
    Situation,
    Step,
    Submit,
)
from archiver.archiving.answers import (
    JobState,
    Lookup,
    LookupAnswer,
    Outcome,
    PollAnswer,
    SubmitAnswer,
)
from archiver.archiving.copies import (
    NOT_EVIDENCE_REASK,
    adopt,
    after_verify,
    is_candidate,
    latest,
    take_beside,
    take_in,
    until_now,
)
from archiver.archiving.record import ArchiveRecord, Phase
from archiver.archiving.refusals import Kind, refusal_for
from archiver.archiving.transitions import (
    ABSENT_REASK,
    CLOCK_LEEWAY,
    DAY,
    FAILED_TRIES,
    FIRST_LOOK,
    HELD,
    HOUR,
    JOB_LIFE,
    MINUTE,
    SECOND_LOOK,
    SUBMIT_GRACE,
    enter,
    idle,
    note_unknown,
    search_again,
    settle_absence,
    spread,
    unarchivable,
)
from archiver.model import ArchiveState, Capture, Run, Verdict

# All steps in one place, those on copies included.
__all__ = [
    "adopt",
    "after_lookup",
    "after_poll",
    "after_submit",
    "after_verify",
    "begin_submit",
]

_POLL_DELAYS = (8, 10, 15, 20, 30, 60)  # seconds, reference wayback §1.6
_TROUBLE_DELAYS = (10 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, DAY)


def begin_submit(record: ArchiveRecord, action: Submit, now: datetime) -> ArchiveRecord:
    """Return the intent that is stored, with its `attempts` row, before the wire."""
    begun = replace(
        idle(record),
        phase=Phase.SUBMITTING,
        backend=action.backend,
        attempt_at=now,
        touched_at=now,
        outcome=None,
        courtesy_at=now if action.courtesy else record.courtesy_at,
    )
    if record.state in HELD:
        return begun
    pending = enter(begun, ArchiveState.PENDING, now, "submitting")
    return replace(pending, next_at=now + SUBMIT_GRACE)


# ------------------------------------------------------------------ look-ups


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
    answer = replace(
        answer,
        captures=until_now(answer.captures, now),
        variants=until_now(answer.variants, now),
    )
    record = replace(record, looked_up_at=now, troubles=0, ask_at=None)
    if answer.outcome is Lookup.EXCLUDED:
        excluded = enter(idle(record), ArchiveState.EXCLUDED, now, "excluded")
        return Step(replace(excluded, next_at=now + settings.reverify_every))
    usable = [each for each in answer.captures if is_candidate(record, each)]
    if usable:
        return _after_found(record, answer, usable, situation, now, settings)
    nothing = _after_nothing(record, answer, situation, now)
    return Step(nothing, answer.captures + answer.variants)


def _after_trouble(record: ArchiveRecord, answer: LookupAnswer, now: datetime) -> ArchiveRecord:
    delay = spread(_TROUBLE_DELAYS[min(record.troubles, len(_TROUBLE_DELAYS) - 1)], record)
    later = now + max(delay, timedelta(seconds=answer.retry_after or 0))
    record = replace(record, troubles=record.troubles + 1, ask_at=later)
    if record.phase is Phase.IDLE and record.state in HELD:
        return record
    if record.state is ArchiveState.NONE:
        record = enter(record, ArchiveState.SEARCHING, now, answer.outcome.value)
    return replace(record, next_at=later)


def _after_found(
    record: ArchiveRecord,
    answer: LookupAnswer,
    usable: Sequence[Capture],
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> Step:
    """Take the captures over; in phase UNKNOWN a capture of that time closes the attempt."""
    newest = choose.newest_good(usable)
    attempt, own = None, _own_capture(record, usable)
    if record.phase is Phase.UNKNOWN and own is not None:
        attempt = AttemptEnd(Outcome.CAPTURED, capture_url=own.archive_url)
        record = replace(record, outcome=Outcome.CAPTURED)
    if record.phase is Phase.UNKNOWN and record.state in HELD and own is None:
        record = _count_unknown_look(record, now)
    else:
        record = idle(record)
    newest_at = latest(record.newest_at, newest.captured_at if newest else None)
    record = replace(record, negatives=Run(), newest_at=newest_at)
    record = take_in(record, usable, situation, now, settings)
    record = replace(record, witness=_witness(record, newest, situation))
    return Step(record, answer.captures + answer.variants, attempt)


def _after_nothing(
    record: ArchiveRecord, answer: LookupAnswer, situation: Situation, now: datetime
) -> ArchiveRecord:
    """Count a clean negative; what it allows to be said is `settle_absence`'s matter."""
    run = record.negatives
    record = replace(record, negatives=Run(run.count + 1, run.first_at or now, now))
    if record.phase is Phase.UNKNOWN:
        record = _count_unknown_look(record, now)
        if record.phase is Phase.UNKNOWN or record.state is ArchiveState.UNARCHIVABLE:
            return record
    if record.state in HELD:
        return record  # an index that forgets a capture we play proves nothing (§0.16)
    if answer.variants and situation.verdict is Verdict.DEAD:
        searching = enter(record, ArchiveState.SEARCHING, now, "only-variants")
        return replace(searching, negatives=Run(), next_at=now + ABSENT_REASK)
    return settle_absence(replace(record, next_at=None), situation, now)


def _count_unknown_look(record: ArchiveRecord, now: datetime) -> ArchiveRecord:
    """Count a look-up after an unknown outcome: one ≥ 10 and one ≥ 70 minutes after it."""
    sent = record.attempt_at or now
    if now >= sent + SECOND_LOOK and record.unknown_looks >= 1:
        return _count_as_try(idle(record), now)
    if sent <= now < sent + FIRST_LOOK:
        return replace(record, next_at=sent + FIRST_LOOK)
    following = max(sent + SECOND_LOOK, now + FIRST_LOOK)
    if sent > now:  # the wall clock went back: two looks an hour apart by the new time
        following = now + (SECOND_LOOK - FIRST_LOOK)
        record = replace(record, attempt_at=now - FIRST_LOOK)
    return replace(record, unknown_looks=record.unknown_looks + 1, next_at=following)


def _count_as_try(record: ArchiveRecord, now: datetime) -> ArchiveRecord:
    """Count a submission that left no trace as a failed try: after five the link rests.

    An archive that never captures a page is not asked for it for ever (reference wayback §9.2.6).
    """
    tried = replace(record, tries=record.tries + 1)
    if tried.state in HELD or tried.tries < FAILED_TRIES:
        return tried
    return unarchivable(replace(tried, tries=0), now, "no-trace-of-captures", ABSENT_REASK)


def _own_capture(record: ArchiveRecord, usable: Sequence[Capture]) -> Capture | None:
    """Return the capture that the submission of unknown outcome seems to have made."""
    sent = record.attempt_at
    if sent is None:
        return None
    made = [each for each in usable if each.captured_at >= sent - CLOCK_LEEWAY]
    return min(made, key=lambda each: each.captured_at, default=None)


def _witness(record: ArchiveRecord, newest: Capture | None, situation: Situation) -> Capture | None:
    """Return a capture to be played as a sign of life, newer than any played so far.

    For a failing link one made after it began to fail; for a blocked one the newest, unless it
    is the chosen copy, which is played anyway.
    """
    if newest is None or (record.living_at is not None and record.living_at >= newest.captured_at):
        return None
    if situation.verdict is Verdict.BLOCKED:
        is_chosen = record.best is not None and record.best.archive_url == newest.archive_url
        return None if is_chosen else newest
    began = situation.failing_since
    return newest if began is not None and newest.captured_at > began else None


# --------------------------------------------------------------- submissions


def after_submit(
    record: ArchiveRecord,
    answer: SubmitAnswer,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> Step:
    """Fold the answer to a submission in; what was not accepted is no try of this link."""
    record = replace(record, touched_at=now, outcome=answer.outcome)
    end = AttemptEnd(
        answer.outcome,
        answer.http_status,
        answer.job_id,
        answer.code,
        answer.message,
        answer.capture.archive_url if answer.capture else None,
        final=answer.outcome not in (Outcome.SUBMITTED, Outcome.DELAYED),
    )
    saw = refusal_for(answer.code).sees if answer.code else None
    if _was_not_taken(answer):
        return Step(_not_taken(record, answer, now), attempt=end)
    match answer.outcome:
        case Outcome.CAPTURED | Outcome.RECENT:
            record, captures = _accept(record, answer.capture, situation, now, settings)
            return Step(record, captures, attempt=end)
        case Outcome.SUBMITTED | Outcome.DELAYED if answer.job_id:
            return Step(_start_polling(record, answer, now), attempt=end)
        case Outcome.REFUSED | Outcome.FAILED:
            record = replace(record, reached_at=record.attempt_at or now)
            refused = _after_refusal(record, answer.code, now)
            return Step(refused, attempt=end, archive_saw=saw)
        case _:
            unknown = note_unknown(record, now, Outcome.UNKNOWN)
            return Step(unknown, attempt=replace(end, outcome=Outcome.UNKNOWN, final=True))


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
        url = answer.capture.archive_url
        end = AttemptEnd(Outcome.CAPTURED, None, answer.job_id, capture_url=url)
        record, captures = _accept(record, answer.capture, situation, now, settings)
        return Step(record, captures, attempt=end)
    if answer.state is JobState.ERROR:
        record = replace(record, outcome=Outcome.FAILED, accepted_at=None)
        end = AttemptEnd(Outcome.FAILED, None, answer.job_id, answer.code, answer.message)
        failed = _after_refusal(record, answer.code, now)
        return Step(failed, attempt=end, archive_saw=refusal_for(answer.code).sees)
    end = AttemptEnd(Outcome.EXPIRED, None, answer.job_id, answer.code, answer.message)
    return Step(note_unknown(record, now, Outcome.EXPIRED), attempt=end)


def _was_not_taken(answer: SubmitAnswer) -> bool:
    """Say whether the archive did not even consider this URL: no room, no keys, no connection."""
    if answer.outcome is Outcome.THROTTLED or answer.code == "unreachable":
        return True
    refused = answer.outcome in (Outcome.REFUSED, Outcome.FAILED)
    return refused and refusal_for(answer.code).kind in (Kind.ACCOUNT, Kind.OPERATOR)


def _not_taken(record: ArchiveRecord, answer: SubmitAnswer, now: datetime) -> ArchiveRecord:
    """Put a link back into the queue as it was; `pacing` holds the archive-wide pause."""
    later = now + timedelta(seconds=max(answer.retry_after or 0, 60))
    courtesy = None if record.courtesy_at == record.attempt_at else record.courtesy_at
    back = replace(idle(record), courtesy_at=courtesy)
    if record.state in HELD:
        return replace(back, ask_at=later)
    word = answer.code or answer.outcome.value
    return replace(enter(back, ArchiveState.QUEUED, now, word), next_at=later)


def _accept(
    record: ArchiveRecord,
    capture: Capture | None,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> tuple[ArchiveRecord, tuple[Capture, ...]]:
    """Take in the capture that our own submission made or met.

    One that is not named, or no use, may be found in the index; until one is, it was a try.
    """
    sent = record.attempt_at or now
    record = replace(idle(record), accepted_at=sent, reached_at=sent)
    if capture is None or capture.archive_url in record.rejected or not until_now([capture], now):
        tried = replace(record, tries=record.tries + 1)
        return search_again(tried, now, "recent-capture"), ()
    newest = latest(record.newest_at, capture.captured_at)
    record = replace(record, negatives=Run(), newest_at=newest)
    if record.state in HELD:
        return take_beside(record, capture, situation), (capture,)
    return take_in(record, [capture], situation, now, settings), (capture,)


def _start_polling(record: ArchiveRecord, answer: SubmitAnswer, now: datetime) -> ArchiveRecord:
    start = now + timedelta(seconds=answer.start_in)
    sent = record.attempt_at or now
    polling = replace(
        record,
        phase=Phase.POLLING,
        job_id=answer.job_id,
        job_until=start + JOB_LIFE,
        accepted_at=sent,
        reached_at=sent,
        next_at=start + timedelta(seconds=_POLL_DELAYS[0]),
    )
    if record.state in HELD:
        return polling
    return enter(polling, ArchiveState.PENDING, now, answer.outcome.value)


def _after_refusal(record: ArchiveRecord, code: str, now: datetime) -> ArchiveRecord:
    """Apply the row of this code (reference wayback §1.8, §9.2.8)."""
    row = refusal_for(code)
    word = code.removeprefix("error:") or "refused"
    record = replace(idle(record), tries=record.tries + 1)
    if record.state in HELD:
        return record
    if row.kind is Kind.EXCLUSION:
        excluded = enter(record, ArchiveState.EXCLUDED, now, word)
        return replace(excluded, next_at=now + row.again)
    if row.kind is Kind.DAILY_URL:
        record = replace(record, accepted_at=record.attempt_at)
        return search_again(record, now, word)
    if row.kind is Kind.PERMANENT or record.tries >= min(row.tries, FAILED_TRIES):
        delay = row.again if row.kind is Kind.PERMANENT else NOT_EVIDENCE_REASK
        return unarchivable(record, now, word, delay)
    delay = spread(min(row.again * 2 ** (record.tries - 1), 7 * DAY), record)
    if row.look_first:
        return search_again(record, now, word, max(delay, FIRST_LOOK))
    return replace(enter(record, ArchiveState.QUEUED, now, word), next_at=now + delay)
