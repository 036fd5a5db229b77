"""One step of a belief: a finding, what else was known, and the moment.

Here stand also the findings that are no looks of ours: the archive's answers and people's marks.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from archiver.checking.policy import Policy
from archiver.checking.schedule import next_look
from archiver.model import Finding, Strength, Verdict
from archiver.records import record

ALIVE_ELSEWHERE = Finding(None, "alive-elsewhere", answered=False)
NO_NEWER_CAPTURE = Finding(None, "no-newer-capture", answered=False)
ARCHIVE_NOT_FOUND = Finding(Verdict.FAILING, "archive-not-found", Strength.STRONG, answered=False)
MARKED_ALIVE = Finding(Verdict.OK, "marked-alive", answered=False)
MARKED_GONE = Finding(Verdict.FAILING, "marked-gone", Strength.STRONG, answered=False)
MARK_CLEARED = Finding(None, "mark-cleared", answered=False)
MARKED_IGNORED = Finding(None, "marked-ignored", answered=False)


@record
class Known:
    """What else was known when a look was settled; stored with the look, so that it replays.

    `host_answered_at`: the last HTTP answer of any *other* link of this host (a CDN's 521, 522,
    523 or 530 is none). `archive`: `off` when no archive will be asked, so that a death waits
    for nobody. `living_capture_at`: when the newest capture that lives (2xx and no soft 404)
    was made. `until`: how long a person's mark holds.
    """

    host_answered_at: datetime | None = None
    archive: str = "asked"
    living_capture_at: datetime | None = None
    until: datetime | None = None


@record
class Step:
    """One look to be settled, with its surroundings."""

    finding: Finding
    known: Known
    now: datetime
    policy: Policy
    url: str

    def next(self, base: timedelta, attempt: int) -> datetime:
        return next_look(
            self.now,
            base,
            self.policy,
            url=self.url,
            attempt=attempt,
            retry_after=self.finding.retry_after,
        )
