"""Small citations, files and looks for tests of the store."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath

from archiver.model import (
    Belief,
    Citation,
    Event,
    Finding,
    Observation,
    PageFacts,
    Strength,
    Verdict,
)
from archiver.store import KnownLink, RecordedLook, ScannedFile
from archiver.urls import Address, read_address


def event(path: str = "events/a.md", event_id: str | None = "a") -> Event:
    return Event(path, 1, event_id, "2016-11-30", "An event", 8)


def citation(
    url: str, path: str = "events/a.md", position: int = 1, archive_url: str | None = None
) -> Citation:
    address = read_address(url)
    usable = isinstance(address, Address)
    return Citation(
        path=path,
        line=position + 5,
        position=position,
        source_key="sources",
        event=event(path, PurePosixPath(path).stem),
        cited_url=url,
        link=address.canonical if isinstance(address, Address) else None,
        wire=address.wire if isinstance(address, Address) else None,
        host=address.host if usable and isinstance(address, Address) else None,
        title="A title long enough to count",
        publisher="A paper",
        tier=1,
        date="2016-11-30",
        archive_url=archive_url,
    )


def scanned(*urls: str, path: str = "events/a.md", size: int = 1) -> ScannedFile:
    citations = [citation(url, path, place) for place, url in enumerate(urls, start=1)]
    events = [event(path, PurePosixPath(path).stem)]
    return ScannedFile(path, (size, 2, 3), events, citations, [])


def look(link: KnownLink, at: datetime, verdict: Verdict, reason: str) -> RecordedLook:
    strength = Strength.STRONG if verdict is Verdict.FAILING else Strength.NONE
    finding = Finding(verdict, reason, strength)
    observation = Observation(
        url=link.wire,
        looked_at=at,
        status=200,
        final_url=link.wire,
        page=PageFacts(title="A title"),
        content_type="text/html",
    )
    belief = Belief(verdict=verdict, reason=reason, since=at, last_look_at=at, next_look_at=at)
    return RecordedLook(link, observation, finding, belief, {"strength": strength.value})
