"""Signs that a page answered with success and is really gone (design §5, "soft 404").

A sign belongs to a category; two signs of different categories are independent. Signs that
*accuse* make a bad look by themselves; the others only support. Reference checking §4.3–4.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from archiver.checking import hosting, phrases, places
from archiver.checking.case import Case
from archiver.checking.signs import DEFAULT_PAGE, EMPTY_WIKI_PAGE, NOT_FOUND_CLASS, PARKING
from archiver.checking.titles import fold
from archiver.records import record
from archiver.urls import is_home


@record
class Sign:
    """One sign: the reason it stands for, its category, and how much it weighs.

    `accuses`: a bad look by itself. `is_double`: counts as two independent signs. `is_text`: read
    in the running text, where a longer page may only report of such a thing.
    """

    reason: str
    category: str
    accuses: bool = True
    is_double: bool = False
    is_text: bool = False


def _parked(case: Case) -> Iterator[Sign]:
    if PARKING in case.page.signs or places.is_for_sale(case.cited, case.final):
        yield Sign("parked", "parked", is_double=True)
    small = case.page.text_length < case.policy.parking_text and not case.page.is_article
    if small and places.is_numbered_host(case.cited, case.final):
        # Living sites have such hosts too (ww2.arb.ca.gov, ww2.kqed.org): no proof alone.
        yield Sign("parked", "parked")
    for_sale = any(
        phrases.has_segment(text, hosting.FOR_SALE_TITLES) for text in case.heading_texts
    )
    if for_sale:
        yield Sign("parked", "parked-title")
    if small and hosting.FOR_SALE_TEXT.search(fold(case.opening)):
        yield Sign("parked", "parked-text", accuses=for_sale)


def _default_page(case: Case) -> Iterator[Sign]:
    if case.is_cited_home or case.page.text_length >= case.policy.parking_text:
        return
    named = any(
        hosting.DEFAULT_TITLES.fullmatch(fold(text))
        for text in (case.page.title, *case.page.headings)
        if text
    )
    told = case.misses_title and hosting.DEFAULT_TEXT.search(
        fold(f"{case.page.title} {case.opening}")
    )
    if named or DEFAULT_PAGE in case.page.signs:
        yield Sign("default-page", "default")
    elif told:
        yield Sign("default-page", "default", is_text=True)


def _redirected(case: Case) -> Iterator[Sign]:
    if not case.went_elsewhere:
        return
    if places.is_home_redirect(case.cited, case.final):
        yield Sign("redirected-home", "redirect")
    elif places.is_search(case.cited, case.final):
        yield Sign("redirected-search", "redirect")
    elif places.is_section_redirect(case.cited, case.final):
        yield Sign("redirected-section", "redirect")


def _path(case: Case) -> Iterator[Sign]:
    if places.says_not_found(case.cited, case.final):
        yield Sign("soft-404-path", "said")


def _heading(case: Case) -> Iterator[Sign]:
    if case.is_about_missing_pages:
        return
    title = case.page.title
    # A long page with article markup is an article, whatever one of its headings quotes.
    is_long_article = case.page.is_article and case.page.text_length >= case.policy.short_text
    if title and phrases.sure_segment(title):
        yield Sign("soft-404-title", "said")
    elif not is_long_article and any(map(phrases.sure_segment, case.heading_texts)):
        yield Sign("soft-404-heading", "said")
    elif case.opening_says_not_found and not case.page.is_article:
        yield Sign("soft-404-text", "said", is_text=True)
    elif case.has_doubtful_heading:
        yield Sign("soft-404-title", "said", accuses=False)
    elif any(map(phrases.vague_segment, case.heading_texts)):
        yield Sign("soft-404-title", "vague", accuses=False)


def _marker(case: Case) -> Iterator[Sign]:
    signs = case.page.signs
    if EMPTY_WIKI_PAGE in signs or NOT_FOUND_CLASS in signs:
        yield Sign("soft-404-marker", "marker")


def _missing_title(case: Case) -> Iterator[Sign]:
    if case.misses_title:
        yield Sign("title-missing", "missing", accuses=False)


def _same_page(case: Case) -> Iterator[Sign]:
    if case.context.same_page_count >= 2 and case.went_elsewhere and not is_home(case.cited):
        yield Sign("same-not-found-page", "same-page", accuses=False)


def _sibling(case: Case) -> Iterator[Sign]:
    if case.equals_sibling:
        yield Sign("soft-404-sibling", "sibling", accuses=False)


# In this order the first accusing sign gives the reason.
_SIGNS: tuple[Callable[[Case], Iterator[Sign]], ...] = (
    _parked,
    _default_page,
    _path,
    _heading,
    _marker,
    _redirected,
    _same_page,
    _sibling,
    _missing_title,
)


def collect_signs(case: Case) -> tuple[Sign, ...]:
    """Return all signs of a page that answered with success, in the order of their weight."""
    return tuple(sign for find in _SIGNS for sign in find(case))


# What is said by a redirect to a page above the document alone: it has another title by nature.
SENT_UP = frozenset({"redirected-home", "redirected-section", "title-missing"})


@record
class Charge:
    """What the signs amount to: a reason, whether two independent ones agree, and all names."""

    reason: str
    is_strong: bool
    names: tuple[str, ...]


def charge(case: Case, signs: tuple[Sign, ...]) -> Charge | None:
    """Weigh the signs; None when they accuse of nothing."""
    names = tuple(dict.fromkeys(sign.reason for sign in signs))
    accusing = [sign for sign in signs if sign.accuses]
    supporting = [sign for sign in signs if not sign.accuses]
    if not accusing:
        return _doubtful_charge(case, supporting, names)
    categories = {sign.category for sign in signs if sign.category != "vague"}
    if all(sign.is_text for sign in accusing) and not case.is_tiny:
        # A sentence in a text of some length may be news about something missing.
        categories.discard("missing")
    together = "same-page" in categories and (
        "redirect" in categories or "said" in categories or "marker" in categories
    )
    is_strong = any(sign.is_double for sign in accusing) or together or len(categories) >= 2
    if case.sibling_is_missing and (not is_strong or SENT_UP.issuperset(names)):
        return None
    return Charge(accusing[0].reason, is_strong, names)


def _doubtful_charge(case: Case, signs: list[Sign], names: tuple[str, ...]) -> Charge | None:
    """Signs that prove nothing alone: a doubtful heading needs another sign beside it."""
    by_category = {sign.category: sign for sign in signs}
    if "sibling" in by_category and (case.visibly_says_not_found or case.had_other_text):
        return Charge("soft-404-sibling", True, names)
    if "said" in by_category and len(by_category) >= 2 and not case.sibling_is_missing:
        return Charge(by_category["said"].reason, True, names)
    return None
