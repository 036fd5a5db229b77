"""Finds the event files: one stat per file, in a stable order."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from archiver.errors import ConfigurationError
from archiver.model import Problem
from archiver.text import shown

MAX_KEY = 4096


class FileStamp(NamedTuple):
    """What tells an unchanged file: size in bytes, mtime in nanoseconds, inode."""

    size: int
    mtime_ns: int
    inode: int


class FoundFile(NamedTuple):
    """A file that the patterns name.

    `path` is the key it has everywhere: the folder as written, "/", the relative path, made
    fit to be shown and stored. `location` is where to open it. With a `problem` there is nothing
    to open and no stamp.
    """

    path: str
    location: str
    stamp: FileStamp | None = None
    problem: Problem | None = None


def find_files(roots: Sequence[tuple[str, Path]], include: Sequence[str]) -> Iterator[FoundFile]:
    """Yield the files under `roots` (as written, where it is) that match a pattern of `include`.

    Sorted by path, hidden names left out, links to folders not followed, no file twice however
    its root is written. A root may be a file, which needs no pattern. Raises ConfigurationError
    when a root cannot be read.
    """
    matches = _matcher(tuple(include))
    seen: set[str] = set()
    read: set[str] = set()
    for written, root in roots:
        here: set[str] = set()
        for found in _under_root(written.rstrip("/") or "/", root, matches):
            if found.location in read:
                continue  # one root lies inside another, or is it, written in another way
            here.add(found.location)
            single = _renamed(found, seen) if found.path in seen else found
            seen.add(single.path)
            yield single
        read |= here


def _renamed(found: FoundFile, seen: set[str]) -> FoundFile:
    """Give a file another key: two hostile names may look alike once they are fit to be shown."""
    number = 2
    while (key := f"{found.path}~{number}") in seen:
        number += 1
    problem = found.problem and replace(found.problem, path=key)
    return found._replace(path=key, problem=problem)


def _under_root(written: str, root: Path, matches: re.Pattern[str]) -> Iterator[FoundFile]:
    try:
        status = os.stat(root)
        inside = os.path.realpath(root)
        if not stat.S_ISDIR(status.st_mode):
            yield _judged(shown(written, MAX_KEY), inside, status)
            return
        os.scandir(root).close()
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise ConfigurationError(
            f"The events path {shown(written)} cannot be read: {shown(reason)}.",
            "Correct events.paths, or the folder's permissions.",
        ) from None
    yield from _walk(written, inside, matches)


def _walk(written: str, root: str, matches: re.Pattern[str]) -> Iterator[FoundFile]:
    # An own stack: a hostile tree may be deeper than Python's.
    base = written.rstrip("/") + "/"
    waiting = _listing(base, root, "")
    while waiting:
        item = waiting.pop()
        if isinstance(item, FoundFile):
            yield item
            continue
        relative, entry = item
        if entry.is_dir(follow_symlinks=False):
            waiting += _listing(base, entry.path, relative + "/")
        elif matches.fullmatch(relative):
            found = _found(base + relative, root, entry)
            if found is not None:
                yield found


def in_utf8(name: str) -> str:
    """Return a file's name as UTF-8 has it: its key is the same under every locale."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "surrogateescape")


_Listed = list[FoundFile | tuple[str, os.DirEntry[str]]]


def _listing(base: str, folder: str, prefix: str) -> _Listed:
    """Return what stands in a folder, last name first, or why it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            listed = [
                (prefix + in_utf8(entry.name), entry) for entry in entries if entry.name[0] != "."
            ]
    except FileNotFoundError:
        return []  # gone since its parent was listed
    except OSError as fault:
        key = shown((base + prefix).rstrip("/"), MAX_KEY)
        return [_refused(key, folder, f"The folder cannot be read ({fault.strerror})")]
    listed.sort(key=lambda item: item[0], reverse=True)
    return [*listed]


def _found(key: str, root: str, entry: os.DirEntry[str]) -> FoundFile | None:
    if not (key.isascii() and key.isprintable() and len(key) <= MAX_KEY):
        key = shown(key, MAX_KEY)
    try:
        if not entry.is_symlink():
            return _judged(key, entry.path, entry.stat(follow_symlinks=False))
        location = os.path.realpath(entry.path)
        status = os.stat(location)
    except FileNotFoundError:
        broken = entry.is_symlink()
        return _refused(key, entry.path, "The link leads nowhere") if broken else None
    except OSError as fault:
        return _refused(key, entry.path, f"The file cannot be read ({fault.strerror})")
    if stat.S_ISDIR(status.st_mode):
        return None
    if not location.startswith(root.rstrip("/") + "/"):
        return _refused(key, entry.path, "The link leads out of the events folder")
    return _judged(key, location, status)


def _judged(key: str, location: str, status: os.stat_result) -> FoundFile:
    if not stat.S_ISREG(status.st_mode):
        return _refused(key, location, "This is no regular file (a pipe, socket or device)")
    stamp = FileStamp(status.st_size, status.st_mtime_ns, status.st_ino)
    return FoundFile(key, location, stamp)


def _refused(key: str, location: str, what: str) -> FoundFile:
    message = f"{what}; remove it, or put a readable file in its place."
    problem = Problem(key, 1, None, "unreadable-file", message)
    return FoundFile(key, location, None, problem)


@lru_cache(maxsize=16)
def _matcher(include: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{_translated(pattern)})" for pattern in include) or r"(?!)")


_GLOB_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)


def _translated(pattern: str) -> str:
    """Translate a glob to a regular expression: `**/` any folders, `*` and `?` within one."""
    parts = []
    for token in _GLOB_TOKEN.findall(pattern.removeprefix("./")):
        if token == "**/":
            parts.append("(?:[^/]+/)*")
        elif token == "**":
            parts.append(".*")
        elif token == "*":
            parts.append("[^/]*")
        elif token == "?":
            parts.append("[^/]")
        elif len(token) > 2 and token.startswith("["):
            inner = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
            parts.append(f"[^/{inner[1:]}]" if inner.startswith("!") else f"[{inner}]")
        else:
            parts.append(re.escape(token))
    return "(?s:" + "".join(parts) + ")"
