"""Content drift end to end: told as a reason under ok, never as death (reference linkrot §4)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archiver.checking.context import GoodLook, good_look
from archiver.checking.page import read_page
from archiver.demo import pages
from archiver.demo.behaviours import HTML
from archiver.demo.sites import Site, article, here, home, html
from archiver.model import Capture, Observation
from archiver.service import explain
from archiver.service.rebuild import differences
from tests.service.small_web import START, Service, small_web

TITLE = "Ferry timetable abolished without consultation across northern islands"
# The demo's pages share sentences; this one shares few with the one above.
OTHER = "Crochet patterns for long winter evenings"


def shows(title: str, **more: str) -> Site:
    """Return a row whose page carries another title than the cited one."""
    return Site(
        more.get("host", "drifted.example"),
        TITLE,
        here(lambda cited, _visit: html(pages.article(title, cited.publisher))),
        "",
        "",
        "",
        target=more.get("target", ""),
    )


def look_of(site: Site, title: str) -> GoodLook:
    """Return what is kept of the page as it once was."""
    text = pages.article(title, site.publisher).encode()
    page = read_page(text, HTML[0][1], truncated=False, url=site.url)
    return good_look(Observation(site.url, START, status=200, page=page))


def choose_a_capture(service: Service, site: Site, page: GoodLook) -> None:
    """Put a capture that played back well into the store, chosen for the citation."""
    archive, link_id = service.desk.store.archive, service.link(site)
    at = datetime(2020, 1, 1, tzinfo=UTC)
    url = f"https://web.archive.org/web/20200101000000/{site.url}"
    [row] = archive.add_captures(link_id, [Capture(at, url, site.url, 200)], START)
    kept = asdict(page)
    archive.judge_capture(row["id"], START, "ok", passed=True, lives=True, page=kept)
    for citation in archive.citations(link_id):
        archive.choose(citation["id"], row["id"], 0, None)


async def through_weeks(service: Service, site: Site) -> list[str]:
    words = []
    for day in (0, 9, 18, 30, 45, 70):
        service.at(24 * day)
        await service.look()
        words.append(service.word(site))
    return words


async def test_drift_older_than_our_first_look_shows_beside_the_chosen_capture(
    tmp_path: Path,
) -> None:
    site = shows(OTHER)
    async with small_web(tmp_path, [site]) as service:
        await service.look()
        assert service.word(site) == "ok/ok"
        choose_a_capture(service, site, look_of(site, TITLE))
        words = await through_weeks(service, site)
        # Believed from the second such look, a week after the first.
        assert words[0] == words[1] == "ok/ok"
        assert set(words[2:]) == {"ok/content-drift"}
        told = explain.why(service.desk, service.link(site))
        assert told["belief"]["verdict"] == "ok"
        assert any(look["reason"] == "content-drift" for look in told["looks"])
        assert list(differences(service.desk, rejudge=False)) == []
        assert list(differences(service.desk, rejudge=True)) == []
        died = "SELECT count(*) FROM changes WHERE to_verdict <> 'ok' AND link_id = ?"
        assert service.count(died, service.link(site)) == 0


@pytest.mark.parametrize(
    "site",
    [
        pytest.param(shows(TITLE), id="the cited title is still there: an update"),
        pytest.param(shows(OTHER, target="/"), id="a home page is meant to change"),
    ],
)
async def test_no_drift_is_told_of_pages_that_only_changed(tmp_path: Path, site: Site) -> None:
    async with small_web(tmp_path, [site]) as service:
        await service.look()
        choose_a_capture(service, site, look_of(site, "The harbour bell rings for the last time"))
        words = await through_weeks(service, site)
        assert set(words) == {"ok/ok"}


async def test_a_page_that_becomes_another_is_told_as_drift_and_never_dies(tmp_path: Path) -> None:
    def behave(cited, visit):
        if visit.path == "/":
            return home(cited, visit)
        if visit.day < 5:
            return article(cited, visit)
        return html(pages.article(OTHER, cited.publisher))

    site = Site("becomes-another.example", TITLE, behave, "", "", "")
    async with small_web(tmp_path, [site]) as service:
        words = await through_weeks(service, site)
    assert words[0] == "ok/ok"
    assert words[-1] == "ok/content-drift"
    assert all(word.startswith("ok/") for word in words)
