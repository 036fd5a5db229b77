"""The judge: an ordered table of named rules over one look (design §5).

`judge` is total and pure: it knows the observation, its context and the policy, and nothing of
earlier findings (those are `belief`'s). The first rule that has something to say decides.
Rules that say *refused* stand before rules that say *gone*: walls look like missing pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from archiver.checking import hosting, phrases, places, titles, walls
from archiver.checking.case import Case
from archiver.checking.context import Context, GoodLook
from archiver.checking.fingerprints import distance
from archiver.checking.policy import Policy
from archiver.checking.signs import (
    BROKEN_APPLICATION,
    CHALLENGE,
    CHALLENGE_TRACE,
    PASSWORD_FORM,
    SUSPENDED,
)
from archiver.checking.soft404 import charge, collect_signs
from archiver.checking.titles import fold
from archiver.model import OFFLINE, Finding, Observation, Strength, Verdict
from archiver.urls import bare_host, host_of, is_home

NONE, WEAK, STRONG = Strength.NONE, Strength.WEAK, Strength.STRONG

# Reference checking §5.1, rows 1–26 and 38: looks that ended below HTTP or in an answer nobody
# can read. Anything not named here is failing and proves nothing.
_WIRE: dict[str, tuple[Verdict, Strength]] = {
    "dns-gone": (Verdict.FAILING, STRONG),
    "dns-no-address": (Verdict.FAILING, WEAK),
    "refused": (Verdict.FAILING, WEAK),
    "unreachable": (Verdict.FAILING, WEAK),
    "connect-timeout": (Verdict.FAILING, WEAK),
    "empty-answer": (Verdict.FAILING, WEAK),
    "reset": (Verdict.FAILING, WEAK),
    "client-cert": (Verdict.BLOCKED, NONE),
    "private-address": (Verdict.BLOCKED, NONE),
    "bad-port": (Verdict.BLOCKED, NONE),
    "skipped": (Verdict.BLOCKED, NONE),
}
# Faults of this machine: like being offline, nothing about a link.
_OUR_FAULT = frozenset({"local-trouble"})
_CERTIFICATE = frozenset({"tls-expired", "tls-not-yet", "tls-self-signed", "tls-chain", "tls-name"})
# These end a look on the way, whatever the last status was.
_ENDS_A_LOOK = frozenset({"redirect-loop", "private-address", "bad-port", "skipped"})
_LABELS = frozenset({"captive-portal", "partial-outage", "provider-outage"})

# Rows 42, 43: our request was refused, not the document.
_REFUSED = frozenset(
    {
        *(401, 402, 403, 407, 429, 451, 999, 405, 406, 411, 412, 415, 416, 417, 418, 421, 423),
        *(426, 428, 430, 440, 444, 449, 450, 456, 498),
    }
)
# Row 52: Cloudflare's words for an origin it cannot reach; the origin itself gave no answer.
_ORIGIN_SILENT = frozenset({521, 522, 523, 530})
_CDN = frozenset({520, 521, 522, 523, 524, 525, 526, 527, 530})

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


def answered_by_host(status: int | None) -> bool:
    """Say whether a status is an HTTP answer of the host itself, not of a CDN before it."""
    return status is not None and status not in _CDN


def judge(observation: Observation, context: Context, policy: Policy) -> Finding:
    """Return what one look says; total over everything an observation can hold."""
    case = Case(observation, context, policy)
    for _, rule in RULES:
        finding = rule(case)
        if finding is not None:
            break
    else:
        finding = _bad(case, "odd-status")
    answered = answered_by_host(observation.status)
    return finding if finding.answered == answered else replace(finding, answered=answered)


def _retry_after(case: Case) -> int | None:
    return None if case.is_good_status else case.observation.retry_after


def _bad(case: Case, reason: str, strength: Strength = NONE) -> Finding:
    return Finding(Verdict.FAILING, reason, strength, retry_after=_retry_after(case))


def _blocked(case: Case, reason: str) -> Finding:
    return Finding(Verdict.BLOCKED, reason, retry_after=_retry_after(case))


# --- void looks -------------------------------------------------------------------------------


def _void(case: Case) -> Finding | None:
    label = case.context.label
    if label == "offline" or case.observation.error in _OUR_FAULT:
        return OFFLINE
    if label in _LABELS:
        return Finding(None, label)
    if case.status == 511:
        # RFC 6585 §6: only a network in between says this.
        return Finding(None, "captive-portal")
    return None


# --- below HTTP -------------------------------------------------------------------------------


def _wire(case: Case) -> Finding | None:
    error = case.observation.error
    if error is None or error == "bad-redirect":
        return None
    if case.status is not None and error not in _ENDS_A_LOOK:
        # A certificate fault whose page was read, or a body that broke: the status decides.
        return None
    if error == "dns-gone" and case.context.forged_names:
        return Finding(None, "captive-portal")
    verdict, strength = _WIRE.get(error, (Verdict.FAILING, NONE))
    return Finding(verdict, error, strength, retry_after=_retry_after(case))


# --- refused ----------------------------------------------------------------------------------


def _challenge(case: Case) -> Finding | None:
    headers = case.observation.headers
    for name, start, statuses in _CHALLENGE_HEADERS:
        value = headers.get(name)
        if value is None or (statuses and case.status not in statuses):
            continue
        if value.lower().startswith(start):
            return _blocked(case, "challenge")
    if "anubis-auth" in headers.get("set-cookie", "") and case.is_small:
        return _blocked(case, "challenge")
    if case.is_good_status and case.carries_title:
        return None
    return _blocked(case, "challenge") if _looks_like_challenge(case) else None


def _looks_like_challenge(case: Case) -> bool:
    signs = case.page.signs
    if case.status in (404, 410) or _is_suspended(case):
        return False
    named = (case.is_small or not case.is_good_status) and (
        phrases.has_segment(case.page.title, walls.CHALLENGE_TITLES)
    )
    if CHALLENGE in signs or named:
        return True
    if CHALLENGE_TRACE not in signs:
        return False
    if not case.is_good_status:
        return True
    # A widget stands on many good short pages, and on not-found pages with a form: only a page
    # with nothing else to say is a wall.
    return case.is_short and not case.page.is_article and _has_little_to_say(case)


def _has_little_to_say(case: Case) -> bool:
    return case.is_tiny and not any(map(phrases.sure_segment, case.heading_texts))


def _refused_status(case: Case) -> Finding | None:
    if case.status in _REFUSED:
        return _blocked(case, f"http-{case.status}")
    return None


def _walled_redirect(case: Case) -> Finding | None:
    if not case.went_elsewhere or case.status in (404, 410):
        return None
    if case.is_good_status and case.is_same_document:
        return None
    if places.is_login(case.cited, case.final):
        return _blocked(case, "login-wall")
    if places.is_consent(case.final):
        return _blocked(case, "consent-wall")
    if places.is_robot_page(case.cited, case.final):
        return _blocked(case, "challenge")
    return None


def _walled_page(case: Case) -> Finding | None:
    """A short page that says why it shows us nothing of the document."""
    if not case.is_good_status or case.carries_title or not case.is_short:
        return None
    if case.page.kind != "html" or case.page.is_article:
        return None
    headings = [text for text in (case.page.title, *case.page.headings) if text]
    reason = _named_wall(case, headings)
    if reason is None and not any(map(phrases.sure_segment, headings)):
        reason = _plain_wall(case, headings)
    return _blocked(case, reason) if reason else None


def _named_wall(case: Case, headings: list[str]) -> str | None:
    if any(map(walls.is_proxy_error, headings)):
        return "refusal-page"
    if any(walls.REGION.search(fold(text)) for text in (*case.heading_texts, case.opening)):
        return "region-locked"
    return "consent-wall" if any(map(walls.tells_age_gate, headings)) else None


def _plain_wall(case: Case, headings: list[str]) -> str | None:
    if _is_suspended(case):
        return None
    if any(phrases.has_segment(text, walls.LOGIN_TITLES) for text in headings):
        return "login-wall"
    if any(map(walls.tells_refusal, headings)):
        return "refusal-page"
    if case.opening_says_not_found:
        return None
    if PASSWORD_FORM in case.page.signs and case.is_tiny:
        return "login-wall"
    return "refusal-page" if walls.tells_refusal(case.opening) else None


def _ambiguous_host(case: Case) -> Finding | None:
    if case.page.title.strip() == "- YouTube":
        return _blocked(case, "ambiguous-host")
    if not (case.is_good_status or case.status == 400):
        return None
    host = bare_host(host_of(case.final))
    if host not in places.AMBIGUOUS_HOSTS or is_home(case.cited) or case.carries_title:
        return None
    return _blocked(case, "ambiguous-host")


# --- statuses ---------------------------------------------------------------------------------


def _gone_status(case: Case) -> Finding | None:
    if case.status in (404, 410):
        return _bad(case, f"http-{case.status}", STRONG)
    return None


def _server_status(case: Case) -> Finding | None:
    status = case.status
    if status is None or not 500 <= status < 600:
        return None
    if status == 503:
        asked = case.observation.retry_after is not None or _says_maintenance(case)
        return _bad(case, "maintenance" if asked else "http-503")
    if status in _ORIGIN_SILENT:
        return _bad(case, "http-530" if status == 530 else "http-52x", WEAK)
    return _bad(case, "http-52x" if status in _CDN else "http-5xx")


def _client_status(case: Case) -> Finding | None:
    if case.status is not None and 400 <= case.status < 500:
        return _bad(case, f"http-{case.status}")
    return None


def _unfollowed_redirect(case: Case) -> Finding | None:
    """Rows 31, 33: a redirect that leads nowhere may still carry a page."""
    if case.status == 300:
        return Finding(Verdict.OK, "multiple-choices")
    if case.observation.error != "bad-redirect" and case.status not in (301, 302, 303, 307, 308):
        return None
    if case.observation.error is None and case.page.text_length >= case.policy.redirect_text:
        return Finding(Verdict.OK, "redirected")
    return _bad(case, "bad-redirect")


def _odd_status(case: Case) -> Finding | None:
    return None if case.is_good_status else _bad(case, "odd-status")


# --- answers with success ---------------------------------------------------------------------


def _no_page(case: Case) -> Finding | None:
    page = case.observation.page
    if page is None:
        return Finding(Verdict.OK, "unreadable")
    if page.kind != "empty":
        return None
    earlier = case.context.last_good
    if earlier is not None and not earlier.text_length and not earlier.title:
        return Finding(Verdict.OK, "empty-page")
    return _bad(case, "empty-page")


def _document(case: Case) -> Finding | None:
    """Row 71: a PDF or an image has no text to judge."""
    return _good(case) if case.page.kind == "binary" else None


def _hosting_page(case: Case) -> Finding | None:
    """§4.4: pages a host puts up instead of the site; owners pay, mend, and return."""
    if case.is_protected or case.page.is_article or case.page.kind != "html":
        return None
    is_small = case.is_small
    if _is_suspended(case):
        return _bad(case, "suspended")
    if is_small and _says_maintenance(case):
        return _bad(case, "maintenance")
    if BROKEN_APPLICATION in case.page.signs:
        return _bad(case, "app-error")
    if is_small and case.is_cited_home and hosting.DEFAULT_TITLES.fullmatch(fold(case.page.title)):
        return _bad(case, "default-page")
    return None


def _is_suspended(case: Case) -> bool:
    if SUSPENDED in case.page.signs:
        return True
    return case.is_small and any(
        phrases.has_segment(text, hosting.SUSPENDED_TITLES) or hosting.tells_suspension(text)
        for text in (case.page.title, *case.page.headings)
    )


def _says_maintenance(case: Case) -> bool:
    texts = (case.page.title, *case.page.headings)
    if any(phrases.has_segment(text, hosting.MAINTENANCE_TITLES) for text in texts):
        return True
    return not case.is_good_status and bool(
        hosting.MAINTENANCE_TEXT.search(fold(case.opening or case.page.title))
    )


def _soft_404(case: Case) -> Finding | None:
    if case.is_protected:
        return None
    signs = collect_signs(case)
    found = charge(case, signs)
    if found is None:
        return None
    strength = STRONG if found.is_strong else NONE
    return replace(_bad(case, found.reason, strength), signs=found.names)


def _shell(case: Case) -> Finding | None:
    """Half of the modern web gives every address the same page: that says nothing at all."""
    if case.is_protected or case.is_cited_home or not case.equals_sibling:
        return None
    return _blocked(case, "same-for-every-url")


# --- good -------------------------------------------------------------------------------------


def _good(case: Case) -> Finding:
    if case.observation.error in _CERTIFICATE:
        return Finding(Verdict.OK, case.observation.error or "ok")
    if case.went_elsewhere:
        if _is_moved(case):
            return Finding(Verdict.MOVED, "moved")
        reason = "content-drift" if _has_drifted(case) else "redirected"
        return Finding(Verdict.OK, reason)
    return Finding(Verdict.OK, "content-drift" if _has_drifted(case) else "ok")


def _is_moved(case: Case) -> bool:
    """Say whether every hop up to the last new address is permanent, to the same document."""
    hops = case.observation.redirects
    addresses = [*(hop.url for hop in hops), case.final]
    last_new = 0
    for index in range(1, len(addresses)):
        if addresses[index] not in addresses[:index]:
            last_new = index
    permanent = all(hop.status in (301, 308) for hop in hops[:last_new])
    return bool(hops) and permanent and _same_document(case)


def _same_document(case: Case) -> bool:
    if case.page.kind == "binary":
        return titles.slug_witness(case.cited, case.final, case.policy.slug_match)
    return case.is_same_document


def _has_drifted(case: Case) -> bool:
    """Another title, another text, and the cited title gone (reference linkrot §4)."""
    if case.carries_title or not case.page.fingerprint or not case.context.cited_titles:
        return False
    if not places.is_document_path(case.cited):
        return False
    return any(
        _is_another(case, look) for look in (case.context.first_good, case.context.chosen) if look
    )


def _is_another(case: Case, look: GoodLook) -> bool:
    apart = distance(case.page.fingerprint, look.fingerprint)
    if apart is None or apart < case.policy.other_text_bits:
        return False
    return titles.similarity(look.title, case.page.title) < case.policy.drift_title


RULES: tuple[tuple[str, Callable[[Case], Finding | None]], ...] = (
    ("void", _void),
    ("wire", _wire),
    ("challenge", _challenge),
    ("refused-status", _refused_status),
    ("walled-redirect", _walled_redirect),
    ("ambiguous-host", _ambiguous_host),
    ("gone-status", _gone_status),
    ("server-status", _server_status),
    ("client-status", _client_status),
    ("unfollowed-redirect", _unfollowed_redirect),
    ("odd-status", _odd_status),
    ("no-page", _no_page),
    ("document", _document),
    ("walled-page", _walled_page),
    ("hosting-page", _hosting_page),
    ("soft-404", _soft_404),
    ("shell", _shell),
    ("good", _good),
)


def wants_probe(observation: Observation, context: Context, policy: Policy) -> bool:
    """Say whether one probe of a random sibling address would help (design §5).

    Suspicious pages only: HTML that answered with success and carries no cited title while no
    other rule fired, or has exactly one sign. Never refused pages, homes or documents.
    """
    case = Case(observation, context, policy)
    if context.sibling is not None or context.label is not None:
        return False
    if not case.is_good_status or case.page.kind != "html" or case.is_cited_home:
        return False
    if observation.error is not None or observation.page is None:
        return False
    finding = judge(observation, context, policy)
    if finding.verdict is Verdict.FAILING:
        return finding.strength is NONE and bool(finding.signs)
    if finding.verdict is not Verdict.OK or case.is_protected:
        return False
    if not context.cited_titles:
        return any(sign.category in ("said", "vague") for sign in collect_signs(case))
    return not case.page.is_article or any(
        sign.category in ("said", "vague") for sign in collect_signs(case)
    )
