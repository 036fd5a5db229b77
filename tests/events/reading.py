"""Short ways for the tests to write event files and read them back."""

from __future__ import annotations

import os
from pathlib import Path

from archiver.events.find import FoundFile, find_files
from archiver.events.read import ReadFile, read_file, read_text

KEYS = ("sources", "citations")
INCLUDE = ("**/*.md", "**/*.yaml", "**/*.yml", "**/*.json")
# A source without anything to complain about.
GOOD = {"url": "https://example.org/a", "title": "A title", "date": "2016-11-30"}


def markdown(front_matter: str) -> ReadFile:
    """Read a Markdown event with this front matter (its first line is line 2)."""
    return read_text("events/a.md", f"---\n{front_matter}---\n\nProse.\n", KEYS)


def source(**fields: str) -> ReadFile:
    """Read a Markdown event with one good source, changed by `fields` (written as they are)."""
    lines = "".join(f"  {key}: {value}\n" for key, value in {**GOOD, **fields}.items())
    return markdown("id: x\nsources:\n-\n" + lines)


def names(file: ReadFile) -> list[str]:
    """Return the names of a file's problems, without the notes that every bare source gets."""
    return [
        problem.name
        for problem in file.problems
        if problem.name not in ("missing-title", "missing-date")
    ]


def found_under(root: Path, written: str = "events") -> list[FoundFile]:
    """Return the event files under a folder."""
    return list(find_files([(written, root)], INCLUDE))


def read_under(root: Path) -> dict[str, ReadFile]:
    """Read all event files under a folder, by key."""
    return {found.path: read_file(found, KEYS) for found in found_under(root)}


def shared_corpus() -> Path | None:
    """Return the folder of the shared corpus, None where there is none."""
    named = os.environ.get("ARCHIVER_SHARED")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / ".." / "shared"
    timeline = root / "corpus" / "timeline"
    return timeline if timeline.is_dir() else None
