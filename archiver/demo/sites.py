"""The nouns of the table of sites, and the page behaviours its rows are built from."""

from __future__ import annotations

import re
import zlib
from datetime import datetime, timedelta
from functools import cache

from archiver.demo import pages
from archiver.demo.behaviours import (
    HTML,
    Address,
    Answer,
    Behaviour,
    Delivery,
    Headers,
    Outcome,
    Visit,
    at_cited,
    hops,
    html,
    redirect,
    steady,
)
from archiver.demo.certificates import Certificate
from archiver.records import record

PUBLISHERS = (
    "Harbour Ledger",
    "Tidewater Gazette",
    "Northern Pier News",
    "Saltmarsh Chronicle",
    "Lantern Street Observer",
    "Quayside Evening Post",
    "Causeway Monitor",
    "Breakwater Tribune",
)


def agrees(expected: str, verdict: str, reason: str) -> bool:
    """Say whether a verdict and a reason are what a row of the table expects.

    `expected` reads `verdict/reason`; several verdicts are joined by `|`, an empty reason means
    that any will do.
    """
    verdicts, _, wanted = expected.partition("/")
    return verdict in verdicts.split("|") and wanted in ("", reason)


@record
class Site:
    """One row: a cited page that misbehaves in one way.

    `finding` is what a single look on day 0 says (with a sibling probe where the rules want
    one), `belief` what is held after the confirming looks of `REHEARSAL_DAYS`; both are in the
    form of `agrees`. `also` names the further hosts the behaviour lives on. `crawled` lists days
    of the rehearsal (before its start when negative) on which somebody else's crawl captured the
    page.
    """

    host: str
    title: str
    behaviour: Behaviour
    finding: str
    belief: str
    note: str
    scheme: str = "http"
    target: str = ""
    also: tuple[str, ...] = ()
    certificate: Certificate = Certificate.GOOD
    crawled: tuple[int, ...] = ()

    @property
    def address(self) -> Address:
        """Return what behaviours may know of the citation."""
        target = self.target or f"/news/{slug(self.title)}"
        return Address(self.scheme, self.host, target, self.title, self.publisher)

    @property
    def publisher(self) -> str:
        """Return the invented newspaper that owns the site."""
        return PUBLISHERS[zlib.crc32(self.host.encode()) % len(PUBLISHERS)]

    @property
    def url(self) -> str:
        """Return the URL as cited."""
        return self.address.url


def crawl_time(day: int, start: datetime) -> datetime:
    """Return when somebody else's crawl of a day of the rehearsal was made."""
    return start + timedelta(days=day, hours=7)


def slug(title: str) -> str:
    """Return a title as the readable end of an address."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def article(cited: Address, _visit: Visit) -> Outcome:
    """Give the article that was cited."""
    return html(pages.article(cited.title, cited.publisher))


def home(cited: Address, _visit: Visit) -> Outcome:
    """Give the front page."""
    return html(pages.home(cited.publisher))


def missing(cited: Address, _visit: Visit) -> Outcome:
    """Give an honest 404."""
    return html(pages.not_found(cited.publisher), 404)


def removed(cited: Address, _visit: Visit) -> Outcome:
    """Give an honest 410."""
    return html(pages.not_found(cited.publisher), 410)


def soft(language: str) -> Behaviour:
    """Give a not-found page with status 200 in a language, at any address but the front page."""

    def behave(cited: Address, visit: Visit) -> Outcome:
        if visit.path == "/":
            return home(cited, visit)
        return html(pages.not_found(cited.publisher, language))

    return behave


def notice(cited: Address, _visit: Visit) -> Outcome:
    """Give a not-found page with status 200 (the end of a redirect)."""
    return html(pages.not_found(cited.publisher))


def results(cited: Address, visit: Visit) -> Outcome:
    """Give a search page that echoes its query."""
    words = visit.target.partition("=")[2].replace("+", " ")
    return html(pages.search(cited.publisher, words))


def log_in(cited: Address, _visit: Visit) -> Outcome:
    """Give a log-in form."""
    return html(pages.login(cited.publisher))


def consent(cited: Address, _visit: Visit) -> Outcome:
    """Give a consent form."""
    return html(pages.consent(cited.publisher))


def around(cited: Address, visit: Visit) -> Outcome:
    """Give what an ordinary site has beside the cited page: a front page, and honest 404s."""
    return home(cited, visit) if visit.path == "/" else missing(cited, visit)


def here(page: Behaviour) -> Behaviour:
    """Put a page at the cited address of an otherwise ordinary site."""
    return at_cited(page, around)


ALIVE = here(article)
GONE = here(missing)


def page(text: str, status: int = 200, *headers: tuple[str, str]) -> Behaviour:
    """Put a fixed page at the cited address of an ordinary site."""
    return here(steady(html(text, status, *headers)))


def where_robots_may(page: Behaviour, rules: str) -> Behaviour:
    """Add a robots.txt to a site; other sites have none."""
    text = Answer(200, rules.encode(), (("Content-Type", "text/plain"),))
    return lambda cited, visit: text if visit.path == "/robots.txt" else page(cited, visit)


def everywhere(text: str, status: int = 200, *headers: tuple[str, str]) -> Behaviour:
    """Answer every address of the site with the same page."""
    return steady(html(text, status, *headers))


def to_article(*steps: tuple[int, str]) -> Behaviour:
    """Redirect along `steps` to the article, on an otherwise ordinary site."""
    return hops(*steps, end=article, around=around)


def refreshing(cited: Address, visit: Visit) -> Outcome:
    """Give a near-empty page that refreshes itself to the article at once."""
    goal = f"/texts{cited.target}"
    if visit.target == goal:
        return article(cited, visit)
    if visit.target != cited.target:
        return around(cited, visit)
    head = f'<meta http-equiv="refresh" content="0; url={goal}">'
    return html(pages.document("One moment", "<p>One moment.</p>", head))


def leads_to(status: int, location: str | None) -> Behaviour:
    """Redirect from the cited address to a place that is no page of ours."""
    return here(lambda cited, _visit: redirect(status, location and cited.fill(location)))


def delivered(delivery: Delivery) -> Behaviour:
    """Give the cited article, its bytes delivered in an odd way."""

    def behave(cited: Address, _visit: Visit) -> Outcome:
        text = pages.article(cited.title, cited.publisher)
        return Answer(200, text.encode(), HTML, delivery)

    return here(behave)


def written(more: str = "", page_title: str | None = None) -> Behaviour:
    """Give the cited article with further markup, or with another title in its head."""
    return here(
        lambda cited, _visit: html(
            pages.article(cited.title, cited.publisher, more=more, page_title=page_title)
        )
    )


def document(cited: Address, _visit: Visit) -> Outcome:
    """Give the cited document as PDF."""
    return Answer(200, pages.pdf(cited.title), (("Content-Type", "application/pdf"),))


def squeezed(cited: Address, _visit: Visit) -> Outcome:
    """Give the cited article as gzip."""
    body = pages.compressed(pages.article(cited.title, cited.publisher))
    return Answer(200, body, _GZIP)


def bomb(cited: Address, _visit: Visit) -> Outcome:
    """Give the cited article followed by a thousand times its compressed size in blanks."""
    return Answer(200, _bomb(cited.title, cited.publisher), _GZIP)


_GZIP: Headers = (*HTML, ("Content-Encoding", "gzip"))


@cache
def _bomb(title: str, publisher: str) -> bytes:
    return pages.bomb(pages.article(title, publisher))


def for_sale(cited: Address, _visit: Visit) -> Outcome:
    """Give a page that offers the domain for sale."""
    return html(pages.FOR_SALE.replace("tidewater-gazette.example", cited.host))
