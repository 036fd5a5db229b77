"""The timeline to read: the shared corpus where it lies beside the repository, else a made one."""

from __future__ import annotations

import os
from pathlib import Path

from links import some_links
from web import title_of

_EVENT = """---
id: event-{number}
date: '2016-11-{day:02}'
title: An event of the made corpus, number {number}
importance: 7
tags:
- made
- corpus
sources:
{sources}---

What happened is told here in a few sentences, as in the corpus. The text below the front matter
is read and not parsed. It is about as long as this.
"""
_SOURCE = """- title: '{title}'
  url: {url}
  publisher: The Small Paper
  date: '2016-11-30'
  tier: 1
"""


def shared_corpus() -> Path | None:
    """Return the folder of the shared corpus, None when it is not there."""
    shared = os.environ.get("ARCHIVER_SHARED")
    base = Path(shared) if shared else Path(__file__).resolve().parents[1] / ".." / "shared"
    folder = (base / "corpus" / "timeline").resolve()
    return folder if folder.is_dir() else None


def make_corpus(folder: Path, links: int = 3258, *, scheme: str = "https") -> Path:
    """Write event files that cite so many links, three to a file; the corpus has 3,258."""
    folder.mkdir()
    cited = [url.replace("http", scheme, 1) for url in some_links(links)]
    for number, start in enumerate(range(0, links, 3)):
        sources = "".join(
            _SOURCE.format(url=url, title=title_of("/" + url.split("/", 3)[3]))
            for url in cited[start : start + 3]
        )
        text = _EVENT.format(number=number, day=number % 28 + 1, sources=sources)
        (folder / f"2016-11-30--event-{number}.md").write_text(text, encoding="utf-8")
    return folder
