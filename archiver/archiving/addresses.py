"""The addresses of captures: written and taken apart, at the configured playback endpoint."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

from archiver.records import record
from archiver.urls import parse_archive_url

STAMP = "%Y%m%d%H%M%S"
# Waiting times are reckoned from an archive's moments: at the ends of the calendar there is no
# room for them.
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
_LATEST = datetime(9900, 1, 1, tzinfo=UTC)
_TAIL = re.compile(r"^/([0-9]{1,14})([a-z]{2}_)?/(.+)$", re.S)


@record
class CaptureAddress:
    """Where a capture is: its digits (as the archive writes them) and its original URL."""

    stamp: str
    original: str

    @property
    def captured_at(self) -> datetime:
        """Return the moment the digits mean, leniently (`read_stamp`)."""
        return read_stamp(self.stamp)


def capture_url(playback_url: str, stamp: str, original: str, flag: str = "") -> str:
    """Write a capture's address; `flag` as in reference wayback §4.1 (`id_`)."""
    return f"{playback_url.rstrip('/')}/{stamp}{flag}/{original}"


def read_capture_url(url: str, playback_url: str) -> CaptureAddress | None:
    """Take an address at the playback endpoint apart, or one of web.archive.org as such.

    `url` may be relative to the endpoint (`/web/…`). None when it is no capture with digits.
    """
    base = playback_url.rstrip("/")
    absolute = join(base + "/", url.strip())
    if not is_http(absolute):
        return None
    place, wanted = urlsplit(absolute), urlsplit(base)
    if place.hostname == wanted.hostname and place.port == wanted.port:
        tail = absolute.split("://", 1)[1][len(place.netloc) :]
        if not tail.startswith(wanted.path + "/"):
            return None
        match = _TAIL.match(tail[len(wanted.path) :])
        return CaptureAddress(match[1], _with_scheme(match[3])) if match else None
    parsed = parse_archive_url(absolute)
    if parsed is None or parsed.archive != "web.archive.org" or not parsed.original:
        return None
    stamp = parsed.timestamp or ""
    return CaptureAddress(stamp, parsed.original) if stamp.isdigit() else None


def join(base: str, url: str) -> str:
    """Resolve a reference from outside, which may be anything; "" when it cannot be."""
    try:
        return urljoin(base, url)
    except ValueError:
        return ""


def is_http(url: str) -> bool:
    """Say whether a URL from outside can be taken apart as an http(s) one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def read_stamp(stamp: str) -> datetime:
    """Read 1–14 digits as a moment in UTC; impossible parts are clamped (reference §3.2)."""
    digits = (stamp + "00000101000000"[len(stamp) :])[:14]
    try:
        return within_reach(datetime.strptime(digits, STAMP))
    except ValueError:
        year, month, day, hour, minute, second = (
            int(digits[start:end])
            for start, end in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))
        )
        clamped = datetime(
            min(max(year, 1), 9999),
            min(max(month, 1), 12),
            min(max(day, 1), 28),
            min(hour, 23),
            min(minute, 59),
            min(second, 59),
        )
        return within_reach(clamped)


def within_reach(moment: datetime) -> datetime:
    """Return what an archive says of time in UTC, drawn in to where it can be reckoned with."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return min(max(aware, _EARLIEST), _LATEST).astimezone(UTC)


def is_stamp(text: str) -> bool:
    """Say whether fourteen digits are a moment: what an archive says of a capture it has made."""
    try:
        return write_stamp(datetime.strptime(text, STAMP).replace(tzinfo=UTC)) == text
    except ValueError:
        return False


def write_stamp(moment: datetime) -> str:
    """Write a moment as fourteen digits, UTC."""
    return moment.astimezone(UTC).strftime(STAMP).zfill(len("20060102150405"))


def _with_scheme(original: str) -> str:
    """Mend `http:/host` and a missing scheme, as the archive itself does."""
    if re.match(r"^https?:/", original, re.I):
        return re.sub(r"^(https?):/+", r"\1://", original, count=1, flags=re.I)
    return "http://" + original
