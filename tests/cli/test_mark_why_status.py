"""`archiver mark`, `why` and `status`: the last word, the whole story, one screen."""

from __future__ import annotations

import pytest

from tests.service.town import SECOND, Place, Town, stamps

NEWS = "/news/harbour-dredging-contract-awarded-without-tender"
GONE = "/gone/ferry-operator-hid-inspection-reports-for-years"
VERDICTS = ["unchecked", "ok", "moved", "blocked", "failing", "dead"]
STATES = [
    *("none", "searching", "queued", "pending", "captured", "archived", "lost"),
    *("excluded", "unarchivable", "unrecoverable"),
]


@pytest.fixture
async def looked_at(place: Place, town: Town) -> Place:
    place.cite(town.url(NEWS), town.url(GONE, SECOND))
    place.configure(town)
    assert (await place.run("check")).code == 0
    return place


async def test_a_mark_holds_at_once_is_a_look_and_is_taken_back(
    looked_at: Place, town: Town
) -> None:
    place, url = looked_at, town.url(GONE, SECOND)
    done = await place.run("mark", url, "gone", "--note", "I wrote to them")
    assert done.code == 0, done.err
    assert f"{url}: dead (marked-gone)" in done.err
    assert place.value("SELECT verdict FROM source_status WHERE cited_url = ?", url) == "dead"
    looks = place.rows("SELECT vantage, verdict, reason FROM looks ORDER BY id DESC LIMIT 1")
    assert looks == [("human", "failing", "marked-gone")]
    # Looks go on, are recorded, and do not change the word of a person.
    assert (await place.run("check", url)).code == 1
    told = (await place.run("why", url, "--json")).json
    assert told["belief"]["verdict"] == "dead"
    assert [look["vantage"] for look in told["looks"]] == ["here", "human", "here"]
    assert any("mark URL clear" in text for text in told["would_change"])
    assert (await place.run("mark", url, "clear")).code == 0
    assert place.value("SELECT verdict FROM source_status WHERE cited_url = ?", url) == "failing"


async def test_marked_alive_is_alive_and_seen_so_by_a_person(looked_at: Place, town: Town) -> None:
    url = town.url(GONE, SECOND)
    assert (await looked_at.run("mark", url, "alive", "--until", "2099-01-01")).code == 0
    [row] = looked_at.rows(
        "SELECT verdict, reason, last_seen_alive_by FROM source_status WHERE cited_url = ?", url
    )
    assert row == ("ok", "marked-alive", "human")


async def test_ignored_links_leave_reports_and_failures_but_not_the_database(
    looked_at: Place, town: Town
) -> None:
    place, url = looked_at, town.url(GONE, SECOND)
    assert (await place.run("report", "--fail-on", "failing")).code == 1
    assert (await place.run("mark", url, "ignore")).code == 0
    assert (await place.run("report", "--fail-on", "failing")).code == 0
    assert (await place.run("check", url)).code == 0
    report = await place.run("report", "-f", "json")
    assert [row["cited_url"] for row in report.json["rows"]] == [town.url(NEWS)]
    assert place.value("SELECT count(*) FROM rot") == 0
    assert place.value("SELECT count(*) FROM source_status") == 2
    assert (await place.run("mark", url, "clear")).code == 0
    assert place.value("SELECT count(*) FROM rot") == 1


async def test_the_note_of_ignore_is_kept_and_moves_no_belief(looked_at: Place, town: Town) -> None:
    place, url = looked_at, town.url(GONE, SECOND)
    belief = "SELECT verdict, reason, belief, next_look_at FROM links WHERE url = ?"
    before = place.rows(belief, url)
    done = await place.run("mark", url, "ignore", "--note", "cited for its being gone")
    assert done.code == 0, done.err
    assert place.rows(belief, url) == before
    looks = place.rows("SELECT vantage, verdict, reason FROM looks ORDER BY id DESC LIMIT 1")
    assert looks == [("human", None, "marked-ignored")]
    assert "cited for its being gone" in (await place.run("why", url)).out
    rebuilt = await place.run("db", "rebuild")
    assert (rebuilt.code, rebuilt.out) == (0, "")
    refused = await place.run("mark", url, "ignore", "--until", "2099-01-01")
    assert "only 'alive' and 'gone' end by themselves" in refused.err


async def test_a_mark_until_a_date_holds_until_that_date(looked_at: Place, town: Town) -> None:
    url = town.url(GONE, SECOND)
    assert (await looked_at.run("mark", url, "alive", "--until", "2099-01-01")).code == 0
    assert "A person's mark holds until 2099-01-01" in (await looked_at.run("why", url)).out
    assert (await looked_at.run("mark", url, "clear")).code == 0
    assert "A person's mark holds" not in (await looked_at.run("why", url)).out


@pytest.mark.parametrize("word", ["alive", "gone"])
async def test_of_a_marked_link_why_promises_nothing_to_looks(
    looked_at: Place, town: Town, word: str
) -> None:
    url = town.url(GONE, SECOND)
    assert (await looked_at.run("mark", url, word, "--until", "2099-01-01")).code == 0
    mark, beneath, when = (await looked_at.run("why", url, "--json")).json["would_change"]
    assert mark.startswith("A person's mark holds until 2099-01-01;")
    assert beneath == "Looks go on beneath it; without it the link would be failing."
    assert when.startswith("The next look is due")


@pytest.mark.parametrize(
    "arguments",
    [
        ("http://nobody.example/knows", "gone"),
        ("not a url", "alive"),
        ("{news}", "sleeping"),
        ("{news}", "gone", "--until", "2001-01-01"),
        ("{news}", "gone", "--until", "soon"),
        ("{news}", "ignore", "--until", "2099-01-01"),
        ("{news}", "clear", "--until", "2099-01-01"),
    ],
)
async def test_a_mark_that_makes_no_sense_exits_2(
    looked_at: Place, town: Town, arguments: tuple[str, ...]
) -> None:
    before = looked_at.rows("SELECT * FROM looks")
    filled = [argument.format(news=town.url(NEWS)) for argument in arguments]
    assert (await looked_at.run("mark", *filled)).code == 2
    assert looked_at.rows("SELECT * FROM looks") == before


async def test_why_tells_every_look_and_what_would_change_the_belief(
    looked_at: Place, town: Town
) -> None:
    url = town.url(GONE, SECOND)
    told = (await looked_at.run("why", url, "--json")).json
    assert list(told) == [
        *("schema", "ok", "url", "link_id", "citations", "observation", "finding", "belief"),
        *("archive", "looks", "captures", "would_change"),
    ]
    assert len(told["looks"]) == 1
    assert told["looks"][0]["reason"] == "http-404"
    assert told["captures"] == []
    assert any("dead after 3 counted looks" in text for text in told["would_change"])
    words = (await looked_at.run("why", url)).out
    assert "failing (http-404)" in words
    assert "1 of 3 confirmations" in words
    assert "cited at events/2016-11-30--example.md:12" in words


async def test_why_promises_no_good_look_where_none_is_ever_made(looked_at: Place) -> None:
    url = "http://paper.example:25/news"
    looked_at.cite(url)
    assert (await looked_at.run("check", url)).code == 0
    told = (await looked_at.run("why", url, "--json")).json
    assert told["belief"]["reason"] == "bad-port"
    assert told["would_change"][0] == "Cite an address on an ordinary port."
    assert not any("good look" in text for text in told["would_change"])


async def test_why_of_an_unknown_link_exits_2(looked_at: Place) -> None:
    done = await looked_at.run("why", "http://nobody.example/knows", "--json")
    assert done.code == 2
    assert list(done.json) == ["error"]


async def test_the_status_in_json_has_the_shape_of_the_contract(
    looked_at: Place, town: Town
) -> None:
    done = await looked_at.run("status", "--json")
    assert done.code == 0
    status = done.json
    named = [
        *("schema", "citations", "links", "verdicts", "archive", "problems"),
        *("budgets", "backlog", "online", "daemon"),
    ]
    assert [name for name in status if name in named] == named
    assert list(status["verdicts"]) == VERDICTS
    assert list(status["archive"]) == STATES
    assert sum(status["verdicts"].values()) == sum(status["archive"].values()) == 2
    assert (status["citations"], status["links"], status["problems"]) == (2, 2, 0)
    assert list(status["backlog"]) == ["lookups", "submissions", "estimate_seconds"]
    assert status["backlog"]["lookups"] == 2
    assert status["online"] is True
    assert list(status["daemon"]) == ["running", "pid", "since", "last_run"]
    assert status["daemon"]["running"] is False
    stamps([status["budgets"]["renews_at"]])


async def test_the_screen_says_the_same_in_words(looked_at: Place) -> None:
    out = (await looked_at.run("status")).out
    assert "2 of 2 links" in out
    assert "1 ok  1 failing" in out
    assert "not running" in out


@pytest.mark.parametrize("command", [("status",), ("report",), ("why", "http://a.example/b")])
async def test_a_command_that_only_reads_makes_no_database(
    place: Place, command: tuple[str, ...]
) -> None:
    place.configure()
    done = await place.run(*command)
    assert done.code == 4
    assert "archiver run --once" in done.err
    assert not place.database.exists()
