"""Manners: whose turn it is at which host, and how soon (design §5 "Manners", law 6).

A *lane* belongs to a host (with its `www.` twin). A look holds the lane of the host it asks;
every single request inside waits for its *turn*: the host's delay from the end of the last
answer, a pause the host asked for, a lease that keeps other processes out, and one of the
places for requests in flight. When places are short, the host with the longest queue goes
first: that alone brings a sweep within 2 % of its lower bound (reference perf §6). What a person
waits for is *urgent*: it stands before every other look in its lane and in the queue for places,
and keeps the same distance from the host.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import os
import secrets
import socket
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType

from archiver.checking.ledger import HostLedger, MemoryHostLedger
from archiver.clock import Clock
from archiver.config import CheckSettings, HostSettings
from archiver.errors import CannotWork
from archiver.model import HostState

# How long a look waits inside its lane for a host that asked for a pause; a longer pause is
# for the schedule, not for a waiting task.
PATIENCE = timedelta(seconds=120)
# A lease covers a request, its delay and this much more, so that a busy host costs the store
# a few writes a minute, and a crash keeps the host closed hardly longer than that.
_LEASE_RESERVE = timedelta(seconds=15)
# An idle lane keeps its lease this long: links of one host often come one after another.
_IDLE_GRACE = 15.0
_POLL = 1.0


class HostUnavailable(CannotWork):
    """A host may not be asked now; nothing was sent. `until` is None when nobody can say."""

    code = "host-unavailable"

    def __init__(self, host: str, until: datetime | None, why: str) -> None:
        """Name the host, until when it is closed, and why in words."""
        super().__init__(f"{host} cannot be asked now: {why}.", "Ask again later.")
        self.host = host
        self.until = until


def lane_of(host: str) -> str:
    """Return the name of a host's lane: the host without port, end dot and leading `www.`."""
    bare = host.lower().rstrip(".")
    return bare[4:] if bare.startswith("www.") and bare.count(".") >= 2 else bare


def settings_for(hosts: Mapping[str, HostSettings], host: str) -> HostSettings | None:
    """Return the settings of the longest name in `hosts` that is `host` or a parent of it."""
    name = host.lower().rstrip(".") if hosts else ""
    while name:
        if name in hosts:
            return hosts[name]
        _, _, name = name.partition(".")
    return None


class _Places:
    """The places for requests in flight, given first to the host with the longest queue."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._order = itertools.count()
        self._waiting: list[tuple[bool, int, int, asyncio.Future[None]]] = []

    def take_free(self) -> bool:
        """Take a place if one is free; then nobody waits for one."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    async def wait_for_one(self, lane: _Lane, *, urgent: bool = False) -> None:
        """Wait until a place is handed over."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.for_place.append(ready)
        self._push(lane, ready, urgent=urgent)
        try:
            await _or_pass_on(ready, self.give_back)
        finally:
            lane.for_place.remove(ready)

    def queue_grew(self, lane: _Lane) -> None:
        """Move up whoever waits for a place on behalf of a lane that has become longer."""
        for ready in lane.for_place:
            self._push(lane, ready)

    def _push(self, lane: _Lane, ready: asyncio.Future[None], *, urgent: bool = False) -> None:
        # An older, lower entry of the same wait stays behind and is skipped when it comes up.
        entry = (not (urgent or lane.urgent), -lane.queue, next(self._order), ready)
        heapq.heappush(self._waiting, entry)

    def give_back(self) -> None:
        while self._waiting:
            ready = heapq.heappop(self._waiting)[-1]
            if not ready.done():
                ready.set_result(None)
                return
        self._free += 1


async def _or_pass_on(ready: asyncio.Future[None], pass_on: Callable[[], None]) -> None:
    """Wait for a thing that is handed over; when cancelled after that, hand it on."""
    try:
        await ready
    except asyncio.CancelledError:
        if ready.done() and not ready.cancelled():
            pass_on()
        raise


class _Lane:
    """What one process knows of one host."""

    __slots__ = (
        *("key", "delay", "covered", "capacity", "held", "waiting", "next_start", "not_before"),
        *("pauses", "leased_until", "last_request_at", "idle_since", "for_place"),
        *("foreign_since", "urgent"),
    )

    def __init__(self, key: str, delay: float, timeout: timedelta, capacity: int) -> None:
        self.key = key
        self.delay = delay
        # How long one request can keep the host busy: itself, and the delay after it.
        self.covered = timeout + timedelta(seconds=delay + 2)
        self.capacity = capacity
        self.held = 0
        self.urgent: deque[asyncio.Future[None]] = deque()
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.next_start = float("-inf")
        self.not_before: datetime | None = None
        self.pauses = 0
        self.leased_until: datetime | None = None
        self.last_request_at: datetime | None = None
        self.idle_since: float | None = None
        self.for_place: list[asyncio.Future[None]] = []
        self.foreign_since: float | None = None

    @property
    def queue(self) -> int:
        """Return how many looks wait for this lane."""
        return len(self.urgent) + len(self.waiting)


class Lanes:
    """All lanes of this process. Use from one event loop only."""

    def __init__(
        self,
        check: CheckSettings,
        hosts: Mapping[str, HostSettings],
        clock: Clock,
        ledger: HostLedger | None = None,
        *,
        holder: str | None = None,
        patience: timedelta = PATIENCE,
    ) -> None:
        """Take the settings, the clock, and the ledger shared with other processes.

        `holder` names this process in the ledger; `patience` is how long a look waits for a
        paused or foreign host before `HostUnavailable`.
        """
        self._check = check
        self._hosts = hosts
        self._clock = clock
        self._ledger: HostLedger = ledger if ledger is not None else MemoryHostLedger()
        self.holder = holder or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._patience = patience.total_seconds()
        self._places = _Places(check.concurrency)
        self._lanes: dict[str, _Lane] = {}
        self._idle: dict[str, _Lane] = {}

    def hold(self, host: str, *, urgent: bool = False) -> Hold:
        """Return an async context: inside it the host's lane is ours.

        With `urgent` it is ours before anybody's who only waits because something is due.
        """
        return Hold(self, self._lane(lane_of(host)), urgent=urgent)

    def claim(self, host: str) -> bool:
        """Lease a host without waiting, for a look that is about to ask it.

        False when another process holds it: the look will wait for that, as any does.
        """
        lane = self._lane(lane_of(host))
        leased = self._lease(lane)
        if not lane.held:
            self._rest(lane)
        return leased

    def pause(self, host: str, until: datetime) -> None:
        """Leave a host alone until then, in this process and, through the ledger, in all."""
        lane = self._lane(lane_of(host))
        lane.not_before = max(lane.not_before or until, until)
        lane.pauses += 1
        self._ledger.pause(lane.key, until)
        if not lane.held:
            self._rest(lane)

    def forgive(self, host: str) -> None:
        """Forget a host's pauses once it has answered well."""
        lane = self._lanes.get(lane_of(host))
        if lane is not None and lane.pauses:
            lane.pauses = 0
            lane.not_before = None
            self._ledger.forgive(lane.key)

    def consecutive_pauses(self, host: str) -> int:
        """Return how many pauses in a row a host has asked for."""
        lane = self._lanes.get(lane_of(host))
        return lane.pauses if lane is not None else 0

    def release_idle(self) -> None:
        """Give back the lease of every host that nobody here is waiting for; at a batch's end."""
        for lane in list(self._idle.values()):
            self._forget(lane)

    def doubt_leases(self) -> None:
        """Take no lease for granted any more: what the ledger was told was taken back."""
        for lane in self._lanes.values():
            lane.leased_until = None

    def _lane(self, key: str) -> _Lane:
        lane = self._lanes.get(key)
        if lane is None:
            # The twin's name finds settings written for either of the two.
            own = settings_for(self._hosts, "www." + key)
            delay = own.delay if own is not None and own.delay is not None else None
            capacity = own.concurrency if own is not None else None
            lane = _Lane(
                key,
                (self._check.host_delay if delay is None else delay).total_seconds(),
                self._check.timeout,
                self._check.per_host if capacity is None else capacity,
            )
            self._lanes[key] = lane
        return lane

    async def _enter(self, lane: _Lane, *, urgent: bool) -> None:
        self._idle.pop(lane.key, None)
        if lane.held < lane.capacity and not lane.queue:
            lane.held += 1
            return
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (lane.urgent if urgent else lane.waiting).append(ready)
        self._places.queue_grew(lane)
        await _or_pass_on(ready, lambda: self._leave(lane))

    def _leave(self, lane: _Lane) -> None:
        while lane.queue:
            ready = (lane.urgent or lane.waiting).popleft()
            if not ready.done():
                ready.set_result(None)
                return
        lane.held -= 1
        if not lane.held:
            self._rest(lane)

    def _rest(self, lane: _Lane) -> None:
        now = self._clock.monotonic()
        lane.idle_since = now
        self._idle.pop(lane.key, None)
        self._idle[lane.key] = lane
        for other in list(itertools.islice(self._idle.values(), 4)):
            if other.idle_since is None or now - other.idle_since < _IDLE_GRACE:
                break
            self._forget(other)

    def _forget(self, lane: _Lane) -> None:
        """Release an idle lane; the ledger remembers from here on.

        So do we until its delay is over: a full disk can take back what the ledger was told.
        """
        if lane.leased_until is not None:
            last = lane.last_request_at or datetime.fromtimestamp(0, UTC)
            # Stored moments are whole seconds, and a clock may be so too: cutting must not
            # shorten the delay.
            self._ledger.release(lane.key, self.holder, last + timedelta(seconds=1))
            lane.leased_until = None
        self._idle.pop(lane.key, None)
        if lane.next_start <= self._clock.monotonic():
            self._lanes.pop(lane.key, None)
        else:
            self._idle[lane.key] = lane

    def _lease(self, lane: _Lane) -> bool:
        """Make sure the lease outlives one more request and its delay; False when refused."""
        now = self._clock.now()
        if lane.leased_until is not None and lane.leased_until >= now + lane.covered:
            return True
        until = now + lane.covered + _LEASE_RESERVE
        state = self._ledger.lease(lane.key, self.holder, now, until)
        if state is None:
            lane.leased_until = None
            return False
        if lane.leased_until is None or lane.leased_until <= now:
            # Others may have asked the host meanwhile.
            self._catch_up(lane, state, now)
        lane.leased_until = until
        lane.foreign_since = None
        return True

    def _catch_up(self, lane: _Lane, state: HostState, now: datetime) -> None:
        """Take over what other processes, or we before a restart, know of the host."""
        if state.last_request_at is not None:
            lane.last_request_at = lane.last_request_at or state.last_request_at
            # A clock set back must not close a host for longer than its delay.
            rest = lane.delay - (now - state.last_request_at).total_seconds()
            rest = min(max(rest, 0.0), lane.delay + 1)
            lane.next_start = max(lane.next_start, self._clock.monotonic() + rest)
        if state.not_before is not None:
            lane.not_before = max(lane.not_before or state.not_before, state.not_before)
        lane.pauses = max(lane.pauses, state.consecutive_pauses)

    async def _begin(self, lane: _Lane, *, urgent: bool) -> None:
        """Wait until one request may go out, and take a place for it."""
        while True:
            if not self._lease(lane):
                await self._wait_for_others(lane)
                continue
            rest = self._rest_of_wait(lane)
            if rest > 0:
                await self._clock.sleep(rest)
                continue
            if self._places.take_free():
                lane.next_start = self._clock.monotonic() + lane.delay
                return
            await self._places.wait_for_one(lane, urgent=urgent)
            if self._may_start(lane):
                return
            self._places.give_back()

    async def _wait_for_others(self, lane: _Lane) -> None:
        """Let a moment pass in which another process asks the host; together no longer than
        our patience, however many looks wait here one after the other."""
        now = self._clock.monotonic()
        if lane.foreign_since is None:
            lane.foreign_since = now
        if now - lane.foreign_since >= self._patience:
            raise HostUnavailable(lane.key, None, "another process is asking it")
        await self._clock.sleep(min(_POLL, max(lane.delay / 4, 0.02)))

    def _may_start(self, lane: _Lane) -> bool:
        """Look once more, a place in hand: time has passed, or another look was quicker.

        A lease that ran out while we waited for the place is renewed here: giving the place back
        for it would let a long queue pass places round without using any.
        """
        if not self._lease(lane):
            return False
        now = self._clock.monotonic()
        paused = lane.not_before is not None and lane.not_before > self._clock.now()
        if lane.next_start > now or paused:
            return False
        lane.next_start = now + lane.delay
        return True

    def _rest_of_wait(self, lane: _Lane) -> float:
        rest = lane.next_start - self._clock.monotonic()
        if lane.not_before is None:
            return rest
        pause = (lane.not_before - self._clock.now()).total_seconds()
        if pause > self._patience:
            raise HostUnavailable(lane.key, lane.not_before, "it asked for a pause")
        return max(rest, pause)

    def _end(self, lane: _Lane) -> None:
        lane.next_start = max(lane.next_start, self._clock.monotonic() + lane.delay)
        lane.last_request_at = self._clock.now()
        self._places.give_back()


class Hold:
    """A held lane. `async with hold:` enters it, `async with hold.request():` asks the host."""

    __slots__ = ("_lane", "_lanes", "_urgent")

    def __init__(self, lanes: Lanes, lane: _Lane, *, urgent: bool) -> None:
        """Be made by `Lanes.hold` only."""
        self._lanes = lanes
        self._lane = lane
        self._urgent = urgent

    def covers(self, host: str) -> bool:
        """Say whether a hop to `host` may follow inside this lane (same host or `www.` twin)."""
        return lane_of(host) == self._lane.key

    async def __aenter__(self) -> Hold:
        await self._lanes._enter(self._lane, urgent=self._urgent)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lanes._leave(self._lane)

    def request(self) -> Turn:
        """Return an async context for exactly one request: waits for the turn, ends it after."""
        return Turn(self._lanes, self._lane, urgent=self._urgent)


class Turn:
    """One request's turn; raises `HostUnavailable` when waiting would outlast our patience."""

    __slots__ = ("_lane", "_lanes", "_urgent")

    def __init__(self, lanes: Lanes, lane: _Lane, *, urgent: bool) -> None:
        """Be made by `Hold.request` only."""
        self._lanes = lanes
        self._lane = lane
        self._urgent = urgent

    async def __aenter__(self) -> None:
        await self._lanes._begin(self._lane, urgent=self._urgent)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lanes._end(self._lane)
