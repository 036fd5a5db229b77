"""`archiver report` and `archiver db` on a database with five days behind it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from archiver.cli import main
from tests.service.rehearsed import Rehearsed
from tests.service.town import stamps

# Contract §2, to the letter and in its order.
SOURCE_STATUS = (
    "path line position event_id event_date source_title publisher tier source_date cited_url"
    " link_id host verdict reason verdict_since last_look_at next_look_at archive_state"
    " archive_url archive_url_in_file problem source_key access_date importance final_url"
    " http_status first_seen_at last_seen_alive_at last_seen_alive_by archive_verified_at"
    " archive_distance_days archive_claim"
).split()
BY_HOST = (
    "host links citations ok moved blocked failing dead unchecked archived last_look_at"
).split()
BY_DAY = ("day looks ok moved blocked failing dead_findings went_dead recovered archived").split()
BY_YEAR = "year citations unchecked ok moved blocked failing dead archived".split()
LOOKS = (
    "id link_id looked_at vantage status error final_url redirects duration content_type title"
    " verdict reason facts run_id"
).split()
ATTEMPTS = (
    "id link_id url archive started_at ended_at http_status job_id outcome code message capture_url"
).split()
CAPTURES = (
    "id link_id captured_at archive_url original_url status source first_seen_at verified_at judged"
).split()
PROBLEMS = "path line position name level message".split()


@pytest.fixture
def copied(rehearsed: Rehearsed, tmp_path: Path) -> Path:
    """Copy the rehearsal's files, for commands that may write; return the configuration."""
    for name in ("archiver.toml", "archiver.db"):
        shutil.copy(rehearsed.folder / name, tmp_path / name)
    shutil.copytree(rehearsed.folder / "events", tmp_path / "events")
    return tmp_path / "archiver.toml"


def run(capsys: pytest.CaptureFixture[str], configuration: Path, *arguments: str) -> str:
    """Run a command that ends well and return its standard output."""
    assert main(["-c", str(configuration), *arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


@pytest.fixture
def report(rehearsed: Rehearsed, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        run(capsys, rehearsed.configuration, "report", "-f", "json")
    )
    return loaded


def test_the_report_in_json_has_the_shape_of_the_contract(report: dict[str, Any]) -> None:
    named = ["schema", "generated_at", "totals", "rows", "by_host", "by_year"]
    assert list(report)[: len(named)] == named
    assert report["schema"] == 1
    stamps([report["generated_at"]])
    assert len(report["rows"]) > 100
    for row in report["rows"]:
        assert list(row)[: len(SOURCE_STATUS)] == SOURCE_STATUS
        assert "next_step" in row
    for row in report["by_host"]:
        assert list(row)[: len(BY_HOST)] == BY_HOST
    for row in report["by_year"]:
        assert set(row) >= set(BY_YEAR)


def test_the_report_and_the_view_tell_the_same(
    report: dict[str, Any], rehearsed: Rehearsed
) -> None:
    with closing(sqlite3.connect(rehearsed.database)) as connection:
        columns = ", ".join(SOURCE_STATUS)
        view = connection.execute(f"SELECT {columns} FROM source_status").fetchall()
    rows = [tuple(row[name] for name in SOURCE_STATUS) for row in report["rows"]]
    assert sorted(map(repr, rows)) == sorted(map(repr, view))


def test_what_is_to_be_mended_first_comes_first(report: dict[str, Any]) -> None:
    verdicts = [row["verdict"] for row in report["rows"] if row["verdict"]]
    firsts = [verdicts.index(word) for word in ("dead", "failing", "blocked", "ok")]
    assert firsts == sorted(firsts)
    assert firsts[0] == 0
    dead = [row for row in report["rows"] if row["verdict"] == "dead"]
    assert all(row["next_step"] for row in dead)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("source_status", SOURCE_STATUS),
        ("rot", SOURCE_STATUS),
        ("needs_archive", SOURCE_STATUS),
        ("suspect_citations", SOURCE_STATUS),
        ("by_host", BY_HOST),
        ("by_day", BY_DAY),
        ("looks", LOOKS),
        ("attempts", ATTEMPTS),
        ("captures", CAPTURES),
        ("problems", PROBLEMS),
        ("runs", "id started_at ended_at kind outcome".split()),
        ("changes", "id link_id changed_at from_verdict to_verdict reason look_id".split()),
    ],
)
def test_views_and_tables_have_the_columns_of_the_contract_in_its_order(
    rehearsed: Rehearsed, name: str, columns: list[str]
) -> None:
    with closing(sqlite3.connect(rehearsed.database)) as connection:
        found = [row[0] for row in connection.execute(f"SELECT * FROM {name} LIMIT 0").description]
    assert found[: len(columns)] == columns


def test_every_stored_moment_has_the_form_of_the_contract(rehearsed: Rehearsed) -> None:
    with closing(sqlite3.connect(rehearsed.database)) as connection:
        tables = [
            row[0]
            for row in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '_*'"
                " AND name NOT GLOB 'sqlite_*'"
            )
        ]
        checked = 0
        for table in tables:
            for _, column, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                if column.endswith(("_at", "_since")):
                    values = connection.execute(
                        f"SELECT DISTINCT {column} FROM {table} WHERE {column} NOT NULL"
                    )
                    checked += len(stamps(row[0] for row in values))
    assert checked > 500


def test_every_format_can_be_written_into_a_file(
    rehearsed: Rehearsed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ("html", "md", "csv", "json", "junit", "sarif", "github", "atom", "badge"):
        target = tmp_path / f"out.{form}"
        out = run(capsys, rehearsed.configuration, "report", "-f", form, "-o", str(target))
        assert out == ""
        assert target.stat().st_size > 0
        assert run(capsys, rehearsed.configuration, "report", "-f", form)


def test_a_report_is_written_into_a_pipe_and_never_takes_its_place(
    rehearsed: Rehearsed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        run(capsys, rehearsed.configuration, "report", "-f", "badge", "-o", str(pipe))
        assert os.read(reader, 4).startswith(b"<svg")
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_report_goes_where_a_link_leads(
    rehearsed: Rehearsed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link, target = tmp_path / "badge.svg", tmp_path / "elsewhere.svg"
    link.symlink_to(target)
    run(capsys, rehearsed.configuration, "report", "-f", "badge", "-o", str(link))
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(("fail_on", "code"), [("never", 0), ("dead", 1), ("failing", 1)])
def test_a_report_fails_only_when_asked_to(
    rehearsed: Rehearsed, fail_on: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-c", str(rehearsed.configuration), "report", "--fail-on", fail_on]) == code
    capsys.readouterr()


def test_a_report_changes_nothing(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(copied.with_name("archiver.db"))) as connection:
        before = list(connection.iterdump())
    run(capsys, copied, "report", "-f", "md")
    with closing(sqlite3.connect(copied.with_name("archiver.db"))) as connection:
        assert list(connection.iterdump()) == before


def test_a_belief_that_was_tampered_with_is_put_right_by_a_rebuild(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = copied.with_name("archiver.db")
    with closing(sqlite3.connect(database)) as connection, connection:
        [url] = connection.execute(
            "SELECT url FROM links WHERE verdict = 'dead' LIMIT 1"
        ).fetchone()
        connection.execute("UPDATE links SET verdict = 'ok' WHERE url = ?", [url])
    out = run(capsys, copied, "db", "rebuild")
    assert out.count("\n") == 1
    assert f"{url}: ok" in out
    assert "-> dead" in out
    assert run(capsys, copied, "db", "rebuild") == ""


def test_a_backup_is_a_whole_database(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "copy.db"
    run(capsys, copied, "db", "backup", str(target))
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM source_status").fetchone()[0] > 100


def test_a_backup_takes_the_place_of_no_pipe(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert main(["-c", str(copied), "db", "backup", str(pipe)]) == 4
    assert "is no file; nothing was copied" in capsys.readouterr().err
    assert pipe.is_fifo()


def test_migrating_an_up_to_date_database_changes_nothing(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-c", str(copied), "db", "migrate"]) == 0
    assert "nothing to migrate" in capsys.readouterr().err
    assert not list(copied.parent.glob("*.before-*"))


def test_migrating_says_so_when_it_creates_the_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = tmp_path / "archiver.toml"
    configuration.touch()
    assert main(["-c", str(configuration), "db", "migrate"]) == 0
    assert f"Created the database {tmp_path / 'archiver.db'}" in capsys.readouterr().err
