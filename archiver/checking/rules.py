"""The judge: an ordered table of named rules over one look (design §5).

`judge` is total and pure: it knows the observation, its context and the policy, and nothing of
earlier findings (those are `belief`'s). The first rule that has something to say decides.
Rules that say *refused* stand before rules that say *gone*: walls look like missing pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from archiver.checking import hosting, phrases, places, refusals, titles
from archiver.checking.case import Case
from archiver.checking.context import Context, GoodLook
from archiver.checking.fingerprints import distance
from archiver.checking.policy import Policy
from archiver.checking.signs import BROKEN_APPLICATION
from archiver.checking.soft404 import SENT_UP, charge, collect_signs
from archiver.checking.titles import fold
from archiver.model import OFFLINE, Finding, Observation, PageFacts, Strength, Verdict

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
# A portal is one way of being offline (reference checking §6, 3).
_OFFLINE = frozenset({"offline", "captive-portal"})
_ANY_MOMENT = datetime.min.replace(tzinfo=UTC)
_LABELS = frozenset({"partial-outage", "provider-outage"})

# Row 52: Cloudflare's words for an origin it cannot reach; the origin itself gave no answer.
_ORIGIN_SILENT = frozenset({521, 522, 523, 530})
_CDN = frozenset({520, 521, 522, 523, 524, 525, 526, 527, 530})


def answered_by_host(status: int | None) -> bool:
    """Say whether a status is an HTTP answer of the host itself, not of a CDN before it."""
    return status is not None and status not in _CDN


def judge(observation: Observation, context: Context, policy: Policy) -> Finding:
    """Return what one look says; total over everything an observation can hold."""
    return judge_case(Case(observation, context, policy))


def judge_case(case: Case) -> Finding:
    """Return what one look says, as `judge` does."""
    for _, rule in RULES:
        finding = rule(case)
        if finding is not None:
            break
    else:
        finding = case.bad("odd-status")
    answered = answered_by_host(case.status)
    return finding if finding.answered == answered else replace(finding, answered=answered)


# --- void looks -------------------------------------------------------------------------------


def _void(case: Case) -> Finding | None:
    label = case.context.label
    if label in _OFFLINE or case.observation.error in _OUR_FAULT:
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
    return Finding(verdict, error, strength, retry_after=case.retry_after)


# --- statuses ---------------------------------------------------------------------------------


def _gone_status(case: Case) -> Finding | None:
    if case.status in (404, 410):
        return case.bad(f"http-{case.status}", STRONG)
    return None


def _server_status(case: Case) -> Finding | None:
    status = case.status
    if status is None or not 500 <= status < 600:
        return None
    if status == 503:
        asked = case.observation.retry_after is not None or _says_maintenance(case)
        return case.bad("maintenance" if asked else "http-503")
    if status in _ORIGIN_SILENT:
        return case.bad("http-530" if status == 530 else "http-52x", WEAK)
    return case.bad("http-52x" if status in _CDN else "http-5xx")


def _client_status(case: Case) -> Finding | None:
    if case.status is not None and 400 <= case.status < 500:
        return case.bad(f"http-{case.status}")
    return None


def _unfollowed_redirect(case: Case) -> Finding | None:
    """Rows 31, 33: a redirect that leads nowhere may still carry a page."""
    if case.status == 300:
        return Finding(Verdict.OK, "multiple-choices")
    if case.observation.error != "bad-redirect" and case.status not in (301, 302, 303, 307, 308):
        return None
    if case.observation.error is None and case.page.text_length >= case.policy.redirect_text:
        return Finding(Verdict.OK, "redirected")
    return case.bad("bad-redirect")


def _odd_status(case: Case) -> Finding | None:
    return None if case.is_good_status else case.bad("odd-status")


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
    return case.bad("empty-page")


def _document(case: Case) -> Finding | None:
    """Row 71: a PDF, an image or a feed has no text to judge."""
    return _good(case) if case.page.kind == "binary" else None


def _hosting_page(case: Case) -> Finding | None:
    """§4.4: pages a host puts up instead of the site; owners pay, mend, and return."""
    if case.is_protected or case.page.is_article or case.page.kind != "html":
        return None
    is_small = case.is_small
    if case.is_suspended:
        return case.bad("suspended")
    if is_small and _says_maintenance(case):
        return case.bad("maintenance")
    if BROKEN_APPLICATION in case.page.signs:
        return case.bad("app-error")
    if is_small and case.is_cited_home and hosting.DEFAULT_TITLES.fullmatch(fold(case.page.title)):
        return case.bad("default-page")
    return None


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
    if found.is_strong and _says_trouble(case, found.reason):
        return replace(case.bad("maintenance"), signs=found.names)
    strength = STRONG if found.is_strong else NONE
    return replace(case.bad(found.reason, strength), signs=found.names)


def _says_trouble(case: Case, reason: str) -> bool:
    """Say whether a small page names a trouble that passes, where it says nothing of an end."""
    texts = (case.page.title, *case.page.headings)
    if reason == "parked" or not case.is_small or any(map(phrases.sure_segment, texts)):
        return False
    return any(map(hosting.tells_trouble, texts))


def _shell(case: Case) -> Finding | None:
    """Half of the modern web gives every address the same page: that says nothing at all."""
    if case.is_protected or case.is_cited_home or not case.equals_sibling:
        return None
    return case.blocked("same-for-every-url")


# --- good -------------------------------------------------------------------------------------


def _vouched_for(case: Case) -> Finding | None:
    """Most pages: an answer with success whose title is the cited one. No later rule objects."""
    if not case.is_good_status or not case.is_vouched_for:
        return None
    error = case.observation.error
    return _good(case) if error is None or error in _CERTIFICATE else None


def _good(case: Case) -> Finding:
    if case.observation.error in _CERTIFICATE:
        return Finding(Verdict.OK, case.observation.error or "ok")
    if case.went_elsewhere:
        if _is_moved(case):
            return Finding(Verdict.MOVED, "moved")
        reason = "content-drift" if _has_drifted(case) else "redirected"
        return Finding(Verdict.OK, reason)
    if _has_drifted(case):
        return Finding(Verdict.OK, "content-drift")
    # Row 40: the page only sends its reader on, and we could not follow.
    sends_on = bool(case.page.refresh_url) and case.is_tiny
    return Finding(Verdict.OK, "js-redirect" if sends_on else "ok")


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
    ("challenge", refusals.challenge),
    ("vouched-for", _vouched_for),
    ("refused-status", refusals.refused_status),
    ("walled-redirect", refusals.walled_redirect),
    ("ambiguous-host", refusals.ambiguous_host),
    ("gone-status", _gone_status),
    ("server-status", _server_status),
    ("client-status", _client_status),
    ("unfollowed-redirect", _unfollowed_redirect),
    ("odd-status", _odd_status),
    ("no-page", _no_page),
    ("document", _document),
    ("walled-page", refusals.walled_page),
    ("hosting-page", _hosting_page),
    ("soft-404", _soft_404),
    ("shell", _shell),
    ("good", _good),
)


def vouches(cited: str, context: Context, policy: Policy, names: tuple[str, ...], url: str) -> bool:
    """Say whether one of the names of a page found at `url` is the title it is cited with.

    For `brief.Reader`, which reads no further then: to be asked again once the status is known.
    """
    page = PageFacts(headings=names)
    return Case(
        Observation(cited, _ANY_MOMENT, 200, None, url, page=page), context, policy
    ).is_vouched_for


def wants_probe(observation: Observation, context: Context, policy: Policy) -> bool:
    """Say whether one probe of a random sibling address would help (design §5).

    Suspicious pages only: HTML that answered with success and carries no cited title while no
    other rule fired, or has exactly one sign. Never refused pages, homes or documents.
    """
    case = Case(observation, context, policy)
    return case_wants_probe(case, judge_case(case))


def case_wants_probe(case: Case, finding: Finding) -> bool:
    """Say whether a probe would help, as `wants_probe` does, given what was found so far."""
    observation, context = case.observation, case.context
    if context.sibling is not None or context.label is not None:
        return False
    if not case.is_good_status or case.page.kind != "html":
        return False
    if observation.error is not None or observation.page is None:
        return False
    if finding.verdict is Verdict.FAILING:
        unsure = finding.strength is NONE or SENT_UP.issuperset(finding.signs)
        return unsure and bool(finding.signs) and not case.is_cited_home
    if finding.verdict is not Verdict.OK or case.is_protected or case.is_cited_home:
        return False
    if not context.cited_titles:
        return any(sign.category in ("said", "vague") for sign in collect_signs(case))
    return not case.page.is_article or any(
        sign.category in ("said", "vague") for sign in collect_signs(case)
    )
