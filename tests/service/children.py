"""Child processes of the program: real ones, with their own signals, pids and exit codes.

Importing the program costs more than most commands do. So children are forked from a server
that has it imported already; only what concerns the start itself runs a fresh interpreter.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import resource
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from archiver.cli import main

ROOT = Path(__file__).resolve().parents[2]
_IMPORTED = (
    *("archiver.cli.run", "archiver.cli.opening", "archiver.config.review", "archiver.daemon"),
    *("archiver.reporting.formats", "archiver.service.on_demand", "archiver.service.once"),
    *("archiver.service.rehearse", "archiver.service.rebuild", "tests.service.children"),
)


class Child(Protocol):
    """What a test may know of a child process; `asyncio.subprocess.Process` is one, too."""

    pid: int

    @property
    def returncode(self) -> int | None:
        """Return how it ended, None while it runs."""

    def send_signal(self, signal: int) -> None:
        """Send a signal."""

    def kill(self) -> None:
        """Send SIGKILL."""

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait for the end and return both outputs."""


@dataclass(frozen=True)
class Hardship:
    """What a child has to live with: files of at most so many bytes, permissions that bind."""

    file_limit: int | None = None
    bound: bool = False

    def begin(self) -> None:
        """Let this process live so from here on."""
        if self.file_limit is not None:
            # Python ignores SIGXFSZ: a write beyond the limit fails with EFBIG.
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_limit, resource.RLIM_INFINITY))
        if self.bound:
            _give_up_roots_rights()


NO_HARDSHIP = Hardship()


def _give_up_roots_rights() -> None:
    """Let permissions bind this process, root's too (capabilities(7), capset(2)).

    It stays root, so it still may read what only root may: the interpreter, for one.
    """
    version, beyond_permissions = 0x20080522, 0b1111  # CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER
    header = (ctypes.c_uint32 * 2)(version, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capget(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    for place in range(3):  # effective, permitted, inheritable
        sets[place] &= ~beyond_permissions
    if libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")


async def start_fresh(
    arguments: Sequence[str], folder: Path, environ: Mapping[str, str]
) -> asyncio.subprocess.Process:
    """Start an interpreter that imports everything anew."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "archiver", *arguments),
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


class ForkedChild:
    """A child with the program imported; its outputs go into files until they are read."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        hardship: Hardship = NO_HARDSHIP,
    ) -> None:
        """Start it."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_IMPORTED))
        self._outputs = tempfile.TemporaryDirectory(prefix="child-")
        self._told: tuple[bytes, bytes] | None = None
        self._process = context.Process(
            target=_become,
            args=(list(arguments), str(folder), dict(environ), self._outputs.name, hardship),
        )
        # The files are there at once, however early the child ends.
        for name in ("1", "2"):
            (Path(self._outputs.name) / name).touch()
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self._process.exitcode

    def send_signal(self, signal: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, signal)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def said(self) -> str:
        """Return what it has written to standard error so far."""
        if self._told is not None:
            return self._told[1].decode()
        return (Path(self._outputs.name) / "2").read_text(encoding="utf-8")

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait for the end and return both outputs."""
        # Only one thread may ask multiprocessing how a process is, so no thread waits for it.
        while self.returncode is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if self._told is None:
            folder = Path(self._outputs.name)
            out, err = ((folder / name).read_bytes() for name in ("1", "2"))
            self._told = out, err
            self._outputs.cleanup()
        return self._told


def _become(
    arguments: list[str],
    folder: str,
    environ: dict[str, str],
    outputs: str,
    hardship: Hardship,
) -> None:
    """Be `archiver` from here on."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    for number in (1, 2):
        opened = os.open(f"{outputs}/{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
    sys.argv = ["archiver", *arguments]
    hardship.begin()
    sys.exit(main(arguments))
