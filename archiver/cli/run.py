"""`archiver run`: the daemon, or one complete pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from itertools import chain, repeat
from typing import TYPE_CHECKING

import click

from archiver.cli.common import Application, pass_application
from archiver.errors import DatabaseUnusable, KeysRefused
from archiver.text import span

if TYPE_CHECKING:
    from archiver.config import Loaded
    from archiver.service.desk import Desk
    from archiver.service.once import Pass

# A database that is locked, or has no room to be opened, is tried again after this long, and
# less and less often: a copy before a migration may be made each time.
_OPENING_PAUSES_SECONDS = (1, 2, 5, 10, 30)
# How often a person hears that a start still waits.
_SAID_AGAIN_SECONDS = 600.0


@click.command()
@click.option("--once", is_flag=True, help="Make one complete pass, then end.")
@click.option(
    "--for",
    "archive_time",
    metavar="DURATION",
    default="15m",
    show_default=True,
    help="With --once: how long the archive part may take.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done; send and write nothing.")
@click.option(
    "--accept-removals",
    is_flag=True,
    help="Believe at once that sources gone from the files are gone.",
)
@pass_application
def run(
    application: Application, once: bool, archive_time: str, dry_run: bool, accept_removals: bool
) -> int:
    """Watch the cited pages as a service, or make one pass over all that is due.

    \b
    archiver run --once
    archiver run
    """
    from archiver.config.review import remarks, require_usable

    span = _duration(archive_time)
    application.is_service = not dry_run
    try:
        require_usable(application.loaded, application.environ)
        for remark in remarks(application.loaded, application.environ):
            application.say(remark, "warning")
        if dry_run:
            return _dry_run(application)
        return _work(application, once=once, span=span, accept_removals=accept_removals)
    except KeyboardInterrupt:
        if once or dry_run:
            raise
        return 0  # a service that was asked to end before it was up (contract §1)


def _duration(text: str) -> timedelta:
    from archiver.config.quantities import read_positive_duration

    try:
        return read_positive_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from None


def _work(application: Application, *, once: bool, span: timedelta, accept_removals: bool) -> int:
    from archiver.cli.opening import open_desk
    from archiver.store import DaemonLock

    lock = DaemonLock(application.loaded.database_path)
    lock.take()
    try:
        if not once:
            with _opened_in_time(application) as desk:
                return _serve(application, desk, accept_removals)
        with open_desk(application, as_daemon=True) as desk:
            return _once(application, desk, span, accept_removals)
    finally:
        lock.give_back()


@contextmanager
def _opened_in_time(application: Application) -> Iterator[Desk]:
    """Open the desk of a service, however long a lock or a full disk is in the way."""
    from archiver.cli.opening import open_desk
    from archiver.store import PASSING
    from archiver.systemd import ServiceManager

    manager = ServiceManager()

    def around(pending: Sequence[str]) -> AbstractContextManager[None]:
        application.say(f"Migrating the database: {', '.join(pending)}")
        return manager.patience("migrating the database")

    said, said_at = "", float("-inf")
    pauses = chain(_OPENING_PAUSES_SECONDS, repeat(_OPENING_PAUSES_SECONDS[-1]))
    with ExitStack() as opened:
        while True:
            try:
                with manager.patience("opening the database"):
                    desk = opened.enter_context(
                        open_desk(application, as_daemon=True, around=around)
                    )
                break
            except DatabaseUnusable as error:
                if error.code not in PASSING:
                    raise
                if error.code != said or time.monotonic() - said_at > _SAID_AGAIN_SECONDS:
                    application.say(f"{error} The service waits until it can go on.")
                    said, said_at = error.code, time.monotonic()
                with manager.patience(error.message):
                    time.sleep(next(pauses))
        yield desk


def _once(application: Application, desk: Desk, span: timedelta, accept_removals: bool) -> int:
    from archiver.cli.running import run_stoppable
    from archiver.service.once import one_pass

    result = run_stoppable(
        desk, lambda: one_pass(desk, archive_time=span, accept_removals=accept_removals)
    )
    for line in _summary(result):
        application.say(line)
    return 0


def _summary(result: Pass) -> list[str]:
    scan, looks = result.scan, result.looks
    lines = [
        f"Scanned {scan.files} files: {scan.citations} citations of {scan.links} links,"
        f" {scan.problems} problems ('archiver events lint' names them).",
        f"Made {looks}; {looks.changes} verdicts changed.",
        f"Archive: {result.archive}.",
    ]
    if result.copies.anything:
        lines.append(f"{result.copies}.")
    for reason, until in result.archive.waits.items():
        lines.append(
            "The archive refused the account keys, or wants some: nothing more is submitted until"
            " you give others (docs/archiving.md)."
            if reason == KeysRefused.code
            else f"The archive part waits until {until:%Y-%m-%d %H:%M} UTC ({reason})."
        )
    lines += [f"The report is in {path}" for path in result.reports]
    left = f"{result.left_lookups} look-ups and {result.left_submissions} submissions are left"
    if result.left_seconds is None:
        lines.append(
            f"{left}; archive.mode, a daily budget of 0 or refused account keys keep them from"
            " being done."
        )
    else:
        lines.append(f"{left}; the daemon would need about {span(result.left_seconds)} for them.")
    return lines


def _serve(application: Application, desk: Desk, accept_removals: bool) -> int:
    from archiver.daemon import Daemon
    from archiver.service.scan import scan

    async def main() -> None:
        if accept_removals:
            await scan(desk, accept_removals=True)
        await Daemon(desk, reload=lambda: _reload(application)).run()

    asyncio.run(main())
    return 0


def _reload(application: Application) -> Loaded:
    """Read the configuration anew, and let the log follow it; raises ConfigurationError."""
    from archiver.config.review import require_usable
    from archiver.errors import ConfigurationError
    from archiver.web.door import require_servable

    loaded = application.read_settings_anew()
    require_usable(loaded, application.environ)
    require_servable(loaded)
    if loaded.database_path.resolve() != application.loaded.database_path.resolve():
        raise ConfigurationError(
            "database.path cannot change under a running service.", "Restart the service."
        )
    application.loaded = loaded
    application.start_logging()
    return loaded


def _dry_run(application: Application) -> int:
    """Print what would be looked at and submitted, from a copy in memory; nothing is written."""
    from archiver.cli.opening import open_copy
    from archiver.service.rehearse import plan_pass

    with open_copy(application) as desk:
        for line in asyncio.run(plan_pass(desk)):
            click.echo(line)
    return 0
