"""What the archive stand-in remembers, and how its index answers: no network in here.

The shapes are those of archive.org's CDX server (reference wayback §3).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from archiver.records import record

FIELDS = ("urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length")
STAMP = "%Y%m%d%H%M%S"


@record
class StoredCapture:
    """One capture. `indexed_at` is when the index shows it, `played` whether it still plays."""

    original: str
    captured_at: datetime
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    indexed_at: datetime | None = None
    is_revisit: bool = False
    plays: bool = True

    @property
    def timestamp(self) -> str:
        """Return the fourteen digits."""
        return self.captured_at.astimezone(UTC).strftime(STAMP)

    @property
    def mime(self) -> str:
        """Return the media type without parameters."""
        return self.headers.get("content-type", "text/html").partition(";")[0].strip()

    @property
    def digest(self) -> str:
        """Return the payload digest as the index writes it."""
        sha1 = hashlib.sha1(self.body, usedforsecurity=False).digest()
        return base64.b32encode(sha1).decode("ascii")

    def row(self) -> dict[str, str]:
        """Return the capture as an index row."""
        return {
            "urlkey": surt(self.original),
            "timestamp": self.timestamp,
            "original": self.original,
            "mimetype": "warc/revisit" if self.is_revisit else self.mime,
            "statuscode": "-" if self.is_revisit else str(self.status),
            "digest": self.digest,
            "length": str(len(self.body) + 300),
        }


def surt(url: str) -> str:
    """Return the index key: lower case, no scheme, `www.` or end slash, query sorted (§3.4)."""
    text = url if "://" in url else "http://" + url
    parts = urlsplit(text.split("#", 1)[0].lower())
    host = re.sub(r"^www\d*\.", "", parts.hostname or "")
    path = parts.path.rstrip("/") or "/"
    query = "&".join(sorted(filter(None, parts.query.split("&"))))
    port = "" if parts.port in (None, 80, 443) else f":{parts.port}"
    return ",".join(reversed(host.split("."))) + port + ")" + path + (f"?{query}" if query else "")


class ArchiveMemory:
    """All captures of the stand-in, and the sites that do not want to be in it."""

    def __init__(self) -> None:
        """Begin empty."""
        self.captures: dict[str, list[StoredCapture]] = {}
        self.excluded: set[str] = set()

    def add(self, capture: StoredCapture) -> StoredCapture:
        """Remember one capture."""
        rows = self.captures.setdefault(surt(capture.original), [])
        rows.append(capture)
        rows.sort(key=lambda each: each.captured_at)
        return capture

    def forget(self, url: str, *, keep_in_index: bool = False) -> None:
        """Lose every capture of a URL, as archives sometimes do (§0.9)."""
        key = surt(url)
        if keep_in_index:
            self.captures[key] = [replace(each, plays=False) for each in self.captures.get(key, [])]
        else:
            self.captures.pop(key, None)

    def of(self, url: str) -> list[StoredCapture]:
        """Return the playable captures under one key, oldest first."""
        return [each for each in self.captures.get(surt(url), []) if each.plays]

    def is_excluded(self, url: str) -> bool:
        """Say whether the URL's host asked to be left out."""
        text = url if "://" in url else "http://" + url
        return (urlsplit(text).hostname or "").lower().removeprefix("www.") in self.excluded

    def nearest(self, url: str, timestamp: str) -> StoredCapture | None:
        """Return the playable capture nearest to 1–14 digits, None when there is none."""
        wanted = pad(timestamp)
        return min(
            self.of(url),
            key=lambda each: abs((each.captured_at - wanted).total_seconds()),
            default=None,
        )

    def query(self, parameters: Mapping[str, Sequence[str]], now: datetime) -> list[dict[str, str]]:
        """Answer an index query (§3.1), rows in the index's order."""

        def one(name: str) -> str:
            return next(iter(parameters.get(name, [])), "")

        rows = [
            each.row()
            for each in self._matching(one("url"), one("matchType"))
            if each.indexed_at is None or each.indexed_at <= now
        ]
        rows = [row for row in rows if _within(row["timestamp"], one("from"), one("to"))]
        for condition in parameters.get("filter", []):
            rows = [row for row in rows if _passes(row, condition)]
        for collapse in parameters.get("collapse", []):
            rows = _collapsed(rows, collapse)
        if one("sort") == "reverse":
            rows.reverse()
        limit = one("limit")
        if re.fullmatch(r"-?\d+", limit):
            count = int(limit)
            rows = rows[:count] if count >= 0 else rows[count:]
        return rows

    def _matching(self, url: str, match_type: str) -> Iterable[StoredCapture]:
        if url.endswith("*"):
            match_type, url = "prefix", url[:-1]
        key = surt(url)
        host = key.partition(")")[0]
        prefixes = {
            "prefix": (key,),
            "host": (host + ")",),
            "domain": (host + ")", host + ","),
        }.get(match_type)
        for each in sorted(self.captures):
            if each.startswith(prefixes) if prefixes else each == key:
                yield from self.captures[each]


def pad(timestamp: str) -> datetime:
    """Read 1–14 digits as a moment, completed with the earliest possible digits."""
    base = "00010101000000"
    digits = (timestamp + base[len(timestamp) :])[:14]
    try:
        return datetime.strptime(digits, STAMP).replace(tzinfo=UTC)
    except ValueError:
        return datetime(1996, 1, 1, tzinfo=UTC)


def _within(timestamp: str, begin: str, end: str) -> bool:
    return timestamp >= begin.ljust(14, "0") and timestamp <= (end or "9").ljust(14, "9")


def _passes(row: Mapping[str, str], condition: str) -> bool:
    wanted = not condition.startswith("!")
    name, _, pattern = condition.removeprefix("!").partition(":")
    return (re.fullmatch(pattern, row.get(name, "")) is not None) is wanted


def _collapsed(rows: list[dict[str, str]], collapse: str) -> list[dict[str, str]]:
    """Keep the first of neighbouring rows that agree in a field, or in its first N characters."""
    name, _, count = collapse.partition(":")
    length = int(count) if count.isdigit() else None
    kept: list[dict[str, str]] = []
    for row in rows:
        if not kept or kept[-1].get(name, "")[:length] != row.get(name, "")[:length]:
            kept.append(row)
    return kept
