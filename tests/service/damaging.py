"""A database worth losing, and ways to damage a copy of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from archiver.model import Verdict
from archiver.store import Store
from tests.store.making import look, scanned

PAGE = 4096
URLS = [
    f"http://127.0.0.9:9/news/minutes-of-the-harbour-board-{number:03}" for number in range(120)
]
# Not so long ago that anything would be due or pruned.
LOOKED_AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def make_database(path: Path) -> None:
    """Write a database with citations and looks, its write-ahead log written back."""
    store = Store.open(path)
    files = [scanned(*URLS[start : start + 20], path=f"events/{start}.md") for start in (0, 20, 40)]
    store.citations.replace_files([*files, scanned(*URLS[60:], path="events/60.md")], LOOKED_AT)
    for _ in range(3):
        known = store.looks.known(list(store.queries.all_links()))
        store.looks.record([look(one, LOOKED_AT, Verdict.OK, "ok") for one in known], None)
    store.looks.postpone(store.queries.all_links(), LOOKED_AT + timedelta(days=7))
    store.close()


def garbage_everywhere(path: Path) -> None:
    """Overwrite every third page, but for the first."""
    _overwrite(path, lambda pages: range(2, pages, 3))


def garbage_in_the_looks(path: Path) -> None:
    """Overwrite pages of one table only: much can still be read, and written."""
    # Leaves of a table begin with 13 (sqlite.org/fileformat2.html §1.6); only looks have a type.
    looks = [place for place, page in _pages(path) if page[0] == 13 and b"text/html" in page]
    assert len(looks) > 5
    _overwrite(path, lambda _: looks)


def garbage_in_an_index(path: Path) -> None:
    """Overwrite the leaves of indexes over addresses: every row is still there."""
    leaves = [place for place, page in _pages(path) if page[0] == 10 and b"harbour-board" in page]
    assert leaves
    _overwrite(path, lambda _: leaves)


def no_schema(path: Path) -> None:
    """Overwrite the first page behind its header."""
    with path.open("r+b") as file:
        file.seek(100)
        file.write(random.Random(2).randbytes(PAGE - 100))


def no_database(path: Path) -> None:
    """Put something else in its place."""
    path.write_bytes(b"These are the minutes of the harbour board, and no tables at all.\n" * 500)


def truncated(path: Path) -> None:
    """Cut it in the middle of a page."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 100])


def only_a_piece(path: Path) -> None:
    """Leave less than a header."""
    path.write_bytes(path.read_bytes()[:60])


def _pages(path: Path) -> Iterator[tuple[int, bytes]]:
    data = path.read_bytes()
    for start in range(0, len(data), PAGE):
        yield start // PAGE, data[start : start + PAGE]


def _overwrite(path: Path, chosen: Callable[[int], Iterable[int]]) -> None:
    noise = random.Random(1)
    with path.open("r+b") as file:
        for page in chosen(path.stat().st_size // PAGE):
            file.seek(page * PAGE)
            file.write(noise.randbytes(PAGE))


DAMAGES: Mapping[str, Callable[[Path], None]] = {
    each.__name__: each
    for each in (garbage_everywhere, no_schema, no_database, truncated, only_a_piece)
}
