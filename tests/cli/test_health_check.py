"""`archiver status` and its `--check`, as a container's HEALTHCHECK runs it."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from archiver.cli import main
from archiver.clock import to_stamp
from archiver.store import Store


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHIVER_CONFIG", raising=False)


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "archiver.db")
    yield opened
    opened.close()


def passed(store: Store, ago: timedelta = timedelta(minutes=1)) -> None:
    moment = datetime.now(UTC) - ago
    store.journal.end(store.journal.begin("once", moment), moment, "done")


def test_all_is_well_after_a_good_pass(store, capsys):
    passed(store)
    assert main(["status", "--check"]) == 0
    assert capsys.readouterr().out == "ready\n"


def test_what_is_wrong_is_said_and_exits_1(store, capsys):
    passed(store, timedelta(days=3))
    since = to_stamp(datetime.now(UTC) - timedelta(hours=1))
    store.journal.set_state("online", {"online": False, "since": since})
    assert main(["status", "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "not ready"
    assert {line.split(":")[0].strip() for line in lines[1:]} == {"offline", "no-recent-run"}


def test_json_has_the_same_and_ok_is_the_exit_code(store, capsys):
    assert main(["status", "--check", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert found["schema"] == 1
    assert found["health"]["ready"] is False
    assert found["health"]["reasons"][0]["code"] == "no-recent-run"
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    passed(store)
    assert main(["status", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_no_database_is_unhealthy_and_none_is_made(tmp_path, capsys):
    assert main(["status", "--check"]) == 1
    assert "There is no database" in capsys.readouterr().err
    assert not (tmp_path / "archiver.db").exists()
    assert main(["status"]) == 4


def test_a_damaged_database_is_unhealthy_for_a_check_and_no_work_for_a_person(tmp_path, capsys):
    (tmp_path / "archiver.db").write_bytes(b"this is no database" * 500)
    assert main(["status", "--check"]) == 1
    assert main(["status"]) == 4
    assert "damaged" in capsys.readouterr().err


def test_a_database_of_a_newer_program_is_unhealthy(store, tmp_path, capsys):
    with sqlite3.connect(tmp_path / "archiver.db") as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('archiver', 'm999_future', '2030-01-01')"
        )
    connection.close()
    assert main(["status", "--check", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "database-newer"


def test_a_bad_configuration_exits_3_also_in_a_check(tmp_path, capsys):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "archiver.toml").write_text("nonsense")
    assert main(["status", "--check"]) == 3


def test_the_screen_shows_budgets_backlog_and_why_it_is_unwell(store, capsys):
    store.journal.set_state("online", {"online": False, "since": "2026-11-24T10:00:00Z"})
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line[:11].strip(): line[11:] for line in lines if line[:1] != " "}
    assert shown["budget"].startswith(
        "50 of 50 anonymous submissions left today, 10 of them for requests and failing links;"
        " renewed at "
    )
    assert shown["backlog"] == "0 look-ups, 0 submissions"
    assert shown["online"] == "no, since 2026-11-24T10:00:00Z"
    assert shown["daemon"] == "not running; last run never"
    assert shown["health"] == "not ready"
    assert any("no-recent-run: " in line for line in lines)


def test_an_open_address_without_a_token_ends_the_daemon_with_3(tmp_path, capsys):
    (tmp_path / "events").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "archiver.toml").write_text(
        '[web]\nenabled = true\nbind = "0.0.0.0:8088"\n'
    )
    assert main(["run"]) == 3
    assert "set token_file" in capsys.readouterr().err
    assert not (tmp_path / "archiver.db").exists()


def test_the_metrics_are_a_report_format(store, capsys):
    assert main(["report", "-f", "prometheus"]) == 0
    assert "\narchiver_ready 0.0\n" in capsys.readouterr().out


def test_config_check_refuses_a_token_that_is_none(tmp_path, capsys):
    (tmp_path / "events").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "token").write_text("\n")
    (tmp_path / "config" / "archiver.toml").write_text(
        '[web]\nenabled = true\ntoken_file = "token"\n'
    )
    assert main(["config", "check"]) == 3
    assert "does not hold a token" in capsys.readouterr().err
