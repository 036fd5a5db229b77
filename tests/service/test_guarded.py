"""The address guard through the whole service: with a proxy, and with names that change.

Issue 4 line 8: nothing is sent, and what was refused is kept as `blocked`/`private-address`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp.abc import AbstractResolver, ResolveResult

from archiver.demo.sites import ALIVE, Site, leads_to
from tests.service.small_web import small_web

PUBLIC, PRIVATE = "198.41.0.4", "127.0.0.1"
SITE = Site("page.example", "Harbour report number one", ALIVE, "", "", "")


@dataclass
class Rebinding(AbstractResolver):
    """Gives the site's name one address after another, and knows no other name.

    A resolver that led every name to one place would be a forger, and no word of it believed.
    """

    port: int
    addresses: tuple[str, ...] = (PRIVATE,)
    asked: int = 0

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        """Return the next address in turn, the last one for ever."""
        if host != SITE.host:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        address = self.addresses[min(self.asked, len(self.addresses) - 1)]
        self.asked += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=self.port,
                family=socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Hold nothing, so close nothing."""


@asynccontextmanager
async def counting_listener() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Listen on loopback, keep the first line of all that comes, and answer nothing of use."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()


async def test_a_name_that_leads_into_this_machine_is_blocked_and_nothing_is_sent(
    tmp_path: Path,
) -> None:
    async with counting_listener() as (port, heard):
        resolver = Rebinding(port)
        async with small_web(tmp_path, [SITE], allowed="", resolver=resolver) as service:
            await service.look()
            assert resolver.asked
            assert service.word(SITE) == "blocked/private-address"
            assert heard == []
            assert service.web.served == []


async def test_behind_a_proxy_too_the_name_is_resolved_here_and_refused(tmp_path: Path) -> None:
    async with counting_listener() as (port, heard):
        resolver, proxy = Rebinding(port), f'proxy = "http://127.0.0.1:{port}"'
        async with small_web(
            tmp_path, [SITE], allowed="", network=proxy, resolver=resolver
        ) as service:
            await service.look()
            assert service.word(SITE) == "blocked/private-address"
            assert heard == []
            # The same proxy is used for a name that is public, so that silence proves something.
            resolver.addresses, resolver.asked = (PUBLIC,), 0
            service.at(24 * 40)
            await service.look()
            assert any(b"page.example" in line for line in heard)


async def test_a_name_rebound_after_a_good_look_is_refused_at_the_next(tmp_path: Path) -> None:
    async with counting_listener() as (port, heard):
        resolver = Rebinding(port, (PRIVATE,))
        allowed = '"127.0.0.1/32"'
        async with small_web(tmp_path, [SITE], allowed=allowed, resolver=resolver) as service:
            await service.look()
            came = len(heard)
            assert came
            resolver.addresses = ("127.0.0.2",)
            service.at(24 * 40)
            await service.look()
            assert len(heard) == came
            query = "SELECT count(*) FROM looks WHERE reason = 'private-address'"
            assert service.count(query) >= 1


async def test_a_redirect_into_a_private_network_is_refused_at_the_hop(tmp_path: Path) -> None:
    async with counting_listener() as (port, heard):
        site = Site(
            "leads.example",
            "Harbour report number two",
            leads_to(302, f"http://127.0.0.2:{port}/admin"),
            "",
            "",
            "",
        )
        async with small_web(tmp_path, [site], allowed='"127.0.0.1/32"') as service:
            await service.look()
            assert service.word(site) == "blocked/private-address"
            assert heard == []
            assert service.web.served
