"""Names into addresses: the system's resolver in threads of its own, behind the address guard.

aiohttp would take another resolver when one happens to be installed, and lose the error number
that tells "this name is gone" from "the resolver is in trouble" (reference operations §0.5).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from archiver.checking.address import BAD_PORT, AddressGuard

# Dead names are slow, and the default pool of a small machine has six threads
# (reference operations §12).
_THREADS = 32
# After a failure aiohttp tries the remaining addresses again; a name with dozens of addresses
# would keep it busy. Browsers try a handful too.
_MAX_ADDRESSES = 6
_REMEMBERED = 4096


class AddressRefused(OSError):
    """A connection was refused by us, before it was opened; `word` says why."""

    def __init__(self, word: str) -> None:
        """Carry `private-address` or `bad-port`.

        The text is the same for every address, so that several refusals stay one error.
        """
        super().__init__(word)
        self.word = word


class NameTimeout(OSError):
    """No answer came for a name in time."""


class Exchange:
    """What is known of one request while it is under way: how far it came, and to where.

    `resolved`: all that its host's name resolved to; nothing for an address that has no name.
    """

    __slots__ = (
        *("address", "answered", "bytes_heard", "over"),
        *("resolved", "resolving", "reused"),
    )

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.bytes_heard = 0
        self.answered = False
        self.over = False
        self.reused = False
        self.resolving = False
        self.address: str | None = None
        self.resolved: frozenset[str] = frozenset()

    @property
    def heard(self) -> bool:
        """Say whether any byte of an answer has come."""
        return self.bytes_heard > 0


current_exchange: ContextVar[Exchange | None] = ContextVar("current_exchange", default=None)


class SystemResolver(AbstractResolver):
    """The system's resolver (`getaddrinfo`) in a pool of threads; errors keep their number."""

    def __init__(self, threads: int = _THREADS) -> None:
        """Make a pool of that many threads; they start when needed."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name; raise `socket.gaierror` as the system does."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._pool,
            socket.getaddrinfo,
            host,
            port,
            family,
            socket.SOCK_STREAM,
            0,
            socket.AI_ADDRCONFIG,
        )
        return [_result(host, one) for one in found if one[0] in (socket.AF_INET, socket.AF_INET6)]

    async def close(self) -> None:
        """Let the threads go; a look-up that still hangs ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _result(host: str, found: tuple[Any, ...]) -> ResolveResult:
    family, _, protocol, _, place = found
    return ResolveResult(
        hostname=host,
        host=place[0],
        port=place[1],
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


@contextlib.asynccontextmanager
async def lent(resolver: AbstractResolver | None) -> AsyncIterator[AbstractResolver]:
    """Lend this resolver, or where there is none the system's for a question or two."""
    if resolver is not None:
        yield resolver
        return
    own = SystemResolver(threads=2)
    try:
        yield own
    finally:
        await own.close()


class GuardedResolver(AbstractResolver):
    """Another resolver, with a deadline, and without the addresses the guard refuses."""

    def __init__(self, inner: AbstractResolver, guard: AddressGuard, timeout: float) -> None:
        """Wrap `inner`; `timeout` is in seconds."""
        self._inner = inner
        self._guard = guard
        self._timeout = timeout
        self._networks: dict[str, str] = {}

    def network_of(self, host: str) -> str | None:
        """Return the /24 (IPv6: /48) a host was last resolved into, if it was lately."""
        return self._networks.get(host)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the allowed addresses of a name.

        Raises `AddressRefused` when none is allowed, `NameTimeout`, or the inner resolver's
        OSError. IPv6 comes first, as everywhere; IPv4 last, because the error of the last
        address is the one that is reported, and a missing IPv6 route says nothing of a host.
        """
        found = await self.resolve_all(host, port, family)
        allowed = [one for one in found if not self._guard.refusal(one["host"], one["port"])]
        if not allowed:
            raise AddressRefused(
                self._guard.refusal(found[0]["host"], found[0]["port"]) or BAD_PORT
            )
        self._remember(host, found[0]["host"])
        allowed.sort(key=lambda one: ":" not in one["host"])
        return _a_few(allowed)

    async def resolve_all(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return every address of a name, allowed or not; never an empty list."""
        exchange = current_exchange.get()
        if exchange is not None:
            exchange.resolving = True
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._inner.resolve(host, port, family)
        except TimeoutError as error:
            raise NameTimeout(f"no answer for {host}") from error
        except UnicodeError as error:
            # getaddrinfo's own IDNA step refuses names such as `a..b` this way.
            raise socket.gaierror(socket.EAI_NONAME, "no usable name") from error
        if exchange is not None:
            exchange.resolving = False
            # Also those the guard will refuse: a forger's address is often a private one.
            exchange.resolved = frozenset(one["host"] for one in found)
        if not found:
            raise socket.gaierror(socket.EAI_NODATA, "name without address")
        return found

    def _remember(self, host: str, address: str) -> None:
        while len(self._networks) >= _REMEMBERED:
            del self._networks[next(iter(self._networks))]
        self._networks.pop(host, None)
        with contextlib.suppress(ValueError):
            self._networks[host] = _network(address)

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


@lru_cache(maxsize=_REMEMBERED)
def _network(address: str) -> str:
    length = 48 if ":" in address else 24
    return str(ip_network(f"{address}/{length}", strict=False))


def _a_few(found: list[ResolveResult]) -> list[ResolveResult]:
    """Keep at most so many addresses that both families have a chance."""
    if len(found) <= _MAX_ADDRESSES:
        return found
    half = _MAX_ADDRESSES // 2
    sixes = [one for one in found if ":" in one["host"]][:half]
    return sixes + [one for one in found if ":" not in one["host"]][: _MAX_ADDRESSES - len(sixes)]
