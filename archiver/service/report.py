"""Reports: the data gathered from the store, rendered by format, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from archiver import __version__
from archiver.errors import CannotWork
from archiver.reporting.formats import FORMATS
from archiver.reporting.measures import totals
from archiver.reporting.report import MENDING_ORDER, FirstSweep, ReportData, first_sweep
from archiver.reporting.tally import tally
from archiver.service.claimed import with_nearest_captures
from archiver.service.desk import Desk, log
from archiver.service.kept_copies import with_local_copies
from archiver.service.metrics import operations
from archiver.text import shown
from archiver.urls import host_of

# How far back "what changed" reaches when nobody says otherwise.
CHANGES_SINCE = timedelta(days=7)
# No report takes as long as this to write.
_HALF_FILES_KEPT = timedelta(days=1)


def report_data(desk: Desk, since: timedelta = CHANGES_SINCE) -> ReportData:
    """Gather everything a report says; rows are streamed from the store when asked for."""
    queries, now = desk.store.queries, desk.clock.now()
    counted = tally(map(dict, queries.source_status()), problems=queries.problem_count())
    counts = totals(counted.counts)
    return ReportData(
        generated_at=now,
        totals=counts,
        rows=lambda: with_local_copies(
            desk, with_nearest_captures(desk, map(dict, queries.source_status(MENDING_ORDER)))
        ),
        by_host=lambda: map(dict, queries.by_host()),
        by_year=counted.by_year,
        problems=lambda: map(dict, queries.problems()),
        suspects=lambda: map(dict, queries.suspects()),
        changes=lambda: map(dict, queries.changes_in_reports(now - since)),
        changes_since=now - since,
        first_sweep=_first_sweep(desk, counts),
        events_paths=desk.settings.events.paths,
        archives_asked=archives_asked(desk),
        version=__version__,
        operations=lambda: operations(desk),
    )


def archives_asked(desk: Desk) -> tuple[str, ...]:
    """Name the archives that are asked: every text about absence names them (design §6)."""
    settings = desk.settings.archive
    if settings.mode == "off":
        return ()
    asked = [host_of(settings.playback_url), host_of(settings.aggregator_url)]
    return tuple(host for host in asked if host)


def _first_sweep(desk: Desk, counts: Mapping[str, Any]) -> FirstSweep | None:
    queries, check = desk.store.queries, desk.settings.check
    started = queries.first_look_at()
    now = desk.clock.now()
    return first_sweep(
        started_at=started or now,
        now=now,
        links=counts["links"],
        unchecked=counts["verdicts"]["unchecked"],
        longest_queue=queries.longest_unchecked_queue(),
        check=check,
        verify_after=desk.settings.archive.verify_after,
    )


def write_reports(desk: Desk) -> list[Path]:
    """Write one file per configured format into `report.directory`; return their paths.

    All say the same: what is looked at meanwhile comes into the next ones. Raises CannotWork
    when the folder cannot be written.
    """
    with desk.store.database.one_moment():
        return _write_reports(desk, report_data(desk))


def _write_reports(desk: Desk, data: ReportData) -> list[Path]:
    directory = desk.loaded.report_directory
    written = []
    for name in desk.settings.report.formats:
        form = FORMATS.get(name)
        if form is None:
            log.warning("the report format %s is not built yet; it is left out", name)
            continue
        path = directory / f"report.{form.extension}"
        write_whole(path, form.render(data))
        written.append(path)
    return written


def render(desk: Desk, form: str, since: timedelta = CHANGES_SINCE) -> Iterator[str]:
    """Render one report in chunks, all as of one moment."""
    with desk.store.database.one_moment():
        yield from FORMATS[form].render(report_data(desk, since))


def formats() -> Sequence[str]:
    """Name the formats that exist."""
    return tuple(FORMATS)


def write_whole(path: Path, chunks: Iterator[str]) -> None:
    """Write a file whole or not at all: beside its place, then renamed. A link is followed."""
    path = Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{path.name}.half-"
        _drop_left_behind(path.parent, prefix)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=prefix)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.writelines(chunks)
            os.chmod(partial, 0o644)
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
    except OSError as error:
        raise CannotWork(
            f"The report {shown(path)} cannot be written: {error.strerror}.",
            "Check that folder, its permissions and the free space.",
            code="report-unwritable",
        ) from error


def _drop_left_behind(folder: Path, prefix: str) -> None:
    """Drop what writers of the same file left half written when they were killed."""
    for half in folder.iterdir():
        if not half.name.startswith(prefix):
            continue
        with contextlib.suppress(OSError):
            if time.time() - half.stat().st_mtime > _HALF_FILES_KEPT.total_seconds():
                half.unlink()
