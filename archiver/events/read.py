"""Reads one event file: never trusting it, never raising for it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Sequence

from archiver.events.find import FoundFile
from archiver.events.front_matter import read_front_matter
from archiver.events.json_tree import read_json
from archiver.events.shape import shape
from archiver.events.tree import Document
from archiver.events.yaml_tree import read_yaml
from archiver.model import Citation, Event, Problem
from archiver.records import record
from archiver.text import shown

MAX_FILE = 256 * 1024


@record
class ReadFile:
    """What one event file says, and what is wrong with it."""

    path: str
    events: tuple[Event, ...] = ()
    citations: tuple[Citation, ...] = ()
    problems: tuple[Problem, ...] = ()


@record
class _Format:
    """How files of one suffix are read; `many`: a list of events is allowed."""

    read: Callable[[str, str], Document]
    many: bool


_MARKDOWN = _Format(read_front_matter, many=False)
_FORMATS = {
    ".yaml": _Format(read_yaml, many=True),
    ".yml": _Format(read_yaml, many=True),
    ".json": _Format(read_json, many=True),
}


def read_file(found: FoundFile, source_keys: Sequence[str]) -> ReadFile:
    """Read the events of a file; whatever is wrong with the file is among its problems."""
    if found.problem is not None:
        return ReadFile(found.path, problems=(found.problem,))
    text = _read_text(found)
    if isinstance(text, Problem):
        return ReadFile(found.path, problems=(text,))
    return read_text(found.path, text, source_keys)


def read_text(path: str, text: str, source_keys: Sequence[str]) -> ReadFile:
    """Read the events of a file's text; `path` is its key, its suffix tells the format."""
    form = _FORMATS.get(os.path.splitext(path)[1].lower(), _MARKDOWN)
    if "\n" not in text:
        text = text.replace("\r", "\n")  # an old Macintosh file: its editor counts these
    shaped = shape(path, form.read(path, text), source_keys, many=form.many)
    return ReadFile(path, shaped.events, shaped.citations, shaped.problems)


def cross_file_problems(events: Iterable[Event]) -> list[Problem]:
    """Return `duplicate-event-id` for every event but the first (by path) that bears an id."""
    first: dict[str, Event] = {}
    problems = []
    for event in sorted(events, key=lambda event: (event.path, event.line)):
        if event.event_id is None:
            continue
        other = first.setdefault(event.event_id, event)
        if other is not event:
            where = f"{shown(other.path, 120)}:{other.line}"
            message = f"The id {shown(event.event_id, 90)} is that of {where}; give it another."
            problems.append(Problem(event.path, event.line, None, "duplicate-event-id", message))
    return problems


def _read_text(found: FoundFile) -> str | Problem:
    try:
        raw = _read_bytes(found)
    except OSError as fault:
        what = "It became a link" if fault.errno == errno.ELOOP else shown(fault.strerror)
        return _unreadable(found, 1, f"The file cannot be read ({what}); mend or remove it.")
    if raw is None:
        return _unreadable(found, 1, "This is no regular file (a pipe or device); remove it.")
    if len(raw) > MAX_FILE:
        message = f"The file is larger than {MAX_FILE // 1024} KiB and is not read; split it."
        return Problem(found.path, 1, None, "too-large", message)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = 1 + raw.count(b"\n", 0, fault.start)
        return _unreadable(found, line, "The file is not UTF-8 text; save it as UTF-8.")


def _unreadable(found: FoundFile, line: int, message: str) -> Problem:
    return Problem(found.path, line, None, "unreadable-file", message)


def _read_bytes(found: FoundFile) -> bytes | None:
    """Return at most one byte more than the limit, or None when the file is no regular one.

    It may have been swapped since it was found: a pipe must not hang us, a link not lead us out.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(found.location, flags)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(MAX_FILE + 1)
