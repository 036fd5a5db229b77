"""How one site of the small web answers: a pure function of the site, the visit and the day.

A behaviour gives an `Answer` (an HTTP answer, well or badly delivered) or a `Fault` (no answer
at all). Behaviours are built from pages by a few combinators, so that the table of sites reads
as one line per misbehaviour. Nothing here touches the network: the listeners deliver what a
behaviour says, and the archive stand-in sees the same web without a socket.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import quote, unquote, urlsplit

from archiver.records import record

HTML = (("Content-Type", "text/html; charset=utf-8"),)
Headers: TypeAlias = tuple[tuple[str, str], ...]


class Fault(StrEnum):
    """Why there is no HTTP answer; the value names the cause in plain words."""

    NAME_GONE = "the name does not exist"
    NAME_WITHOUT_ADDRESS = "the name has no address"
    NAME_SERVER_TROUBLE = "the name server gives no answer"
    REFUSED = "the port is closed"
    SILENT_HANDSHAKE = "the TLS handshake is never answered"
    NOT_TLS = "plain HTTP is spoken where TLS is due"
    SILENT = "the request is never answered"
    RESET = "the connection is reset"
    EMPTY = "the connection is closed without a byte"
    UNREADABLE = "the answer is no HTTP"
    TRICKLING_HEADERS = "the headers never end"


class Delivery(StrEnum):
    """How the bytes of an answer reach the client; a verbatim body is the whole answer."""

    WHOLE = "whole"
    SLOW = "slow"
    TRICKLING = "trickling"
    CUT_SHORT = "cut short"
    ENDLESS = "endless"
    OLD_FASHIONED = "old-fashioned"
    VERBATIM = "verbatim"


@record
class Answer:
    """An HTTP answer before it is put on the wire."""

    status: int = 200
    body: bytes = b""
    headers: Headers = HTML
    delivery: Delivery = Delivery.WHOLE

    def header(self, name: str) -> str | None:
        """Return the first value of a header, names compared without case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


@record
class Visit:
    """One request as a behaviour sees it; `day` counts from the start of the rehearsal."""

    scheme: str
    host: str
    target: str
    day: int
    cookie: str = ""
    by_archive: bool = False

    @property
    def path(self) -> str:
        """Return the target without its query."""
        return self.target.partition("?")[0]

    @property
    def url(self) -> str:
        """Return the absolute URL that was asked for."""
        return f"{self.scheme}://{self.host}{self.target}"


@record
class Address:
    """What a behaviour knows of the page that was cited."""

    scheme: str
    host: str
    target: str
    title: str
    publisher: str

    @property
    def url(self) -> str:
        """Return the URL as cited."""
        return f"{self.scheme}://{self.host}{self.target}"

    def fill(self, template: str) -> str:
        """Write the cited address into a template with the fields below.

        `{slug}` is the last path segment, `{words}` the same as a form would send it.
        """
        slug = self.target.partition("?")[0].rstrip("/").rsplit("/", 1)[-1]
        return template.format(
            host=self.host,
            target=self.target,
            url=self.url,
            quoted=quote(self.url, safe=""),
            slug=slug,
            words=slug.replace("-", "+"),
        )


Outcome: TypeAlias = Answer | Fault
Behaviour: TypeAlias = Callable[[Address, Visit], Outcome]


def steady(outcome: Outcome) -> Behaviour:
    """Answer everybody, everywhere and always with this one outcome."""
    return lambda _cited, _visit: outcome


def at_cited(page: Behaviour, around: Behaviour) -> Behaviour:
    """Give `page` at the cited address and `around` everywhere else on the host."""

    def behave(cited: Address, visit: Visit) -> Outcome:
        here = visit.target == cited.target
        return page(cited, visit) if here else around(cited, visit)

    return behave


def until(day: int, before: Behaviour, after: Behaviour) -> Behaviour:
    """Change from `before` to `after` when that day of the rehearsal begins."""
    return lambda cited, visit: (before if visit.day < day else after)(cited, visit)


def every_third_day(usual: Behaviour, then: Behaviour) -> Behaviour:
    """Fail one day in three; with a rhythm of two, looks every other day would always meet it."""
    return lambda cited, visit: (then if visit.day % 3 == 1 else usual)(cited, visit)


def for_the_archive(theirs: Behaviour, ours: Behaviour) -> Behaviour:
    """Answer the archive's crawler with `theirs` and everybody else with `ours`."""
    return lambda cited, visit: (theirs if visit.by_archive else ours)(cited, visit)


def hops(*steps: tuple[int, str], end: Behaviour, around: Behaviour) -> Behaviour:
    """Redirect from the cited URL along `steps` (status, address template) to `end`.

    A last step that leads back to an earlier address makes a loop.
    """

    def behave(cited: Address, visit: Visit) -> Outcome:
        stations = [cited.url, *(cited.fill(template) for _, template in steps)]
        # Clients differ in which escapes they rewrite; the place is the same.
        places = [unquote(station) for station in stations]
        if unquote(visit.url) not in places:
            return around(cited, visit)
        place = places.index(unquote(visit.url))
        if place == len(steps):
            return end(cited, visit)
        return redirect(steps[place][0], stations[place + 1])

    return behave


def sweep(status: int, template: str, end: Behaviour) -> Behaviour:
    """Redirect every address of the host to one place, and answer there with `end`."""

    def behave(cited: Address, visit: Visit) -> Outcome:
        goal = cited.fill(template)
        arrived = urlsplit(visit.url)[:3] == urlsplit(goal)[:3]
        return end(cited, visit) if arrived else redirect(status, goal)

    return behave


def until_cookie_returns(name: str, page: Behaviour) -> Behaviour:
    """Set a cookie and redirect to the same address until the cookie comes back."""

    def behave(cited: Address, visit: Visit) -> Outcome:
        if f"{name}=1" in visit.cookie:
            return page(cited, visit)
        return redirect(302, visit.url, ("Set-Cookie", f"{name}=1; Path=/"))

    return behave


def redirect(status: int, location: str | None, *more: tuple[str, str]) -> Answer:
    """Return a redirect; without a location it is one that leads nowhere."""
    headers = ((("Location", location),) if location is not None else ()) + more
    body = b"<!doctype html><title>Redirecting</title><p>This document is elsewhere.</p>"
    return Answer(status, body, HTML + headers)


def html(page: str, status: int = 200, *headers: tuple[str, str]) -> Answer:
    """Return a page of HTML in UTF-8 with further headers."""
    return Answer(status, page.encode(), HTML + headers)
