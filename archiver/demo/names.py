"""The name service of the small web: every name leads to this machine, or nowhere."""

from __future__ import annotations

import socket
from collections.abc import Callable
from enum import StrEnum

from aiohttp.abc import AbstractResolver, ResolveResult

from archiver.demo.behaviours import Fault, Outcome

LOOPBACK = "127.0.0.1"


class Door(StrEnum):
    """Which listener stands behind an address."""

    PLAIN = "plain"
    TLS = "tls"
    MUTE = "mute"
    CLOSED = "closed"


# EAI_NODATA exists on Linux and macOS only; elsewhere both mean EAI_NONAME.
NAME_ERRORS = {
    Fault.NAME_GONE: (socket.EAI_NONAME, "Name or service not known"),
    Fault.NAME_WITHOUT_ADDRESS: (
        getattr(socket, "EAI_NODATA", socket.EAI_NONAME),
        "No address associated with hostname",
    ),
    Fault.NAME_SERVER_TROUBLE: (socket.EAI_AGAIN, "Temporary failure in name resolution"),
}
_DOORS = {
    Fault.REFUSED: Door.CLOSED,
    Fault.SILENT_HANDSHAKE: Door.MUTE,
    Fault.NOT_TLS: Door.PLAIN,
}


class Resolver(AbstractResolver):
    """Answers for the hosts of the table, and for no other name in the world.

    `outcome_of` says what happens to a host's cited page today; `ports` maps doors to the ports
    the listeners got. The answer carries the port, which aiohttp connects to instead of 80 and
    443; names that are not in the table do not exist.
    """

    def __init__(
        self, outcome_of: Callable[[str], Outcome], ports: Callable[[], dict[Door, int]]
    ) -> None:
        """Ask `outcome_of` for each name, `ports` for where the listeners are now."""
        self._outcome_of = outcome_of
        self._ports = ports

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        """Return the loopback address and port of a host, or raise `socket.gaierror`."""
        outcome = self._outcome_of(host.lower().rstrip("."))
        if isinstance(outcome, Fault) and outcome in NAME_ERRORS:
            raise socket.gaierror(*NAME_ERRORS[outcome])
        door = Door.TLS if port == 443 else Door.PLAIN
        if isinstance(outcome, Fault):
            door = _DOORS.get(outcome, door)
        return [
            ResolveResult(
                hostname=host,
                host=LOOPBACK,
                port=self._ports()[door],
                family=socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Hold nothing, so close nothing."""
