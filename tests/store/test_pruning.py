"""Pruning: what goes, what stays, and that no belief changes by it."""

from __future__ import annotations

from datetime import timedelta

from archiver.model import Capture, Verdict
from archiver.store import Store
from tests.store.conftest import NOW
from tests.store.making import look, scanned

URL = "http://x.test/a"
LOOKS = (
    *((Verdict.OK, "ok"),) * 4,
    *((Verdict.OK, "redirected"),) * 3,
    (Verdict.FAILING, "http-404"),
    (Verdict.OK, "ok"),
    (Verdict.BLOCKED, "http-403"),
    *((Verdict.OK, "ok"),) * 3,
)


def lived(store: Store) -> None:
    store.citations.replace_files([scanned(URL)], NOW)
    for week, (verdict, reason) in enumerate(LOOKS):
        [link] = store.looks.known([1])
        store.looks.record([look(link, NOW + timedelta(weeks=week), verdict, reason)], None)


def test_only_good_looks_between_two_of_the_same_reason_go(store: Store) -> None:
    lived(store)
    beginning = NOW + timedelta(weeks=11)
    assert sum(store.pruning.looks(beginning)) == 3
    left = [row["id"] for row in store.looks.history(1)]
    # The twelfth look lies between two good ones too, but it is not old enough.
    assert left == [1, 4, 5, 7, 8, 9, 10, 11, 12, 13]
    assert sum(store.pruning.looks(beginning)) == 0


def test_a_look_that_a_change_points_to_stays(store: Store) -> None:
    lived(store)
    store.database.execute(
        "INSERT INTO changes (link_id, changed_at, from_verdict, to_verdict, reason, look_id)"
        " VALUES (1, '2026-01-01T00:00:00Z', 'dead', 'ok', 'ok', 3)"
    )
    assert sum(store.pruning.looks(NOW + timedelta(weeks=90))) == 3
    assert [row["id"] for row in store.looks.history(1)][:3] == [1, 3, 4]


def test_answered_requests_go_and_open_ones_stay_however_old(store: Store) -> None:
    store.citations.replace_files([scanned(URL, "http://x.test/b", "http://x.test/c")], NOW)
    journal = store.journal
    asked = [journal.ask(link_id, "check", NOW) for link_id in (1, 2, 3)]
    journal.answer(asked[0], NOW)
    journal.answer(asked[1], NOW + timedelta(days=2))
    store.pruning.requests(NOW + timedelta(days=1))
    left = [row["id"] for row in store.database.rows("SELECT id FROM requests ORDER BY id")]
    assert left == asked[1:]


def test_old_runs_go_but_the_newest_of_each_kind_and_outcome(store: Store) -> None:
    journal, later = store.journal, NOW + timedelta(days=400)
    ended = (("once", "done"), ("check", "done"), ("check", "offline"), ("check", "done"))
    for kind, outcome in ended:
        journal.end(journal.begin(kind, NOW), NOW, outcome)
    under_way = journal.begin("check", NOW)
    young = journal.begin("check", later)
    journal.end(young, later, "interrupted")
    store.pruning.runs(NOW)
    assert store.database.value("SELECT count(*) FROM runs") == len(ended) + 2
    store.pruning.runs(NOW + timedelta(days=1))
    left = [row["id"] for row in store.database.rows("SELECT id FROM runs ORDER BY id")]
    assert left == [1, 3, 4, under_way, young]
    assert store.counting.last_good_run("once") == NOW


def test_of_captures_the_telling_ones_stay(store: Store) -> None:
    store.citations.replace_files([scanned(URL)], NOW)
    days = (0, 10, 20, 400, 410, 420, 430, 440)
    captures = [
        Capture(
            captured_at=NOW + timedelta(days=day),
            archive_url=f"http://archive.test/{day}",
            original_url=URL,
            status=404 if day == 440 else 200,
            source="spn2" if day == 410 else "cdx",
        )
        for day in days
    ]
    ids = {row["archive_url"]: row["id"] for row in store.archive.add_captures(1, captures, NOW)}
    store.archive.choose(1, ids["http://archive.test/20"], 1, None)
    assert sum(store.pruning.captures()) == 3
    left = [int(row["archive_url"].rpartition("/")[2]) for row in store.archive.captures(1)]
    # The first, the chosen, one of the other year, our own, and the newest good one.
    assert left == [430, 410, 400, 20, 0]
