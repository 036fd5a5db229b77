"""Rules that say *refused*: walls and refusals, which say nothing about the document.

They stand before all rules that say *gone* (design §5). Reference checking §4.1, §4.2, §5.1.
"""

from __future__ import annotations

from archiver.checking import phrases, places, walls
from archiver.checking.case import Case
from archiver.checking.signs import CHALLENGE, CHALLENGE_TRACE, PASSWORD_FORM
from archiver.checking.titles import fold
from archiver.model import Finding
from archiver.urls import bare_host, host_of, is_home

# Rows 42, 43: our request was refused, not the document.
_REFUSED = frozenset(
    {
        *(401, 402, 403, 407, 429, 451, 999, 405, 406, 411, 412, 415, 416, 417, 418, 421, 423),
        *(426, 428, 430, 440, 444, 449, 450, 456, 498),
    }
)

# §4.1: (header, start of its value or "", statuses or () for any).
_CHALLENGE_HEADERS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("cf-mitigated", "challenge", ()),
    ("x-amzn-waf-action", "", ()),
    ("x-vercel-mitigated", "", ()),
    ("x-dd-b", "", (403, 405, 429)),
    ("x-datadome-cid", "", (403, 405, 429)),
    ("x-px-authorization", "", (403, 429)),
    ("x-sucuri-block", "", ()),
    ("x-cache", "error from cloudfront", (403,)),
    ("server", "akamaighost", (403,)),
    ("akamai-cache-status", "error", (403,)),
    ("x-kpsdk-ct", "", (400, 403, 429)),
    ("x-kasada", "", (400, 403, 429)),
    ("server", "ddos-guard", (403,)),
)


_CHALLENGE_NAMES = frozenset(name for name, _, _ in _CHALLENGE_HEADERS)


def _has_challenge_header(case: Case) -> bool:
    headers = case.observation.headers
    return any(
        headers.get(name, "").lower().startswith(start)
        for name, start, statuses in _CHALLENGE_HEADERS
        if name in headers and (not statuses or case.status in statuses)
    )


def challenge(case: Case) -> Finding | None:
    headers = case.observation.headers
    if not _CHALLENGE_NAMES.isdisjoint(headers) and _has_challenge_header(case):
        return case.blocked("challenge")
    if "anubis-auth" in headers.get("set-cookie", "") and case.is_small:
        return case.blocked("challenge")
    if case.is_good_status and case.carries_title:
        return None
    return case.blocked("challenge") if _looks_like_challenge(case) else None


def _looks_like_challenge(case: Case) -> bool:
    signs = case.page.signs
    if case.is_suspended or (_is_gone_status(case) and _heading_says_not_found(case)):
        return False
    named = (case.is_small or not case.is_good_status) and (
        phrases.has_segment(case.page.title, walls.CHALLENGE_TITLES)
        or (
            case.status not in _REFUSED
            and not _is_gone_status(case)
            and phrases.has_segment(case.page.title, walls.STATUS_TITLES)
        )
    )
    if CHALLENGE in signs or named:
        return True
    # A not-found page may carry a widget; beside its status only what no other page has is a wall.
    if CHALLENGE_TRACE not in signs or _is_gone_status(case):
        return False
    if not case.is_good_status:
        return True
    # A widget stands on many good short pages, and on not-found pages with a form: only a page
    # with nothing else to say is a wall.
    return case.is_short and not case.page.is_article and _has_little_to_say(case)


def _is_gone_status(case: Case) -> bool:
    return case.status in (404, 410)


def _heading_says_not_found(case: Case) -> bool:
    return case.has_doubtful_heading or any(map(phrases.sure_segment, case.heading_texts))


def _has_little_to_say(case: Case) -> bool:
    return case.is_tiny and not any(map(phrases.sure_segment, case.heading_texts))


def refused_status(case: Case) -> Finding | None:
    if case.status in _REFUSED:
        return case.blocked(f"http-{case.status}")
    return None


def walled_redirect(case: Case) -> Finding | None:
    if not case.went_elsewhere:
        return None
    if _is_gone_status(case):
        return _gone_behind_a_wall(case)
    if case.is_good_status and case.is_same_document:
        return None
    if places.is_consent(case.cited, case.final):
        return case.blocked("consent-wall")
    if places.is_login(case.cited, case.final) or _wants_something_first(case):
        return case.blocked("login-wall")
    if places.is_robot_page(case.cited, case.final):
        return case.blocked("challenge")
    return None


def _wants_something_first(case: Case) -> bool:
    """Say whether we were sent to a page that remembers the cited URL, as a login does.

    Not-found pages remember what was asked for, too.
    """
    if not places.remembers(case.cited, case.final):
        return False
    if places.says_not_found(case.cited, case.final):
        return False
    return not any(map(phrases.sure_segment, case.heading_texts))


def _gone_behind_a_wall(case: Case) -> Finding | None:
    """Judge a 404 of somebody who only stands before sites: it is none of the document."""
    if places.is_at(case.final, places.CONSENT_PLACES):
        return case.blocked("consent-wall")
    if places.is_at(case.final, places.LOGIN_PLACES) and places.is_login(case.cited, case.final):
        return case.blocked("login-wall")
    return None


def walled_page(case: Case) -> Finding | None:
    """A short page that says why it shows us nothing of the document."""
    if not case.is_good_status or case.carries_title or not case.is_short:
        return None
    if case.page.kind != "html" or case.page.is_article:
        return None
    headings = [text for text in (case.page.title, *case.page.headings) if text]
    reason = _named_wall(case, headings)
    if reason is None and not any(map(phrases.sure_segment, headings)):
        reason = _plain_wall(case, headings)
    return case.blocked(reason) if reason else None


def _named_wall(case: Case, headings: list[str]) -> str | None:
    if any(map(walls.is_proxy_error, headings)):
        return "refusal-page"
    if _names_region(case):
        return "region-locked"
    return "consent-wall" if any(map(walls.tells_age_gate, headings)) else None


def _names_region(case: Case) -> bool:
    """Say whether a page is missing for readers of some places only."""
    texts = (*case.heading_texts, case.opening)
    if any(walls.REGION.search(fold(text)) for text in texts):
        return True
    # A site for many countries may also ask where the reader of its not-found page lives.
    if any(phrases.sure_segment(text) and not walls.names_place(text) for text in texts[:-1]):
        return False
    return any(walls.names_place(text) and phrases.sentence_in(text) for text in texts)


def _plain_wall(case: Case, headings: list[str]) -> str | None:
    if case.is_suspended:
        return None
    if any(phrases.has_segment(text, walls.LOGIN_TITLES) for text in headings):
        return "login-wall"
    if any(map(walls.tells_refusal, headings)):
        return "refusal-page"
    if walls.tells_members_only(case.opening) and case.is_tiny:
        return "login-wall"
    if case.opening_says_not_found:
        return None
    if PASSWORD_FORM in case.page.signs and case.is_tiny:
        return "login-wall"
    return "refusal-page" if walls.tells_refusal(case.opening) else None


def ambiguous_host(case: Case) -> Finding | None:
    if case.page.title.strip() == "- YouTube":
        return case.blocked("ambiguous-host")
    if not (case.is_good_status or case.status == 400):
        return None
    host = bare_host(host_of(case.final))
    if host not in places.AMBIGUOUS_HOSTS or is_home(case.cited) or case.carries_title:
        return None
    return case.blocked("ambiguous-host")
