"""Servers that misbehave on purpose, on loopback, and what tests need to look at them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from archiver.checking.fetch import Fetcher
from archiver.checking.lanes import Lanes
from archiver.checking.ledger import HostLedger
from archiver.clock import Clock, SystemClock
from archiver.config import CheckSettings, HostSettings, NetworkSettings
from archiver.model import Observation, PageFacts

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello"


@dataclass
class Visit:
    """One connection as the server saw it: what was sent, when it began and ended."""

    head: bytes
    began: float
    ended: float = 0.0
    name: str = ""

    @property
    def request_line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def target(self) -> str:
        return self.request_line.split(" ", 1)[1].rsplit(" ", 1)[0]

    def header(self, name: str) -> str | None:
        for line in self.head.split(b"\r\n")[1:]:
            field_name, _, value = line.partition(b":")
            if field_name.lower() == name.lower().encode():
                return value.strip().decode("latin-1")
        return None


class Connection:
    """What a behaviour may do to a client."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, visit: Visit
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.visit = visit

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End with RST instead of FIN."""
        opened = self.writer.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour = Callable[[Connection], Awaitable[None]]


def answering(data: bytes) -> Behaviour:
    async def behave(connection: Connection) -> None:
        await connection.send(data)

    return behave


def status_line(status: str, *lines: str, body: bytes = b"") -> bytes:
    head = [f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


@dataclass
class RawServer:
    """A server at one loopback address; `visits` tells who came."""

    behaviour: Behaviour
    address: str = "127.0.0.1"
    context: ssl.SSLContext | None = None
    reads_request: bool = True
    visits: list[Visit] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> RawServer:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server = await asyncio.start_server(
            self._serve, self.address, self.port, ssl=self.context, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        visit = Visit(b"", time.monotonic())
        self.visits.append(visit)
        try:
            if self.reads_request:
                visit.head = await reader.readuntil(b"\r\n\r\n")
            await self.behaviour(Connection(reader, writer, visit))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            visit.ended = time.monotonic()
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()
            self._tasks.discard(task)

    def url(self, path: str = "/x", host: str | None = None) -> str:
        scheme = "https" if self.context else "http"
        return f"{scheme}://{host or self.address}:{self.port}{path}"


class Names(AbstractResolver):
    """A resolver with a table: name → addresses with ports, or the error to raise."""

    def __init__(self, table: Mapping[str, Sequence[tuple[str, int]] | OSError]) -> None:
        self.table = dict(table)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self.table.get(host)
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        if isinstance(found, OSError):
            raise found
        return [
            ResolveResult(hostname=host, host=address, port=here, family=family, proto=0, flags=0)
            for address, here in found
        ]

    async def close(self) -> None:
        pass


def read_nothing(
    body: bytes, content_type: str | None, /, *, truncated: bool, url: str
) -> PageFacts:
    """A page reader that keeps the text as title."""
    text = body.decode("utf-8", "replace")
    return PageFacts(title=text[:1000], text_length=len(text), truncated=truncated)


def check_settings(**changed: Any) -> CheckSettings:
    """Settings with short times; host_delay 0 unless told."""
    short = {"host_delay": "0s", "timeout": "2s", "connect_timeout": "1s", **changed}
    return CheckSettings(**short)


@contextlib.asynccontextmanager
async def fetching(
    check: CheckSettings | None = None,
    *,
    resolver: AbstractResolver | None = None,
    hosts: Mapping[str, HostSettings] | None = None,
    clock: Clock | None = None,
    ledger: HostLedger | None = None,
    network: NetworkSettings | None = None,
    **options: Any,
) -> AsyncIterator[Fetcher]:
    """A Fetcher allowed to reach loopback."""
    check = check or check_settings()
    network = network or NetworkSettings(allow_private=["127.0.0.0/8"])
    clock = clock or SystemClock()
    lanes = Lanes(check, hosts or {}, clock, ledger)
    fetcher = Fetcher(check, network, hosts or {}, clock, lanes, resolver=resolver, **options)
    async with fetcher:
        yield fetcher


async def look(fetcher: Fetcher, url: str) -> Observation:
    return await fetcher.look(url, on_page=read_nothing)


@dataclass(frozen=True)
class Certificate:
    """A key with its certificate, able to sign others."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def context(self, folder: Path, *chain: Certificate) -> ssl.SSLContext:
        """A server's TLS context presenting this certificate and the given chain."""
        path = folder / f"{self.certificate.serial_number}.pem"
        path.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + self.pem()
            + b"".join(one.pem() for one in chain)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def make_certificate(
    name: str,
    *,
    signer: Certificate | None = None,
    authority: bool = False,
    days: tuple[int, int] = (-2, 30),
) -> Certificate:
    """Make a certificate for a name or address, self-signed unless there is a signer."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    issuer = signer.certificate.subject if signer else subject
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if not authority:
        names = x509.SubjectAlternativeName([alternative])
        built = built.add_extension(names, critical=False)
    signing_key = signer.key if signer else key
    return Certificate(key, built.sign(signing_key, hashes.SHA256()))


def unused_port(address: str = "127.0.0.1") -> int:
    """A port nobody listens at."""
    with socket.socket() as opened:
        opened.bind((address, 0))
        port: int = opened.getsockname()[1]
        return port
