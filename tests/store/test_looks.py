"""Looks as stored: claimed once, recorded whole, beliefs read back as they were."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from archiver.clock import from_stamp, to_stamp
from archiver.model import Belief, Run, Verdict
from archiver.store import Store
from archiver.store.codec import belief_text, read_belief
from tests.store.conftest import NOW
from tests.store.making import look, scanned


def filled(store: Store, count: int = 3) -> None:
    urls = [f"http://h{number}.test/a" for number in range(count)]
    store.citations.replace_files([scanned(*urls)], NOW)


def test_no_link_is_claimed_twice(store: Store) -> None:
    filled(store)
    first = store.looks.claim_due(NOW, 2, "one")
    second = store.looks.claim_due(NOW, 9, "two")
    assert [link.link_id for link in first] == [1, 2]
    assert [link.link_id for link in second] == [3]


def test_released_claims_are_due_again(store: Store) -> None:
    filled(store)
    store.looks.claim_due(NOW, 3, "one")
    store.looks.release("one")
    assert len(store.looks.claim_due(NOW, 9, "two")) == 3


def test_claims_of_a_dead_process_are_freed_after_an_hour(store: Store) -> None:
    filled(store)
    store.looks.claim_due(NOW, 3, "one")
    store.looks.release_stale(NOW + timedelta(minutes=59))
    assert store.looks.claim_due(NOW + timedelta(minutes=59), 9, "two") == []
    store.looks.release_stale(NOW + timedelta(minutes=61))
    assert len(store.looks.claim_due(NOW + timedelta(minutes=61), 9, "two")) == 3


def test_what_was_looked_at_and_claimed_by_a_clock_that_was_ahead_is_due_again(
    store: Store,
) -> None:
    filled(store)
    ahead = NOW + timedelta(days=4000)
    first, *_ = store.looks.claim_due(ahead, 2, "one")
    store.looks.record([look(first, ahead, Verdict.OK, "ok")], None)
    store.looks.release_stale(NOW)
    store.looks.plan_anew(NOW, timedelta(days=60))
    assert len(store.looks.claim_due(NOW, 9, "two")) == 3


def test_what_a_clock_that_was_ahead_noted_of_a_host_is_no_news(store: Store) -> None:
    filled(store, 1)
    ahead = NOW + timedelta(days=4000)
    [link] = store.looks.claim_due(ahead, 1, "one")
    store.looks.record([look(link, ahead, Verdict.OK, "ok")], None)
    store.looks.remember_probe(link.host, "/", "{}", ahead)
    store.looks.remember_probe(link.host, "/news/", "{}", NOW)
    store.hosts.put_right(NOW)
    [again] = store.looks.known([link.link_id])
    assert again.host_answered_at == to_stamp(NOW - timedelta(seconds=1))
    assert store.looks.probe(link.host, "/", NOW) is None
    assert store.looks.probe(link.host, "/news/", NOW) is not None


def test_one_look_is_one_row_and_moves_the_belief(store: Store) -> None:
    filled(store, 1)
    [link] = store.looks.claim_due(NOW, 1, "one")
    store.looks.record([look(link, NOW, Verdict.FAILING, "http-404")], 7)
    [row] = store.looks.history(link.link_id)
    assert (row["verdict"], row["reason"], row["strength"], row["run_id"]) == (
        *("failing", "http-404", "strong", 7),
    )
    status = next(store.queries.source_status())
    assert (status["verdict"], status["reason"]) == ("failing", "http-404")
    [change] = store.queries.changes(NOW)
    assert (change["from_verdict"], change["to_verdict"]) == ("unchecked", "failing")


def test_titles_and_the_hosts_last_answer_come_with_a_link(store: Store) -> None:
    filled(store, 1)
    [link] = store.looks.claim_due(NOW, 1, "one")
    assert link.titles == ("A title long enough to count",)
    store.looks.record([look(link, NOW, Verdict.OK, "ok")], None)
    [again] = store.looks.known([link.link_id])
    assert again.host_answered_at == to_stamp(NOW)


moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(
    lambda moment: from_stamp(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
)
runs = st.builds(Run, st.integers(0, 9), st.none() | moments, st.none() | moments)


@given(
    st.builds(
        Belief,
        verdict=st.sampled_from(Verdict),
        reason=st.sampled_from(["ok", "http-404"]),
        since=st.none() | moments,
        good_since=st.none() | moments,
        strong=runs,
        weak=runs,
        blocked=runs,
        attempt=st.integers(0, 9),
        waiting_since=st.none() | moments,
        flips=st.lists(moments, max_size=3).map(tuple),
    )
)
def test_a_belief_survives_being_stored(belief: Belief) -> None:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute(
        "SELECT ? AS verdict, ? AS reason, ? AS verdict_since, ? AS last_look_at,"
        " ? AS next_look_at, ? AS last_seen_alive_at, ? AS last_seen_alive_by, ? AS belief",
        [
            belief.verdict.value,
            belief.reason,
            None if belief.since is None else to_stamp(belief.since),
            None,
            None,
            None,
            None,
            belief_text(belief),
        ],
    ).fetchone()
    connection.close()
    assert read_belief(row) == belief


def test_a_retry_after_is_never_kept_shorter_than_it_was_asked_for(store: Store) -> None:
    for microseconds in (0, 1, 500_000, 999_999):
        asked = NOW.replace(microsecond=microseconds) + timedelta(minutes=1)
        host = f"busy-{microseconds}.test"
        store.hosts.pause(host, asked)
        state = store.hosts.lease(host, "run:1", NOW, NOW + timedelta(minutes=1))
        assert state is not None
        assert state.not_before is not None
        assert timedelta(0) <= state.not_before - asked < timedelta(seconds=1)


def test_a_pause_noted_by_a_clock_that_was_ahead_lasts_a_day_at_most(store: Store) -> None:
    store.hosts.pause("busy.test", NOW + timedelta(days=4000))
    for day, paused in ((0, True), (1, True), (2, False)):
        now = NOW + timedelta(days=day)
        state = store.hosts.lease("busy.test", "run:1", now, now + timedelta(minutes=1))
        assert state is not None
        assert state.not_before is not None
        assert (state.not_before > now) is paused


def test_a_lease_taken_by_a_clock_that_was_ahead_closes_no_host_until_that_time(
    store: Store,
) -> None:
    ahead = NOW + timedelta(days=365)
    assert store.hosts.lease("left.test", "command:1", ahead, ahead + timedelta(minutes=1))
    assert store.hosts.lease("held.test", "command:1", NOW, NOW + timedelta(minutes=1))
    until = NOW + timedelta(minutes=1)
    assert store.hosts.lease("left.test", "run:2", NOW, until) is not None
    assert store.hosts.lease("held.test", "run:2", NOW, until) is None
