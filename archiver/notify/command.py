"""The command: a program of the operator's that gets a digest as JSON on its input.

No shell. The program has a deadline, what it writes is read and forgotten but for its end, and
it sees neither the archive's account keys nor our line to systemd.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from archiver.notify.channels import Outcome, Parcel
from archiver.text import shown

COMMAND_SECONDS = 30.0
# How long a program may take to end by itself once it was asked to.
_GRACE_SECONDS = 1.0
_LAST_WORDS_SECONDS = 0.5
# The end of what it wrote is where a mistake is explained.
_OUTPUT_LIMIT = 4 * 1024
_SHOWN_LIMIT = 200
# Arguments of this length may be tokens; programs like to repeat their arguments.
_LIKE_A_SECRET = 8

# Not for other people's programs: the account keys, and what belongs to our own process.
_WITHHELD = frozenset(
    {
        *("IA_ACCESS_KEY", "IA_SECRET_KEY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"),
        *("WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"),
    }
)


class Command:
    """Starts one program for each digest."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        directory: Path,
        environ: Mapping[str, str],
        seconds: float = COMMAND_SECONDS,
    ) -> None:
        """Start `arguments` in `directory`; a relative program with a slash is below it."""
        program, *rest = arguments
        if "/" in program:
            program = str(directory / program)
        self._arguments = (program, *rest)
        self._directory = directory
        self._environ = {name: text for name, text in environ.items() if name not in _WITHHELD}
        self._seconds = seconds

    async def send(self, parcel: Parcel) -> Outcome:
        """Run it once; arrived means that it ended with 0."""
        loop = asyncio.get_running_loop()
        try:
            transport, child = await loop.subprocess_exec(
                lambda: _Child(loop.create_future(), loop.create_future()),
                *self._arguments,
                cwd=str(self._directory),
                env=self._environ,
                start_new_session=True,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except (OSError, ValueError) as error:
            return Outcome(f"it cannot be started: {os.strerror(getattr(error, 'errno', 0) or 22)}")
        try:
            _feed(transport, parcel.body)
            async with asyncio.timeout(self._seconds):
                await asyncio.shield(child.ended)
            # Its last words may still be on the way; but a grandchild may hold the pipe for ever.
            await asyncio.wait([child.silent], timeout=_LAST_WORDS_SECONDS)
        except TimeoutError:
            await _end(transport, child)
            return Outcome(f"it took longer than {self._seconds:g} seconds and was ended")
        except asyncio.CancelledError:
            await _kill(transport, child)
            raise
        finally:
            transport.close()
        return _outcome(transport.get_returncode(), self._last_words(bytes(child.output)))

    def _last_words(self, output: bytes) -> str:
        """Return the last line it wrote, without what its arguments may hold of secrets."""
        lines = output.decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        for argument in self._arguments[1:]:
            if len(argument) >= _LIKE_A_SECRET:
                last = last.replace(argument, "***")
        return shown(last, _SHOWN_LIMIT)


class _Child(asyncio.SubprocessProtocol):
    """Keeps the end of what a program writes; knows when it has ended and when it is silent."""

    def __init__(self, ended: asyncio.Future[None], silent: asyncio.Future[None]) -> None:
        self.ended = ended
        self.silent = silent
        self.output = bytearray()

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002
        self.output += data
        del self.output[:-_OUTPUT_LIMIT]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002
        if fd == 1 and not self.silent.done():
            self.silent.set_result(None)

    def process_exited(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def _feed(transport: asyncio.SubprocessTransport, body: bytes) -> None:
    """Give the program its input; one that does not read it is no failure."""
    pipe = transport.get_pipe_transport(0)
    if isinstance(pipe, asyncio.WriteTransport):
        pipe.write(body)
        pipe.write_eof()


async def _end(transport: asyncio.SubprocessTransport, child: _Child) -> None:
    """End the program and what it started: first politely, then not."""
    _signal(transport.get_pid(), signal.SIGTERM)
    await asyncio.wait([child.ended], timeout=_GRACE_SECONDS)
    await _kill(transport, child)


async def _kill(transport: asyncio.SubprocessTransport, child: _Child) -> None:
    """Kill the whole group, and wait a moment for its leader's end to be known."""
    _signal(transport.get_pid(), signal.SIGKILL)
    await asyncio.wait([child.ended], timeout=_GRACE_SECONDS)


def _signal(pid: int, number: signal.Signals) -> None:
    # The program leads a session and group of its own, so that its children are meant too.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _outcome(code: int | None, last_words: str) -> Outcome:
    if code == 0:
        return Outcome()
    ended = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
    return Outcome(f"it ended with {ended}" + (f" ({last_words})" if last_words else ""))
