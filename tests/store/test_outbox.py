"""The outbox: what is news is told once, in whole digests that wait until they arrive."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from archiver.model import ArchiveState, Verdict
from archiver.store import Progress, Store
from tests.store.conftest import NOW
from tests.store.making import look, scanned

EVERYTHING = ("dead", "recovered", "archive-failed")


def filled(store: Store, count: int = 3) -> None:
    urls = [f"http://h{number}.test/a" for number in range(1, count + 1)]
    store.citations.replace_files([scanned(*urls)], NOW)


def flip(store: Store, link_id: int, *verdicts: Verdict, at: datetime = NOW) -> None:
    for verdict in verdicts:
        [link] = store.looks.known([link_id])
        store.looks.record([look(link, at, verdict, "some-reason")], None)


def archive_state(store: Store, link_id: int, state: ArchiveState) -> None:
    store.archive.save(link_id, Progress(state, None, "{}", 0))


def told(store: Store, *occasions: str) -> dict[str, list[str]]:
    """Read the news as occasion: hosts' numbers."""
    found: dict[str, list[str]] = {}
    for row in store.outbox.news(occasions or EVERYTHING, 20).rows:
        found.setdefault(row["occasion"], []).append(row["url"])
    return found


def test_deaths_recoveries_and_failed_archives_are_news_until_told(store: Store) -> None:
    filled(store)
    flip(store, 1, Verdict.OK, Verdict.FAILING, Verdict.DEAD)
    flip(store, 2, Verdict.OK)
    archive_state(store, 2, ArchiveState.EXCLUDED)
    news = store.outbox.news(EVERYTHING, 20)
    assert news.counts == {"dead": 1, "archive-failed": 1}
    assert [(row["occasion"], row["verdict"]) for row in news.rows] == [
        *(("dead", "dead"), ("archive-failed", "ok")),
    ]
    assert (news.rows[0]["path"], news.rows[0]["line"]) == ("events/a.md", 6)
    store.outbox.pass_over(NOW)
    assert told(store) == {}
    flip(store, 1, Verdict.OK)
    assert told(store) == {"recovered": ["http://h1.test/a"]}


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        ((), (Verdict.DEAD,), "dead"),
        ((), (Verdict.DEAD, Verdict.OK), None),
        ((), (Verdict.DEAD, Verdict.OK, Verdict.FAILING, Verdict.DEAD), "dead"),
        ((), (Verdict.DEAD, Verdict.BLOCKED), None),
        ((Verdict.DEAD,), (Verdict.MOVED,), "recovered"),
        ((Verdict.DEAD,), (Verdict.OK, Verdict.DEAD), None),
        ((Verdict.DEAD,), (Verdict.BLOCKED,), None),
        ((Verdict.DEAD, Verdict.BLOCKED), (Verdict.OK,), "recovered"),
        ((Verdict.DEAD, Verdict.BLOCKED), (Verdict.FAILING, Verdict.DEAD), None),
        ((Verdict.DEAD, Verdict.FAILING), (Verdict.MOVED,), "recovered"),
        ((Verdict.OK,), (Verdict.FAILING, Verdict.BLOCKED, Verdict.OK), None),
    ],
)
def test_only_what_is_still_so_at_the_end_is_told(
    store: Store, before: tuple[Verdict, ...], after: tuple[Verdict, ...], news: str | None
) -> None:
    filled(store, 1)
    for verdict in before:
        flip(store, 1, verdict)
        store.outbox.pass_over(NOW)
    flip(store, 1, *after)
    assert list(told(store)) == ([] if news is None else [news])


def test_a_death_that_was_taken_back_before_it_was_told_is_told_when_it_comes(
    store: Store,
) -> None:
    filled(store, 1)
    flip(store, 1, Verdict.DEAD, Verdict.BLOCKED)
    store.outbox.pass_over(NOW)
    flip(store, 1, Verdict.DEAD)
    assert list(told(store)) == ["dead"]


def test_every_flip_says_when_it_was_handed_over(store: Store) -> None:
    filled(store, 1)
    flip(store, 1, Verdict.OK, Verdict.FAILING)
    store.outbox.put("first", "baseline", b"1", NOW, ["webhook"])
    flip(store, 1, Verdict.OK)
    handed = [row["notified_at"] for row in store.queries.changes(NOW)]
    assert handed == [None, "2026-11-24T12:00:00Z", "2026-11-24T12:00:00Z"]


def test_what_nobody_wants_to_hear_is_not_told(store: Store) -> None:
    filled(store)
    flip(store, 1, Verdict.DEAD)
    archive_state(store, 2, ArchiveState.LOST)
    assert list(told(store, "dead")) == ["dead"]
    assert list(told(store, "archive-failed")) == ["archive-failed"]
    assert list(told(store, "recovered")) == []


def test_a_dead_link_without_any_copy_is_told_once_and_not_twice(store: Store) -> None:
    filled(store, 1)
    flip(store, 1, Verdict.DEAD)
    archive_state(store, 1, ArchiveState.UNRECOVERABLE)
    assert told(store) == {"dead": ["http://h1.test/a"]}
    store.outbox.pass_over(NOW)
    assert told(store) == {}


def test_ignored_and_uncited_links_are_nobodys_news(store: Store) -> None:
    filled(store, 2)
    flip(store, 1, Verdict.DEAD)
    flip(store, 2, Verdict.DEAD)
    store.looks.set_ignored(1, True)
    store.database.execute("UPDATE links SET cited = 0 WHERE id = 2")
    assert told(store) == {}
    assert store.outbox.standing(EVERYTHING, 20).counts == {}
    store.outbox.pass_over(NOW)
    store.database.execute("UPDATE links SET cited = 1, ignored = 0")
    assert len(told(store)["dead"]) == 2


def test_a_failure_to_archive_is_told_again_only_after_a_good_copy(store: Store) -> None:
    filled(store, 1)
    for state in (ArchiveState.UNARCHIVABLE, ArchiveState.QUEUED, ArchiveState.UNARCHIVABLE):
        archive_state(store, 1, state)
        news = list(told(store))
        store.outbox.pass_over(NOW)
    assert news == []
    archive_state(store, 1, ArchiveState.ARCHIVED)
    store.outbox.pass_over(NOW)
    archive_state(store, 1, ArchiveState.LOST)
    assert list(told(store)) == ["archive-failed"]


def test_the_most_important_come_first(store: Store) -> None:
    filled(store, 3)
    for link_id, tier, importance in ((1, 2, 9), (2, 1, 5), (3, 1, 8)):
        flip(store, link_id, Verdict.DEAD)
        store.database.execute(
            "UPDATE links SET best_tier = ?, importance = ? WHERE id = ?",
            [tier, importance, link_id],
        )
    assert told(store)["dead"] == [f"http://h{number}.test/a" for number in (3, 2, 1)]
    assert len(store.outbox.news(EVERYTHING, 2).rows) == 2
    assert store.outbox.news(EVERYTHING, 2).counts == {"dead": 3}


def test_each_channel_gets_the_digests_in_order_and_none_waits_for_another(store: Store) -> None:
    outbox = store.outbox
    outbox.put("first", "baseline", b"1", NOW, ["webhook", "command"])
    outbox.put("second", "changes", b"2", NOW, ["webhook", "command"])
    row = outbox.next_delivery("webhook")
    assert row is not None
    assert (row["digest_id"], row["body"], row["tries"]) == ("first", b"1", 0)
    outbox.not_delivered(row["digest"], "webhook", "it answered 500", NOW + timedelta(hours=1))
    again = outbox.next_delivery("webhook")
    assert again is not None
    assert (again["digest_id"], again["tries"], again["next_at"]) == (
        *("first", 1, "2026-11-24T13:00:00Z"),
    )
    other = outbox.next_delivery("command")
    assert other is not None
    outbox.delivered(other["digest"], "command", NOW)
    after = outbox.next_delivery("command")
    assert after is not None
    assert after["digest_id"] == "second"
    assert [(row["channel"], row["digests"], row["trouble"]) for row in outbox.waiting()] == [
        ("command", 1, None),
        ("webhook", 2, "it answered 500"),
    ]
    assert outbox.has_baseline()


def test_old_digests_are_forgotten_but_not_those_that_still_have_to_arrive(store: Store) -> None:
    outbox = store.outbox
    for name, kind in (("start", "baseline"), ("arrived", "changes"), ("waits", "changes")):
        outbox.put(name, kind, b"x", NOW, ["webhook"])
    for name in ("start", "arrived"):
        row = outbox.next_delivery("webhook")
        assert row is not None
        assert row["digest_id"] == name
        outbox.delivered(row["digest"], "webhook", NOW)
    outbox.forget(NOW)
    assert store.database.value("SELECT count(*) FROM digests") == 3
    outbox.forget(NOW + timedelta(seconds=1))
    left = [row[0] for row in store.database.rows("SELECT digest_id FROM digests ORDER BY 1")]
    assert left == ["start", "waits"]
    assert store.database.value("SELECT count(*) FROM deliveries") == 2
