"""The links that are measured, and a database that knows them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from web import Resolver, title_of

from archiver.clock import to_stamp
from archiver.config import Loaded, Settings
from archiver.model import Citation, Event
from archiver.service.desk import Desk
from archiver.store import ScannedFile, Store
from archiver.urls import Address, read_address

HOSTS = 800
_SLUG = (
    "senate harbour letters budget inquiry hearing contract minister river railway archive "
    "company tribunal election witness treaty convoy ledger subsidy merger verdict appeal"
).split()


def some_links(count: int) -> list[str]:
    """Return distinct links over 800 hosts; as in the corpus the largest has about 7 %."""
    source = random.Random(count)
    weights = [max(1.0, 234 / (rank + 1) ** 0.85) for rank in range(HOSTS)]
    hosts = source.choices(range(HOSTS), weights, k=count)
    return [
        f"http://host{host}.example/{'-'.join(source.choices(_SLUG, k=5))}-{number}"
        for number, host in enumerate(hosts)
    ]


def settings(**sections: dict[str, object]) -> Settings:
    """Return settings for loopback: no delays, many in flight, no archive."""
    given: dict[str, dict[str, object]] = {
        "check": {"host_delay": timedelta(0), "concurrency": 100, "contact": "bench@example.org"},
        "network": {"allow_private": ["127.0.0.0/8"]},
        "archive": {"mode": "off"},
    }
    for name, values in sections.items():
        given.setdefault(name, {}).update(values)
    return Settings.model_validate(given)


def desk(store: Store, ports: dict[int, int], folder: Path, chosen: Settings) -> Desk:
    """Return a desk whose names lead to the web on loopback."""
    loaded = Loaded(chosen, None, False, folder, folder)
    return Desk(loaded, store, resolver=Resolver(ports), holder="bench")


def _files(links: list[str]) -> Iterator[ScannedFile]:
    """Cite every link, three to a file, as the corpus does."""
    for start in range(0, len(links), 3):
        path = f"events/{start}.md"
        event = Event(path, 1, f"event-{start}", "2016-11-30", "An event", 5)
        citations = []
        for position, url in enumerate(links[start : start + 3], 1):
            address = read_address(url)
            assert isinstance(address, Address)
            title = title_of("/" + url.split("/", 3)[3])
            citations.append(
                Citation(
                    *(path, 10 + position, position, "sources", event, url),
                    *(address.canonical, address.wire, address.host, title, "The Small Paper"),
                    *(1, "2016-11-30"),
                )
            )
        yield ScannedFile(path, (1, 1, start), [event], citations, [])


def make_database(path: Path, links: list[str], others: int = 0) -> None:
    """Make a database in which `links` are due and `others` are known, fine, and not due."""
    store = Store.open(path)
    now = datetime.now(UTC) - timedelta(minutes=1)
    if others:
        _fill(store, others, now)
    store.citations.replace_files(_files(links), now)
    store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()


def _fill(store: Store, others: int, now: datetime) -> None:
    """Add links that were looked at twice, over 40,000 hosts, in one transaction."""
    due = [to_stamp(now + timedelta(hours=6 + number)) for number in range(7 * 24)]
    good = '{"title":"A title","fingerprint":"0123456789abcdef","text_length":5000}'
    seen = '{"observation":{"page":{"text_length":5000}},"context":{"cited_titles":["A title"]}}'
    links = (
        (
            *(number, url := f"http://other{number % 40_000}.example/a-page-{number}", url),
            *(f"other{number % 40_000}.example", due[number * 31 % len(due)], good),
        )
        for number in range(1, others + 1)
    )
    with store.atomic():
        store.database.execute_many(
            "INSERT INTO links (id, url, wire, host, cited, first_seen_at, verdict, reason,"
            " next_look_at, first_good, last_good) VALUES"
            " (?1, ?2, ?3, ?4, 1, '2026-01-01T00:00:00Z', 'ok', 'ok', ?5, ?6, ?6)",
            links,
        )
        store.database.execute_many(
            "INSERT INTO citations (path, line, position, source_key, event_line, cited_url,"
            " source_title, link_id, first_seen_at) SELECT 'events/other-' || id || '.md', 5, 1,"
            " 'sources', 1, url, 'A title', id, first_seen_at FROM links WHERE id > ?",
            [(0,)],
        )
        for _ in range(2):
            store.database.execute_many(
                "INSERT INTO looks (link_id, looked_at, vantage, status, final_url, verdict,"
                " reason, facts) SELECT id, '2026-01-01T00:00:00Z', 'here', 200, url, 'ok', 'ok',"
                " ? FROM links",
                [(seen,)],
            )
