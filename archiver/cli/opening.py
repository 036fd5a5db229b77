"""Opening the database for a command, and showing a person how far it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from archiver.cli.common import Application
from archiver.errors import DatabaseUnusable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from archiver.config import Keys
    from archiver.service.desk import Desk
    from archiver.store import Around

_NO_CONTACT = (
    "No contact is configured: site owners cannot reach you. Set check.contact to a page or an"
    " e-mail address."
)


class ProgressBar:
    """A bar on standard error, for a person who watches a terminal."""

    def __init__(self, application: Application) -> None:
        """Show nothing yet."""
        self._application = application
        self._bar: Bar | None = None
        self._task: object = None

    def begin(self, what: str, total: int | None) -> None:
        """Show a new bar."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self.end()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Remaining(),
            console=self._application.stderr,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(what, total=total)

    def advance(self, steps: int = 1) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.advance(self._task, steps)  # type: ignore[arg-type]

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


@contextmanager
def open_desk(
    application: Application,
    *,
    as_daemon: bool = False,
    must_exist: bool = False,
    asks_network: bool = False,
    around: Around | None = None,
) -> Iterator[Desk]:
    """Open the configured database for one command, creating it unless it must exist.

    Says on standard error when it creates one, and when a command that asks other people's
    servers has no contact to give. `around` is entered while the schema is
    migrated. Raises `DatabaseUnusable` and `ConfigurationError`.
    """
    from archiver.service.desk import Desk, Silent
    from archiver.store import Store, is_new

    loaded = application.loaded
    path = loaded.database_path
    new = is_new(path)
    if new and must_exist:
        raise DatabaseUnusable(
            f"There is no database {path} yet.",
            "Run 'archiver run --once' first, or name another with database.path.",
            code="no-database",
        )
    application.start_logging()
    if asks_network and not loaded.settings.check.contact:
        application.say(_NO_CONTACT)
    with _naming_the_way_back(application):
        # A pass or a service writes much: never into a file that is damaged already.
        store = Store.open(path, as_daemon=as_daemon, checked=as_daemon, around=around)
        if new:
            application.say(f"Created the database {path}")
        progress = ProgressBar(application) if application.shows_progress else Silent()
        try:
            yield Desk(
                loaded,
                store,
                progress=progress,
                holder=f"{'run' if as_daemon else 'command'}:{os.getpid()}",
                keys=_keys(application),
            )
        finally:
            progress.end()
            store.close()


@contextmanager
def _naming_the_way_back(application: Application) -> Iterator[None]:
    """Name the copy to restore when the database turns out to be damaged."""
    try:
        yield
    except DatabaseUnusable as error:
        from archiver.service.restoring import with_the_way_back

        raise with_the_way_back(error, application.loaded) from error


def _keys(application: Application) -> Keys | None:
    """Return the account keys when there are any and they may be sent to `archive.save_url`."""
    from archiver.config import account_keys, may_send_keys

    loaded = application.loaded
    keys = account_keys(loaded, application.environ)
    return keys if keys and may_send_keys(loaded, loaded.settings.archive.save_url) else None


@contextmanager
def open_copy(application: Application) -> Iterator[Desk]:
    """Open a copy of the database in memory, to try things without writing anything."""
    from archiver.service.desk import Desk
    from archiver.store import Store

    application.start_logging()
    with _naming_the_way_back(application):
        store = Store.copy_in_memory(application.loaded.database_path)
        try:
            yield Desk(application.loaded, store)
        finally:
            store.close()
