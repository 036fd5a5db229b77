"""The systemd unit is right and hardened, and sd_notify speaks to a real socket."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from archiver.systemd import ServiceManager

UNITS = Path(__file__).resolve().parents[1] / "systemd"
EXAMPLES = UNITS / "examples"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def manager():
    """A socket like the one systemd gives, and its environment."""
    name = f"archiver-test-{os.getpid()}-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(5)
        yield listener, {"NOTIFY_SOCKET": f"@{name}"}


def test_every_message_arrives_as_the_protocol_has_it(manager):
    listener, environ = manager
    service = ServiceManager(environ)

    def heard() -> str:
        return listener.recv(4096).decode()

    assert service.is_there
    assert service.ready("waiting")
    assert heard() == "READY=1\nSTATUS=waiting"
    assert service.status("240/5504 checked, 31 dead")
    assert heard() == "STATUS=240/5504 checked, 31 dead"
    assert service.alive()
    assert heard() == "WATCHDOG=1"
    assert service.extend_timeout(90)
    assert heard() == "EXTEND_TIMEOUT_USEC=90000000"
    assert service.stopping()
    assert heard() == "STOPPING=1"
    assert service.reloading()
    assert heard().startswith("RELOADING=1\nMONOTONIC_USEC=")


def test_a_socket_in_the_file_system_works_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # socket paths may have no more than 108 characters
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("notify")
        listener.settimeout(5)
        service = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert service.ready()
        assert listener.recv(100) == b"READY=1"


def test_a_status_cannot_smuggle_a_second_message(manager):
    listener, environ = manager
    ServiceManager(environ).status("page title\nSTOPPING=1")
    assert listener.recv(4096).decode().count("\n") == 0


@pytest.mark.parametrize(
    "environ", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"NOTIFY_SOCKET": "relative"}]
)
def test_without_a_listener_nothing_happens(environ):
    service = ServiceManager(environ)
    assert not service.ready()
    assert not service.status("x")


def test_a_listener_that_reads_nothing_never_blocks_us(manager):
    _, environ = manager
    service = ServiceManager(environ)
    assert not all([service.alive() for _ in range(5000)])


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "120000000"}, 40.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": str(os.getpid())}, 40.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_petted_three_times_in_its_interval(environ, seconds):
    assert ServiceManager(environ).watchdog_interval == seconds


@needs_systemd
@pytest.mark.parametrize("name", ["archiver.service", "archiver-once.service"])
def test_the_unit_is_hardened(name):
    done = subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=true", "--threshold=12", "--no-pager"),
            str(UNITS / name),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@needs_systemd
def test_all_units_are_valid_also_with_every_example_dropped_in(tmp_path):
    for found in (*UNITS.glob("*.service"), *UNITS.glob("*.timer"), *EXAMPLES.glob("*.[st]*")):
        text = found.read_text(encoding="utf-8")
        # Only the programs' paths are others: they are not installed on this machine.
        text = re.sub(r"/opt/archiver/bin/archiver|/usr/bin/git\b", "/bin/true", text)
        (tmp_path / found.name).write_text(text, encoding="utf-8")
    drop_ins = tmp_path / "archiver.service.d"
    drop_ins.mkdir()
    for found in EXAMPLES.glob("*.conf"):
        shutil.copy(found, drop_ins)
    units = sorted(str(found) for found in tmp_path.iterdir() if found.is_file())
    assert len(units) == 5
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_pass_by_timer_is_hardened_as_the_daemon_is():
    daemon, once = (
        (UNITS / name).read_text(encoding="utf-8").partition("# Who it is")[2]
        for name in ("archiver.service", "archiver-once.service")
    )
    assert daemon.partition("\n[Install]")[0] == once


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="no systemd-sysusers")
def test_the_sysusers_file_makes_the_user_of_the_unit(tmp_path):
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group", "shadow", "gshadow"):
        (tmp_path / "etc" / name).touch()
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", str(UNITS / "archiver.sysusers.conf")],
        check=True,
        timeout=30,
        capture_output=True,
    )
    assert "archiver:" in (tmp_path / "etc" / "passwd").read_text()
    assert "User=archiver" in (UNITS / "archiver.service").read_text()


def test_the_unit_calls_commands_that_exist():
    from archiver.cli import COMMANDS

    text = (UNITS / "archiver.service").read_text(encoding="utf-8")
    called = {
        line.split("/opt/archiver/bin/archiver ")[1].split()[0]
        for line in text.splitlines()
        if line.startswith(("ExecStart=", "ExecStartPre="))
    }
    assert called == {"run", "config"}
    assert "config" in COMMANDS
