"""Scanning the timeline: first and unchanged, beside a bare stat walk and bare C parsing.

    python benchmarks/bench_scan.py [--rounds N]

*stat walk*: `os.scandir` over the folder with one `stat` per file, nothing compared.
*C parsing*: every file read, its front matter cut out and given to `yaml.CSafeLoader`; no line
numbers, no limits, nothing checked, nothing stored.
*first scan*: into a new database; *rescan*: nothing has changed since (`service.scan.scan`).
Ratios are the work of archiver divided by the bare one, paired within each round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from corpus import make_corpus, shared_corpus
from links import desk, settings
from web import pin

from archiver.service.scan import Scan, scan
from archiver.store import Store


def stat_walk(folder: Path) -> int:
    """Stat every file below a folder."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                total += stat_walk(Path(entry.path))
            else:
                entry.stat(follow_symlinks=False)
                total += 1
    return total


def parse_all(folder: Path) -> int:
    """Parse the front matter of every file with libyaml; count what could be read."""
    read = 0
    for path in folder.iterdir():
        parts = path.read_text(encoding="utf-8").split("---\n", 2)
        try:
            yaml.load(parts[1] if len(parts) == 3 else "", Loader=yaml.CSafeLoader)
            read += 1
        except (yaml.YAMLError, ValueError):
            pass
    return read


def timed(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def one_round(timeline: Path, folder: Path) -> tuple[dict[str, float], Scan]:
    """Measure everything once, the bare ones beside ours."""
    found: list[Scan] = []
    store = Store.open(folder / "scan.db")
    work = desk(store, {80: 0}, folder, settings(events={"paths": [str(timeline)]}))

    def ours() -> None:
        found.append(asyncio.run(scan(work)))

    seconds = {
        "C parsing": timed(lambda: parse_all(timeline)),
        "first scan": timed(ours),
        "stat walk": timed(lambda: stat_walk(timeline)),
        "rescan": timed(ours),
    }
    store.close()
    if found[1].read:
        sys.exit(f"the rescan read {found[1].read} unchanged files")
    return seconds, found[0]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    if not hasattr(yaml, "CSafeLoader"):
        sys.exit("PyYAML was built without libyaml: scanning would be six times slower")
    pin(1)
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        timeline = shared_corpus() or make_corpus(base / "made")
        rounds = []
        for number in range(given.rounds + 1):
            folder = base / str(number)
            folder.mkdir()
            seconds, found = one_round(timeline, folder)
            if number:  # the first round only warms up
                rounds.append(seconds)
    where = "the corpus" if shared_corpus() else "a made corpus"
    print(
        f"{where}: {found.files:,} files, {found.citations:,} citations, {found.links:,} links;"
        f" {given.rounds} rounds, CPU"
    )
    print(f"{'':12} {'ms':>8} {'µs/file':>8}   ratio")
    for label, bare in (
        *(("C parsing", "C parsing"), ("first scan", "C parsing")),
        *(("stat walk", "stat walk"), ("rescan", "stat walk")),
    ):
        _print_row(label, bare, rounds, found.files)
    return 0


def _print_row(label: str, bare: str, rounds: list[dict[str, float]], files: int) -> None:
    ratios = [one[label] / one[bare] for one in rounds]
    middle = statistics.median(one[label] for one in rounds)
    print(
        f"{label:12} {middle * 1e3:8.1f} {middle / files * 1e6:8.0f}"
        f"   {statistics.median(ratios):.2f} x {bare} ({min(ratios):.2f}-{max(ratios):.2f})"
    )


if __name__ == "__main__":
    sys.exit(main())
