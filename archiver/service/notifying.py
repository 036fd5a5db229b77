"""Telling people: signs of life around each run, one digest after it, sent until it arrives.

Nothing here holds a run up or lets it fail. Digests wait in the store's outbox; signs of life
wait in memory, for late ones are worth nothing. Acts in `archiver run` only (design §8).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType

from archiver.clock import from_stamp
from archiver.errors import ArchiverError
from archiver.notify import (
    MOST_ITEMS,
    Beat,
    Channel,
    Command,
    Digest,
    Heartbeat,
    Kind,
    Notice,
    Outcome,
    Parcel,
    Poster,
    Webhook,
    build,
)
from archiver.service.desk import Desk, log
from archiver.store import News

# Until then a first sweep finds what has rotted over years: one digest says so, not thirty.
FIRST_WEEK = timedelta(days=7)
# After the first, second, … failed try; the last one repeats.
RETRIES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
GIVEN_UP_AFTER = timedelta(days=7)
DIGESTS_KEPT = timedelta(days=90)
# How often the background looks whether something is due, and how long a pass waits at its end.
_TICK_SECONDS = 30.0
_FINISH_SECONDS = 60.0
# More signs of life than this would be stale before they are sent.
_MOST_BEATS = 8
# A time to try again that lies further ahead was written by a clock that has since gone back.
_LONGEST_WAIT = timedelta(days=1)

DONE, OFFLINE, INTERRUPTED = "done", "offline", "interrupted"


@dataclass(slots=True)
class RunNote:
    """How a run ended (`done`, `offline`, `interrupted`) and what it came to, in words."""

    outcome: str = DONE
    words: str = ""

    def ended(self, outcome: str, words: str) -> None:
        """Say how it ended."""
        self.outcome, self.words = outcome, words


class Notifying:
    """Tells whoever `[notify]` names; one per process."""

    def __init__(self, desk: Desk) -> None:
        """Work at a desk; nothing is opened or sent yet."""
        self._desk = desk
        poster = _poster(desk)
        self._channels = _channels(desk, poster)
        address = desk.settings.notify.heartbeat
        self._heartbeat = Heartbeat(poster, address, desk.clock) if address else None
        self._beats: asyncio.Queue[tuple[Beat, str]] = asyncio.Queue(_MOST_BEATS)
        self._heartbeat_trouble: str | None = None
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Notifying:
        if self._heartbeat is not None:
            self._tasks.append(asyncio.create_task(self._send_beats(self._heartbeat)))
        if self._channels:
            self._tasks.append(asyncio.create_task(self._deliver_for_ever()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    @contextlib.contextmanager
    def run(self) -> Iterator[RunNote]:
        """Watch over one run: a sign of life before and after it, and its digest."""
        self._beat(Beat.START, "")
        note = RunNote()
        try:
            yield note
        except ArchiverError as error:
            self._beat(Beat.FAIL, str(error))
            raise
        except Exception as error:
            self._beat(Beat.FAIL, f"ended in a mistake of the program ({type(error).__name__})")
            raise
        self._after(note)

    def nothing_due(self) -> None:
        """Say that a run found nothing to do: we live, and older news may wait."""
        self._after(RunNote(DONE, "nothing was due"))

    def _after(self, note: RunNote) -> None:
        if note.outcome == DONE:
            self._make_digest()
            self._beat(Beat.SUCCESS, note.words)
        elif note.outcome == OFFLINE:
            self._beat(Beat.FAIL, f"offline: {note.words}")

    # ------------------------------------------------------------------ signs of life

    def _beat(self, beat: Beat, words: str) -> None:
        if self._heartbeat is not None:
            with contextlib.suppress(asyncio.QueueFull):
                self._beats.put_nowait((beat, words))

    async def _send_beats(self, heartbeat: Heartbeat) -> None:
        while True:
            beat, words = await self._beats.get()
            try:
                self._note_beat(await heartbeat.beat(beat, words))
            except Exception:
                log.exception("a heartbeat ended in a mistake of the program")
            finally:
                self._beats.task_done()

    def _note_beat(self, outcome: Outcome) -> None:
        """Say once that heartbeats do not arrive, and once that they do again."""
        if outcome.trouble != self._heartbeat_trouble:
            if outcome.trouble is None:
                log.info("notify: heartbeats arrive again")
            else:
                log.warning("notify: a heartbeat did not arrive: %s", outcome.trouble)
        self._heartbeat_trouble = outcome.trouble

    # ------------------------------------------------------------------ digests

    def _make_digest(self) -> None:
        """Put what is new into the outbox as one digest; what goes wrong is only logged."""
        if not self._channels:
            return
        try:
            digest = self._store_digest(self._desk.clock.now())
        except ArchiverError as error:
            log.warning("notify: no digest was made: %s", error)
            return
        except Exception:
            # A mistake here must not cost the run that has just been made.
            log.exception("a digest ended in a mistake of the program; it is tried again")
            return
        if digest is not None:
            log.info("notify: made the digest %s (%s)", digest.id, digest.kind.value)
            self._news.set()

    def _store_digest(self, now: datetime) -> Digest | None:
        outbox, occasions = self._desk.store.outbox, self._desk.settings.notify.on
        # One transaction: no change of another process may come between reading and marking.
        with self._desk.store.atomic():
            if outbox.has_baseline():
                kind, news = Kind.CHANGES, outbox.news(occasions, MOST_ITEMS)
                if not news.counts:
                    outbox.pass_over(now)
                    return None
            elif self._is_first_week(now):
                return None
            else:
                kind, news = Kind.BASELINE, outbox.standing(occasions, MOST_ITEMS)
            digest = self._build(kind, news, now)
            outbox.put(digest.id, kind.value, digest.body, now, self._channels)
            outbox.forget(now - DIGESTS_KEPT)
        return digest

    def _is_first_week(self, now: datetime) -> bool:
        first = self._desk.store.queries.first_look_at()
        return first is None or now < first + FIRST_WEEK

    def _build(self, kind: Kind, news: News, now: datetime) -> Digest:
        return build(
            kind,
            str(uuid.uuid4()),
            now,
            [Notice(**dict(row)) for row in news.rows],
            news.counts,
            self._desk.store.queries.link_count(),
        )

    # ------------------------------------------------------------------ deliveries

    async def _deliver_for_ever(self) -> None:
        while True:
            try:
                await self.deliver()
            except ArchiverError as error:
                log.warning("notify: %s", error)
            except Exception:
                log.exception("a delivery ended in a mistake of the program; it is tried again")
            # Not `wait_for`: before Python 3.12 it can swallow the cancellation that ends us.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._news.wait()
            self._news.clear()

    async def deliver(self) -> None:
        """Send every digest that is due to every channel that lacks it, oldest first."""
        async with self._turn:
            await asyncio.gather(
                *(self._deliver_to(name, channel) for name, channel in self._channels.items())
            )

    async def _deliver_to(self, name: str, channel: Channel) -> None:
        outbox, clock = self._desk.store.outbox, self._desk.clock
        while (row := outbox.next_delivery(name)) and _is_due(row["next_at"], clock.now()):
            outcome = await channel.send(Parcel(row["digest_id"], row["body"]))
            now = clock.now()
            if outcome.arrived:
                outbox.delivered(row["digest"], name, now)
                log.info("notify: the digest %s has reached the %s", row["digest_id"], name)
                continue
            again = _next_try(now, row["tries"], from_stamp(row["made_at"]), outcome)
            outbox.not_delivered(row["digest"], name, outcome.trouble or "", again)
            ending = "given up" if again is None else f"tried again at {again:%Y-%m-%d %H:%M} UTC"
            log.warning(
                "notify: the digest %s did not reach the %s: %s; %s",
                *(row["digest_id"], name, outcome.trouble, ending),
            )
            if again is not None:
                return

    async def finish(self) -> None:
        """Send what is to be sent now, within a minute; for a pass that ends the process."""
        if self._desk.stopping:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                try:
                    await self.deliver()
                except ArchiverError as error:
                    log.warning("notify: %s", error)
                await self._beats.join()


def _is_due(next_at: str, now: datetime) -> bool:
    moment = from_stamp(next_at)
    return moment <= now or moment > now + _LONGEST_WAIT


def _next_try(now: datetime, tries: int, made_at: datetime, outcome: Outcome) -> datetime | None:
    """Return when to try again after `tries` earlier failures; None when it is given up."""
    if now - made_at > GIVEN_UP_AFTER:
        return None
    wait = RETRIES[min(tries, len(RETRIES) - 1)]
    return now + max(wait, outcome.retry_after or timedelta(0))


def _poster(desk: Desk) -> Poster:
    trust = desk.loaded.path("network.ca_file")
    return Poster(
        user_agent=desk.settings.check.sent_user_agent,
        proxy=desk.settings.network.proxy,
        trust=ssl.create_default_context(cafile=str(trust)) if trust else None,
        resolver=desk.resolver,
    )


def _channels(desk: Desk, poster: Poster) -> dict[str, Channel]:
    """Return the channels that are configured, by name: the names are those of `[notify]`."""
    settings = desk.settings.notify
    channels: dict[str, Channel] = {}
    if settings.webhook:
        secret = desk.loaded.path("notify.secret_file")
        channels["webhook"] = Webhook(poster, settings.webhook, secret)
    if settings.command:
        channels["command"] = Command(
            settings.command,
            directory=desk.loaded.resolve("notify.command", ""),
            environ=os.environ,
        )
    return channels
