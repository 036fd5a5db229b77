"""Promises of SECURITY.md that only the whole program can keep."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archiver.cli import main
from archiver.config import Keys
from archiver.demo.rehearsal import stage
from archiver.logs import set_up
from archiver.service.once import one_pass
from tests.service.town import FIRST, SECOND, Place, Town, stopped, until

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


async def test_no_command_but_run_starts_a_program_or_tells_anybody(
    place: Place, town: Town
) -> None:
    place.cite(town.url(PAGE), town.url(WALL, SECOND))
    told = town.url("/news/hook", SECOND)
    notify = {
        "notify__command": json.dumps(["touch", str(place.folder / "started")]),
        "notify__webhook": json.dumps(told),
        "notify__heartbeat": json.dumps(told),
    }
    place.configure(town, **notify)
    for command in (
        *(("check", "--all"), ("archive", town.url(PAGE)), ("mark", town.url(PAGE), "gone")),
        *(("report",), ("status",), ("events", "lint"), ("why", town.url(PAGE)), ("db", "prune")),
        *(("config", "check"), ("run", "--dry-run")),
    ):
        done = await place.run(*command)
        assert done.code == 0, (command, done.err)
    assert not (place.folder / "started").exists()
    assert not town.asked("/news/hook")
    # Without this the test would prove nothing.
    await place.run("run", "--once", "--for", "1s")
    assert town.asked("/news/hook/start")


async def test_a_stolen_database_or_report_tells_no_token_and_no_address_of_a_webhook(
    place: Place, town: Town
) -> None:
    secrets = (
        "hook-that-nobody-may-know",
        "sign-of-life-of-ours",
        "a-token-of-the-page",
        "hmac-key",
    )
    hook, life, token, key = secrets
    (place.folder / "token").write_text(token)
    (place.folder / "key").write_text(key)
    place.cite(town.url(PAGE), town.url(WALL, SECOND))
    place.configure(
        town,
        archive__mode='"off"',
        report__formats=FORMATS,
        notify__webhook=json.dumps(town.url(f"/news/{hook}", SECOND)),
        notify__heartbeat=json.dumps(town.url(f"/news/{life}", SECOND)),
        notify__secret_file='"key"',
        web__enabled="true",
        web__bind='"127.0.0.1:0"',
        web__token_file='"token"',
    )
    done = await place.run("run", "--once", "-vv")
    assert done.code == 0, done.err
    service = await place.start("run", "-vv")
    await until((place.folder / "report" / "report.html").exists, "the report", service)
    printed = [done.out + done.err, (await stopped(service)).err]
    assert town.asked(f"/news/{life}/start")
    files = [
        *place.folder.glob("archiver.db*"),
        *(path for path in (place.folder / "report").iterdir()),
    ]
    assert len(files) > 10
    for secret in secrets:
        assert not [text for text in printed if secret in text], secret
        assert not [path for path in files if secret.encode() in path.read_bytes()], secret
