"""Promises of SECURITY.md that only the whole program can keep."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archiver.cli import main
from archiver.config import Keys
from archiver.demo.rehearsal import stage
from archiver.logs import set_up
from archiver.service.once import one_pass
from tests.service.town import FIRST, SECOND, Place, Town

ACCESS, SECRET = "Zm9vYWNjZXNza2V5", "c2VjcmV0a2V5YmFy"
KEYS = {"IA_ACCESS_KEY": ACCESS, "IA_SECRET_KEY": SECRET}
PAGE = "/news/harbour-dredging-contract-awarded-without-tender"
WALL = "/wall/police-bought-location-data-from-brokers"
FORMATS = '["html", "md", "csv", "json", "junit", "sarif", "github", "atom", "badge", "prometheus"]'


def everything_below(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return time stamp and content of every file and folder."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in (folder, *folder.rglob("*"))
    }


async def test_nothing_is_ever_written_among_the_event_files(place: Place, town: Town) -> None:
    place.cite(town.url(PAGE), town.url(WALL, SECOND))
    place.configure(town)
    before = everything_below(place.folder / "events")
    assert len(before) == 2
    for command in (("run", "--once"), ("check", "--all"), ("archive",), ("report",)):
        done = await place.run(*command)
        assert done.code == 0, done.err
    assert everything_below(place.folder / "events") == before


async def test_the_account_keys_stand_in_nothing_printed_stored_or_reported(
    place: Place, town: Town
) -> None:
    place.cite(town.url(PAGE, FIRST), town.url(WALL, SECOND))
    place.configure(town, report__formats=FORMATS, archive__submits_per_minute="60")
    printed = []
    for command in (
        ("run", "--once", "--for", "5s", "-vv", "--log-format", "json"),
        ("why", town.url(PAGE), "--json"),
        ("status",),
        ("config", "show", "--origin"),
        ("config", "check"),
    ):
        done = await place.run(*command, **KEYS)
        assert done.code == 0, done.err
        printed.append(done.out + done.err)
    # Without this the test would prove nothing: the keys were used, in their one place.
    authorized = {asked.service for asked in town.archive.requests if asked.authorized}
    assert "spn2" in authorized
    assert authorized <= {"spn2", "status", "user"}
    files = [path.read_bytes() for path in place.folder.rglob("*") if path.is_file()]
    assert len(files) > len(printed)
    for secret in (ACCESS, SECRET):
        assert not [text for text in printed if secret in text]
        assert not [data for data in files if secret.encode() in data]


async def test_the_account_keys_stand_in_nothing_the_rehearsal_printed_stored_or_reported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = io.StringIO()
    # The log is told no secret to leave out: none may come that far.
    set_up("debug", "json", log, {})
    async with stage(
        tmp_path, datetime(2026, 3, 2, 6, tzinfo=UTC), 3600.0, Keys(ACCESS, SECRET)
    ) as opened:
        for _ in range(2):
            await one_pass(opened.desk, archive_time=timedelta(hours=1))
            opened.clock.jump(timedelta(hours=30))
        assert any(request.authorized for request in opened.archive.requests)
    settings = str(tmp_path / "archiver.toml")
    for form in ("html", "md", "csv", "json", "junit", "sarif", "github", "atom", "prometheus"):
        assert main(["-c", settings, "report", "-f", form]) == 0
    for command in ("status", "config"):
        assert main(["-c", settings, command, *(["show"] if command == "config" else [])]) == 0
    printed = capfd.readouterr()
    assert len(printed.out) > 100_000
    assert "looked" in log.getvalue()
    texts = [printed.out, printed.err, log.getvalue()]
    files = [data for _, data in everything_below(tmp_path).values()]
    for secret in (ACCESS, SECRET):
        assert not [text for text in texts if secret in text]
        assert not [data for data in files if secret.encode() in data]
