"""Asking archive.org's index (CDX) what captures a URL has (reference wayback §3).

Throttling and outages are never "no capture"; rows of SURT siblings are never ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit, urlunsplit

from archiver.archiving.addresses import capture_url, is_http, read_stamp, write_stamp
from archiver.archiving.answers import Lookup, LookupAnswer
from archiver.archiving.wire import ArchiveWire, Failure, RawAnswer, retry_after
from archiver.clock import Clock
from archiver.model import Capture
from archiver.urls import capture_identity, grouping_key, is_tracking

TIMEOUT = timedelta(seconds=60)  # edgi's default, reference wayback §3.5
BODY_LIMIT = 4 * 1024 * 1024
NEWEST_ROWS = 1000  # one request tells the whole history of nearly every article
NEARBY_ROWS = 100
MAX_REQUESTS = 4

_FIELDS = ("timestamp", "original", "mimetype", "statuscode", "digest")
_ALL_FIELDS = ("urlkey", *_FIELDS, "length")
_URL_LIMIT = 4096  # junk rows of tens of kilobytes exist (§3.2)
# Rows without a digest, or with that of the empty body (§3.2), have no payload in common.
_NO_PAYLOAD = frozenset({"", "-", "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"})
_EXCLUSION = re.compile(r"(?:Administrative|Robot)AccessControlException|Blocked Site Error")

_Rows = list[Mapping[str, str]]


class IndexClient:
    """The index of one Wayback Machine."""

    def __init__(self, wire: ArchiveWire, clock: Clock, *, cdx_url: str, playback_url: str) -> None:
        """Ask `cdx_url`; write captures as addresses under `playback_url`."""
        self._wire, self._clock = wire, clock
        self._cdx_url, self._playback_url = cdx_url, playback_url

    async def look_up(self, url: str, around: Sequence[datetime] = ()) -> LookupAnswer:
        """Return what the index knows of `url`, newest captures and those around moments.

        One request as a rule; more only for long histories and for a URL with tracking
        parameters of which nothing is known (its stripped form is a close variant).
        """
        newest = await self._query(url, limit=-NEWEST_ROWS)
        if isinstance(newest, LookupAnswer):
            return newest
        rows, requests = list(newest), 1
        if len(newest) >= NEWEST_ROWS:
            older = await self._older(url, newest, around)
            if isinstance(older, LookupAnswer):
                return replace(older, requests=2)
            rows, requests = older[0] + rows, requests + older[1]
        answer = self._sort(url, rows)
        stripped = without_tracking(url)
        if answer.outcome is Lookup.NOTHING and stripped != url and not answer.variants:
            more = await self._query(stripped, limit=-NEARBY_ROWS)
            if isinstance(more, LookupAnswer):
                return more
            answer, requests = self._sort(url, [*rows, *more]), requests + 1
        return replace(answer, requests=requests)

    async def look_up_host(self, host: str) -> LookupAnswer:
        """Say whether any page of a host was ever captured: found or nothing, without captures.

        One question, for telling a rotten link from one that was never right (contract §2,
        `suspect_citations`).
        """
        rows = await self._query(host, matchType="host", filter="statuscode:200", limit=1)
        if isinstance(rows, LookupAnswer):
            return rows
        return LookupAnswer(Lookup.FOUND if rows else Lookup.NOTHING)

    async def _older(
        self, url: str, newest: Sequence[Mapping[str, str]], around: Sequence[datetime]
    ) -> tuple[_Rows, int] | LookupAnswer:
        """Ask for rows that a cut answer may have left out."""
        rows: _Rows = []
        queries: list[Mapping[str, str | int]] = []
        oldest = min(row["timestamp"] for row in newest)
        if not any(_is_of(url, row) for row in newest):
            # Siblings fill the answer: ask for the exact originals only.
            queries.append({"limit": -NEARBY_ROWS, "filter": f"original:{_pattern(url)}"})
        for moment in around:
            stamp = write_stamp(moment)
            if stamp < oldest:
                queries.append({"to": stamp, "limit": -NEARBY_ROWS})
                queries.append({"from": stamp, "limit": NEARBY_ROWS})
        for query in queries[: MAX_REQUESTS - 1]:
            part = await self._query(url, **query)
            if isinstance(part, LookupAnswer):
                return part
            rows += part
        return rows, min(len(queries), MAX_REQUESTS - 1)

    async def _query(self, url: str, **parameters: str | int) -> _Rows | LookupAnswer:
        """Send one query; return its rows, or the answer that ends the look-up."""
        fields = ",".join(_FIELDS)
        query = f"url={quote(url, safe='')}&output=json&fl={fields}" + "".join(
            f"&{name}={quote(str(value), safe='')}" for name, value in parameters.items()
        )
        mark = "&" if "?" in self._cdx_url else "?"
        raw = await self._wire.read(self._cdx_url + mark + query, within=TIMEOUT, limit=BODY_LIMIT)
        return read_answer(raw, self._clock.now())

    def _sort(self, url: str, rows: Iterable[Mapping[str, str]]) -> LookupAnswer:
        """Sort rows into captures of this URL, of close variants, and of strangers."""
        captures = captures_from_rows(rows, self._playback_url)
        identity, near = capture_identity(url), grouping_key(url)
        own = tuple(each for each in captures if capture_identity(each.original_url) == identity)
        variants = tuple(
            each for each in captures if each not in own and grouping_key(each.original_url) == near
        )
        return LookupAnswer(Lookup.FOUND if own else Lookup.NOTHING, own, variants)


def read_answer(raw: RawAnswer, now: datetime) -> _Rows | LookupAnswer:
    """Read one index answer (reference wayback §3.3); only a clean one gives rows."""
    if raw.failure is not None:
        refused = raw.failure is Failure.REFUSED
        return LookupAnswer(Lookup.REFUSED if refused else Lookup.TROUBLE, detail=raw.failure)
    pause = retry_after(raw.headers, now)
    # A table may well name such a word: the address of this very exception's source code.
    said = "" if raw.text.lstrip().startswith("[") else raw.text[:4000]
    if _EXCLUSION.search(raw.headers.get("x-archive-wayback-runtime-error", "") + said):
        return LookupAnswer(Lookup.EXCLUDED)
    if raw.status == 429:
        return LookupAnswer(Lookup.THROTTLED, retry_after=pause, detail="http-429")
    if raw.status != 200:
        return LookupAnswer(Lookup.TROUBLE, retry_after=pause, detail=f"http-{raw.status}")
    if raw.truncated:
        return LookupAnswer(Lookup.TROUBLE, detail="too-large")
    rows = read_rows(raw.text)
    return LookupAnswer(Lookup.TROUBLE, detail="unreadable") if rows is None else rows


def read_rows(text: str) -> _Rows | None:
    """Read JSON or text rows leniently; None when the answer is neither (an HTML page)."""
    stripped = text.strip()
    if not stripped:
        return []
    if stripped.startswith("["):
        return _read_json_rows(stripped)
    lines = stripped.splitlines()
    rows = [row for line in lines if (row := _read_text_row(line)) is not None]
    return rows or None


def _read_json_rows(text: str) -> _Rows | None:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(table, list):
        return None
    rows: _Rows = []
    names: Sequence[str] | None = None
    unreadable = False
    for entry in table:
        if entry == []:
            break  # an empty row announces a resume key
        if not isinstance(entry, list) or not all(isinstance(cell, str) for cell in entry):
            unreadable = True
        elif names is None:
            if "timestamp" not in entry or "original" not in entry:
                return None
            names = entry
        elif len(entry) == len(names):
            rows.append(dict(zip(names, entry, strict=True)))
        else:
            unreadable = True
    # A stray row is passed over, but a table of nothing else is no "no captures".
    return None if unreadable and not rows else rows


def _read_text_row(line: str) -> Mapping[str, str] | None:
    """Read a space-separated row from both ends: an original may hold a space (§3.2)."""
    cells = line.split(" ")
    if re.fullmatch(r"\d{4,14}", cells[0]) and len(cells) >= len(_FIELDS):
        names: Sequence[str] = _FIELDS
        head, tail = 1, 3
    elif len(cells) >= len(_ALL_FIELDS) and re.fullmatch(r"\d{4,14}", cells[1]):
        names, head, tail = _ALL_FIELDS, 2, 4
    else:
        return None
    original = " ".join(cells[head : len(cells) - tail])
    return dict(zip(names, [*cells[:head], original, *cells[-tail:]], strict=True))


def captures_from_rows(rows: Iterable[Mapping[str, str]], playback_url: str) -> tuple[Capture, ...]:
    """Turn rows into captures, oldest first: without junk and doubles, revisits resolved."""
    kept: dict[tuple[str, str, str], Mapping[str, str]] = {}
    for row in rows:
        original, stamp = row.get("original", ""), row.get("timestamp", "")
        # `http://mailto:…@host` and the like are junk of old crawls (§3.2).
        usable = len(original) <= _URL_LIMIT and is_http(original)
        usable = usable and "@" not in urlsplit(original).netloc
        if usable and re.fullmatch(r"\d{4,14}", stamp):
            kept.setdefault((stamp, original, row.get("digest", "")), row)
    good = {
        row.get("digest"): row
        for row in kept.values()
        if re.fullmatch(r"2\d\d", row.get("statuscode", ""))
        and row.get("digest", "") not in _NO_PAYLOAD
    }
    captures = [_capture(row, good, playback_url) for row in kept.values()]
    return tuple(sorted(captures, key=lambda each: each.captured_at))


def _capture(
    row: Mapping[str, str], good: Mapping[str | None, Mapping[str, str]], playback_url: str
) -> Capture:
    """Make one capture; without a status it has that of a good row with its payload (§3.2)."""
    source = row
    if not row.get("statuscode", "").isdigit():
        source = good.get(row.get("digest"), row)
    status = source.get("statuscode", "")
    mime = source.get("mimetype", "")
    stamp, original = row["timestamp"], row["original"]
    return Capture(
        captured_at=read_stamp(stamp),
        archive_url=capture_url(playback_url, stamp, original),
        original_url=original,
        status=int(status) if re.fullmatch(r"\d{3}", status) else None,
        mime=None if mime in ("", "-", "unk", "warc/revisit") else mime,
        digest=row.get("digest") or None,
    )


def without_tracking(url: str) -> str:
    """Return the URL without campaign parameters: a different key in the archive (§3.4)."""
    parts = urlsplit(url)
    kept = [each for each in parts.query.split("&") if not is_tracking(each.partition("=")[0])]
    query = "&".join(kept)
    return url if query == parts.query else urlunsplit(parts._replace(query=query))


def _is_of(url: str, row: Mapping[str, str]) -> bool:
    return capture_identity(row.get("original", "")) == capture_identity(url)


def _pattern(url: str) -> str:
    """Return a Java regular expression for the originals that are this URL."""
    rest = re.sub(r"^https?://(?:www\.)?", "", url, flags=re.I)
    host, slash, tail = rest.partition("/")
    bare = re.sub(r":\d+$", "", host)
    return rf"https?://(www\.)?{re.escape(bare)}(:\d+)?{slash}{re.escape(tail)}"
