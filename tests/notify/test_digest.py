"""The digest: few items, harmless words, one shape whatever strangers wrote."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.notify import MOST_ITEMS, Digest, Kind, Notice, build

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def notice(occasion: str = "dead", **changed: Any) -> Notice:
    plain: dict[str, Any] = {
        "occasion": occasion,
        "url": "https://example.org/a",
        "verdict": "dead",
        "reason": "http-404",
        "since": "2026-11-20T12:00:00Z",
        "archive_state": "archived",
        "archive_url": "https://web.archive.org/web/20200101000000/https://example.org/a",
        "path": "events/a.md",
        "line": 7,
        "event_id": "a",
        "title": "A title",
        "citations": 1,
    }
    return Notice(**{**plain, **changed})


def read(digest: Digest) -> dict[str, Any]:
    return dict(json.loads(digest.body))


def of(*notices: Notice, kind: Kind = Kind.CHANGES, links: int = 40) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for each in notices:
        counts[each.occasion] = counts.get(each.occasion, 0) + 1
    return read(build(kind, "id-1", NOW, notices, counts, links))


def test_a_digest_says_what_where_and_what_to_do() -> None:
    told = of(notice(), notice("recovered", verdict="ok", reason="resurrected"))
    assert (told["schema"], told["id"], told["kind"]) == (1, "id-1", "changes")
    assert told["made_at"] == "2026-11-24T12:00:00Z"
    assert told["summary"] == "1 link died, 1 link is back."
    assert told["counts"] == {"dead": 1, "archive-failed": 0, "recovered": 1}
    assert (told["total"], told["left_out"], told["links"]) == (2, 0, 40)
    [dead, back] = told["items"]
    assert (dead["path"], dead["line"], dead["url"]) == ("events/a.md", 7, "https://example.org/a")
    assert dead["reason_text"] == "The server says the page is not there."
    assert "archived copy" in dead["next_step"]
    assert back["next_step"] == "Nothing to do."
    for piece in ("Dead: https://example.org/a", "events/a.md:7", dead["archive_url"]):
        assert piece in told["text"]


def test_no_more_than_twenty_items_are_told_and_the_rest_is_counted() -> None:
    notices = [notice(url=f"https://example.org/{number}") for number in range(30)]
    told = read(build(Kind.CHANGES, "x", NOW, notices, {"dead": 57}, 400))
    assert [item["url"] for item in told["items"]] == [each.url for each in notices[:MOST_ITEMS]]
    assert (told["total"], told["left_out"]) == (57, 37)
    assert told["summary"] == "57 links died."
    assert told["text"].endswith("And 37 more: 'archiver report' has them all.")


def test_the_baseline_says_how_things_stand_not_what_happened() -> None:
    told = of(notice(), notice("archive-failed", archive_state="excluded"), kind=Kind.BASELINE)
    assert told["summary"] == (
        "How it stands: 40 links are watched; 1 is dead, 1 has no archived copy to rely on."
    )
    assert of(kind=Kind.BASELINE)["summary"] == (
        "How it stands: 40 links are watched; none is known to be dead."
    )


@pytest.mark.parametrize("state", ["lost", "excluded", "unarchivable", "unrecoverable"])
def test_every_way_of_having_no_copy_has_its_own_words(state: str) -> None:
    [item] = of(notice("archive-failed", archive_state=state, verdict="ok", reason="ok"))["items"]
    assert item["reason_text"] != "The page is there."
    assert len(item["next_step"]) > 10


def test_a_dead_link_that_no_archive_has_is_not_advised_to_use_its_copy() -> None:
    [item] = of(notice(archive_state="unrecoverable", archive_url=None))["items"]
    assert item["next_step"] == "Replace the source."


@pytest.mark.parametrize(
    ("state", "step"),
    [
        *((state, "Replace the source.") for state in ("lost", "excluded", "unarchivable")),
        *((state, "Wait for a copy") for state in ("none", "searching", "queued", "pending")),
    ],
)
def test_a_dead_link_without_a_copy_is_not_advised_to_use_it(state: str, step: str) -> None:
    [item] = of(notice(archive_state=state, archive_url=None))["items"]
    assert item["next_step"].startswith(step)


def test_of_an_address_no_archive_is_asked_for_no_other_try_is_promised() -> None:
    [item] = of(notice("archive-failed", archive_state="unarchivable"))["items"]
    assert "again" not in item["reason_text"]


def test_a_hostile_title_and_path_mention_nobody_and_forge_no_line() -> None:
    told = of(
        notice(
            title="x\nDead: https://evil.example/ <!channel> @everyone",
            path="events/<!channel>\n@everyone`.md",
            url="https://example.org/@channel/<!here>`",
        )
    )
    assert "evil.example" not in told["text"]
    assert not set("@<>`") & set(told["text"])
    assert "https://example.org/%40channel/%3C!here%3E%60" in told["text"]
    assert "\n" not in told["items"][0]["title"] + told["items"][0]["path"]
    assert told["items"][0]["url"] == "https://example.org/@channel/<!here>`"


hostile = st.text(st.characters(codec="utf-8") | st.sampled_from("\u202e\x00\r\n\x1b"), max_size=60)


@settings(max_examples=60)
@given(hostile, hostile, hostile, st.sampled_from(["dead", "archive-failed", "recovered"]))
def test_whatever_strangers_write_a_digest_is_small_lines_of_harmless_text(
    title: str, url: str, path: str, occasion: str
) -> None:
    many = [notice(occasion, title=title * 99, url=url * 99, path=path * 99)] * 30
    digest = build(Kind.CHANGES, "x", NOW, many, {occasion: 30}, 400)
    assert len(digest.body) <= 512 * 1024
    told = read(digest)
    for item in told["items"]:
        for text in (item["title"], item["url"], item["path"]):
            assert not set(text) & set("\u202e\x00\r\n\x1b")
    assert told["text"].count("\n\n") == MOST_ITEMS + 1


def test_the_longest_digest_stays_small() -> None:
    wide = "\U0001f5de" * 9_000
    many = [notice(title=wide, url=wide, path=wide, event_id=wide, archive_url=wide)] * 20
    assert len(build(Kind.CHANGES, "x", NOW, many, {"dead": 20}, 400).body) < 512 * 1024
