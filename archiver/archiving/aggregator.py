"""Asking a Memento aggregator (RFC 7089) whether any other archive has a page.

For dead links that the Wayback Machine does not have. `aggregator_url` may be a TimeMap prefix
(MemGator's `…/timemap/link` or `…/timemap/json`, reference wayback §7.2) or a TimeGate; the URL
is appended to it. What it names are addresses of strangers: they are only played back through
a guarded fetch that the caller hands in.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from archiver.archiving.addresses import is_http, join, within_reach
from archiver.archiving.answers import (
    ArchivedHop,
    Lookup,
    LookupAnswer,
    Playback,
    PlaybackAnswer,
)
from archiver.archiving.links import is_rel, read_links
from archiver.archiving.playback import MAX_HOPS, memento_datetime, read_memento
from archiver.archiving.wire import ArchiveWire, Failure, RawAnswer, retry_after
from archiver.clock import Clock
from archiver.model import Capture
from archiver.urls import host_of

TIMEOUT = timedelta(seconds=60)
BODY_LIMIT = 2 * 1024 * 1024
MOST_CAPTURES = 1000

Fetch = Callable[[str], Awaitable[RawAnswer]]


class Aggregator:
    """One aggregator or TimeGate."""

    def __init__(self, wire: ArchiveWire, clock: Clock, *, aggregator_url: str) -> None:
        """Ask `aggregator_url`, one of the wire's endpoints."""
        self._wire, self._clock, self._base = wire, clock, aggregator_url.rstrip("/")

    async def look_up(self, url: str, around: Sequence[datetime] = ()) -> LookupAnswer:
        """Return the mementos any archive has of `url`; their status is not known yet.

        A TimeGate is asked for the one nearest to the first of `around`, else to now.
        """
        near = around[0] if around else self._clock.now()
        raw = await self._wire.read(
            f"{self._base}/{url}",
            within=TIMEOUT,
            limit=BODY_LIMIT,
            headers={
                "Accept": "application/link-format, application/json;q=0.9, */*;q=0.1",
                "Accept-Datetime": format_datetime(near.astimezone(UTC), usegmt=True),
            },
        )
        return read_mementos(raw, url, self._clock.now())


def read_mementos(raw: RawAnswer, url: str, now: datetime) -> LookupAnswer:
    """Read a TimeMap (link-format, or MemGator's JSON) or a TimeGate's answer."""
    if raw.failure is not None:
        refused = raw.failure is Failure.REFUSED
        return LookupAnswer(Lookup.REFUSED if refused else Lookup.TROUBLE, detail=raw.failure)
    if raw.status == 404:
        return LookupAnswer(Lookup.NOTHING)
    pause = retry_after(raw.headers, now)
    if raw.status == 429:
        return LookupAnswer(Lookup.THROTTLED, retry_after=pause, detail="http-429")
    if raw.status is None or raw.status >= 400:
        return LookupAnswer(Lookup.TROUBLE, retry_after=pause, detail=f"http-{raw.status}")
    found = dict(_named(raw))
    captures = [
        Capture(moment, address, url, None, archive=host_of(address), source="aggregator")
        for address, moment in found.items()
        if is_http(address)
    ]
    captures.sort(key=lambda each: each.captured_at)
    kept = tuple(captures[-MOST_CAPTURES:])
    if kept:
        return LookupAnswer(Lookup.FOUND, kept)
    # A 200 that names nothing is no clean "nothing": an aggregator says that with 404.
    return LookupAnswer(Lookup.TROUBLE, detail="unreadable")


def _named(raw: RawAnswer) -> Iterable[tuple[str, datetime]]:
    """Yield (address, moment) of every memento that an answer names."""
    if raw.status == 200 and raw.content_type.endswith("json"):
        yield from _in_json(raw)
        return
    if raw.status == 200 and "link-format" in raw.content_type:
        yield from _in_links(raw.text)
        return
    yield from _in_links(raw.headers.get("link", ""))
    moment = memento_datetime(raw.headers)
    located = raw.headers.get("content-location") or raw.headers.get("location")
    if moment is not None and located:
        yield located, moment


def _in_links(text: str) -> Iterable[tuple[str, datetime]]:
    """Read link-format (RFC 6690): entries whose `rel` holds `memento`, with their moment."""
    for address, parameters in read_links(text):
        moment = _moment(parameters.get("datetime", ""))
        if moment is not None and is_rel(parameters, "memento"):
            yield address, moment


def _in_json(raw: RawAnswer) -> Iterable[tuple[str, datetime]]:
    """Read MemGator's `{"mementos": {"list": [{"datetime", "uri"}]}}`."""
    try:
        value = json.loads(raw.text)
    except (ValueError, RecursionError):
        return
    mementos = value.get("mementos") if isinstance(value, dict) else None
    entries: Any = mementos.get("list") if isinstance(mementos, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, Mapping):
            continue
        address, moment = entry.get("uri"), _moment(str(entry.get("datetime", "")))
        if isinstance(address, str) and moment is not None:
            yield address, moment


def _moment(text: str) -> datetime | None:
    """Read an HTTP date or ISO 8601; None for anything else."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return within_reach(read(text))
        except (ValueError, OverflowError):
            continue
    return None


async def play_elsewhere(capture: Capture, fetch: Fetch) -> PlaybackAnswer:
    """Play a memento of another archive by the same rules; `fetch` is one guarded GET.

    A memento must say what it is of (`Link: rel="original"`), or it is believed to be of
    nothing: the address of a stranger's archive proves no original.
    """
    address = capture.archive_url
    hops: tuple[ArchivedHop, ...] = ()
    for _ in range(MAX_HOPS + 3):
        raw = await fetch(address)
        moment = memento_datetime(raw.headers)
        location = join(address, raw.headers.get("location", ""))
        moved = raw.status is not None and 300 <= raw.status < 400 and is_http(location)
        if moment is None and not moved:
            return _no_memento(capture.archive_url, raw)
        if not moved:
            return read_memento(raw, capture.archive_url, address, "", hops)
        if moment is not None:
            original = read_memento(raw, capture.archive_url, address, "", hops).original or ""
            hops = (*hops, ArchivedHop(raw.status or 0, original, moment))
        if host_of(location) != host_of(address) or len(hops) > MAX_HOPS:
            return PlaybackAnswer(Playback.TROUBLE, capture.archive_url, detail="led-astray")
        address = location
    return PlaybackAnswer(Playback.TROUBLE, capture.archive_url, detail="redirect-loop")


def _no_memento(asked: str, raw: RawAnswer) -> PlaybackAnswer:
    if raw.status == 404:
        return PlaybackAnswer(Playback.MISSING, asked, detail="missing")
    if raw.status == 429:
        return PlaybackAnswer(Playback.THROTTLED, asked, detail="http-429")
    detail = raw.failure or f"http-{raw.status}"
    return PlaybackAnswer(Playback.TROUBLE, asked, detail=detail)
