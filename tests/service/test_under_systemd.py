"""What systemd hears of a real service over a real datagram socket, from its start to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator

import pytest

from tests.service.children import ROOT
from tests.service.test_many_processes import LATER_RELEASE
from tests.service.town import Place, Town, stopped, until

NEWS = "/news/harbour-dredging-contract-awarded-without-tender"


class Manager:
    """The other end of `$NOTIFY_SOCKET`: keeps every message in the order of its coming."""

    def __init__(self) -> None:
        self.name = f"archiver-manager-{os.getpid()}-{os.urandom(4).hex()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(f"\0{self.name}")
        self.heard: list[str] = []

    def lines(self) -> list[str]:
        """Return every assignment heard so far."""
        try:
            while True:
                self.heard += self.socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return self.heard

    def said(self, beginning: str) -> bool:
        return any(line.startswith(beginning) for line in self.lines())


@pytest.fixture
def manager() -> Iterator[Manager]:
    opened = Manager()
    yield opened
    opened.socket.close()


async def test_systemd_hears_when_it_is_ready_what_it_does_and_that_it_stops(
    place: Place, town: Town, manager: Manager
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"')
    service = await place.start(
        "run", NOTIFY_SOCKET=f"@{manager.name}", WATCHDOG_USEC="600000", fresh=True
    )
    await until(lambda: manager.said("READY=1"), "READY=1", service)
    assert place.value("SELECT count(*) FROM links") is not None  # the database is open by then
    await until(lambda: manager.said("STATUS=last check: 1 looks"), "the status", service)
    await until(lambda: manager.said("WATCHDOG=1"), "the watchdog's food", service)
    manager.heard.clear()
    service.send_signal(signal.SIGHUP)
    await until(lambda: manager.said("READY=1"), "the end of the reload", service)
    lines = manager.lines()
    assert lines.index("RELOADING=1") < lines.index("READY=1")
    done = await stopped(service)
    assert done.code == 0, done.err
    assert "STOPPING=1" in manager.lines()


async def test_systemd_is_asked_for_patience_while_the_database_is_migrated(
    place: Place, town: Town, manager: Manager
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"')
    assert (await place.run("check", "--due")).code == 0
    service = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LATER_RELEASE, "run"),
        cwd=place.folder,
        env={"PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": f"@{manager.name}", "PATH": os.defpath},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    place.children.append(service)
    await until(lambda: manager.said("READY=1"), "READY=1", service)
    lines = manager.lines()
    assert lines.index("STATUS=migrating the database") < lines.index("READY=1")
    assert lines.index("EXTEND_TIMEOUT_USEC=30000000") < lines.index("READY=1")
    assert (await stopped(service)).code == 0
