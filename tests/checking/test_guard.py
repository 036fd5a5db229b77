"""No request, hop, proxy or rebound name reaches a non-public address (law 5)."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys

import pytest

from archiver.checking.wire import raise_descriptor_limit
from archiver.config import NetworkSettings
from tests.checking.servers import (
    OK,
    Connection,
    Names,
    RawServer,
    answering,
    check_settings,
    fetching,
    look,
    status_line,
)

CLOSED = NetworkSettings()


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every address this process tries to connect to."""
    tried: list[object] = []

    class Watched(socket.socket):
        def connect(self, address: object) -> None:  # type: ignore[override]
            tried.append(address)
            super().connect(address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "socket", Watched)
    return tried


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://0.0.0.0:{port}/",
        "http://localhost:{port}/",
        "http://\u2460\u2461\u2466.0.0.1:{port}/",
        "http://127.0.0.1.:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
    ],
)
async def test_nothing_non_public_is_connected_to(url: str, connections: list[object]) -> None:
    async with RawServer(answering(OK)) as server:
        async with fetching(network=CLOSED) as fetcher:
            connections.clear()
            seen = await look(fetcher, url.format(port=server.port))
        assert (seen.status, seen.error) == (None, "private-address")
        assert server.visits == []
        assert connections == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "64:ff9b::a00:1", "::1", "fec0::1"],
)
async def test_a_name_that_resolves_inside_is_refused(
    address: str, connections: list[object]
) -> None:
    names = Names({"news.example": [(address, 80)]})
    async with fetching(network=CLOSED, resolver=names) as fetcher:
        seen = await look(fetcher, "http://news.example/")
        assert (seen.status, seen.error) == (None, "private-address")
        assert connections == []


async def test_of_several_addresses_only_the_allowed_are_tried(connections: list[object]) -> None:
    async with RawServer(answering(OK)) as server:
        table = [("10.0.0.1", server.port), ("127.0.0.1", server.port), ("::1", server.port)]
        async with fetching(resolver=Names({"news.example": table})) as fetcher:
            seen = await look(fetcher, "http://news.example/")
        assert seen.status == 200
        assert ("127.0.0.1", server.port) in connections
        assert all(place[0] == "127.0.0.1" for place in connections)  # type: ignore[index]


async def test_a_name_that_rebinds_between_two_hops_is_refused_at_the_second() -> None:
    async with RawServer(answering(status_line("302", "Location: /again"))) as server:

        class Rebinding(Names):
            async def resolve(self, host, port=0, family=socket.AF_INET):  # type: ignore[no-untyped-def]
                answers = await super().resolve(host, port, family)
                self.table[host] = [("169.254.169.254", 80)]
                return answers

        names = Rebinding({"news.example": [("127.0.0.1", server.port)]})
        async with fetching(resolver=names) as fetcher:
            seen = await look(fetcher, "http://news.example/")
        assert (seen.status, seen.error) == (None, "private-address")
        assert len(server.visits) == 1
        assert len(names.asked) == 2


async def test_the_last_gate_holds_when_a_resolver_slips_past_the_first(
    connections: list[object],
) -> None:
    names = Names({"news.example": [("10.0.0.1", 80), ("10.0.0.2", 80)]})
    async with fetching(network=CLOSED, resolver=names) as fetcher:
        # As if the answers had not been filtered at all.
        fetcher.wire.resolver.resolve = names.resolve  # type: ignore[method-assign]
        seen = await look(fetcher, "http://news.example/")
        assert (seen.status, seen.error) == (None, "private-address")
        assert connections == []


@pytest.mark.parametrize("port", [22, 25, 6667])
async def test_a_port_of_another_service_is_refused(port: int, connections: list[object]) -> None:
    async with fetching() as fetcher:
        seen = await look(fetcher, f"http://127.0.0.1:{port}/")
        assert (seen.status, seen.error) == (None, "bad-port")
        assert connections == []


async def test_a_redirect_to_the_cloud_metadata_is_refused_and_noted() -> None:
    data = status_line("302", "Location: http://169.254.169.254/latest/meta-data/")
    async with RawServer(answering(data)) as server, fetching() as fetcher:
        seen = await look(fetcher, server.url())
        assert (seen.status, seen.error) == (None, "private-address")
        assert seen.final_url == "http://169.254.169.254/latest/meta-data/"
        assert [hop.status for hop in seen.redirects] == [302]


async def test_a_probe_passes_the_guard_too(connections: list[object]) -> None:
    names = Names({"news.example": [("10.0.0.1", 80)]})
    async with fetching(network=CLOSED, resolver=names) as fetcher:
        assert await fetcher.probe("http://news.example/a/b", on_page=_no_page) is None
        assert connections == []


def _no_page(body: bytes, content_type: str | None, /, *, truncated: bool, url: str):  # type: ignore[no-untyped-def]
    raise AssertionError("no page can come")


async def _relay(connection: Connection) -> None:
    """A proxy that answers everything itself."""
    if connection.visit.request_line.startswith("CONNECT"):
        await connection.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    else:
        await connection.send(OK)


async def test_through_a_proxy_the_target_is_resolved_here_first() -> None:
    async with RawServer(_relay) as proxy:
        network = NetworkSettings(proxy=f"http://127.0.0.1:{proxy.port}")
        names = Names(
            {
                "news.example": [("93.184.216.34", 80)],
                "inside.example": [("93.184.216.34", 80), ("10.0.0.1", 80)],
            }
        )
        async with fetching(network=network, resolver=names) as fetcher:
            seen = await look(fetcher, "http://news.example/a%2fb?")
            assert (seen.status, seen.error) == (200, None)
            assert proxy.visits[0].target == "http://news.example/a%2fb?"
            assert len(proxy.visits) == 1
            for url, word in (
                ("http://inside.example/", "private-address"),
                ("http://169.254.169.254/", "private-address"),
                ("http://127.1/", "private-address"),
                ("http://gone.example/", "dns-gone"),
            ):
                seen = await look(fetcher, url)
                assert (seen.status, seen.error) == (None, word)
            assert len(proxy.visits) == 1


async def test_a_proxy_that_fails_is_our_own_trouble() -> None:
    async with RawServer(_relay) as proxy:
        network = NetworkSettings(proxy=f"http://127.0.0.1:{proxy.port}")
        names = Names({"news.example": [("93.184.216.34", 443)]})
        async with fetching(network=network, resolver=names) as fetcher:
            seen = await look(fetcher, "https://news.example/")
            assert (seen.status, seen.error) == (None, "local-trouble")
    async with fetching(network=network, resolver=names) as fetcher:
        seen = await look(fetcher, "http://news.example/")
        assert (seen.status, seen.error) == (None, "local-trouble")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EPERM])
async def test_what_this_machine_lacks_is_never_held_against_a_link(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer(answering(OK)) as server, fetching(check_settings()) as fetcher:
        url = server.url()

        def lacking(*_: object) -> socket.socket:
            raise OSError(number, "no more")

        monkeypatch.setattr("archiver.checking.wire.socket.socket", lacking)
        seen = await look(fetcher, url)
        assert (seen.status, seen.error) == (None, "local-trouble")


def test_the_limit_of_open_files_is_raised_and_never_lowered() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lower = min(256, soft)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lower, hard))
    try:
        raise_descriptor_limit()
        raised = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert raised > lower or raised == hard
        raise_descriptor_limit(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == raised
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


_MANY_HOSTS = """
import asyncio, resource
from tests.checking.servers import OK, Names, RawServer, fetching, look

async def linger(connection):
    await connection.send(OK)
    await connection.reader.read()

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    async with RawServer(linger) as server:
        hosts = [f"h{number}.example.com" for number in range(150)]
        names = Names({host: [("127.0.0.1", server.port)] for host in hosts})
        async with fetching(resolver=names) as fetcher:
            seen = [await look(fetcher, f"http://{host}/x") for host in hosts]
            print({(one.status, one.error) for one in seen}, fetcher.wire.connections)

asyncio.run(main())
"""


def test_where_few_files_may_be_open_few_connections_are_kept() -> None:
    # Client and server share the 256: a connection takes two of them.
    command = [sys.executable, "-c", _MANY_HOSTS]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert told.stdout.startswith("{(200, None)} "), told.stderr
    assert 60 <= int(told.stdout.split()[-1]) <= 86
