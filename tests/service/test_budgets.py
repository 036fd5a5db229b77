"""Budgets and the backlog: what is left, when it renews, and how long what waits will take."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from archiver.archiving.answers import Trouble
from archiver.archiving.breakers import SUBMITS, mark_of
from archiver.clock import RehearsalClock, from_stamp, to_stamp
from archiver.config import Keys, load_settings
from archiver.model import ArchiveState
from archiver.service.breakers import Breakers
from archiver.service.desk import Desk
from archiver.service.metrics import metrics
from archiver.service.status import ACCOUNT_STATE, backlog, budgets, status
from archiver.store import Progress, Store
from tests.store.making import scanned

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = 86400
KEYS = Keys("an-access-key", "a-secret-key")

DeskMaker = Callable[..., Desk]


@pytest.fixture
def make_desk(tmp_path):
    stores = []

    def make(keys: Keys | None = None, **archive: str) -> Desk:
        environ = {f"ARCHIVER_ARCHIVE__{name.upper()}": value for name, value in archive.items()}
        loaded = load_settings(None, environ, tmp_path)
        stores.append(Store.open(loaded.database_path))
        return Desk(loaded, stores[-1], clock=RehearsalClock(NOW), keys=keys)

    yield make
    for store in stores:
        store.close()


def submit(desk: Desk, count: int, archive: str, at: datetime = NOW) -> None:
    urls = [f"https://{archive}{number}.example/page" for number in range(count)]
    desk.store.citations.replace_files([scanned(*urls, path=f"events/{archive}.md")], NOW)
    for url in urls:
        link = desk.store.queries.link_by_url(url)
        pending = Progress(ArchiveState.PENDING, None, "{}")
        desk.store.archive.begin_attempt(link["id"], url, archive, at, pending)


def estimate(desk: Desk, lookups: int = 0, submissions: int = 0) -> int | None:
    states = {"none": lookups, "queued": submissions}
    return backlog(desk, states)["estimate_seconds"]


def test_without_keys_the_anonymous_budget_counts_failed_attempts_too(make_desk):
    desk = make_desk()
    submit(desk, 3, "anonymous")
    found = budgets(desk)
    renews = from_stamp(found.pop("renews_at"))
    assert found == {
        "anonymous_today": 3,
        "anonymous_daily": 50,
        "anonymous_left": 47,
        "anonymous_reserved": 10,
    }
    assert timedelta(0) < renews - datetime(2026, 11, 25, tzinfo=UTC) <= timedelta(minutes=30)


def test_what_was_sent_yesterday_is_not_todays(make_desk):
    desk = make_desk()
    submit(desk, 3, "anonymous", NOW - timedelta(hours=13))
    assert budgets(desk)["anonymous_left"] == 50


def test_with_keys_the_accounts_own_figures_of_today_bound_the_setting(make_desk):
    desk = make_desk(KEYS)
    submit(desk, 2, "spn2")
    assert budgets(desk)["spn2_left"] == 498
    figures = {"available": 5, "processing": 0, "daily_captures": 42, "daily_limit": 100}
    told = {"at": to_stamp(NOW - timedelta(hours=1)), "figures": figures}
    desk.store.journal.set_state(ACCOUNT_STATE, told)
    found = budgets(desk)
    # 40 of the account's 42 were not ours: 100 - 40 - 2.
    assert (found["spn2_daily"], found["spn2_left"]) == (60, 58)
    told["at"] = to_stamp(NOW - timedelta(days=1))
    desk.store.journal.set_state(ACCOUNT_STATE, told)
    assert budgets(desk)["spn2_left"] == 498


@pytest.mark.parametrize("mode", ["lookup", "off"])
def test_where_nothing_is_submitted_there_is_no_budget_and_what_is_queued_stays(make_desk, mode):
    desk = make_desk(mode=mode)
    assert list(budgets(desk)) == ["renews_at"]
    assert estimate(desk, submissions=1) is None
    assert estimate(desk) == 0
    assert estimate(desk, lookups=20) == (60 if mode == "lookup" else None)


@pytest.mark.parametrize(
    ("submissions", "seconds"),
    [
        (0, 0),
        (1, 60),
        (40, 40 * 60),  # a fifth of 50 is kept for others
        (41, 40 * 60 + DAY),
        (80, 40 * 60 + DAY),
        (81, 40 * 60 + 2 * DAY),
        (3258, 40 * 60 + 81 * DAY),
    ],
)
def test_the_estimate_follows_the_daily_budget(make_desk, submissions, seconds):
    assert estimate(make_desk(), submissions=submissions) == seconds


def test_the_estimate_knows_what_is_left_today_and_the_pace_of_reads(make_desk):
    desk = make_desk()
    submit(desk, 45, "anonymous")
    assert estimate(desk, submissions=1) == DAY
    assert estimate(desk, lookups=40, submissions=1) == 120 + DAY


def test_keys_make_the_same_backlog_short(make_desk):
    assert estimate(make_desk(KEYS), submissions=400) == 400 * 60 / 5


def test_a_budget_of_nothing_never_ends(make_desk):
    desk = make_desk(anonymous_daily="0")
    assert estimate(desk, submissions=1) is None
    assert status(desk)["backlog"]["estimate_seconds"] == 0


def test_a_backlog_that_never_ends_has_no_metric_of_its_length(make_desk):
    desk = make_desk(anonymous_daily="0")
    assert "archiver_archive_backlog_seconds 0.0" in metrics(desk)
    desk.store.citations.replace_files([scanned("https://a.example/page")], NOW)
    link = desk.store.queries.link_by_url("https://a.example/page")
    desk.store.archive.save(link["id"], Progress(ArchiveState.QUEUED, NOW, "{}"))
    assert "archiver_archive_backlog_seconds" not in metrics(desk)


def test_what_waits_for_keys_that_were_refused_never_ends_until_they_are_others(make_desk):
    refused, others = make_desk(KEYS), make_desk(Keys("another-key", "and-its-secret"))
    Breakers(refused).note(
        Trouble.KEYS, SUBMITS, None, backend="spn2", keys_mark=mark_of(KEYS.access, KEYS.secret)
    )
    assert estimate(refused, submissions=1) is None
    assert [note["code"] for note in status(refused)["health"]["notes"]] == ["archive-refuses"]
    assert estimate(others, submissions=1) == 12
    assert status(others)["health"]["notes"] == []
