"""A report is of one moment: its totals, rows and formats agree while looks go on beside it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archiver.clock import RehearsalClock
from archiver.config import load_settings
from archiver.model import Verdict
from archiver.service import report
from archiver.service.desk import Desk
from archiver.service.report import render, write_reports, write_whole
from archiver.store import Store
from tests.store.making import look, scanned

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
URLS = [f"https://host{number}.example/a/page-{number}" for number in range(6)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    loaded = load_settings(None, {"ARCHIVER_REPORT__FORMATS": "json,csv"}, tmp_path)
    store = Store.open(loaded.database_path)
    store.citations.replace_files([scanned(*URLS)], NOW)
    ids = [row["id"] for row in store.queries.due_links(NOW + timedelta(days=1))]
    store.looks.record([look(link, NOW, Verdict.OK, "ok") for link in store.looks.known(ids)], None)
    yield Desk(loaded, store, clock=RehearsalClock(NOW))
    store.close()


def all_die(desk: Desk) -> None:
    """Change every verdict as another process would."""
    other = Store.open(desk.store.database.path)
    other.database.execute("UPDATE links SET verdict = 'dead'")
    other.close()


def test_the_rows_of_a_report_are_of_the_moment_of_its_totals(desk: Desk) -> None:
    chunks = render(desk, "json")
    begun = next(chunks) + next(chunks)
    assert '"totals"' in begun
    all_die(desk)
    told = json.loads(begun + "".join(chunks))
    assert told["totals"]["verdicts"]["ok"] == 6
    assert Counter(row["verdict"] for row in told["rows"]) == {"ok": 6}
    assert sum(host["ok"] for host in told["by_host"]) == 6
    assert json.loads("".join(render(desk, "json")))["totals"]["verdicts"]["dead"] == 6


def test_reports_that_are_written_together_say_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_and_go_on(path: Path, chunks: Iterator[str]) -> None:
        write_whole(path, chunks)
        all_die(desk)

    monkeypatch.setattr(report, "write_whole", write_and_go_on)
    first, second = write_reports(desk)
    rows = json.loads(first.read_text("utf-8"))["rows"]
    with second.open(encoding="utf-8", newline="") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == [row["verdict"] for row in rows]


def test_a_report_nobody_reads_to_its_end_holds_nothing(desk: Desk) -> None:
    chunks = render(desk, "json")
    next(chunks)
    del chunks
    all_die(desk)
    assert desk.store.queries.verdicts()["dead"] == 6
    assert not desk.store.database.connection.in_transaction
