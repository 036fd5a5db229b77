"""Copies of our own (`[archive.local]`): one more fetch of what no archive holds for sure.

Which links want one is asked of the store, so a killed process loses nothing but the fetch in
flight; the fetch has the manners, the guard and the limits of any look, and is judged like one:
a wall or a not-found page is not kept. Files are only ever written here, and never served.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import IO

from archiver import __version__
from archiver.archiving.local import (
    OPEN,
    CopyFile,
    Earlier,
    StoredRecord,
    finish,
    may_be_revisit,
    new_name,
    payload_digest,
)
from archiver.checking.failures import LOCAL_TROUBLE
from archiver.checking.lanes import HostUnavailable
from archiver.checking.tape import Recorded, Tape
from archiver.clock import from_stamp
from archiver.model import ALIVE
from archiver.service.checking import Checking
from archiver.service.desk import Progress, log
from archiver.service.kept_copies import FULL, directory_of, is_full
from archiver.store import CopiedRecord, KnownLink
from archiver.text import shown
from archiver.urls import parse_archive_url

# Reference wayback §8.1: files up to a gigabyte; a quarter of it is easier to move and to lose.
ROTATE_BYTES = 256 * 1024 * 1024
ROTATE_AFTER = timedelta(days=1)
_SLICE = 200
# How many links may wait for their hosts at once; the lanes decide how many are asked.
_WINDOW = 200
# A body longer than this waits on the disk, so that many at a time cost little memory.
_IN_MEMORY = 256 * 1024
# What the heads of a request and an answer take at most beside the body (design §5: 64 KiB).
_HEADS = 2 * 64 * 1024


@dataclass(slots=True)
class Copied:
    """What a round of copying came to; `full` says that `max_total` stopped it."""

    copies: int = 0
    failures: int = 0
    full: bool = False

    @property
    def anything(self) -> bool:
        """Say whether there is anything to tell."""
        return bool(self.copies or self.failures or self.full)

    def __str__(self) -> str:
        text = f"{self.copies} local copies made"
        if self.failures:
            text += f", {self.failures} fetches gave nothing to keep"
        return text + (", archive.local.max_total is reached" if self.full else "")


class LocalCopies:
    """Makes the copies; one per process, for a file has one writer."""

    def __init__(self, checking: Checking, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        """Fetch through an open `checking`; no file is opened before there is something to keep."""
        self._checking = checking
        self._desk = checking.desk
        self._rotate_bytes = rotate_bytes
        self._settings = self._desk.settings.archive.local
        self._directory = directory_of(self._desk)
        self._file: CopyFile | None = None
        self._opened_at = self._desk.clock.now()
        self._writing = asyncio.Lock()
        self._halted = False
        self._end: float | None = None

    async def __aenter__(self) -> LocalCopies:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def work(self, limit: timedelta | None = None) -> Copied:
        """Copy what wants a copy, until all is done or space or time is used up."""
        done = Copied()
        if not self._settings.enabled:
            return done
        self._tidy()
        self._halted = False
        self._end = None if limit is None else self._desk.clock.monotonic() + limit.total_seconds()
        done.full = is_full(self._desk)
        tasks: set[asyncio.Task[None]] = set()
        with self._desk.shows("Keeping local copies", None) as progress:
            try:
                for link_id in self._due(done):
                    tasks.add(asyncio.create_task(self._copy(link_id, done)))
                    while len(tasks) >= _WINDOW and not self._ends(done):
                        tasks = await self._some(tasks, progress)
                while tasks and not self._ends(done):
                    tasks = await self._some(tasks, progress)
            finally:
                await self._give_up(tasks)
        self._rotate()
        return done

    def _due(self, done: Copied) -> Iterator[int]:
        """Yield links that want a copy, each once, until something ends the round."""
        last_id = 0
        while links := self._desk.store.copies.due(last_id, _SLICE):
            last_id = links[-1]
            for link_id in links:
                if self._ends(done):
                    return
                yield link_id

    async def _some(
        self, tasks: set[asyncio.Task[None]], progress: Progress
    ) -> set[asyncio.Task[None]]:
        """Wait until some are done, a second at most; return the others."""
        ended, left = await asyncio.wait(tasks, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
        progress.advance(len(ended))
        return left

    async def _give_up(self, tasks: set[asyncio.Task[None]]) -> None:
        # Nobody writes while we hold this: a thread that does could not be stopped.
        async with self._writing:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._checking.rest()

    def _ends(self, done: Copied) -> bool:
        late = self._end is not None and self._desk.clock.monotonic() > self._end
        return done.full or self._halted or self._desk.stopping or late

    async def _copy(self, link_id: int, done: Copied) -> None:
        """Fetch one link and keep what came, if it is worth keeping."""
        [link] = self._desk.store.looks.known([link_id])
        if self._ends(done) or parse_archive_url(link.wire) is not None:
            return
        tape = Tape(self._settings.max_body, self._spool, self._desk.clock.now)
        try:
            observation, finding = await self._checking.record(link, tape)
            if observation.error == LOCAL_TROUBLE:
                self._halt("the page could not be buffered on the disk")
            elif observation.error != "skipped":
                if finding.verdict in ALIVE and tape.exchanges:
                    await self._keep(link, tape.exchanges, observation.final_url, done)
                else:
                    done.failures += 1
                    now = self._desk.clock.now()
                    self._desk.store.copies.failed(link_id, now, finding.reason)
        except HostUnavailable:
            return
        finally:
            tape.close()

    async def _keep(
        self,
        link: KnownLink,
        exchanges: Sequence[Recorded],
        final_url: str | None,
        done: Copied,
    ) -> None:
        """Write one fetch into the file and list it; nothing is listed before it is on the disk."""
        async with self._writing:
            if self._ends(done):
                return
            wanted = sum(one.length + _HEADS for one in exchanges)
            if self._desk.store.copies.total() + wanted > self._settings.max_total:
                self._say_full()
                done.full = True
                return
            try:
                file = self._open_file()
                earlier = await self._earlier(exchanges)
                stored = await asyncio.to_thread(file.write, exchanges, earlier)
            except OSError as error:
                self._halt(error.strerror or str(error))
                return
            page = _page_of(stored, final_url)
            records = [_record(one, is_page=one is page) for one in stored]
            self._desk.store.copies.add(link.link_id, file.name, file.size, records)
            done.copies += 1

    async def _earlier(self, exchanges: Sequence[Recorded]) -> dict[str, Earlier]:
        bodies = [one for one in exchanges if may_be_revisit(one)]
        digests = await asyncio.to_thread(lambda: [payload_digest(one) for one in bodies])
        return {
            digest: Earlier(row["url"], from_stamp(row["captured_at"]))
            for digest, row in self._desk.store.copies.with_payloads(digests).items()
        }

    # ------------------------------------------------------------------ files

    def _spool(self) -> IO[bytes]:
        # Not in the system's folder, which may be in memory.
        self._directory.mkdir(parents=True, exist_ok=True)
        return tempfile.SpooledTemporaryFile(
            max_size=_IN_MEMORY, mode="w+b", dir=str(self._directory)
        )

    def _open_file(self) -> CopyFile:
        self._rotate()
        if self._file is None:
            now = self._desk.clock.now()
            name = new_name(now)
            self._desk.store.copies.begin_file(name, now)
            self._file = CopyFile(self._directory, name, software=f"archiver/{__version__}")
            self._desk.store.copies.grew(name, self._file.size)
            self._opened_at = now
        return self._file

    def _rotate(self) -> None:
        if self._file is None:
            return
        old = self._desk.clock.now() - self._opened_at >= ROTATE_AFTER
        if old or self._file.size >= self._rotate_bytes:
            self.close()

    def close(self) -> None:
        """Give the file in hand its final name; the next copy begins another."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            log.warning("local copies: %s stays open: %s", file.name, shown(error))
            return
        self._desk.store.copies.close_file(file.name, self._desk.clock.now())

    def _tidy(self) -> None:
        """Finish what a killed process left open, and know which files are there."""
        copies, now = self._desk.store.copies, self._desk.clock.now()
        for row in copies.files():
            name, size = row["name"], row["size"]
            if row["closed_at"] is not None:
                there = (self._directory / name).exists()
            elif self._file is not None and name == self._file.name:
                continue
            else:
                there = self._finish(name, size)
                if there:
                    copies.close_file(name, now)
            if there != (row["gone_at"] is None):
                copies.note_presence(name, None if there else now)
                if size and not there:
                    log.warning("local copies: %s is not there, or not whole", name)

    def _finish(self, name: str, size: int) -> bool:
        try:
            if size:
                return finish(self._directory / name, size)
            (self._directory / (name + OPEN)).unlink(missing_ok=True)
        except OSError as error:
            log.warning("local copies: %s stays open: %s", name, shown(error))
        return False

    # ------------------------------------------------------------------ limits

    def _halt(self, why: str) -> None:
        """End this round: the disk is in trouble, not the web."""
        if not self._halted:
            log.warning("local copies: stopped for now: %s", shown(why))
        self._halted = True

    def _say_full(self) -> None:
        total, limit = self._desk.store.copies.total(), self._settings.max_total
        self._desk.store.journal.set_state(FULL, {"total": total, "max_total": limit})
        log.warning(
            "local copies: %d of %d bytes are used: no more are made until archive.local.max_total"
            " is raised or files are removed from %s",
            total,
            limit,
            self._directory,
        )


def _page_of(stored: Sequence[StoredRecord], final_url: str | None) -> StoredRecord:
    """Return the record of the page itself: the last one at the address where the look ended."""
    return next((one for one in reversed(stored) if one.url == final_url), stored[-1])


def _record(stored: StoredRecord, *, is_page: bool) -> CopiedRecord:
    return CopiedRecord(
        stored.url,
        stored.captured_at,
        stored.status,
        stored.kind,
        stored.offset,
        stored.length,
        stored.digest,
        stored.cut,
        is_page,
    )
