"""What becomes of an `archive_url` as written in a file: pure (design §6 "Claims").

`read_claim` decides what can be decided by reading; what it leaves open is played back and
judged like a capture of our own, then `judge_claim` gives the contract's word.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from archiver.archiving.addresses import CaptureAddress, capture_url, read_capture_url, read_stamp
from archiver.archiving.answers import Playback, PlaybackAnswer
from archiver.archiving.transitions import ONE_DAY
from archiver.archiving.verify import Passed, verify
from archiver.model import Capture, Claim, Finding
from archiver.records import record
from archiver.urls import capture_identity, parse_archive_url

_REDIRECTED_AWAY = frozenset({"captured-redirect-home", "redirect-target-distant", "wrong-moment"})


@record
class ReadClaim:
    """A claim as read: `verdict` is set when reading decides, else it must be played.

    `capture` is the capture it names; `archive` the archive's name, where it is another one.
    """

    verdict: Claim | None
    capture: Capture | None = None
    archive: str | None = None


def read_claim(written: str | None, link: str, playback_url: str) -> ReadClaim:
    """Read a claim made for `link` (the address on the wire); total."""
    text = (written or "").strip()
    if not text:
        return ReadClaim(Claim.ABSENT)
    address = read_capture_url(text, playback_url) if "://" in text else None
    if address is None:
        return _not_playable(text)
    if capture_identity(address.original) != capture_identity(link):
        return ReadClaim(Claim.WRONG_URL)
    return ReadClaim(None, _claimed(address, playback_url))


def _not_playable(text: str) -> ReadClaim:
    """Tell another archive's address from one that names no capture (`*`, `/save/`, no digits)."""
    parsed = parse_archive_url(text)
    if parsed is None or parsed.archive == "web.archive.org":
        return ReadClaim(Claim.NOT_A_CAPTURE)
    return ReadClaim(Claim.OTHER_ARCHIVE, archive=parsed.archive)


def _claimed(address: CaptureAddress, playback_url: str) -> Capture:
    return Capture(
        captured_at=read_stamp(address.stamp),
        archive_url=capture_url(playback_url, address.stamp, address.original),
        original_url=address.original,
        status=None,
        source="claim",
    )


def judge_claim(
    answer: PlaybackAnswer, finding: Finding | None, capture: Capture, link: str
) -> Claim | None:
    """Return the contract's word for a played claim, None when the archive gave no answer.

    `finding` is the checker's judgement of the page (`verify.needs_judgement`), None without.
    """
    if answer.outcome is Playback.ELSEWHERE:
        return Claim.REDIRECTS_ELSEWHERE
    verification = verify(answer, finding, capture, link)
    match verification.word:
        case Passed.UNANSWERED:
            return None
        case Passed.GOOD:
            return Claim.CONFIRMED
        case Passed.EXCLUDED:
            return Claim.EXCLUDED
        case Passed.MISSING:
            return Claim.MISSING
    if verification.reason == "wrong-url":
        return Claim.WRONG_URL
    away = verification.reason in _REDIRECTED_AWAY or answer.detail == "target-not-captured"
    return Claim.REDIRECTS_ELSEWHERE if away else Claim.NOT_A_CAPTURE


def proves_nothing_yet(
    verdict: Claim, capture: Capture, now: datetime, *, ripe_after: timedelta, vouched: bool
) -> bool:
    """Say whether a claim that plays nothing is only to be asked about again.

    A new capture may not be there for a day (reference wayback §0.10), and one playback says
    nothing against a claim that was `vouched` for until now (§9.3).
    """
    if verdict not in (Claim.MISSING, Claim.REDIRECTS_ELSEWHERE):
        return False
    # A moment that is still to come is invented, not new.
    return vouched or -ONE_DAY <= now - capture.captured_at < ripe_after


@record
class Nearest:
    """The real capture nearest to a claimed moment, and how far it is in whole days."""

    capture: Capture
    distance_days: int


def nearest_capture(captures: Iterable[Capture], claimed_at: datetime) -> Nearest | None:
    """Return the 2xx capture nearest to a claimed moment: what to write instead."""
    good = [each for each in captures if each.status is not None and 200 <= each.status < 300]
    found = min(good, key=lambda each: abs(each.captured_at - claimed_at), default=None)
    if found is None:
        return None
    return Nearest(found, abs((found.captured_at.date() - claimed_at.date()).days))
