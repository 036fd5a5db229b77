"""The daemon as a process: its web server, its readiness, and the watchdog it feeds."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 20.0

SETTINGS = """
[web]
enabled = true
bind = "127.0.0.1:0"
{web}
[archive]
mode = "off"
[report]
formats = []
"""


class Service:
    """A running `archiver run` in a folder of its own."""

    def __init__(self, folder: Path, web: str = "", **environ: str) -> None:
        (folder / "events").mkdir(exist_ok=True)
        (folder / "config").mkdir(exist_ok=True)
        self.settings = folder / "config" / "archiver.toml"
        self.settings.write_text(SETTINGS.format(web=web))
        self._said = folder / "said"
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("ARCHIVER", "NOTIFY"))
        }
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "archiver", "run"],
                cwd=folder,
                env={**inherited, "PYTHONPATH": str(ROOT), **environ},
                stdout=said,
                stderr=said,
            )

    @property
    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def until_said(self, pattern: str) -> re.Match[str]:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if found := re.search(pattern, self.said):
                return found
            assert self.process.poll() is None, self.said
            time.sleep(0.05)
        raise AssertionError(f"{pattern!r} was not said:\n{self.said}")

    def ask(self, path: str, token: str = "") -> tuple[int, str]:
        address = self.until_said(r"listens on (http://\S+)")[1]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(address + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Service]]:
    services: list[Service] = []
    yield services
    for service in services:
        if service.process.poll() is None:
            service.process.kill()
        service.process.wait()


def test_the_daemon_serves_its_health_and_ends_cleanly(tmp_path, started):
    service = Service(tmp_path)
    started.append(service)
    service.until_said("the service is running")
    assert service.ask("/healthz")[0] == 200
    status, text = service.ask("/readyz")
    assert (status, json.loads(text)["reasons"]) == (200, [])
    status, text = service.ask("/metrics")
    assert "\narchiver_ready 1.0\n" in text
    assert "\narchiver_daemon_running 1.0\n" in text
    check = subprocess.run(
        [sys.executable, "-m", "archiver", "status", "--check"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (check.returncode, check.stdout) == (0, b"ready\n")
    assert service.end() == 0
    assert "Traceback" not in service.said


def test_a_reload_takes_over_a_token_and_refuses_a_bad_one(tmp_path, started):
    service = Service(tmp_path)
    started.append(service)
    service.until_said("the service is running")
    assert service.ask("/metrics")[0] == 200
    service.settings.write_text(SETTINGS.format(web='token_file = "token"'))
    service.process.send_signal(signal.SIGHUP)
    service.until_said("the configuration was not reloaded: web.token_file")
    assert service.ask("/metrics")[0] == 200
    (tmp_path / "token").write_text("a-long-enough-token")
    service.process.send_signal(signal.SIGHUP)
    service.until_said("the configuration was reloaded")
    end = time.monotonic() + PATIENCE_SECONDS
    while service.ask("/metrics")[0] != 401:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert service.ask("/metrics", "a-long-enough-token")[0] == 200
    assert "a-long-enough-token" not in service.said
    assert service.end() == 0


def test_the_watchdog_starves_when_the_database_is_gone(tmp_path, started):
    name = f"archiver-watchdog-{os.getpid()}-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(PATIENCE_SECONDS)
        service = Service(tmp_path, NOTIFY_SOCKET=f"@{name}", WATCHDOG_USEC="300000")
        started.append(service)
        while b"WATCHDOG=1" not in manager.recv(4096):
            pass
        (tmp_path / "archiver.db").unlink()
        manager.settimeout(1.0)
        end = time.monotonic() + PATIENCE_SECONDS
        last = time.monotonic()
        # Fed every 0.1 s before: a whole second without a message is hunger.
        while time.monotonic() < end and time.monotonic() - last < 1.0:
            try:
                if b"WATCHDOG=1" in manager.recv(4096):
                    last = time.monotonic()
            except TimeoutError:
                break
        assert time.monotonic() < end
        assert service.process.poll() is None
        assert service.ask("/healthz")[0] == 503


def test_an_address_that_is_taken_ends_the_start_with_a_clear_sentence(tmp_path, started):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = Service(tmp_path, ARCHIVER_WEB__BIND=f"127.0.0.1:{taken.getsockname()[1]}")
        started.append(service)
        assert service.process.wait(PATIENCE_SECONDS) == 4
    assert "cannot listen on 127.0.0.1" in service.said
