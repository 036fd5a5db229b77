"""What an answer does to a record: pure; a failed or refused submission is never a capture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from archiver.archiving import choose
from archiver.archiving.actions import (
    ArchiveLimits,
    AttemptEnd,
    Purpose,
    Situation,
    Step,
    Submit,
    Verify,
)
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
    ONE_DAY,
    SECOND_LOOK,
    SUBMIT_GRACE,
    enter,
    idle,
    note_unknown,
    search_again,
    settle_absence,
    spread,
)
from archiver.archiving.verify import Passed, Verification
from archiver.model import ArchiveState, Capture, Run, Verdict

CANDIDATES = 3  # reference wayback §9.4.6: on failure the next best, at most three
NOT_EVIDENCE_REASK = 30 * DAY

_POLL_DELAYS = (8, 10, 15, 20, 30, 60)  # seconds, reference wayback §1.6
_TROUBLE_DELAYS = (10 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, DAY)
_MISSING_DELAY = 6 * HOUR  # reference wayback §9.3, V1
_PLAYBACK_DELAY = 30 * MINUTE


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
    record = replace(record, looked_up_at=now, troubles=0, ask_at=None)
    if answer.outcome is Lookup.EXCLUDED:
        excluded = enter(idle(record), ArchiveState.EXCLUDED, now, "excluded")
        return Step(replace(excluded, next_at=now + settings.reverify_every))
    usable = [each for each in answer.captures if _is_candidate(record, each)]
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
    newest_at = _latest(record.newest_at, newest.captured_at if newest else None)
    record = replace(record, negatives=Run(), newest_at=newest_at)
    record = _adopt(record, usable, situation, now, settings)
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
        if record.phase is Phase.UNKNOWN:
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
        return idle(record)
    if sent <= now < sent + FIRST_LOOK:
        return replace(record, next_at=sent + FIRST_LOOK)
    following = max(sent + SECOND_LOOK, now + FIRST_LOOK)
    if sent > now:  # the wall clock went back: two looks an hour apart by the new time
        following = now + (SECOND_LOOK - FIRST_LOOK)
        record = replace(record, attempt_at=now - FIRST_LOOK)
    return replace(record, unknown_looks=record.unknown_looks + 1, next_at=following)


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
    """Take in the capture that our own submission made or met."""
    sent = record.attempt_at or now
    record = replace(idle(record), accepted_at=sent, reached_at=sent)
    if capture is None or capture.archive_url in record.rejected:
        return search_again(record, now, "recent-capture"), ()
    newest = _latest(record.newest_at, capture.captured_at)
    record = replace(record, negatives=Run(), newest_at=newest)
    if record.state in HELD:
        return record, (capture,)
    return _adopt(record, [capture], situation, now, settings), (capture,)


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
        return _unarchivable(record, now, word, delay)
    delay = spread(min(row.again * 2 ** (record.tries - 1), 7 * DAY), record)
    if row.look_first:
        return search_again(record, now, word, max(delay, FIRST_LOOK))
    return replace(enter(record, ArchiveState.QUEUED, now, word), next_at=now + delay)


def _unarchivable(
    record: ArchiveRecord, now: datetime, reason: str, delay: timedelta
) -> ArchiveRecord:
    ended = enter(record, ArchiveState.UNARCHIVABLE, now, reason)
    return replace(ended, until=now + delay, next_at=now + delay)


# -------------------------------------------------------------- verification


def after_verify(
    record: ArchiveRecord,
    verification: Verification,
    action: Verify,
    now: datetime,
    settings: ArchiveLimits,
) -> Step:
    """Fold one playback in. `archived` only when it passed ≥ 24 h after the capture (law 9)."""
    record = replace(record, touched_at=now)
    chosen = action.purpose is Purpose.CHOSEN
    if verification.word is Passed.UNANSWERED:
        delay = timedelta(seconds=verification.retry_after or 0)
        later = now + max(delay, _PLAYBACK_DELAY)
        return Step(replace(record, next_at=later) if chosen else replace(record, ask_at=later))
    url = action.capture.archive_url
    if verification.word is Passed.GOOD:
        living = _latest(record.living_at, action.capture.captured_at)
        record = replace(record, living_at=living, played=_bounded(record.played, url))
    elif verification.word is Passed.NOT_EVIDENCE:
        record = replace(record, rejected=_bounded(record.rejected, url))
    if action.purpose is Purpose.WITNESS:
        record = replace(record, witness=None)
    elif action.purpose is Purpose.ALSO:
        left = tuple(each for each in record.also if each.archive_url != url)
        record = replace(record, also=left)
    else:
        record = _after_chosen(record, verification, now, settings)
    return Step(record, judged=verification.word.value)


def _after_chosen(
    record: ArchiveRecord, verification: Verification, now: datetime, settings: ArchiveLimits
) -> ArchiveRecord:
    best = record.best
    if best is None:
        return search_again(record, now, "no-capture")
    if verification.word is Passed.GOOD:
        if now - best.captured_at < ONE_DAY:
            return replace(record, next_at=best.captured_at + settings.verify_after, missing=0)
        archived = enter(record, ArchiveState.ARCHIVED, now, "verified")
        following = now + spread(settings.reverify_every, record)
        return replace(archived, verified_at=now, missing=0, tries=0, until=None, next_at=following)
    if verification.word is Passed.EXCLUDED:
        excluded = enter(record, ArchiveState.EXCLUDED, now, "excluded")
        return replace(excluded, next_at=now + settings.reverify_every)
    if verification.word is Passed.MISSING:
        return _after_missing(record, now, settings)
    return _next_candidate(record, now, settings, verification.reason)


def _after_missing(record: ArchiveRecord, now: datetime, settings: ArchiveLimits) -> ArchiveRecord:
    """One missing playback proves nothing; the second ends it (contract §2, `lost`)."""
    if record.missing == 0:
        return replace(record, missing=1, next_at=now + _MISSING_DELAY, reason="missing-once")
    if record.state is ArchiveState.ARCHIVED and record.best is not None:
        rejected = _bounded(record.rejected, record.best.archive_url)
        lost = enter(record, ArchiveState.LOST, now, "missing-twice")
        return replace(lost, rejected=rejected, best=None, verified_at=None, missing=0, next_at=now)
    return _next_candidate(record, now, settings, "missing")


def _next_candidate(
    record: ArchiveRecord, now: datetime, settings: ArchiveLimits, reason: str
) -> ArchiveRecord:
    """Try the next best capture; without one the link has no usable capture."""
    failed = record.best
    if failed is not None:
        record = replace(record, rejected=_bounded(record.rejected, failed.archive_url))
    left = tuple(each for each in record.candidates if each.archive_url not in record.rejected)
    if left:
        following = enter(record, ArchiveState.CAPTURED, now, reason)
        following = replace(following, best=left[0], candidates=left[1:])
        return replace(
            following, missing=0, verified_at=None, next_at=_ripe(left[0], now, settings)
        )
    empty = replace(record, best=None, candidates=(), verified_at=None, missing=0)
    if failed is not None and reason != "missing" and _is_ours(record, failed):
        # The archive met a wall or an error where we asked it to look: it would again.
        tried = replace(empty, tries=record.tries + 1)
        return _unarchivable(tried, now, reason, NOT_EVIDENCE_REASK)
    searching = enter(empty, ArchiveState.SEARCHING, now, reason)
    return replace(searching, next_at=now)


# ------------------------------------------------------------------ captures


def adopt(
    record: ArchiveRecord,
    capture: Capture,
    situation: Situation,
    now: datetime,
    settings: ArchiveLimits,
) -> ArchiveRecord:
    """Take in a capture learnt otherwise: a confirmed claim, another archive's copy."""
    if not _is_candidate(record, capture):
        return record
    if record.phase is not Phase.IDLE or record.state in HELD:
        held = {each.archive_url for each in (record.best, *record.candidates) if each}
        if capture.archive_url in held:
            return record
        return replace(record, candidates=(*record.candidates, capture)[-CANDIDATES:])
    return _adopt(replace(record, negatives=Run()), [capture], situation, now, settings)


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
        return search_again(record, now, "no-usable-capture")
    ranked = [choice.capture for choice in choose.rank(usable, wanted[0])]
    held = record.best
    if record.state is ArchiveState.ARCHIVED and held is not None:
        seen = {held.archive_url, *record.played}
        also = tuple(each for each in chosen if each.archive_url not in seen)
        others = tuple(each for each in ranked if each.archive_url != held.archive_url)
        return replace(record, also=also[:CANDIDATES], candidates=others[: CANDIDATES - 1])
    best = chosen[0]
    same = held is not None and held.archive_url == best.archive_url
    record = enter(record, ArchiveState.CAPTURED, now, "capture-found")
    return replace(
        record,
        best=best,
        candidates=tuple(each for each in ranked if each != best)[: CANDIDATES - 1],
        also=tuple(chosen[1 : CANDIDATES + 1]),
        missing=record.missing if same else 0,
        until=None,
        next_at=record.next_at if same else _ripe(best, now, settings),
    )


def _ripe(capture: Capture, now: datetime, settings: ArchiveLimits) -> datetime:
    return max(now, capture.captured_at + settings.verify_after)


def _is_candidate(record: ArchiveRecord, capture: Capture) -> bool:
    return choose.is_usable(capture) and capture.archive_url not in record.rejected


def _is_ours(record: ArchiveRecord, capture: Capture) -> bool:
    """Say whether our last submission made this capture."""
    sent = record.accepted_at
    return sent is not None and capture.captured_at >= sent - CLOCK_LEEWAY


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


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _bounded(urls: tuple[str, ...], url: str, limit: int = 20) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*urls, url)))[-limit:]
