"""One look as the rules see it: the facts beside what was known, questions answered once."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache

from archiver.checking import hosting, missing, phrases, places, titles, walls
from archiver.checking.context import Context
from archiver.checking.fingerprints import distance
from archiver.checking.policy import Policy
from archiver.checking.signs import (
    EMPTY_WIKI_PAGE,
    NOINDEX,
    NOT_FOUND_CLASS,
    SUSPENDED,
)
from archiver.model import Finding, Observation, PageFacts, Strength, Verdict
from archiver.urls import grouping_key, host_of, is_home, slug_words

_STORED_OPENING = 300
# A specification explains the words that a not-found page uses.
_EXPLAINS_HTTP = re.compile(
    r"origin server|target resource|(?:response )?status code (?:indicates|means)|\bRFC \d{4}",
    re.I,
)


_LOCALE_SEGMENT = re.compile(r"^([^/?]+)/[a-z]{2}(?:[-_][a-z]{2,4})?(?=/|$)")


def _plain_key(url: str) -> str:
    return _LOCALE_SEGMENT.sub(r"\1", grouping_key(url).casefold())


@lru_cache(maxsize=256)
def _is_echo(text: str) -> bool:
    """Say whether a heading only repeats what was asked for: it protects nothing."""
    return phrases.is_search_heading(text) or phrases.sure_segment(text) is not None


@lru_cache(maxsize=256)
def _matches(
    text: str, cited_titles: tuple[str, ...], common: frozenset[str], threshold: int, shared: int
) -> bool:
    """Say whether a text, or the longest part of it, is one of these titles.

    Remembered, because a page is first read, then judged.
    """
    parts = titles.segments(text)
    candidates = (text, titles.longest(parts)) if len(parts) > 1 else (text,)
    return any(
        titles.matches(cited, candidate, common, threshold=threshold, shared_words=shared)
        for cited in cited_titles
        for candidate in candidates
    )


class Case:
    """An observation, its context and the policy; what takes long is computed when first asked."""

    def __init__(self, observation: Observation, context: Context, policy: Policy) -> None:
        """Take a look to be judged."""
        self.observation = observation
        self.context = context
        self.policy = policy
        self.status = observation.status
        self.page = observation.page or PageFacts()
        self.cited = observation.url
        self.final = observation.final_url or observation.url

    @property
    def is_good_status(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    # --- findings -------------------------------------------------------------------------

    @property
    def retry_after(self) -> int | None:
        """How long the server asks us to wait, unless it has served us well."""
        return None if self.is_good_status else self.observation.retry_after

    def bad(self, reason: str, strength: Strength = Strength.NONE) -> Finding:
        """Find a bad look."""
        return Finding(Verdict.FAILING, reason, strength, retry_after=self.retry_after)

    def blocked(self, reason: str) -> Finding:
        """Find a refusal."""
        return Finding(Verdict.BLOCKED, reason, retry_after=self.retry_after)

    # --- the answer -----------------------------------------------------------------------

    @property
    def went_elsewhere(self) -> bool:
        """Say whether we ended at another page than asked.

        Scheme, `www.`, a final slash, case and a locale segment do not count (design §5).
        """
        return self.cited != self.final and self._ended_elsewhere

    @cached_property
    def _ended_elsewhere(self) -> bool:
        return _plain_key(self.cited) != _plain_key(self.final)

    @property
    def is_short(self) -> bool:
        """Say whether a whole page has little to say."""
        return not self.page.truncated and self.page.text_length < self.policy.short_text

    @cached_property
    def opening(self) -> str:
        """The first text of a short page: what is stored, so that judging again sees the same."""
        return self.page.opening[:_STORED_OPENING] if self.is_small else ""

    @property
    def is_small(self) -> bool:
        return self.page.text_length < self.policy.short_text

    @property
    def is_tiny(self) -> bool:
        return self.page.text_length < self.policy.redirect_text

    # --- the cited title ------------------------------------------------------------------

    @property
    def _common_words(self) -> frozenset[str]:
        return titles.publisher_words(self.context.publishers, self.final)

    @property
    def _title_texts(self) -> list[str]:
        """Everything on the page that could be its title."""
        page = self.page
        return titles.distinct((page.title, page.open_graph_title, page.headline, *page.headings))

    @cached_property
    def carries_title(self) -> bool:
        """Say whether the page carries a cited title (design §5, "The cited title protects")."""
        if not self.context.cited_titles or self.page.kind not in ("html", "text"):
            return False
        if any(self._matches(text) and not _is_echo(text) for text in self._title_texts):
            return True
        return self.went_elsewhere and self._slug_matches()

    def _matches(self, text: str) -> bool:
        return _matches(
            text,
            self.context.cited_titles,
            self._common_words,
            self.policy.title_match,
            self.policy.shared_words,
        )

    def _slug_matches(self) -> bool:
        if places.is_search(self.cited, self.final):
            return False
        words = slug_words(self.final)
        return bool(words) and self._matches(" ".join(words))

    @cached_property
    def is_same_document(self) -> bool:
        """Say whether the page we ended at is the cited document, by its title or its slug."""
        if self.carries_title:
            return True
        return titles.slug_witness(self.cited, self.final, self.policy.slug_match)

    @cached_property
    def is_protected(self) -> bool:
        """Say whether the cited title vouches for this page against all not-found signs.

        Pages that repeat what was asked for (empty wiki pages, searches) carry the title and
        are gone: their own markup says so (reference linkrot §3.3, "echo pages").
        """
        if not (self.carries_title or (self.went_elsewhere and self.is_same_document)):
            return False
        signs = self.page.signs
        if signs and self.is_small and not self.is_about_missing_pages:
            if EMPTY_WIKI_PAGE in signs or NOT_FOUND_CLASS in signs:
                return False
            if NOINDEX in signs and self.opening_says_not_found:
                return False
        return not (self.went_elsewhere and places.is_search(self.cited, self.final))

    @property
    def is_vouched_for(self) -> bool:
        """Say whether the page itself carries the cited title and nothing takes that back."""
        return self.carries_title and self.is_protected

    @cached_property
    def misses_title(self) -> bool:
        """Say whether a short, whole page without article markup lacks a title it should have."""
        if not self.context.cited_titles or self.carries_title:
            return False
        return self.is_short and not self.page.is_article and self.page.kind == "html"

    @cached_property
    def is_about_missing_pages(self) -> bool:
        """Say whether the citation itself speaks of missing pages: such words are its topic."""
        if _EXPLAINS_HTTP.search(self.opening):
            return True
        return any(map(phrases.speaks_of_missing, self.context.cited_titles))

    # --- what the page says ---------------------------------------------------------------

    @cached_property
    def heading_texts(self) -> tuple[str, ...]:
        """The texts that name this page: title, og:title, h1, and on short pages h2 and h3."""
        page = self.page
        below = page.subheadings if self.is_small else ()
        return tuple(titles.distinct((page.title, page.open_graph_title, *page.headings, *below)))

    @cached_property
    def has_doubtful_heading(self) -> bool:
        """Say whether a heading may speak of a missing page; a site may be called 404, too."""
        found = filter(None, map(phrases.doubtful_segment, self.heading_texts))
        is_named_so = "404" in host_of(self.cited)
        return any(not (is_named_so and "404" in segment) for segment in found)

    @cached_property
    def opening_says_not_found(self) -> bool:
        return self.is_small and phrases.sentence_in(self.opening) is not None

    @property
    def holds_back(self) -> bool:
        """Say whether a page says nothing at all, or little but what it wants first.

        A guard shows a script, or a check, to every stranger; an application that only loads has
        a title of its own.
        """
        page = self.page
        if page.kind != "html":
            return False
        if not (page.title or page.text_length):
            return True
        tells = walls.wants_something_first if page.title else walls.draws_curtain
        return self.is_tiny and any(map(tells, (*self.heading_texts, self.opening)))

    @cached_property
    def visibly_says_not_found(self) -> bool:
        """Say whether a heading or the first 2,000 visible characters say "not found".

        Only asked beside an equal sibling, so a doubtful or bare denial is enough, unless the
        page speaks of scripts, subscriptions or logins: then something else is behind it.
        """
        texts = self.heading_texts
        if any(map(phrases.sure_segment, texts)) or self.has_doubtful_heading:
            return True
        if phrases.sentence_in(self.page.opening) is not None:
            return True
        if any(map(walls.draws_curtain, (*texts, self.opening))):
            return False
        return any(map(missing.tells_denial, texts)) or (
            self.is_small and missing.tells_denial(self.opening)
        )

    @cached_property
    def is_suspended(self) -> bool:
        """Say whether a hoster has suspended the site."""
        if SUSPENDED in self.page.signs:
            return True
        return self.is_small and any(
            phrases.has_segment(text, hosting.SUSPENDED_TITLES) or hosting.tells_suspension(text)
            for text in (self.page.title, *self.page.headings)
        )

    # --- the sibling ----------------------------------------------------------------------

    @cached_property
    def equals_sibling(self) -> bool:
        """Say whether a random address beside this one gives the same answer (§4.6)."""
        sibling = self.context.sibling
        if sibling is None or sibling.status is None or not self.is_good_status:
            return False
        if not 200 <= sibling.status < 300 or sibling.error:
            return False
        sibling_end = grouping_key(sibling.final_url or sibling.url)
        if self.went_elsewhere and sibling_end == grouping_key(self.final):
            return True
        # A site that routes by an id sends the sibling to the document itself: no evidence.
        if sibling_end == grouping_key(self.cited):
            return False
        return sibling.title == self.page.title[:300] and self._same_text(
            sibling.opening, sibling.fingerprint, sibling.text_length
        )

    def _same_text(self, opening: str, fingerprint: str, length: int) -> bool:
        apart = distance(self.page.fingerprint, fingerprint)
        if apart is not None:
            return apart <= self.policy.same_text_bits
        longest = max(self.page.text_length, length)
        if longest and min(self.page.text_length, length) / longest < 0.7:
            return False
        ours = self.page.opening[:500]
        return titles.text_ratio(ours, opening) >= self.policy.sibling_match

    @cached_property
    def sibling_is_missing(self) -> bool:
        """Say whether the random address is properly refused: evidence that this page lives."""
        sibling = self.context.sibling
        return sibling is not None and sibling.status in (404, 410)

    @cached_property
    def had_other_text(self) -> bool:
        """Say whether an earlier good look of this very URL saw another text."""
        if self.holds_back:
            return False
        for look in (self.context.last_good, self.context.first_good):
            if look is None:
                continue
            apart = distance(self.page.fingerprint, look.fingerprint)
            if apart is not None and apart >= self.policy.other_text_bits:
                return True
            if apart is None and look.text_length and look.title != self.page.title[:300]:
                ratio = min(look.text_length, self.page.text_length) / max(
                    look.text_length, self.page.text_length, 1
                )
                if ratio < 0.7:
                    return True
        return False

    # --- places ---------------------------------------------------------------------------

    @cached_property
    def is_cited_home(self) -> bool:
        return is_home(self.cited)
