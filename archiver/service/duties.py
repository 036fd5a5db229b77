"""The daemon's duties: one small method each, all on one desk."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import TracebackType

from archiver.clock import from_stamp
from archiver.errors import CannotWork, ConfigurationError
from archiver.service import maintenance, rounds
from archiver.service.archiving import READING, SUBMITTING, VERIFYING
from archiver.service.beside import beside
from archiver.service.checking import Checking
from archiver.service.clients import Clients, Lending
from archiver.service.desk import Desk, log
from archiver.service.notifying import DONE, INTERRUPTED, OFFLINE
from archiver.service.report import write_reports
from archiver.service.scan import scan

# One tick of archive work ends before the next would begin to pile up.
_ARCHIVE_TICK = timedelta(minutes=10)
# When we were offline: so many links are tried first, and what else is due is spread over an hour,
# so that a network that has just come back is not met with a burst (reference checking §6 step 8).
_TRIAL = 50
_RECOVERY = timedelta(hours=1)
# While offline it is tried again every 15 minutes: what is planned later than this was planned by
# a clock that was ahead.
_LONGEST_OFFLINE_WAIT = timedelta(hours=1)
# Looks come first: a long list of pages to copy waits for the next tick.
_COPY_TICK = timedelta(minutes=10)


class Duties:
    """Everything the daemon does, each called by its schedule; returns a line for the status."""

    def __init__(self, desk: Desk) -> None:
        """Work at a desk; nothing is opened yet."""
        self._desk = desk
        self._lending = Lending(desk)
        self._requests_failed = False

    async def __aenter__(self) -> Duties:
        await self._lending.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._lending.close()

    def settings_changed(self) -> None:
        """Work with the settings that now hold, from the next duty on."""
        self._lending.settings_changed()

    async def scan(self) -> str:
        """Read the event files that changed."""
        try:
            found = await scan(self._desk)
        except ConfigurationError as error:
            # The folder may be away for a moment; what is known stays, and it is tried again.
            raise CannotWork(error.message, error.next_step, code="events-unreadable") from error
        return f"{found.citations} citations of {found.links} links"

    async def check(self) -> str:
        """Look at the links that are due, unless we are offline and it is too soon to try.

        Then keep copies of our own, where the settings want that.
        """
        if self._waits_offline():
            return ""
        async with self._lending.at_work() as clients:
            said = await self._look_at_due(clients)
            if self._is_offline():
                return said
            copied = await clients.copies.work(_COPY_TICK)
            if copied.copies or copied.failures:
                log.info("check: %s", copied)
        return said

    async def _look_at_due(self, clients: Clients) -> str:
        journal, clock = self._desk.store.journal, self._desk.clock
        self._desk.store.looks.release_stale(clock.now())
        rounds.put_right(self._desk)
        if not self._desk.store.queries.due_count(clock.now()):
            clients.notifying.nothing_due()
            return ""
        # What an earlier tick could not give back, because the disk was full then.
        self._desk.store.looks.release(self._desk.holder)
        run_id = journal.begin("check", clock.now())
        with clients.notifying.run() as note:
            summary = await self._look(clients.checking, run_id)
            outcome = OFFLINE if summary.offline else DONE
            outcome = INTERRUPTED if self._desk.stopping else outcome
            note.ended(outcome, str(summary))
        journal.end(run_id, clock.now(), outcome, {"looks": summary.looks, **summary.verdicts})
        log.info("check: %s%s", summary, ", offline" if summary.offline else "")
        return f"last check: {summary}"

    async def _look(self, checking: Checking, run_id: int) -> rounds.Summary:
        """Look at what is due; after having been offline, try first and then go on gently."""
        if not self._is_offline():
            return await rounds.look_at_due(checking, run_id)
        summary = await rounds.look_at_due(checking, run_id, at_most=_TRIAL)
        if not self._is_offline():
            left = self._desk.store.looks.spread(self._desk.clock.now(), _RECOVERY)
            log.info("online again: %d links that are due are spread over an hour", left)
        return summary

    def online_again_at(self) -> datetime | None:
        """Return when to try again whether we are online, None for at once."""
        state = self._desk.store.journal.state("online", {})
        if state.get("online") is not False or "again_at" not in state:
            return None
        again = from_stamp(state["again_at"])
        return again if again <= self._desk.clock.now() + _LONGEST_OFFLINE_WAIT else None

    def _waits_offline(self) -> bool:
        again = self.online_again_at()
        return again is not None and self._desk.clock.now() < again

    def _is_offline(self) -> bool:
        return self._desk.store.journal.state("online", {}).get("online") is False

    async def archive(self) -> str:
        """Ask archives for captures, and submit what has none; nothing while offline."""
        return await self._archive_work(frozenset({READING, SUBMITTING}))

    async def verify(self) -> str:
        """Play captures back."""
        return await self._archive_work(frozenset({VERIFYING}))

    async def _archive_work(self, kinds: frozenset[str]) -> str:
        if self._is_offline():
            return ""
        async with self._lending.at_work() as clients:
            done = await clients.archiving.work(_ARCHIVE_TICK, kinds)
        if done.anything:
            log.info("archive: %s", done)
        return ""

    async def report(self) -> str:
        """Write the reports; nothing new while offline."""
        if self._is_offline():
            return ""
        paths = await beside(self._desk, write_reports, read_only=True)
        log.info("report: %s", ", ".join(map(str, paths)))
        return ""

    async def maintenance(self) -> str:
        """Check, copy and tidy the database, beside whatever else is going on."""
        return await beside(self._desk, maintenance.maintain)

    async def requests(self) -> str:
        """Look at what people asked for through the database."""
        journal, clock = self._desk.store.journal, self._desk.clock
        if self._requests_failed:
            # Nothing is sent as long as not even this can be written.
            journal.reopen_requests()
            self._requests_failed = False
        taken = journal.take_requests("check", clock.now())
        if taken:
            try:
                async with self._lending.at_work() as clients:
                    asked = [link_id for _, link_id in taken]
                    summary = await rounds.look_at(clients.checking, asked)
                for request_id, link_id in taken:
                    # What we were to end before is left for the next service to take up.
                    if link_id in summary.findings or not self._desk.stopping:
                        journal.answer(request_id, clock.now())
            except CannotWork:
                self._requests_failed = True
                raise
        return ""
