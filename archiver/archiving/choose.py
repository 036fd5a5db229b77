"""Which capture serves a citation best: pure, design §6 "Best capture for a citation".

P is the source's publication date, A its access date. A page cannot be in a capture older than
P; what the author saw is the latest capture up to A. The event's date plays no part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlsplit

from archiver.model import Capture
from archiver.records import record

BEFORE_PUBLICATION = "before-publication"
DISTANT = "distant"
DISTANT_DAYS = 180
# Time zones: a page dated the 5th may be captured on the 4th UTC.
ZONE_LEEWAY = timedelta(hours=24)

_PARTIAL = re.compile(r"^\s*(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?(?!\d)")


@record
class Wanted:
    """What a citation says about time: dates as written, and when we first saw it."""

    published: str | None = None
    accessed: str | None = None
    first_seen: datetime | None = None


@record
class Choice:
    """A capture with its distance from the wanted date (whole days, None without one)."""

    capture: Capture
    distance_days: int | None
    flags: tuple[str, ...] = ()


def read_date(text: str | None) -> date | None:
    """Read a date as written; a partial one means its first day, an impossible one None."""
    match = _PARTIAL.match(text or "")
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2] or 1), int(match[3] or 1))
    except ValueError:
        return None


def is_usable(capture: Capture) -> bool:
    """Say whether a capture may serve as a copy: 2xx, or a redirect whose target may play.

    Reference wayback §9.4.2. Without a status only what an archive just told us it made is
    believed; a revisit in an index that nothing resolves is not.
    """
    if capture.status is None:
        return capture.source != "cdx"
    return 200 <= capture.status < 400 and capture.status != 304


def is_good(capture: Capture) -> bool:
    """Say whether a capture is a 2xx one, or an own one of unknown status."""
    return is_usable(capture) and (capture.status is None or capture.status < 300)


def newest_good(captures: Iterable[Capture]) -> Capture | None:
    """Return the newest 2xx capture, the archive's own look at the page."""
    return max(filter(is_good, captures), key=lambda each: each.captured_at, default=None)


def distance_days(captured_at: datetime, wanted: date) -> int:
    """Return whole days between a capture and a date, absolute."""
    return abs((captured_at.astimezone(UTC).date() - wanted).days)


def wanted_date(wanted: Wanted) -> date | None:
    """Return the date a capture should be near: the access date, unless it precedes P."""
    published, accessed = read_date(wanted.published), read_date(wanted.accessed)
    if published and accessed:
        return max(published, accessed)
    return accessed or published


def moments(wanted: Iterable[Wanted]) -> tuple[datetime, ...]:
    """Return the moments around which an index should be asked, oldest first."""
    found: set[datetime] = set()
    for each in wanted:
        for day in (read_date(each.published), read_date(each.accessed)):
            if day is not None:
                found.add(_start(day))
    return tuple(sorted(found))


def rank(captures: Iterable[Capture], wanted: Wanted) -> list[Choice]:
    """Return the usable captures, best first (design §6).

    2xx captures come before captured redirects; those from before the publication last.
    """
    published = read_date(wanted.published)
    # Nothing is older than the first day there is.
    floor = _start(published) - ZONE_LEEWAY if published and published > date.min else None
    target = wanted_date(wanted)

    def order(capture: Capture) -> tuple[int, int, int, float, int, int]:
        early = floor is not None and capture.captured_at < floor
        group, nearness = _place(capture.captured_at, wanted, floor)
        return (
            int(early),
            int(not is_good(capture)),
            group,
            nearness,
            int("html" not in (capture.mime or "html")),
            int(urlsplit(capture.original_url).scheme != "https"),
        )

    ranked = sorted(filter(is_usable, captures), key=order)
    return [_choice(capture, target, floor) for capture in ranked]


def choose(captures: Iterable[Capture], wanted: Wanted) -> Choice | None:
    """Return the best capture for one citation, or None when none is usable."""
    return next(iter(rank(captures, wanted)), None)


def choose_for_all(captures: Sequence[Capture], wanted: Sequence[Wanted]) -> list[Capture]:
    """Return the best capture for each citation of a link, in their order, each once."""
    chosen: list[Capture] = []
    for each in wanted or (Wanted(),):
        choice = choose(captures, each)
        if choice and choice.capture not in chosen:
            chosen.append(choice.capture)
    return chosen


def _place(moment: datetime, wanted: Wanted, floor: datetime | None) -> tuple[int, float]:
    """Return (group, distance within it); smaller is better."""
    accessed = read_date(wanted.accessed)
    seconds = moment.timestamp()
    if floor is not None and moment < floor:
        return 2, -seconds
    if accessed is not None:
        ceiling = datetime.combine(accessed, time.max, UTC)
        if moment <= ceiling:
            return 0, -seconds
        return 1, seconds
    if floor is not None:
        return 0, seconds
    if wanted.first_seen is not None:
        return 0, abs(seconds - wanted.first_seen.timestamp())
    return 0, -seconds


def _choice(capture: Capture, target: date | None, floor: datetime | None) -> Choice:
    flags = []
    if floor is not None and capture.captured_at < floor:
        flags.append(BEFORE_PUBLICATION)
    days = distance_days(capture.captured_at, target) if target else None
    if days is not None and days > DISTANT_DAYS:
        flags.append(DISTANT)
    return Choice(capture, days, tuple(flags))


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
