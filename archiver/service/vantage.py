"""The archive as a second pair of eyes: what it saw becomes looks of vantage `archive`.

Everything that moves a belief is a row of `looks`, so a belief can always be folded again.
"""

from __future__ import annotations

from datetime import datetime

from archiver.archiving.record import ArchiveRecord, from_json
from archiver.checking.belief import (
    ALIVE_ELSEWHERE,
    ARCHIVE_NOT_FOUND,
    NO_NEWER_CAPTURE,
    Known,
    settle,
)
from archiver.checking.context import Context
from archiver.checking.policy import Policy
from archiver.clock import from_stamp
from archiver.model import Finding, Observation, Vantage, Verdict
from archiver.service.desk import Desk
from archiver.service.facts import look_facts
from archiver.service.situations import answer_wanted_since
from archiver.store import KnownLink, RecordedLook

# What the archive's crawler can be told that speaks of the page itself (design §5).
_GONE = frozenset({"http-404", "http-410", "dns-gone"})


class Vantages:
    """Turns what an archive told into looks."""

    def __init__(self, desk: Desk, policy: Policy) -> None:
        """Work at a desk."""
        self._desk = desk
        self._policy = policy

    def tell(self, link_id: int, record: ArchiveRecord) -> None:
        """Tell a belief that waits for it whether a newer living capture exists."""
        now = self._desk.clock.now()
        [link] = self._desk.store.looks.known([link_id])
        wanted = answer_wanted_since(link.belief, now, self._policy)
        answered = record.looked_up_at
        if wanted is None or answered is None or answered < wanted:
            return
        began = link.belief.first_bad_at
        if record.living_at is not None and began is not None and record.living_at > began:
            self._record(link, ALIVE_ELSEWHERE, record.living_at)
        elif record.witness is None:
            self._record(link, NO_NEWER_CAPTURE, record.living_at)

    def archive_saw(self, link_id: int, word: str) -> None:
        """Record that the archive's own crawler was told the page is gone."""
        if word in _GONE:
            [link] = self._desk.store.looks.known([link_id])
            self._record(link, ARCHIVE_NOT_FOUND, from_json(link.archive_record).living_at)

    def _record(self, link: KnownLink, finding: Finding, living_at: datetime | None) -> None:
        now = self._desk.clock.now()
        known = Known(
            host_answered_at=from_stamp(link.host_answered_at) if link.host_answered_at else None,
            archive="off" if self._desk.settings.archive.mode == "off" else "asked",
            living_capture_at=living_at,
        )
        seen = Observation(url=link.wire, looked_at=now, vantage=Vantage.ARCHIVE)
        belief = settle(link.belief, finding, known, now, self._policy, url=link.url)
        look = RecordedLook(
            link,
            seen,
            finding,
            belief,
            look_facts(seen, Context(), known, finding),
            wake_archive=belief.verdict is Verdict.DEAD,
        )
        self._desk.store.looks.record([look], None)
