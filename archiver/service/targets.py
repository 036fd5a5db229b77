"""What a person names on the command line, as links: URLs, files, events.

Unknown names are refused before anything is sent (contract §1, "Targets").
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from archiver.errors import UsageError
from archiver.events.find import MAX_KEY, find_files, in_utf8
from archiver.events.read import read_file
from archiver.service.desk import Desk
from archiver.text import shown
from archiver.urls import Address, read_address

_LOOKS_LIKE_GLOB = "*?["


def resolve_targets(desk: Desk, targets: Sequence[str]) -> list[int]:
    """Return the ids of the links that targets name, each once, in the order named.

    A URL nobody cites becomes a link without citation. Raises UsageError (exit 2) naming the
    first unknown target.
    """
    found: dict[int, None] = {}
    for target in targets:
        found.update(dict.fromkeys(_resolve(desk, target)))
    return list(found)


def _resolve(desk: Desk, target: str) -> Iterable[int]:
    if target.lower().startswith(("http://", "https://")):
        return [link_for(desk, target)]
    # `os.path` says of "", and of what is too long for a name, that it does not exist.
    paths = [Path(target)] if os.path.exists(target) else []
    if not paths and any(mark in target for mark in _LOOKS_LIKE_GLOB):
        paths = [Path(path) for path in sorted(glob.glob(target, recursive=True))]
    if paths:
        return [link_id for path in paths for link_id in _links_of_path(desk, path)]
    cited = desk.store.queries.links_of_event(_as_text(target))
    if cited is None:
        raise UsageError(
            f"There is no URL, file or event {shown(target)}.",
            "Name an http(s) URL, a file, or the id of an event in the events folder.",
        )
    return cited


def _as_text(argument: str) -> str:
    """Return an argument as UTF-8, whatever the locale: what is none becomes U+FFFD.

    Python hands bytes that are no text of the locale on as lone surrogates (PEP 383).
    """
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def link_for(desk: Desk, url: str) -> int:
    """Return the id of the link of a URL, made known without a citation if need be."""
    address = read_address(_as_text(url))
    if not isinstance(address, Address):
        hint = f"Did you mean {address.proposal}?" if address.proposal else "Correct the URL."
        raise UsageError(f"{shown(url)} cannot be looked at: {shown(address.message)}", hint)
    return desk.store.citations.uncited_link(address, desk.clock.now())


def known_link(desk: Desk, url: str) -> int | None:
    """Return the id of the link of a URL if the database knows it."""
    address = read_address(_as_text(url))
    if not isinstance(address, Address):
        return None
    row = desk.store.queries.link_by_url(address.canonical)
    return None if row is None else int(row["id"])


def _links_of_path(desk: Desk, path: Path) -> list[int]:
    """Return the links a file or folder cites: as stored when it is one of ours, else as read."""
    real = path.resolve()
    for written, root in desk.loaded.event_folders:
        base = root.resolve()
        if real == base or base in real.parents:
            relative = in_utf8(real.relative_to(base).as_posix())
            key = written.rstrip("/") if relative == "." else f"{written.rstrip('/')}/{relative}"
            return desk.store.queries.links_of_path(shown(key, MAX_KEY))
    settings = desk.settings.events
    files = find_files([(str(path), real)], settings.include)
    return [
        link_for(desk, citation.cited_url)
        for file in files
        for citation in read_file(file, settings.source_keys).citations
        if citation.link is not None
    ]
