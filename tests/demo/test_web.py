"""Every site of the small web misbehaves as its row says, seen by a plain client."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from archiver.clock import RehearsalClock
from archiver.demo.certificates import Certificate
from archiver.demo.hosts import SITES
from archiver.demo.raw import Pace
from archiver.demo.sites import Site
from archiver.demo.web import MisbehavingWeb

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
QUICK = Pace(hold=3.0, drip=0.02)

# What a plain client meets on day 0 where it is no plain 200: a status, or an exception.
MEETS: dict[str, int | type[Exception]] = {
    "http-to-https.example": 301,
    "with-www.example": 301,
    "slash.example": 301,
    "locale.example": 302,
    "moved.example": 301,
    "moved-308.example": 308,
    "redirected.example": 302,
    "cookie-loop.example": 302,
    "tls-expired.example": aiohttp.ClientConnectorCertificateError,
    "tls-not-yet.example": aiohttp.ClientConnectorCertificateError,
    "tls-wrong-name.example": aiohttp.ClientConnectorCertificateError,
    "tls-self-signed.example": aiohttp.ClientConnectorCertificateError,
    "tls-chain.example": aiohttp.ClientConnectorCertificateError,
    "tls-expired-404.example": aiohttp.ClientConnectorCertificateError,
    "cloudflare.example": 403,
    "just-a-moment.example": 503,
    "cloudflare-block.example": 403,
    "datadome.example": 403,
    "akamai.example": 403,
    "aws-waf.example": 202,
    "perimeterx.example": 403,
    "vercel.example": 429,
    "cloudfront.example": 403,
    "sucuri.example": 403,
    "status-401.example": 401,
    "status-402.example": 402,
    "status-403.example": 403,
    "status-405.example": 405,
    "status-429.example": 429,
    "status-429-bare.example": 429,
    "status-451.example": 451,
    "status-999.example": 999,
    "login-wall.example": 302,
    "consent-wall.example": 302,
    "alive-elsewhere.example": 404,
    "private-redirect.example": 302,
    "gone-404.example": 404,
    "gone-410.example": 410,
    "gone-unarchived.example": 404,
    "not-found-path.example": 302,
    "same-not-found.example": 302,
    "home-redirect.example": 302,
    "search-redirect.example": 302,
    "for-sale-redirect.example": 302,
    "name-gone.example": aiohttp.ClientConnectorDNSError,
    "no-address.example": aiohttp.ClientConnectorDNSError,
    "dns-trouble.example": aiohttp.ClientConnectorDNSError,
    "maintenance.example": 503,
    "status-400.example": 400,
    "status-500.example": 500,
    "status-502.example": 502,
    "status-503.example": 503,
    "status-521.example": 521,
    "status-530.example": 530,
    "silent.example": TimeoutError,
    "silent-handshake.example": aiohttp.ConnectionTimeoutError,
    "trickling-headers.example": TimeoutError,
    "reset.example": aiohttp.ClientOSError,
    "empty-answer.example": aiohttp.ServerDisconnectedError,
    "refused.example": aiohttp.ClientConnectorError,
    "unreadable.example": aiohttp.ClientResponseError,
    "plain-on-443.example": aiohttp.ClientConnectorSSLError,
    "redirect-loop.example": 302,
    "ping.example": 302,
    "mailto-redirect.example": 302,
    "lost-redirect.example": 302,
}
NAME_CODES = {
    "name-gone.example": socket.EAI_NONAME,
    "no-address.example": socket.EAI_NODATA,
    "dns-trouble.example": socket.EAI_AGAIN,
}
VERIFY_CODES = {
    Certificate.EXPIRED: 10,
    Certificate.NOT_YET_VALID: 9,
    Certificate.WRONG_NAME: 62,
    Certificate.SELF_SIGNED: 18,
    Certificate.INCOMPLETE_CHAIN: 20,
}


@asynccontextmanager
async def client(web: MisbehavingWeb, total: float = 1.5) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that trusts the web's authority, asks its names, and follows nothing."""
    trust = ssl.create_default_context(cafile=str(web.certificate_authority))
    connector = aiohttp.TCPConnector(
        resolver=web.resolver(), ssl=trust, force_close=True, limit=0, use_dns_cache=False
    )
    timeout = aiohttp.ClientTimeout(total=total, connect=1.0, ceil_threshold=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


async def visit(session: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and at most 128 KiB of the body, whatever its end is like."""
    async with session.get(url, allow_redirects=False) as answer:
        body = bytearray()
        try:
            async for piece in answer.content.iter_chunked(16384):
                body += piece
                if len(body) > 131072:
                    break
        except (aiohttp.ClientError, TimeoutError):
            pass
        return answer.status, dict(answer.headers), bytes(body)


async def status_or_error(session: aiohttp.ClientSession, site: Site) -> int | Exception:
    try:
        return (await visit(session, site.url))[0]
    except (aiohttp.ClientError, TimeoutError) as error:
        return error


@pytest.fixture
async def web() -> AsyncIterator[MisbehavingWeb]:
    async with MisbehavingWeb(RehearsalClock(START), pace=QUICK) as web:
        yield web


async def test_every_site_answers_a_plain_client_as_its_row_says(web: MisbehavingWeb) -> None:
    async with client(web) as session:
        met = await asyncio.gather(*(status_or_error(session, site) for site in web.sites))
    wrong = {}
    for site, result in zip(web.sites, met, strict=True):
        # The second citation of this host never existed; its neighbour lives.
        invented = site.host == "half-right.example" and site.finding == "failing/http-404"
        expected = 404 if invented else MEETS.get(site.host, 200)
        right = result == expected if isinstance(expected, int) else isinstance(result, expected)
        if not right:
            wrong[site.url] = (expected, result)
        if site.host in NAME_CODES:
            assert isinstance(result, aiohttp.ClientConnectorDNSError)
            assert result.os_error.errno == NAME_CODES[site.host]
        if site.certificate is not Certificate.GOOD:
            assert isinstance(result, aiohttp.ClientConnectorCertificateError)
            fault = result.certificate_error
            assert isinstance(fault, ssl.SSLCertVerificationError)
            assert fault.verify_code == VERIFY_CODES[site.certificate]
    assert wrong == {}


async def test_faulty_certificates_hide_an_ordinary_site(web: MisbehavingWeb) -> None:
    async with client(web) as session:
        for site in web.sites:
            if site.certificate is not Certificate.GOOD:
                async with session.get(site.url, ssl=False) as answer:
                    wanted = 404 if site.host == "tls-expired-404.example" else 200
                    assert answer.status == wanted


def test_there_are_forty_hosts_and_more_all_under_reserved_names() -> None:
    hosts = {site.host for site in SITES} | {host for site in SITES for host in site.also}
    assert len(hosts) >= 60
    assert all(host.endswith((".example", ".test")) for host in hosts)


def test_every_row_has_its_own_address_and_title() -> None:
    assert len({site.url for site in SITES}) == len(SITES)
    assert len({site.title for site in SITES}) == len(SITES)


def test_no_row_expects_death_of_what_only_refuses_or_only_stumbles() -> None:
    for site in SITES:
        if site.finding.startswith(("ok", "moved", "blocked")) and "from day" not in site.note:
            assert "dead" not in site.belief or "day" in site.host, site.host


@pytest.mark.parametrize(
    ("host", "end"),
    [
        ("http-to-https.example", "https://http-to-https.example/"),
        ("moved.example", "https://new-home-of-moved.example/articles/"),
        ("with-www.example", "http://www.with-www.example/"),
        ("cookie-loop.example", "http://cookie-loop.example/"),
        ("home-redirect.example", "http://home-redirect.example/"),
        ("search-redirect.example", "http://search-redirect.example/search?q="),
        ("login-wall.example", "http://login-wall.example/login?next=http"),
        ("consent-wall.example", "http://consent.consent-wall.example/v2/collectConsent"),
        ("for-sale-redirect.example", "http://ww25.for-sale-redirect.example/"),
    ],
)
async def test_redirects_end_where_the_row_says(web: MisbehavingWeb, host: str, end: str) -> None:
    site = next(site for site in web.sites if site.host == host)
    async with client(web) as session, session.get(site.url) as answer:
        assert answer.status == 200
        assert answer.history
        assert str(answer.url).startswith(end)


@pytest.mark.parametrize("host", ["redirect-loop.example", "ping.example"])
async def test_loops_never_end(web: MisbehavingWeb, host: str) -> None:
    site = next(site for site in web.sites if site.host == host)
    async with client(web) as session:
        with pytest.raises(aiohttp.TooManyRedirects):
            await session.get(site.url)


async def test_an_article_carries_its_title_and_no_two_share_their_text(
    web: MisbehavingWeb,
) -> None:
    async with client(web) as session:
        first = await visit(session, web.sites[0].url)
        second = await visit(session, web.sites[1].url)
    assert web.sites[0].title in first[2].decode()
    assert len(first[2]) > 2000
    shared = set(first[2].decode().split("<p>")) & set(second[2].decode().split("<p>"))
    assert len(shared) <= 1


async def test_an_unknown_path_of_a_living_site_is_an_honest_404(web: MisbehavingWeb) -> None:
    async with client(web) as session:
        status, _, _ = await visit(session, "http://alive.example/news/qwertzuiopasdfghjklyxcv")
    assert status == 404


@pytest.mark.parametrize("host", ["javascript-shell.example", "soft-404.example"])
async def test_some_sites_answer_every_path_alike(web: MisbehavingWeb, host: str) -> None:
    site = next(site for site in web.sites if site.host == host)
    async with client(web) as session:
        cited = await visit(session, site.url)
        sibling = await visit(session, f"http://{host}/news/qwertzuiopasdfghjklyxcv")
    assert cited[0] == sibling[0] == 200
    assert cited[2] == sibling[2]


async def test_a_name_outside_the_table_does_not_exist(web: MisbehavingWeb) -> None:
    with pytest.raises(socket.gaierror) as caught:
        await web.resolver().resolve("web.archive.org", 443)
    assert caught.value.errno == socket.EAI_NONAME


async def test_sites_change_with_the_days_of_the_clock() -> None:
    clock = RehearsalClock(START)
    async with MisbehavingWeb(clock, pace=QUICK) as web, client(web) as session:
        by_host = {site.host: site for site in web.sites}
        seen: dict[str, list[int]] = {}
        for _ in range(3):
            for host in ("dies-on-day-10.example", "comes-back.example", "flaky.example"):
                status, _, _ = await visit(session, by_host[host].url)
                seen.setdefault(host, []).append(status)
            clock.jump(timedelta(days=11))
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            await visit(session, by_host["lapses-on-day-6.example"].url)
    assert seen == {
        "dies-on-day-10.example": [200, 404, 404],
        "comes-back.example": [200, 404, 200],
        "flaky.example": [200, 200, 404],
    }


async def test_the_archive_sees_what_we_are_refused(web: MisbehavingWeb) -> None:
    by_host = {site.host: site for site in web.sites}
    refused = await web.see(by_host["status-403.example"].url)
    assert refused.status == 200
    assert by_host["status-403.example"].title.encode() in refused.body
    assert (await web.see(by_host["cloudflare.example"].url)).status == 403
    assert (await web.see(by_host["name-gone.example"].url)).error == "invalid-host-resolution"
    moved = await web.see(by_host["moved.example"].url)
    assert (
        moved.location
        == "http://moved.example/articles/" + by_host["moved.example"].url.rsplit("/", 1)[-1]
    )
    packed = await web.see(by_host["compressed.example"].url)
    assert b"<article>" in packed.body
    assert "content-encoding" not in packed.headers
    assert len((await web.see(by_host["bomb.example"].url)).body) <= 1024 * 1024


async def test_what_archives_hold_at_the_start_is_what_was_there_then(web: MisbehavingWeb) -> None:
    held = {(crawl.url, crawl.at): crawl.seen for crawl in web.crawls(-10_000, -1)}
    assert held
    assert all(at < START for _, at in held)
    gone = next(site for site in web.sites if site.host == "gone-404.example")
    assert {seen.status for (url, _), seen in held.items() if url == gone.url} == {200}
    later = [crawl for crawl in web.crawls(-1, 44) if "alive-elsewhere" in crawl.url]
    assert [crawl.seen.status for crawl in later] == [200, 200]


async def test_a_bomb_is_small_on_the_wire(web: MisbehavingWeb) -> None:
    site = next(site for site in web.sites if site.host == "bomb.example")
    async with client(web) as session, session.get(site.url, auto_decompress=False) as answer:
        packed = await answer.read()
    assert len(packed) < 64 * 1024
    assert len(gzip.decompress(packed)) > 16 * 1024 * 1024


async def test_close_and_overlapping_requests_are_noticed(web: MisbehavingWeb) -> None:
    slow = next(site for site in web.sites if site.host == "slow-body.example")
    async with client(web) as session:
        await asyncio.gather(visit(session, slow.url), visit(session, slow.url))
        await visit(session, web.sites[0].url)
        await visit(session, web.sites[1].url)
    overlaps = web.violations(0, tolerance=0.01)
    assert [violation.host for violation in overlaps] == ["slow-body.example"]
    assert overlaps[0].gap < 0
    async with client(web) as session:
        await visit(session, web.sites[0].url)
    assert {found.host for found in web.violations(60)} == {"slow-body.example", "alive.example"}


async def test_a_hop_on_the_same_host_may_follow_at_once(web: MisbehavingWeb) -> None:
    site = next(site for site in web.sites if site.host == "slash.example")
    async with client(web) as session, session.get(site.url) as answer:
        assert answer.status == 200
    assert web.violations(60) == []
    assert len(web.violations(60, hops_may_follow=False)) == 1


async def test_stopping_leaves_no_task_no_socket_and_no_file() -> None:
    web = MisbehavingWeb(RehearsalClock(START), pace=Pace(hold=30.0))
    await web.start()
    authority = web.certificate_authority
    silent = [site for site in web.sites if site.host.startswith(("silent", "trickling"))]
    async with client(web, total=20) as session:
        hanging = [asyncio.create_task(status_or_error(session, site)) for site in silent]
        tls = await web.resolver().resolve("alive-tls.example", 443)
        _, mute = await asyncio.open_connection(tls[0]["host"], tls[0]["port"])
        await asyncio.sleep(0.2)
        await asyncio.wait_for(web.stop(), 2)
        await asyncio.gather(*hanging)
        mute.close()
        address = await web.resolver().resolve("alive.example", 80)
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await asyncio.open_connection(address[0]["host"], address[0]["port"])
    await web.stop()
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not authority.exists()


async def test_no_connection_outlives_its_deadline() -> None:
    async with MisbehavingWeb(RehearsalClock(START), pace=Pace(hold=0.3)) as web:
        silent = next(site for site in web.sites if site.host == "silent.example")
        async with client(web, total=5) as session:
            with pytest.raises(aiohttp.ClientError):
                await asyncio.wait_for(visit(session, silent.url), 2)
