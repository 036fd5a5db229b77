"""Telling systemd how the service is: the sd_notify protocol over its datagram socket.

Facts: sd_notify(3), systemd.service(5) (`Type=notify`, `WatchdogSec=`). Without
`$NOTIFY_SOCKET` every message goes nowhere, so callers need not ask where they run.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from archiver.text import shown

# How often more time is asked for during a long start, and for how long at most.
EXTENSION_PAUSE_SECONDS = 10.0
LONGEST_START_SECONDS = 3600.0


class ServiceManager:
    """The line to systemd; every method returns whether the message could be sent."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Take the socket and the watchdog's interval from the environment."""
        environ = os.environ if environ is None else environ
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_interval = _watchdog_interval(environ)

    @property
    def is_there(self) -> bool:
        """Say whether somebody listens."""
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """Say that start-up, or a reload, is finished."""
        return self._send("READY=1", *_status(status))

    def status(self, text: str) -> bool:
        """Show one line in `systemctl status`."""
        return self._send(*_status(text))

    def reloading(self) -> bool:
        """Say that the configuration is being read again; `ready` ends it."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> bool:
        """Say that the service is shutting down."""
        return self._send("STOPPING=1", *_status(status))

    def alive(self) -> bool:
        """Pet the watchdog; to be called every `watchdog_interval` seconds."""
        return self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> bool:
        """Ask for at least so many more seconds to start or stop, as while migrating."""
        return self._send(f"EXTEND_TIMEOUT_USEC={max(1, int(seconds * 1_000_000))}")

    @contextmanager
    def patience(self, status: str) -> Iterator[None]:
        """Keep systemd waiting while a start takes long, for at most an hour."""
        over = threading.Event()

        def ask() -> None:
            for _ in range(int(LONGEST_START_SECONDS / EXTENSION_PAUSE_SECONDS)):
                self.extend_timeout(3 * EXTENSION_PAUSE_SECONDS)
                if over.wait(EXTENSION_PAUSE_SECONDS):
                    return

        self.status(status)
        thread = threading.Thread(target=ask, name="systemd-patience", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _send(self, *lines: str) -> bool:
        if self._address is None or not lines:
            return False
        message = "\n".join(lines).encode("utf-8", "replace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)  # a full queue must not hold the event loop
                line.sendto(message, self._address)
        except OSError:
            return False
        return True


def _address(path: str) -> str | None:
    """Return the socket's address; a leading @ means Linux' abstract namespace."""
    if path.startswith("@"):
        return "\0" + path[1:]
    return path if path.startswith("/") else None


def _watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """Return how often to call `alive`, in seconds: a third of what systemd waits."""
    try:
        microseconds = int(environ["WATCHDOG_USEC"])
        meant_for = int(environ.get("WATCHDOG_PID", os.getpid()))
    except (KeyError, ValueError):
        return None
    return microseconds / 3_000_000 if microseconds > 0 and meant_for == os.getpid() else None


def _status(text: str) -> tuple[str, ...]:
    return (f"STATUS={shown(text)}",) if text else ()
