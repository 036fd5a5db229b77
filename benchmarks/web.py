"""A web on loopback to measure against: a process of its own, pinned to its own core.

    python benchmarks/web.py [--core N] [--tls FOLDER]

Prints one line of JSON with its ports, then serves until its standard input ends. Every name is
served: which name was meant does not matter, only the path. Pages have 2 to 30 KiB (mean about
11), a title made from the path, scripts, styles, navigation and paragraphs. The behaviours have
the weights of reference perf ("The web"): 77 % fine, 7 % permanent redirects, 8 % 404, 3 % fine
(they answer 405 to HEAD, which nobody here sends), 2 % 403, 2 % 500, 0.6 % 410, 0.5 % dropped.

A bare `asyncio.Protocol` answers, about ten times as fast as any client here asks, so that the
client is what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote
from zlib import crc32

from aiohttp.abc import AbstractResolver, ResolveResult

# One source address has 28,000 ports; spread over several destinations none is short, and no
# two hosts look like one provider.
_NETWORKS = 32
_PAGES = 200
_WORDS = (
    "public record shows that several officials met before the vote while local papers wrote "
    "about budgets courts schools rivers trains harbours letters contracts and the people who "
    "signed them during a long winter of hearings statements reports and quiet decisions made "
    "by committees which later denied having known anything of either side or of its money"
).split()

# (behaviour, thousandths)
_WEIGHTS = (
    ("fine", 800),
    ("moved", 70),
    ("missing", 80),
    ("forbidden", 20),
    ("broken", 20),
    ("gone", 6),
    ("dropped", 4),
)
_STATUS = {
    "missing": (404, "Not Found"),
    "forbidden": (403, "Forbidden"),
    "broken": (500, "Internal Server Error"),
    "gone": (410, "Gone"),
}
# Where redirects lead; always fine.
_NEW_PLACE = "/archive"


def address_of(host: str) -> str:
    """Return the loopback address a name lives at."""
    return f"127.0.{crc32(host.encode()) % _NETWORKS}.1"


def behaviour_of(path: str) -> str:
    """Return what happens at a path; the same in every process."""
    if path.startswith(_NEW_PLACE + "/") or path == "/robots.txt":
        return "fine"
    place = crc32(path.encode()) % 1000
    for behaviour, weight in _WEIGHTS:
        if place < weight:
            return behaviour
        place -= weight
    return "fine"


def title_of(path: str) -> str:
    """Return the title of the page at a path: its slug in words."""
    slug = unquote(path.partition("?")[0].rstrip("/").rpartition("/")[2]).partition(".")[0]
    words = "".join(one if one.isalnum() else " " for one in slug).split()
    return " ".join(words).capitalize() or "Front page"


class Resolver(AbstractResolver):
    """Every name lives on loopback, on the ports the web got."""

    def __init__(self, ports: dict[int, int]) -> None:
        """Map the ports of URLs (80, 443) to real ones."""
        self._ports = ports

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        """Answer at once, as a cache in memory would."""
        if host.endswith(".example.com"):  # the name a forging resolver is found out by
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [
            ResolveResult(
                hostname=host,
                host=address_of(host),
                port=self._ports.get(port, self._ports[80]),
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Hold nothing."""


# --- pages ------------------------------------------------------------------------------------


def _page(source: random.Random) -> tuple[bytes, bytes, bytes]:
    """Return a page in three parts; the title goes between them.

    As on real pages (small ones of a news site, for instance) most of the bytes are scripts,
    styles and markup; about a seventh is text that a reader sees.
    """
    size = int(source.triangular(2, 30, 2) * 1024)
    script = "".join(f'"module-{n}":{{"src":"/js/{n}.js"}},' for n in range(size // 150))
    style = "".join(f".block-{n}{{margin:{n}px auto;color:#333}}" for n in range(size // 200))
    head = (
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<link rel='stylesheet' href='/site.css'><style>{style}</style>"
        f"<script>window.modules={{{script}}};</script><title>"
    )
    links = "".join(
        f"<li class='menu-item menu-item-{n}'><a class='menu-link' href='/section/{n}'>Part {n}"
        "</a></li>"
        for n in range(size // 400)
    )
    middle = (
        " | The Small Paper</title><meta property='og:type' content='article'>"
        "<meta property='og:site_name' content='The Small Paper'></head><body class='article'>"
        f"<header><nav><ul class='menu'>{links}</ul></nav></header><main><article><h1>"
    )
    paragraphs = ["</h1>"]
    length = len(head) + len(middle)
    while length < size:
        text = " ".join(source.choices(_WORDS, k=source.randint(10, 30)))
        paragraphs.append(
            "<div class='block block--text block--padded' data-component='text-block'>"
            f"<p class='article__text article__text--body'>{text}, "
            f"<a class='link link--inline' href='/{length}' rel='noopener'>as told</a>.</p></div>"
        )
        length += len(paragraphs[-1])
    end = "".join(paragraphs) + "</article></main><footer>Imprint</footer></body></html>"
    return head.encode(), middle.encode(), end.encode()


class Site:
    """All answers."""

    def __init__(self) -> None:
        source = random.Random(7)
        self._pages = [_page(source) for _ in range(_PAGES)]
        self.requests = 0
        self.connections = 0

    def answer(self, path: str) -> bytes | None:
        """Return the whole answer for a path, None to hang up."""
        self.requests += 1
        if path == "/robots.txt":
            return _answer(200, "OK", b"User-agent: *\nAllow: /\n", "text/plain")
        behaviour = behaviour_of(path)
        if behaviour == "dropped":
            return None
        if behaviour == "moved":
            return (
                f"HTTP/1.1 301 Moved Permanently\r\nLocation: {_NEW_PLACE}{path}\r\n"
                "Content-Length: 0\r\nServer: small\r\n\r\n"
            ).encode()
        if behaviour in _STATUS:
            status, words = _STATUS[behaviour]
            body = f"<html><head><title>{status} {words}</title></head><h1>{words}</h1></html>"
            return _answer(status, words, body.encode() + b"<!-- -->" * 64)
        return _answer(200, "OK", self.body(path))

    def body(self, path: str) -> bytes:
        """Return the page at a path where all is well."""
        head, middle, end = self._pages[crc32(path.encode()) % _PAGES]
        title = title_of(path).encode()
        return b"".join((head, title, middle, title, end))


def _answer(status: int, words: str, body: bytes, kind: str = "text/html; charset=utf-8") -> bytes:
    head = (
        f"HTTP/1.1 {status} {words}\r\nServer: small\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: max-age=60\r\nVary: Accept-Encoding\r\n\r\n"
    )
    return head.encode() + body


class _Server(asyncio.Protocol):
    """One connection."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._heard = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._site.connections += 1

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while b"\r\n\r\n" in self._heard:
            request, self._heard = self._heard.split(b"\r\n\r\n", 1)
            path = request.split(b" ", 2)[1].decode("latin-1")
            answer = self._site.answer(path)
            assert self._transport is not None
            if answer is None:
                self._transport.close()
                return
            self._transport.write(answer)


# --- certificates -----------------------------------------------------------------------------


def _names_of_tls(folder: Path) -> ssl.SSLContext:
    """Return a context that shows every name its own certificate, made when first asked for."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    pem = serialization.Encoding.PEM

    def sign(name: str, *, authority: bool) -> bytes:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Small authority")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(issuer if authority else subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if not authority:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
            builder = builder.add_extension(alternative, critical=False)
        return builder.sign(key, hashes.SHA256()).public_bytes(pem)

    (folder / "authority.pem").write_bytes(sign("Small authority", authority=True))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    known: dict[str, ssl.SSLContext] = {}

    def context_for(name: str) -> ssl.SSLContext:
        if name not in known:
            path = folder / "leaf.pem"
            path.write_bytes(private + sign(name, authority=False))
            known[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            known[name].load_cert_chain(path)
        return known[name]

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = context_for(name or "localhost")

    first = context_for("localhost")
    first.sni_callback = choose
    return first


# --- the process ------------------------------------------------------------------------------


def _sockets() -> tuple[list[socket.socket], int]:
    """Listen on the same port of every address."""
    first = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = first.getsockname()[1]
    others = [
        socket.create_server((f"127.0.{network}.1", port), backlog=1024)
        for network in range(1, _NETWORKS)
    ]
    return [first, *others], port


async def _serve(tls: Path | None) -> None:
    site = Site()
    loop = asyncio.get_running_loop()
    contexts = {80: None} if tls is None else {80: None, 443: _names_of_tls(tls)}
    ports = {}
    for public, context in contexts.items():
        listening, ports[public] = _sockets()
        for one in listening:
            await loop.create_server(lambda: _Server(site), sock=one, ssl=context, backlog=1024)
    print(json.dumps(ports), flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps([site.requests, site.connections]), flush=True)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int)
    parser.add_argument("--tls", type=Path)
    given = parser.parse_args()
    pin(given.core)
    asyncio.run(_serve(given.tls))


# --- for those who measure --------------------------------------------------------------------


@dataclass(frozen=True)
class Web:
    """A web that is being served: its ports by their public number, and what it counted."""

    ports: dict[int, int]
    counts: Callable[[], tuple[int, int]]


def pin(core: int | None) -> None:
    """Bind this process to one core where the system can and has it."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        available = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {available[core % len(available)]})


@contextlib.contextmanager
def serving(*, core: int | None = 0, tls: Path | None = None) -> Iterator[Web]:
    """Serve the web from another process while the block runs."""
    command = [sys.executable, __file__]
    command += [] if core is None else ["--core", str(core)]
    command += [] if tls is None else ["--tls", str(tls)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout
        ports = {int(name): port for name, port in json.loads(stdout.readline()).items()}

        def counts() -> tuple[int, int]:
            stdin.write("\n")
            stdin.flush()
            requests, connections = json.loads(stdout.readline())
            return requests, connections

        try:
            yield Web(ports, counts)
        finally:
            stdin.close()


if __name__ == "__main__":
    main()
