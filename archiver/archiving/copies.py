"""The copies of a link: which one serves, and what playing them back does to the record.

Pure. `archived` is said here and nowhere else (law 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from archiver.archiving import choose
from archiver.archiving.actions import ArchiveLimits, Purpose, Situation, Step, Verify
from archiver.archiving.answers import Playback
from archiver.archiving.choose import Wanted
from archiver.archiving.record import ArchiveRecord, Phase
from archiver.archiving.transitions import (
    CLOCK_LEEWAY,
    DAY,
    HELD,
    HOUR,
    MINUTE,
    ONE_DAY,
    enter,
    search_again,
    spread,
    unarchivable,
)
from archiver.archiving.verify import Passed, Verification
from archiver.clock import CLOCK_TRUST
from archiver.model import ArchiveState, Capture, Run

CANDIDATES = 3  # reference wayback §9.4.6: on failure the next best, at most three
NOT_EVIDENCE_REASK = 30 * DAY
# A page whose captures are walls has hundreds of them: two rounds of candidates, no more.
MOST_REJECTED = 2 * CANDIDATES
MISSING_DELAY = 6 * HOUR  # reference wayback §9.3, V1
# A capture that the archive cannot play (reference wayback §4.3) is not asked for for ever.
_PLAYBACK_DELAYS = (30 * MINUTE, 2 * HOUR, 6 * HOUR, DAY)


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
        record, later = put_off(record, verification, now)
        if verification.reason == Playback.TROUBLE and record.unplayed >= len(_PLAYBACK_DELAYS):
            record = _let_others_come(record, action)
        return Step(replace(record, next_at=later) if chosen else replace(record, ask_at=later))
    record = replace(record, unplayed=0)
    url = action.capture.archive_url
    if verification.word is Passed.GOOD:
        living = latest(record.living_at, action.capture.captured_at)
        record = replace(record, living_at=living)
        if now - action.capture.captured_at >= ONE_DAY:
            record = replace(record, played=bounded(record.played, url))
    elif verification.word is Passed.NOT_EVIDENCE:
        record = replace(record, rejected=bounded(record.rejected, url))
    if action.purpose is Purpose.WITNESS:
        record = replace(record, witness=None)
    elif action.purpose is Purpose.ALSO:
        record = _after_also(record, verification, action.capture)
    else:
        record = _after_chosen(record, verification, now, settings)
    return Step(record, judged=verification.word.value)


def _after_also(
    record: ArchiveRecord, verification: Verification, capture: Capture
) -> ArchiveRecord:
    """Keep another citation's copy while it plays, to be played again when the best one is."""
    url = capture.archive_url
    also = tuple(each for each in record.also if each.archive_url != url)
    if verification.word is Passed.GOOD:
        return replace(record, also=also, passed=(*record.passed, capture)[-CANDIDATES:])
    return replace(record, also=also, played=tuple(each for each in record.played if each != url))


def _let_others_come(record: ArchiveRecord, action: Verify) -> ArchiveRecord:
    """Go on to other captures where the archive cannot play one (reference wayback §4.3).

    The candidates of a link take turns, a day each; a copy for another citation is let go until
    the next look-up: what else the link waits for stands behind it.
    """
    failed = action.capture
    if action.purpose is Purpose.ALSO:
        also = tuple(each for each in record.also if each.archive_url != failed.archive_url)
        return replace(record, also=also, unplayed=0)
    if action.purpose is Purpose.WITNESS or record.state is not ArchiveState.CAPTURED:
        return record
    best, *others = (*record.candidates, failed)
    return replace(record, best=best, candidates=tuple(others))


def put_off(
    record: ArchiveRecord, verification: Verification, now: datetime
) -> tuple[ArchiveRecord, datetime]:
    """Count a playback without an answer, and say when to try again: later each time."""
    delay = _PLAYBACK_DELAYS[min(record.unplayed, len(_PLAYBACK_DELAYS) - 1)]
    later = now + max(delay, timedelta(seconds=verification.retry_after or 0))
    return replace(record, unplayed=record.unplayed + 1), later


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
        again = tuple(each for each in record.passed if each.archive_url != best.archive_url)
        archived = replace(archived, also=(*record.also, *again), passed=())
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
        return replace(record, missing=1, next_at=now + MISSING_DELAY, reason="missing-once")
    if record.state is ArchiveState.ARCHIVED and record.best is not None:
        rejected = bounded(record.rejected, record.best.archive_url)
        lost = enter(record, ArchiveState.LOST, now, "missing-twice")
        return replace(lost, rejected=rejected, best=None, verified_at=None, missing=0, next_at=now)
    return _next_candidate(record, now, settings, "missing")


def _next_candidate(
    record: ArchiveRecord, now: datetime, settings: ArchiveLimits, reason: str
) -> ArchiveRecord:
    """Try the next best capture; without one the link has no usable capture."""
    failed = record.best
    if failed is not None:
        record = replace(record, rejected=bounded(record.rejected, failed.archive_url))
    left = tuple(each for each in record.candidates if each.archive_url not in record.rejected)
    if left:
        following = enter(record, ArchiveState.CAPTURED, now, reason)
        following = replace(following, best=left[0], candidates=left[1:])
        return replace(
            following, missing=0, verified_at=None, next_at=_ripe(left[0], now, settings)
        )
    empty = replace(record, best=None, candidates=(), verified_at=None, missing=0)
    if len(record.rejected) >= MOST_REJECTED:
        empty = replace(empty, ignore_before=now)
    if failed is not None and _is_ours(record, failed):
        empty = replace(empty, tries=record.tries + 1)
        if reason != "missing":
            # The archive met a wall or an error where we asked it to look: it would again.
            return unarchivable(empty, now, reason, NOT_EVIDENCE_REASK)
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
    if not is_candidate(record, capture) or not until_now([capture], now):
        return record
    if record.phase is not Phase.IDLE or record.state in HELD:
        held = {each.archive_url for each in (record.best, *record.candidates) if each}
        if capture.archive_url in held:
            return record
        return replace(record, candidates=(*record.candidates, capture)[-CANDIDATES:])
    return take_in(replace(record, negatives=Run()), [capture], situation, now, settings)


def take_in(
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
        again = tuple(each for each in record.also if each.archive_url in record.played)
        others = tuple(each for each in ranked if each.archive_url != held.archive_url)
        return replace(
            record, also=(*also[:CANDIDATES], *again), candidates=others[: CANDIDATES - 1]
        )
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


def take_beside(record: ArchiveRecord, capture: Capture, situation: Situation) -> ArchiveRecord:
    """Keep a new capture of a link that has its copy, to be played too if it serves better."""
    wanted = situation.wanted or (Wanted(),)
    held = [record.best] if record.best else []
    if capture not in choose.choose_for_all([*held, capture], wanted):
        return record
    return replace(record, also=(*record.also, capture)[-CANDIDATES:])


def _ripe(capture: Capture, now: datetime, settings: ArchiveLimits) -> datetime:
    return max(now, capture.captured_at + settings.verify_after)


def until_now(captures: Iterable[Capture], now: datetime) -> tuple[Capture, ...]:
    """Return the captures that can have been made by now.

    Impossible moments exist (reference wayback §3.2): one of the year 9999 would be the newest
    for ever, and never old enough to be verified.
    """
    return tuple(each for each in captures if each.captured_at <= now + CLOCK_TRUST)


def is_candidate(record: ArchiveRecord, capture: Capture) -> bool:
    """Say whether a capture may still serve this link."""
    if not choose.is_usable(capture) or capture.archive_url in record.rejected:
        return False
    return record.ignore_before is None or capture.captured_at > record.ignore_before


def _is_ours(record: ArchiveRecord, capture: Capture) -> bool:
    """Say whether our last submission made this capture."""
    sent = record.accepted_at
    return sent is not None and capture.captured_at >= sent - CLOCK_LEEWAY


def latest(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two moments that may be unknown."""
    return max((each for each in (one, other) if each is not None), default=None)


def bounded(urls: tuple[str, ...], url: str, limit: int = 20) -> tuple[str, ...]:
    """Add a URL to a list that keeps only the last ones."""
    return tuple(dict.fromkeys((*urls, url)))[-limit:]
