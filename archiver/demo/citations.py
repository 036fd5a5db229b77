"""Event files that cite the small web: what the rehearsal reads instead of somebody's timeline.

Markdown, JSON and YAML, with the habits real timelines have: several names for the publisher,
quoted and partial dates, claims of archived copies that are true, invented or of another page,
and a few citations that no program could follow.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from archiver.demo.sites import Site, crawl_time, slug
from archiver.records import record

Entry: TypeAlias = dict[str, Any]
_PER_EVENT = 4
_PUBLISHER_KEYS = ("publisher", "outlet", "publication")


@record
class _Claim:
    """An `archive_url` as a maintainer may have written it: for a host, and how it comes out."""

    host: str
    write: Callable[[Site, datetime], str]
    note: str


def _capture_of(crawl: int) -> Callable[[Site, datetime], str]:
    """Claim the capture that one of the row's crawls made (see `MisbehavingWeb.crawls`)."""

    def write(site: Site, start: datetime) -> str:
        at = crawl_time(site.crawled[crawl], start)
        return f"https://web.archive.org/web/{at:%Y%m%d%H%M%S}/{site.url}"

    return write


CLAIMS = (
    _Claim("gone-404.example", _capture_of(0), "true"),
    _Claim("home-redirect.example", _capture_of(-1), "true"),
    _Claim("soft-404.example", _capture_of(1), "a capture of the not-found page"),
    _Claim(
        "alive.example",
        lambda site, _start: f"https://web.archive.org/web/20170101000000/{site.url}",
        "an invented timestamp",
    ),
    _Claim(
        "soft-404-german.example",
        lambda site, _start: f"https://web.archive.org/web/*/{site.url}",
        "a wildcard",
    ),
    _Claim(
        "dies-on-day-10.example",
        lambda _site, start: (
            f"https://web.archive.org/web/{start:%Y}0101120000/http://alive.example/"
        ),
        "a capture of another page",
    ),
    _Claim("gone-410.example", lambda _site, _start: "https://archive.ph/aB3dE", "another archive"),
)

# Entries that cannot be looked at, or that a person should mend; one event holds them all.
_TROUBLED: Sequence[Entry] = (
    {"url": "", "title": "A source without an address", "date": "2019-02-03"},
    {"url": "TBD", "title": "To be found in the reading room", "date": "2019-02-03"},
    {"url": "mailto:archive@alive.example", "title": "A letter", "date": "2019-02"},
    {"url": "http://reader:secret@alive.example/news/", "title": "Members only", "date": "2019"},
    {"url": "www.alive.example/news", "title": "An address without a scheme", "date": "2019"},
    {"url": "http://alive.example/a page with spaces", "title": "Spaces", "date": "2019-13-41"},
    {"title": "A book, not a page", "publisher": "Quayside Press", "date": "1998"},
)


def write_events(folder: Path, sites: Sequence[Site], start: datetime) -> list[Path]:
    """Write event files citing every row of `sites` into a folder; return their paths.

    `start` is the first day of the rehearsal: publication dates and claims count from it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    entries = [_entry(number, site, start) for number, site in enumerate(sites)]
    for number, first in enumerate(range(0, len(entries), _PER_EVENT)):
        chosen = entries[first : first + _PER_EVENT]
        paths.append(_write_event(folder, number, chosen, start))
    paths.append(_write(folder / "troubled.md", _markdown(_event("troubled", start, _TROUBLED))))
    twice = [entries[0], entries[0]]
    paths.append(_write(folder / "cited-twice.md", _markdown(_event("twice", start, twice))))
    bare = "citations:\n" + "".join(f"  - {site.url}\n" for site in sites[:2])
    paths.append(_write(folder / "bare.yaml", f"id: bare\ndate: {start:%Y}\ntitle: Bare\n{bare}"))
    paths.append(_write(folder / "unfinished.md", "---\nid: unfinished\nsources:\n  - url: [\n"))
    return paths


def _entry(number: int, site: Site, start: datetime) -> Entry:
    published = (start - timedelta(days=500 + 17 * number)).date()
    entry: Entry = {
        "url": site.url,
        "title": site.title,
        _PUBLISHER_KEYS[number % 3]: site.publisher,
        "date": _spelling(number, published),
        "tier": 1 + number % 3,
    }
    if number % 4 == 0:
        entry["access_date"] = (published + timedelta(days=30)).isoformat()
    for claim in CLAIMS:
        if claim.host == site.host:
            entry["archive_url"] = claim.write(site, start)
    return entry


def _spelling(number: int, day: date) -> str:
    return f"{day:%Y-%m}" if number % 11 == 5 else f"{day:%Y}" if number % 13 == 7 else str(day)


def _event(name: str, start: datetime, sources: Sequence[Entry]) -> Entry:
    return {
        "id": name,
        "date": f"{start - timedelta(days=500):%Y-%m-%d}",
        "title": f"What the papers said: {name}",
        "importance": 5,
        "sources": list(sources),
    }


def _write_event(folder: Path, number: int, entries: Sequence[Entry], start: datetime) -> Path:
    name = f"{number:02}--{slug(str(entries[0]['title']))[:40].strip('-') or 'untitled'}"
    event = _event(name, start, entries)
    event["importance"] = 1 + number % 10
    if number % 7 == 3:
        second = _event(f"{name}-again", start, [])
        return _write(folder / f"{name}.json", json.dumps([event, second], indent=2))
    if number % 7 == 5:
        text = json.dumps(event, indent=2, ensure_ascii=False)
        return _write(folder / f"{name}.json", text)
    if number % 7 == 6:
        return _write(folder / f"{name}.yaml", "\n".join(_lines(event)) + "\n")
    return _write(folder / f"{name}.md", _markdown(event))


def _markdown(event: Entry) -> str:
    return "\n".join(["---", *_lines(event), "---", "", "Written for the rehearsal.", ""])


def _lines(event: Entry) -> Iterator[str]:
    """Write an event as YAML, strings in double quotes where JSON and YAML agree."""
    for key, value in event.items():
        if key != "sources":
            yield f"{key}: {_scalar(key, value)}"
    yield "sources:"
    for source in event["sources"]:
        for place, (key, value) in enumerate(source.items()):
            yield f"  {'-' if place == 0 else ' '} {key}: {_scalar(key, value)}"


def _scalar(key: str, value: object) -> str:
    """Leave whole dates unquoted, as people do; quote everything else."""
    text = str(value)
    plain = isinstance(value, int) or (key == "date" and len(text) == 10)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
