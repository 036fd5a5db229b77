"""Certificate faults and broken handshakes, with real TLS on loopback."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from archiver.config import NetworkSettings
from archiver.errors import ConfigurationError
from tests.checking.servers import (
    OK,
    Certificate,
    Connection,
    Names,
    RawServer,
    answering,
    check_settings,
    fetching,
    look,
    make_certificate,
    status_line,
)

NAME = "news.example"


@pytest.fixture(scope="module")
def authority() -> Certificate:
    return make_certificate("Test Authority", authority=True)


@pytest.fixture
def network(authority: Certificate, tmp_path: Path) -> NetworkSettings:
    """Loopback allowed, and the test authority trusted instead of the system's."""
    path = tmp_path / "authority.pem"
    path.write_bytes(authority.pem())
    return NetworkSettings(allow_private=["127.0.0.0/8"], ca_file=str(path))


def _context(kind: str, authority: Certificate, folder: Path) -> ssl.SSLContext:
    if kind == "good":
        return make_certificate(NAME, signer=authority).context(folder)
    if kind == "expired":
        return make_certificate(NAME, signer=authority, days=(-30, -3)).context(folder)
    if kind == "not yet":
        return make_certificate(NAME, signer=authority, days=(3, 30)).context(folder)
    if kind == "wrong name":
        return make_certificate("other.example", signer=authority).context(folder)
    if kind == "self-signed":
        return make_certificate(NAME).context(folder)
    if kind == "self-signed in the chain":
        stranger = make_certificate("Nobody", authority=True)
        return make_certificate(NAME, signer=stranger).context(folder, stranger)
    between = make_certificate("Between", signer=authority, authority=True)
    return make_certificate(NAME, signer=between).context(folder)


FAULTS = {
    "expired": "tls-expired",
    "not yet": "tls-not-yet",
    "wrong name": "tls-name",
    "self-signed": "tls-self-signed",
    "self-signed in the chain": "tls-self-signed",
    "incomplete chain": "tls-chain",
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("status", [200, 404])
async def test_a_certificate_fault_is_named_and_the_page_behind_it_seen(
    kind: str, status: int, authority: Certificate, network: NetworkSettings, tmp_path: Path
) -> None:
    context = _context(kind, authority, tmp_path)
    data = status_line(str(status), "Set-Cookie: a=b", body=b"behind it")
    async with RawServer(answering(data), context=context) as server:
        names = Names({NAME: [("127.0.0.1", server.port)]})
        async with fetching(resolver=names, network=network) as fetcher:
            seen = await look(fetcher, f"https://{NAME}/x")
            assert (seen.status, seen.error) == (status, FAULTS[kind])
            assert seen.page is not None
            assert seen.page.title == "behind it"
            # The handshake that failed, then one request without verification.
            assert [bool(one.head) for one in server.visits][-1:] == [True]
            assert sum(bool(one.head) for one in server.visits) == 1


async def test_a_good_certificate_is_no_fault(
    authority: Certificate, network: NetworkSettings, tmp_path: Path
) -> None:
    async with RawServer(answering(OK), context=_context("good", authority, tmp_path)) as server:
        names = Names({NAME: [("127.0.0.1", server.port)]})
        async with fetching(resolver=names, network=network) as fetcher:
            seen = await look(fetcher, f"https://{NAME}/x")
            assert (seen.status, seen.error) == (200, None)
            assert server.visits[0].header("Host") == NAME


async def test_few_encrypted_connections_are_kept_for_each_holds_much_memory(
    authority: Certificate, network: NetworkSettings, tmp_path: Path
) -> None:
    async def linger(connection: Connection) -> None:
        await connection.send(OK)
        await connection.reader.read()

    certificate = make_certificate(f"*.{NAME}", signer=authority)
    async with RawServer(linger, context=certificate.context(tmp_path)) as server:
        hosts = [f"h{number}.{NAME}" for number in range(80)]
        names = Names({host: [("127.0.0.1", server.port)] for host in hosts})
        async with fetching(resolver=names, network=network) as fetcher:
            for host in hosts:
                seen = await look(fetcher, f"https://{host}/x")
                assert (seen.status, seen.error) == (200, None)
            assert fetcher.wire.connections == fetcher.wire.encrypted
            assert 0 < fetcher.wire.encrypted <= 65


async def test_behind_a_certificate_fault_no_cookie_is_sent_and_none_kept(
    authority: Certificate, network: NetworkSettings, tmp_path: Path
) -> None:
    async def onward(connection: Connection) -> None:
        if connection.visit.target == "/x":
            await connection.send(status_line("302", "Set-Cookie: a=b; Path=/", "Location: /y"))
        else:
            await connection.send(OK)

    context = _context("expired", authority, tmp_path)
    async with RawServer(onward, context=context) as server:
        names = Names({NAME: [("127.0.0.1", server.port)]})
        async with fetching(resolver=names, network=network) as fetcher:
            seen = await look(fetcher, f"https://{NAME}/x")
            assert (seen.status, seen.error) == (200, "tls-expired")
            asked = [one for one in server.visits if one.head]
            assert [one.header("Cookie") for one in asked] == [None, None]


async def test_behind_a_certificate_fault_the_guard_stays(
    authority: Certificate, network: NetworkSettings, tmp_path: Path
) -> None:
    context = _context("expired", authority, tmp_path)
    data = status_line("302", "Location: http://169.254.169.254/")
    async with RawServer(answering(data), context=context) as server:
        names = Names({NAME: [("127.0.0.1", server.port)]})
        async with fetching(resolver=names, network=network) as fetcher:
            seen = await look(fetcher, f"https://{NAME}/x")
            assert (seen.status, seen.error) == (None, "private-address")


async def test_row_20_plain_http_where_tls_is_due(network: NetworkSettings) -> None:
    async def speak(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.1)

    async with (
        RawServer(speak, reads_request=False) as server,
        fetching(network=network) as fetcher,
    ):
        seen = await look(fetcher, f"https://127.0.0.1:{server.port}/")
        assert (seen.status, seen.error) == (None, "tls-handshake")


async def test_row_10_a_silent_handshake_is_a_connection_that_never_came(
    network: NetworkSettings,
) -> None:
    async def silence(connection: Connection) -> None:
        await asyncio.sleep(2)

    async with (
        RawServer(silence, reads_request=False) as server,
        fetching(check_settings(connect_timeout="1s"), network=network) as fetcher,
    ):
        seen = await look(fetcher, f"https://127.0.0.1:{server.port}/")
        assert seen.error == "connect-timeout"


@pytest.mark.parametrize("ending", ["reset", "closed"])
async def test_row_23_a_handshake_that_breaks_is_a_reset(
    ending: str, network: NetworkSettings
) -> None:
    async def end(connection: Connection) -> None:
        await connection.reader.read(50)
        if ending == "reset":
            connection.reset()

    async with (
        RawServer(end, reads_request=False) as server,
        fetching(network=network) as fetcher,
    ):
        seen = await look(fetcher, f"https://127.0.0.1:{server.port}/")
        assert (seen.status, seen.error) == (None, "reset")
        assert len(server.visits) == 2


ALERTS = {
    "row 21: protocol version": (b"\x02\x46", "tls-old"),
    "row 22: handshake failure, as for no cipher in common": (b"\x02\x28", "tls-old"),
    "row 24: unrecognised name": (b"\x02\x70", "tls-name"),
    "row 25: bad certificate, namely none": (b"\x02\x2a", "client-cert"),
    "internal error": (b"\x02\x50", "tls-handshake"),
    "an alert that nobody knows, which is no fault of ours": (b"\x02\xff", "tls-handshake"),
}


@pytest.mark.parametrize("row", ALERTS)
async def test_an_alert_in_the_handshake_has_its_word(row: str, network: NetworkSettings) -> None:
    # Servers of today cannot be made so old; what they would send can.
    code, word = ALERTS[row]

    async def alert(connection: Connection) -> None:
        await connection.reader.read(500)
        await connection.send(b"\x15\x03\x03\x00\x02" + code)
        await asyncio.sleep(0.1)

    async with (
        RawServer(alert, reads_request=False) as server,
        fetching(network=network) as fetcher,
    ):
        seen = await look(fetcher, f"https://127.0.0.1:{server.port}/")
        assert (seen.status, seen.error) == (None, word)


async def test_row_25_a_tls_1_3_server_that_wants_our_certificate(
    authority: Certificate, network: NetworkSettings, tmp_path: Path
) -> None:
    context = _context("good", authority, tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.pem().decode())

    async def insist(connection: Connection) -> None:
        # asyncio's own TLS closes without sending the alert, so the records pass by hand.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = context.wrap_bio(incoming, outgoing, server_side=True)
        while data := await connection.reader.read(65536):
            incoming.write(data)
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                await connection.send(outgoing.read())
                connection.writer.write_eof()
                continue
            await connection.send(outgoing.read())

    async with RawServer(insist, reads_request=False) as server:
        names = Names({NAME: [("127.0.0.1", server.port)]})
        async with fetching(resolver=names, network=network) as fetcher:
            seen = await look(fetcher, f"https://{NAME}/x")
            assert (seen.status, seen.error) == (None, "client-cert")


async def test_a_file_that_is_no_certificate_is_a_bad_setting(tmp_path: Path) -> None:
    path = tmp_path / "authority.pem"
    path.write_text("no certificate")
    for wrong in (str(path), str(tmp_path / "absent.pem")):
        with pytest.raises(ConfigurationError, match="certificate file"):
            async with fetching(network=NetworkSettings(ca_file=wrong)):
                pass


async def test_ssl_cert_file_replaces_the_systems_trust(
    authority: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "authority.pem"
    path.write_bytes(authority.pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    network = NetworkSettings(allow_private=["127.0.0.0/8"])
    async with RawServer(answering(OK), context=_context("good", authority, tmp_path)) as server:
        names = Names({NAME: [("127.0.0.1", server.port)]})
        async with fetching(resolver=names, network=network) as fetcher:
            seen = await look(fetcher, f"https://{NAME}/x")
            assert (seen.status, seen.error) == (200, None)
