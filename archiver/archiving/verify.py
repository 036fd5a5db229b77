"""Whether a played-back capture is a copy of the cited page: pure (design §6 "Verify").

The page itself is judged by the checker's rules. This room does not know them: it turns the
playback into an `Observation`, and the caller hands the finding back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from archiver.archiving.answers import Playback, PlaybackAnswer
from archiver.model import (
    ALIVE,
    Capture,
    Finding,
    Hop,
    Observation,
    PageFacts,
    Vantage,
)
from archiver.records import record
from archiver.urls import capture_identity, is_home

# Reference wayback §9.3, V2: the archive may round a moment.
SAME_MOMENT = timedelta(seconds=2)
# Reference wayback §9.3, V2: a page worth a citation is larger than this.
LEAST_HTML = 512
# Design §6: the target of a captured redirect was captured within a day of it.
REDIRECT_WINDOW = timedelta(hours=24)


# Save Page Now tells the moment of the page at the end of redirects: our own URL's capture is a
# little older (reference wayback §1.6).
OWN_MOMENT = timedelta(minutes=5)


def leeway_for(capture: Capture) -> timedelta:
    """Return how far the memento's moment may be from the capture's."""
    return OWN_MOMENT if capture.source in ("spn2", "anonymous") else SAME_MOMENT


class Passed(StrEnum):
    """What one playback proves."""

    GOOD = "good"
    MISSING = "missing"  # no capture there
    NOT_EVIDENCE = "not-evidence"  # a captured error, wall, soft 404, or another page
    EXCLUDED = "excluded"
    UNANSWERED = "unanswered"  # throttled or an outage: ask again


@record
class Verification:
    """The result, with a reason word; `retry_after` in seconds for `UNANSWERED`."""

    word: Passed
    reason: str
    retry_after: int | None = None


def needs_judgement(answer: PlaybackAnswer) -> bool:
    """Say whether there is a page for the checker's rules to judge."""
    return (
        answer.outcome is Playback.MEMENTO
        and answer.status is not None
        and (200 <= answer.status < 300)
    )


def observe(
    answer: PlaybackAnswer,
    looked_at: datetime,
    read_page: Callable[..., PageFacts],
) -> Observation:
    """Describe the archived page as a look of vantage `archive`, for the checker's rules.

    `read_page(body, content_type, *, truncated, url)` is the checker's reader.
    """
    final = answer.original or answer.asked
    page = read_page(answer.body, answer.content_type, truncated=answer.truncated, url=final)
    return Observation(
        url=answer.first_original or answer.asked,
        looked_at=looked_at,
        status=answer.status,
        final_url=final,
        redirects=tuple(Hop(hop.status, hop.original) for hop in answer.hops),
        headers=dict(answer.headers),
        content_type=answer.content_type,
        page=page,
        vantage=Vantage.ARCHIVE,
    )


def verify(
    answer: PlaybackAnswer, finding: Finding | None, capture: Capture, link: str
) -> Verification:
    """Say what this playback of `capture` proves for `link` (the address on the wire).

    The capture was played with `leeway_for(capture)`. `finding` is the checker's judgement of
    the page, None when `needs_judgement` said no. The capture's age is the pipeline's matter.
    """
    if answer.outcome in (Playback.THROTTLED, Playback.TROUBLE, Playback.REFUSED):
        return Verification(Passed.UNANSWERED, answer.outcome.value, answer.retry_after)
    if answer.outcome is Playback.EXCLUDED:
        return Verification(Passed.EXCLUDED, "excluded")
    if answer.outcome is Playback.MISSING:
        return Verification(Passed.MISSING, "missing")
    if answer.outcome is Playback.ELSEWHERE:
        return Verification(Passed.MISSING, "redirects-elsewhere")
    if reason := _not_this_page(answer, capture, link):
        return Verification(Passed.NOT_EVIDENCE, reason)
    if not needs_judgement(answer):
        return Verification(Passed.NOT_EVIDENCE, f"captured-{answer.status}")
    if finding is None or finding.verdict not in ALIVE:
        return Verification(Passed.NOT_EVIDENCE, finding.reason if finding else "not-judged")
    if "html" in (answer.content_type or "html").lower() and len(answer.body) <= LEAST_HTML:
        return Verification(Passed.NOT_EVIDENCE, "captured-too-small")
    return Verification(Passed.GOOD, finding.reason)


def _not_this_page(answer: PlaybackAnswer, capture: Capture, link: str) -> str | None:
    """Return why this memento is of another page or moment, or None when it is this one."""
    identity = capture_identity(link)
    if capture_identity(answer.first_original or "") != identity:
        return "wrong-url"
    first = answer.first_captured_at
    if first is None or abs(first - capture.captured_at) > leeway_for(capture):
        return "wrong-moment"
    if not answer.hops:
        return None
    last, target = answer.captured_at, answer.original or ""
    if last is None or abs(last - first) > REDIRECT_WINDOW:
        return "redirect-target-distant"
    if is_home(target) and not is_home(link):
        return "captured-redirect-home"
    return None
