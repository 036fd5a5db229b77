"""Hosts between processes: who may ask one now, and what it asked of everybody.

A lease outlives the request it covers and the delay after it, so the time of a request is safe
before it is sent: after a crash nobody asks that host before the lease is over (laws 6 and 8).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Protocol

from archiver.model import HostState


class HostLedger(Protocol):
    """Where hosts are leased between processes; the store implements it."""

    def lease(self, host: str, holder: str, now: datetime, until: datetime) -> HostState | None:
        """Take or extend the lease at once; None when another living holder has it."""

    def release(self, host: str, holder: str, last_request_at: datetime) -> None:
        """Give the lease back and keep when the host's last answer ended."""

    def pause(self, host: str, not_before: datetime) -> None:
        """Keep that the host asked to be left alone until then, and count it."""

    def forgive(self, host: str) -> None:
        """Forget the host's pauses: it has answered again."""


class MemoryHostLedger:
    """A ledger for when there is no database, and for tests."""

    def __init__(self) -> None:
        """Begin with no host known."""
        self._states: dict[str, HostState] = {}
        self._leases: dict[str, tuple[str, datetime]] = {}

    def lease(self, host: str, holder: str, now: datetime, until: datetime) -> HostState | None:
        """Take or extend the lease at once; None when another holder has a living one."""
        owner, end = self._leases.get(host, (holder, now))
        if owner != holder and end > now:
            return None
        self._leases[host] = (holder, until)
        return self._states.get(host, HostState())

    def release(self, host: str, holder: str, last_request_at: datetime) -> None:
        """Give the lease back and keep when the host's last answer ended."""
        if self._leases.get(host, ("", None))[0] == holder:
            del self._leases[host]
            state = self._states.get(host, HostState())
            self._states[host] = replace(state, last_request_at=last_request_at)

    def pause(self, host: str, not_before: datetime) -> None:
        """Keep that the host asked to be left alone until then, and count it."""
        state = self._states.get(host, HostState())
        longest = max(state.not_before or not_before, not_before)
        self._states[host] = HostState(longest, state.last_request_at, state.consecutive_pauses + 1)

    def forgive(self, host: str) -> None:
        """Forget the host's pauses: it has answered again."""
        state = self._states.get(host, HostState())
        self._states[host] = HostState(None, state.last_request_at, 0)
