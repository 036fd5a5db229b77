"""Pages that carry their cited title are read briefly, all others wholly."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import pytest

from archiver.checking.brief import Reader
from archiver.checking.fingerprints import distance
from archiver.checking.page import read_page
from archiver.checking.rules import judge, vouches
from archiver.model import Observation, PageFacts
from tests.checking.test_rules import ARTICLE, PLAIN, POLICY, PROSE, TITLE, URL, look

LONG = ARTICLE.replace("</body>", f"<p>{PROSE * 3}</p></body>")


def reader() -> Reader:
    return Reader(partial(vouches, URL, PLAIN, POLICY))


def brief(html: str) -> PageFacts:
    return reader()(html.encode(), "text/html", truncated=False, url=URL)


def test_a_page_with_its_cited_title_is_read_briefly_and_judged_the_same() -> None:
    whole = read_page(LONG.encode(), "text/html", truncated=False)
    page = brief(LONG)
    assert page.is_brief
    assert page.title == whole.title
    assert page.fingerprint
    assert distance(page.fingerprint, whole.fingerprint) == 0
    assert abs(page.text_length - whole.text_length) <= 0.1 * whole.text_length
    seen = look(LONG)
    assert judge(replace(seen, page=page), PLAIN, POLICY) == judge(seen, PLAIN, POLICY)


@pytest.mark.parametrize(
    "html",
    [
        LONG.replace(TITLE, "Another story of something else"),
        f"<title>{TITLE}</title><body class='page-not-found'>" + "<i class='x'></i>" * 200,
        f"<title>{TITLE}</title><div class='noarticletext'>None</div>" + "<b> </b>" * 300,
        f"<title>{TITLE}</title><meta name='robots' content='noindex'>" + "<b> </b>" * 300,
        f"<meta http-equiv='refresh' content='0;url=/x'><title>{TITLE}</title>" + "<b> </b>" * 300,
    ],
)
def test_a_page_whose_title_is_not_enough_is_read_wholly(html: str) -> None:
    page = brief(html)
    assert page == read_page(html.encode(), "text/html", truncated=False)


def test_a_title_vouches_for_answers_with_success_only() -> None:
    read = reader()
    page = read(LONG.encode(), "text/html", truncated=False, url=URL)
    good = look(LONG)
    failed: Observation = replace(good, status=503, page=page)
    assert read.completed(replace(good, page=page)).page == page
    assert read.completed(failed).page == read_page(LONG.encode(), "text/html", truncated=False)


@pytest.mark.parametrize("piece", ["<h1>", "<title ", "<nav>", "<meta ", "&", "<meta robots "])
def test_hostile_markup_costs_no_more_than_a_large_page(piece: str) -> None:
    html = f"<title>{TITLE}</title>" + piece * (128 * 1024 // len(piece))
    before = time.process_time()
    brief(html)
    brief(html.replace(TITLE, "x"))
    assert time.process_time() - before < 1
