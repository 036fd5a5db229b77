"""The real server over loopback: what it answers, to whom, and that nothing makes it wait."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import sqlite3
import threading
import time

import pytest
from aiohttp import ClientSession, TCPConnector
from prometheus_client.parser import text_string_to_metric_families

from archiver.clock import to_stamp
from archiver.errors import CannotWork
from archiver.service.diary import Diary
from archiver.store import DaemonLock
from archiver.web import connection
from archiver.web.answers import HEADERS
from archiver.web.server import WebServer

from .conftest import serving

ROUTES = ("/healthz", "/readyz", "/metrics")


async def ask(port, path, method="GET", **headers):
    connector = TCPConnector(force_close=True)
    async with (
        ClientSession(connector=connector) as session,
        session.request(
            method,
            f"http://127.0.0.1:{port}{path}",
            headers={name.replace("_", "-"): text for name, text in headers.items()},
            allow_redirects=False,
        ) as answer,
    ):
        return answer.status, answer.headers, await answer.text()


async def raw(port, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def started(desk, diary):
    """Let the desk look like that of a daemon that has just read the event files."""
    now = desk.clock.now()
    desk.store.journal.set_state("daemon", {"pid": 1, "since": to_stamp(now)})
    with diary.duty("scan"):
        pass


# -- what it answers ----------------------------------------------------------------------


async def test_liveness_is_the_loop_and_the_database(desk):
    async with serving(desk) as (_, _, port):
        status, _, text = await ask(port, "/healthz")
        assert (status, json.loads(text)) == (200, {"alive": True})


async def test_liveness_fails_without_saying_more_when_the_database_is_gone(desk):
    async with serving(desk) as (_, _, port):
        desk.store.database.path.unlink()
        status, _, text = await ask(port, "/healthz")
        assert status == 503
        assert json.loads(text)["error"]["code"] == "unavailable"
        assert str(desk.store.database.path) not in text


async def test_readiness_names_its_reasons_until_there_are_none(desk):
    lock = DaemonLock(desk.store.database.path)
    lock.take()
    try:
        async with serving(desk) as (_, diary, port):
            desk.store.journal.set_state("daemon", {"pid": 1, "since": to_stamp(desk.clock.now())})
            status, _, text = await ask(port, "/readyz")
            assert status == 503
            assert [reason["code"] for reason in json.loads(text)["reasons"]] == ["starting"]
            started(desk, diary)
            status, _, text = await ask(port, "/readyz")
            assert (status, json.loads(text)["ready"]) == (200, True)
            desk.store.journal.set_state(
                "online", {"online": False, "since": "2026-11-24T10:00:00Z"}
            )
            status, _, text = await ask(port, "/readyz")
            assert status == 503
            (reason,) = json.loads(text)["reasons"]
            assert reason["code"] == "offline"
            assert "2026-11-24 10:00 UTC" in reason["message"]
    finally:
        lock.give_back()


@pytest.mark.parametrize("damage", ["gone", "no database", "newer"])
async def test_readiness_says_what_is_wrong_with_the_database(desk, damage):
    path = desk.store.database.path
    async with serving(desk) as (_, _, port):
        if damage == "gone":
            path.unlink()
        elif damage == "newer":
            desk.store.database.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
                " VALUES ('archiver', 'm999_future', '2030-01-01')"
            )
        else:
            desk.store.database.pragmas(["wal_checkpoint(TRUNCATE)"])
            path.write_bytes(b"this is no database at all" * 400)
        status, _, text = await ask(port, "/readyz")
        assert status == 503
        (reason,) = json.loads(text)["reasons"]
        expected = {
            "gone": "database-unreachable",
            "newer": "database-newer",
            "no database": "database-corrupted",
        }
        assert reason["code"] == expected[damage]


async def test_metrics_are_read_by_their_own_parser(desk):
    async with serving(desk) as (_, _, port):
        status, headers, text = await ask(port, "/metrics")
        assert status == 200
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        families = {family.name: family for family in text_string_to_metric_families(text)}
        assert families["archiver_citations"].samples[0].value == 0
        assert len(families["archiver_links"].samples) == 6


async def test_a_head_request_gets_the_headers_alone(desk):
    async with serving(desk) as (_, _, port):
        answer = await raw(
            port, b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"\r\n\r\n")


# -- whom it answers ----------------------------------------------------------------------


async def test_a_name_that_points_here_without_our_knowledge_is_not_answered(desk):
    async with serving(desk) as (_, _, port):
        for path in (*ROUTES, "/nothing"):
            status, _, text = await ask(port, path, Host=f"evil.example:{port}")
            assert status == 421
            assert "evil" not in text
        assert (await ask(port, "/readyz", Host=f"localhost:{port}"))[0] in (200, 503)


@pytest.mark.parametrize(
    "request_text",
    [
        b"GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET /metrics HTTP/1.0\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: \r\n\r\n",
    ],
)
async def test_a_request_that_names_no_host_or_two_is_refused(desk, request_text):
    async with serving(desk) as (_, _, port):
        answer = await raw(
            port, request_text.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )
        assert answer.split(b" ")[1] in (b"421", b"400"), answer[:100]
        assert b"archiver_citations" not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"])
async def test_everything_can_only_be_read(desk, method):
    async with serving(desk) as (_, _, port):
        for path in ("/metrics", "/healthz", "/api/v1/checks"):
            status, headers, _ = await ask(port, path, method)
            assert status == 405
            assert headers["Allow"] == "GET, HEAD"


async def test_with_a_token_only_liveness_is_open(desk, tmp_path, configure):
    (tmp_path / "token").write_text("a-long-enough-token\n")
    desk.loaded = configure('enabled = true\nbind = "127.0.0.1:0"\ntoken_file = "token"')
    password = base64.b64encode(b"prometheus:a-long-enough-token").decode()
    async with serving(desk) as (_, _, port):
        assert (await ask(port, "/healthz"))[0] == 200
        for path in ("/readyz", "/metrics", "/nothing", "/healthz/", "//healthz", "/HEALTHZ"):
            status, headers, _ = await ask(port, path)
            assert status == 401, path
            assert headers.getall("WWW-Authenticate")[0].startswith("Basic ")
            assert (await ask(port, path, Authorization="Bearer wrong"))[0] == 401
        assert (await ask(port, "/metrics", Authorization="Bearer a-long-enough-token"))[0] == 200
        assert (await ask(port, "/metrics", Authorization=f"Basic {password}"))[0] == 200
        assert (await ask(port, "/nothing", Authorization=f"Basic {password}"))[0] == 404


async def test_every_answer_has_the_strict_headers(desk, tmp_path, configure):
    (tmp_path / "token").write_text("a-long-enough-token\n")
    desk.loaded = configure('enabled = true\nbind = "127.0.0.1:0"\ntoken_file = "token"')
    async with serving(desk) as (_, _, port):
        right = {"Authorization": "Bearer a-long-enough-token"}
        answers = [
            await ask(port, "/healthz"),
            await ask(port, "/metrics", **right),
            await ask(port, "/nothing", **right),
            await ask(port, "/metrics"),
            await ask(port, "/metrics", "POST"),
            await ask(port, "/metrics", Host="evil.example"),
        ]
        assert [status for status, _, _ in answers] == [200, 200, 404, 401, 405, 421]
        for _, headers, _ in answers:
            assert {name: headers[name] for name in HEADERS} == HEADERS
        unreadable = await raw(port, b"GET / HTTP/1.1\r\nHost: x\r\n<script>: 1\r\n\r\n")
        for name, value in HEADERS.items():
            assert f"{name}: {value}\r\n".encode() in unreadable
        assert b"script" not in unreadable


async def test_nothing_that_was_asked_for_is_repeated(desk):
    async with serving(desk) as (_, _, port):
        for path in (
            "/%3Cscript%3E",
            "/metrics?x=%3Cscript%3E",
            "/<script>",
            "/x%0d%0aSet-Cookie:y",
        ):
            _, headers, text = await ask(port, path)
            assert "script" not in text
            assert "Set-Cookie" not in headers


# -- nothing makes it wait, and nothing keeps it busy -------------------------------------


async def test_a_long_write_of_another_program_holds_no_answer(desk):
    async with serving(desk) as (_, _, port):
        other = sqlite3.connect(desk.store.database.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        try:
            begun = time.monotonic()
            assert [(await ask(port, path))[0] for path in ROUTES] == [200, 503, 200]
            assert time.monotonic() - begun < 3
        finally:
            other.close()


async def test_a_slow_database_holds_the_answer_but_not_the_loop(desk, monkeypatch):
    monkeypatch.setattr("archiver.web.server._ANSWER_SECONDS", 0.3)
    async with serving(desk) as (server, _, port):
        hold = threading.Event()
        server._threads.submit(hold.wait, 5)
        server._threads.submit(hold.wait, 5)
        begun = time.monotonic()
        try:
            assert (await ask(port, "/healthz"))[0] == 503
            assert time.monotonic() - begun < 3
        finally:
            hold.set()
        assert (await ask(port, "/healthz"))[0] == 200


async def test_a_client_that_says_nothing_is_sent_away(desk, monkeypatch):
    monkeypatch.setattr(connection.Connection.__init__, "__kwdefaults__", {"lifetime": 0.2})
    async with serving(desk) as (_, _, port):
        assert await raw(port, b"") == b""
        assert await raw(port, b"GET /healthz HT") == b""
        assert (await ask(port, "/healthz"))[0] == 200


async def test_too_many_connections_at_once_are_refused(desk):
    async with serving(desk) as (_, _, port):
        held = [
            socket.create_connection(("127.0.0.1", port))
            for _ in range(connection.MOST_CONNECTIONS)
        ]
        try:
            await asyncio.sleep(0.1)
            assert await raw(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
        finally:
            for one in held:
                one.close()
        await asyncio.sleep(0.1)
        assert (await ask(port, "/healthz"))[0] == 200


async def test_a_large_request_is_refused(desk):
    async with serving(desk) as (_, _, port):
        answer = await raw(
            port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"
        )
        assert not answer or answer.split(b" ")[1] == b"400"


# -- starting, following the configuration, ending ----------------------------------------


async def test_nothing_listens_unless_it_is_enabled(desk, configure):
    desk.loaded = configure("enabled = false")
    async with WebServer(desk, Diary(desk.store.journal, desk.clock, desk.progress)) as server:
        assert server.addresses == []


async def test_a_taken_address_is_a_clear_sentence(desk, configure):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        desk.loaded = configure(f'enabled = true\nbind = "127.0.0.1:{port}"')
        server = WebServer(desk, Diary(desk.store.journal, desk.clock, desk.progress))
        with pytest.raises(CannotWork, match=f"cannot listen on 127.0.0.1:{port}"):
            await server.start()
        await server.stop()


async def test_a_reload_exchanges_the_token_without_closing_the_door(desk, tmp_path, configure):
    async with serving(desk) as (server, _, port):
        assert (await ask(port, "/metrics"))[0] == 200
        (tmp_path / "token").write_text("a-long-enough-token\n")
        desk.loaded = configure('enabled = true\nbind = "127.0.0.1:0"\ntoken_file = "token"')
        await server.follow()
        assert server.addresses[0][1] == port
        assert (await ask(port, "/metrics"))[0] == 401
        desk.loaded = configure("enabled = false")
        await server.follow()
        with pytest.raises(OSError, match="onnect"):
            await ask(port, "/healthz")


async def test_a_reload_to_an_address_that_is_taken_keeps_the_old_one(desk, configure):
    async with serving(desk) as (server, _, port):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            desk.loaded = configure(f'enabled = true\nbind = "127.0.0.1:{taken.getsockname()[1]}"')
            await server.follow()
        assert (await ask(port, "/healthz"))[0] == 200
        desk.loaded = configure('enabled = true\nbind = "LOCALHOST.:0"')
        await server.follow()
        assert server.addresses[0][0] == "127.0.0.1"
        assert (await ask(server.addresses[0][1], "/healthz"))[0] == 200
