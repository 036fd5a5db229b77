"""Logging: one line per record, which no page title can forge and no secret leaves by.

Text on a terminal; under systemd the same with the journal's `<N>` priorities
(sd-daemon(3)); JSON on request. Fields given as `extra=` follow the message:

    log.info("link died", extra={"url": link.url, "was": "ok"})
    2026-11-24 03:30:00 info archiver.service: link died url=https://example.org/ was=ok
"""

from __future__ import annotations

import json
import logging
import os
import re
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO

from archiver.text import shown

_LINE_LIMIT = 2000
_FIELD_LIMIT = 500

# What the standard library puts on every record; the rest are our fields.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# syslog(3) priorities, as systemd reads them at the beginning of a line.
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)
# Libraries whose everyday chatter is not ours to repeat.
_CHATTY = ("aiohttp", "apscheduler", "asyncio", "urllib3", "waybackpy", "sqlite_utils")
# Whose warnings are everyday life: every odd cookie of a stranger, 256 in one answer
# (aiohttp._cookie_helpers), and every tick of a duty that is still at work.
_EVERYDAY = ("aiohttp.internal", "apscheduler.scheduler")

_USER_INFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,15}://)[^/?#\s@]*@")
# The Authorization values of archive.org ("LOW access:secret"), Bearer and Basic.
_AUTHORIZATION = re.compile(r"(?i)\b(LOW|Bearer|Basic)\s+[^\s,;\"']{6,}")


def set_up(
    level: str,
    form: str,
    stream: TextIO,
    environ: Mapping[str, str],
    secrets: tuple[str, ...] = (),
) -> None:
    """Send all records of at least `level` to `stream`, in place of any earlier set-up.

    `form` is `auto`, `text` or `json`; `secrets` are strings that are never written.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(form, stream, environ, secrets))
    root = logging.getLogger()
    for earlier in root.handlers[:]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("archiver").setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _EVERYDAY:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.captureWarnings(True)


def spoken(text: str, level: str, form: str, stream: TextIO, environ: Mapping[str, str]) -> str:
    """Return what a service tells a person as its log has it: with priority, or as JSON."""
    number = getattr(logging, level.upper())
    if form == "json":
        record = logging.LogRecord("archiver", number, "", 0, text, (), None)
        return JsonLines(_cleaner(())).format(record)
    return f"<{_priority(number)}>{text}" if is_journal(stream, environ) else text


def _formatter(
    form: str, stream: TextIO, environ: Mapping[str, str], secrets: tuple[str, ...]
) -> logging.Formatter:
    clean = _cleaner(secrets)
    if form == "json":
        return JsonLines(clean)
    journal = form == "auto" and is_journal(stream, environ)
    return TextLines(clean, journal=journal)


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether `stream` is connected to systemd's journal (systemd.exec(5), JOURNAL_STREAM).

    The variable is inherited by children whose output goes elsewhere, so device and inode
    have to be those of the stream.
    """
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _cleaner(secrets: tuple[str, ...]) -> Callable[[str], str]:
    hidden = [secret for secret in secrets if secret]

    def clean(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, "***")
        return _AUTHORIZATION.sub(r"\1 ***", _USER_INFO.sub(r"\1", text))

    return clean


class TextLines(logging.Formatter):
    """Time, level, logger, message and fields; under the journal, its priority instead of time."""

    def __init__(self, clean: Callable[[str], str], *, journal: bool) -> None:
        """Write for a terminal or file, or for the journal."""
        super().__init__()
        self._clean = clean
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one harmless line."""
        parts = [record.getMessage()]
        parts += [f"{name}={_quoted(value)}" for name, value in _fields(record).items()]
        if record.exc_info and record.exc_info[1]:
            parts.append(_where(record.exc_info[1]))
        line = shown(self._clean(" ".join(parts)), _LINE_LIMIT)
        if self._journal:
            return f"<{_priority(record.levelno)}>{record.name}: {line}"
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
        return f"{moment} {record.levelname.lower()} {record.name}: {line}"


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and the fields."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        """Write with secrets taken out by `clean`."""
        super().__init__()
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of ASCII JSON."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            name: value if isinstance(value, int | float | bool | None) else self._text(value)
            for name, value in _fields(record).items()
        }
        line |= {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._text(record.getMessage()),
        }
        if record.exc_info and record.exc_info[1]:
            trace = "".join(traceback.format_exception(record.exc_info[1]))
            line["traceback"] = self._clean(trace)
        return json.dumps(line, ensure_ascii=True)

    def _text(self, value: object) -> str:
        return shown(self._clean(str(value)), _LINE_LIMIT)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _quoted(value: object) -> str:
    text = shown(value, _FIELD_LIMIT)
    if text and not re.search(r'[\s"=]', text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _priority(level: int) -> int:
    return next(priority for least, priority in _PRIORITIES if level >= least)


def _where(error: BaseException) -> str:
    """Return an exception and its innermost places on one line."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(
        f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}"
        for frame in reversed(frames)
    )
    return f"({type(error).__name__}: {error}; at {places})"
