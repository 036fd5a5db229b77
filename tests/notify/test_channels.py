"""Webhook, command and heartbeat against real servers and real programs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from archiver.clock import RehearsalClock, SystemClock
from archiver.notify import (
    SIGNATURE_HEADER,
    Beat,
    Command,
    Heartbeat,
    Outcome,
    Parcel,
    Poster,
    Webhook,
)
from archiver.notify.heartbeat import below
from tests.notify.receiver import receiver
from tests.notify.test_digest import NOW

PARCEL = Parcel("id-1", json.dumps({"schema": 1, "text": "grüße"}).encode())


def poster(seconds: float = 5.0, proxy: str = "") -> Poster:
    return Poster(user_agent="archiver-test", seconds=seconds, proxy=proxy)


# -- webhook --------------------------------------------------------------------------------


async def test_the_webhook_gets_the_bytes_their_id_and_a_signature_over_them(
    tmp_path: Path,
) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"a secret key\n")
    async with receiver() as other:
        outcome = await Webhook(poster(), f"{other.url}/hook?a=b", key).send(PARCEL)
    assert outcome == Outcome()
    [got] = other.received
    assert (got.target, got.body) == ("/hook?a=b", PARCEL.body)
    assert got.headers["content-type"] == "application/json; charset=utf-8"
    assert got.headers["x-archiver-digest"] == "id-1"
    assert got.headers["user-agent"] == "archiver-test"
    expected = hmac.new(b"a secret key", got.body, hashlib.sha256).hexdigest()
    assert got.headers[SIGNATURE_HEADER.lower()] == f"sha256={expected}"


async def test_without_a_key_nothing_is_signed() -> None:
    async with receiver() as other:
        await Webhook(poster(), other.url).send(PARCEL)
    assert SIGNATURE_HEADER.lower() not in other.received[0].headers


@pytest.mark.parametrize("content", [None, b"", b"\n", b"x" * 5000])
async def test_with_a_key_that_cannot_be_used_nothing_is_sent(
    tmp_path: Path, content: bytes | None
) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_bytes(content)
    async with receiver() as other:
        outcome = await Webhook(poster(), other.url, key).send(PARCEL)
    assert "notify.secret_file" in (outcome.trouble or "")
    assert other.received == []


async def test_a_redirect_is_not_followed() -> None:
    async with receiver() as other, receiver() as elsewhere:
        other.answers = [(307, {"Location": f"{elsewhere.url}/steal"})]
        outcome = await Webhook(poster(), other.url).send(PARCEL)
    assert outcome.trouble == "it answered 307: redirects are not followed"
    assert elsewhere.received == []


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), ("99999999999999999999", 21600), ("soon", None), ("", None), ("-5", None)],
)
async def test_a_refusal_says_how_long_to_wait_within_reason(
    header: str, seconds: int | None
) -> None:
    async with receiver() as other:
        other.answers = [(429, {"Retry-After": header})]
        outcome = await Webhook(poster(), other.url).send(PARCEL)
    assert outcome.trouble == "it answered 429"
    waits = None if outcome.retry_after is None else outcome.retry_after.total_seconds()
    assert waits == seconds


async def test_silence_ends_at_the_deadline() -> None:
    async with receiver() as other:
        other.hang = 0.9
        began = time.monotonic()
        outcome = await Webhook(poster(seconds=0.2), other.url).send(PARCEL)
    assert outcome.trouble == "no answer in time"
    assert time.monotonic() - began < 5


async def test_a_flood_as_an_answer_is_not_read() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        outcome = await Webhook(poster(), f"http://127.0.0.1:{port}/").send(PARCEL)
        await asyncio.sleep(0.05)
    assert outcome.arrived
    assert sent < 50_000_000


async def test_no_trouble_repeats_the_address_for_it_may_be_a_secret() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        closed = await Webhook(poster(), f"http://127.0.0.1:{port}/T0KEN").send(PARCEL)
        nobody = await Webhook(poster(), f"http://nobody.invalid:{port}/T0KEN").send(PARCEL)
        garbled = await Webhook(poster(), "http://[/T0KEN").send(PARCEL)
    async with receiver() as other:
        other.answers = [(404, {})]
        missing = await Webhook(poster(), f"{other.url}/T0KEN").send(PARCEL)
    for outcome in (closed, nobody, garbled, missing):
        assert not outcome.arrived
        assert "T0KEN" not in (outcome.trouble or "")
    assert closed.trouble == "it cannot be reached"


async def test_a_proxy_is_asked_for_hosts_elsewhere_but_never_for_this_machine() -> None:
    async with receiver() as proxy, receiver() as other:
        through = await Webhook(poster(proxy=proxy.url), "http://hooks.invalid/x").send(PARCEL)
        await Webhook(poster(proxy=proxy.url), f"{other.url}/x").send(PARCEL)
    assert through.arrived
    assert [each.headers["host"] for each in proxy.received] == ["hooks.invalid"]
    assert other.targets() == ["/x"]


# -- heartbeat ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("https://hc.example/uuid", "https://hc.example/uuid/start"),
        ("https://hc.example/uuid/", "https://hc.example/uuid/start"),
        ("https://up.example/push/x?status=up", "https://up.example/push/x/start?status=up"),
        ("https://hc.example", "https://hc.example/start"),
    ],
)
def test_start_and_fail_lie_below_the_address(url: str, start: str) -> None:
    assert below(url, "/start") == start
    assert below(url, "") == url


async def test_signs_of_life_go_where_healthchecks_wants_them() -> None:
    async with receiver() as other:
        heartbeat = Heartbeat(poster(), f"{other.url}/uuid", SystemClock())
        for beat, words in ((Beat.START, ""), (Beat.SUCCESS, "3 looks"), (Beat.FAIL, "offline")):
            assert (await heartbeat.beat(beat, words)).arrived
    assert other.targets() == ["/uuid/start", "/uuid", "/uuid/fail"]
    assert [each.body for each in other.received] == [b"", b"3 looks", b"offline"]


async def test_a_sign_of_life_is_tried_three_times() -> None:
    async with receiver() as other:
        heartbeat = Heartbeat(poster(), other.url, RehearsalClock(NOW, speed=1000))
        other.answers = [(500, {}), (500, {})]
        assert (await heartbeat.beat(Beat.SUCCESS)).arrived
        other.answers = [(500, {})] * 5
        assert (await heartbeat.beat(Beat.SUCCESS)).trouble == "it answered 500"
    assert len(other.received) == 6


# -- command --------------------------------------------------------------------------------


def program(code: str, tmp_path: Path, seconds: float = 10.0, **environ: str) -> Command:
    return Command(
        [sys.executable, "-c", code],
        directory=tmp_path,
        environ={**os.environ, **environ},
        seconds=seconds,
    )


async def test_the_program_gets_the_digest_on_its_input(tmp_path: Path) -> None:
    code = "import sys; open('got', 'wb').write(sys.stdin.buffer.read())"
    assert (await program(code, tmp_path).send(PARCEL)).arrived
    assert (tmp_path / "got").read_bytes() == PARCEL.body


async def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    code = "import sys, json; json.dump(sys.argv[1:], open('argv', 'w'))"
    hostile = "$(touch pwned); `touch pwned` > pwned"
    command = Command([sys.executable, "-c", code, hostile], directory=tmp_path, environ=os.environ)
    assert (await command.send(PARCEL)).arrived
    assert json.loads((tmp_path / "argv").read_text()) == [hostile]
    assert not (tmp_path / "pwned").exists()


async def test_a_program_with_a_slash_is_found_from_the_configurations_folder(
    tmp_path: Path,
) -> None:
    script = tmp_path / "bin" / "tell"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nopen('ran', 'w')\n")
    script.chmod(0o755)
    command = Command(["bin/tell"], directory=tmp_path, environ=os.environ)
    assert await command.send(PARCEL) == Outcome()
    assert (tmp_path / "ran").exists()


async def test_a_program_that_does_not_read_its_input_is_no_failure(tmp_path: Path) -> None:
    big = Parcel("id", b"x" * 2_000_000)
    assert await program("pass", tmp_path).send(big) == Outcome()


async def test_a_failing_program_is_told_by_its_code_and_last_line(tmp_path: Path) -> None:
    code = "import sys; print('first'); sys.exit('no such\\x1b[31m mailbox')"
    outcome = await program(code, tmp_path).send(PARCEL)
    assert outcome.trouble == "it ended with code 1 (no such\ufffd[31m mailbox)"


async def test_arguments_that_may_be_secrets_are_not_repeated(tmp_path: Path) -> None:
    code = "import sys; sys.exit('bad token ' + sys.argv[1])"
    command = Command(
        [sys.executable, "-c", code, "T0KEN-123456"], directory=tmp_path, environ=os.environ
    )
    outcome = await command.send(PARCEL)
    assert outcome.trouble == "it ended with code 1 (bad token ***)"


@pytest.mark.parametrize("argument", ["no-such-program-anywhere", "bin/missing", "nul\0byte"])
async def test_a_program_that_is_not_there_is_an_outcome(tmp_path: Path, argument: str) -> None:
    command = Command([argument], directory=tmp_path, environ=os.environ)
    outcome = await command.send(PARCEL)
    assert (outcome.trouble or "").startswith("it cannot be started")


async def test_the_program_sees_neither_account_keys_nor_our_line_to_systemd(
    tmp_path: Path,
) -> None:
    code = "import os, json; json.dump(dict(os.environ), open('env', 'w'))"
    command = program(
        code, tmp_path, IA_SECRET_KEY="s3cret", NOTIFY_SOCKET="/run/x", GH_TOKEN="mine"
    )
    assert (await command.send(PARCEL)).arrived
    seen = json.loads((tmp_path / "env").read_text())
    assert seen["GH_TOKEN"] == "mine"
    assert not {"IA_SECRET_KEY", "NOTIFY_SOCKET"} & seen.keys()


async def test_a_program_that_does_not_end_is_ended_with_all_it_started(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('pid', 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    began = time.monotonic()
    outcome = await program(code, tmp_path, seconds=1.5).send(PARCEL)
    assert "longer than 1.5 seconds" in (outcome.trouble or "")
    assert time.monotonic() - began < 8
    await gone(int((tmp_path / "pid").read_text()))


async def test_what_a_program_leaves_behind_does_not_hold_us_up(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'])\n"
        "open('pid', 'w').write(str(child.pid))\n"
    )
    began = time.monotonic()
    outcome = await program(code, tmp_path, seconds=20).send(PARCEL)
    assert outcome.arrived
    assert time.monotonic() - began < 10
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


async def test_endless_output_costs_no_memory(tmp_path: Path) -> None:
    code = "import sys\nfor _ in range(200): sys.stdout.write('x' * 100_000)\nsys.exit('the end')\n"
    outcome = await program(code, tmp_path).send(PARCEL)
    trouble = outcome.trouble or ""
    assert trouble.startswith("it ended with code 1 (")
    assert len(trouble) < 300


async def test_a_cancelled_sending_leaves_no_program_behind(tmp_path: Path) -> None:
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    sending = asyncio.create_task(program(code, tmp_path, seconds=50).send(PARCEL))
    pid = 0
    for _ in range(200):
        await asyncio.sleep(0.05)
        file = tmp_path / "pid"
        if file.exists() and file.read_text():
            pid = int(file.read_text())
            break
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await gone(pid)


async def gone(pid: int) -> None:
    """Wait until a process has ended."""
    for _ in range(100):
        if not runs(pid):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")


def runs(pid: int) -> bool:
    """Say whether a process runs; a zombie that init has not reaped yet does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
