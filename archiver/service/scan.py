"""Scanning: what the event files cite now, into the store. The files are only read."""

from __future__ import annotations

import asyncio
from dataclasses import field

from archiver import __version__
from archiver.events.find import FileStamp, FoundFile, find_files
from archiver.events.read import cross_file_problems, read_file
from archiver.records import record
from archiver.service.desk import Desk, log
from archiver.store import Removals, ScannedFile

# Files of one transaction; between two of them the event loop gets its turn.
_BATCH = 50
# By which version and under which source keys the files in the store were read.
READING_STATE = "reading"
_NO_STAMP = FileStamp(-1, -1, -1)


@record
class Scan:
    """What a scan found: files seen, files read anew, and what was taken out or held back."""

    files: int
    read: int
    citations: int
    links: int
    problems: int
    removals: Removals = field(default_factory=Removals)


async def scan(desk: Desk, *, accept_removals: bool = False) -> Scan:
    """Bring the store up to date with the events folders; an unchanged file costs a stat.

    Raises ConfigurationError when a folder cannot be read, never for one bad file.
    """
    known = _known_files(desk)
    found_paths: set[str] = set()
    closed: list[str] = []
    read = 0
    changed: list[FoundFile] = []
    include = desk.settings.events.include
    for found in find_files(desk.loaded.event_folders, include):
        found_paths.add(found.path)
        if found.problem is not None:
            closed.append(f"{found.path}/")
        stamp = found.stamp or _NO_STAMP
        if known.get(found.path) != (stamp.size, stamp.mtime_ns, stamp.inode):
            changed.append(found)
        if len(changed) >= _BATCH:
            read += _read(desk, changed)
            changed = []
            await asyncio.sleep(0)
    read += _read(desk, changed)
    if read:
        desk.store.journal.set_state(READING_STATE, _reading(desk))
    # What is under a folder that cannot be read has not gone: nobody has looked.
    found_paths |= {path for path in known if path.startswith(tuple(closed))}
    return _settle(desk, known.keys() - found_paths, frozenset(found_paths), read, accept_removals)


def _known_files(desk: Desk) -> dict[str, tuple[int, int, int]]:
    """Return the stamp of every file as last read; read in another way, it counts as changed."""
    known = desk.store.citations.known_files()
    if desk.store.journal.state(READING_STATE) == _reading(desk):
        return known
    return dict.fromkeys(known, _NO_STAMP)


def _reading(desk: Desk) -> list[str]:
    return [__version__, *desk.settings.events.source_keys]


def _read(desk: Desk, changed: list[FoundFile]) -> int:
    keys = desk.settings.events.source_keys
    files = []
    for found in changed:
        file = read_file(found, keys)
        # Permissions leave no trace in a stamp: what could not be read is tried again.
        unreadable = any(problem.name == "unreadable-file" for problem in file.problems)
        stamp = _NO_STAMP if unreadable or found.stamp is None else found.stamp
        files.append(
            ScannedFile(
                file.path,
                (stamp.size, stamp.mtime_ns, stamp.inode),
                file.events,
                file.citations,
                file.problems,
            )
        )
    if files:
        desk.store.citations.replace_files(files, desk.clock.now())
    return len(files)


def _settle(desk: Desk, missing: set[str], found: frozenset[str], read: int, accept: bool) -> Scan:
    citations, queries = desk.store.citations, desk.store.queries
    now = desk.clock.now()
    with desk.store.atomic():
        citations.mark_missing_files(missing, now)
        removals = citations.settle_removals(found, now, accept=accept)
        if read or missing:
            # An event that is held back may only have moved: it has its id from itself.
            events = (event for event in citations.events() if event.path in found)
            citations.replace_cross_file_problems(cross_file_problems(events))
    if removals.held_back:
        log.warning(
            "%d citations are gone from the event files at once; kept for now, in case a git"
            " pull is in progress. They leave after a scan in 10 minutes agrees, or at once"
            " with `archiver run --accept-removals`",
            removals.held_back,
        )
    result = Scan(
        files=len(found),
        read=read,
        citations=queries.citation_count(),
        links=queries.link_count(),
        problems=queries.problem_count(),
        removals=removals,
    )
    if read or removals.removed:
        log.info(
            "scan: %d files, %d read, %d citations, %d links, %d removed",
            *(result.files, read, result.citations, result.links, removals.removed),
        )
    return result
