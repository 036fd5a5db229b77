"""Reading a page no further than it takes: most pages carry the title they are cited with.

Where they do, and nothing that could take it back stands in the markup, the rules find the page
alive whatever else it says (design §5, "The cited title protects"): then a title, the text and
its fingerprint are taken from the markup directly. Every other page is parsed by `page`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace

from archiver.checking.fingerprints import fingerprint
from archiver.checking.markup import PARSED, Cut, cut_hidden, main_text
from archiver.checking.page import (
    LONGEST_HEADING,
    LONGEST_TITLE,
    OPENING,
    TINY_BODY,
    decode,
    kind_of,
    read_html,
    read_page,
)
from archiver.checking.signs import takes_back
from archiver.model import Observation, PageFacts

# Says of a page read so far, found at an address, whether the cited title vouches for it.
Vouches = Callable[[PageFacts, str], bool]

# With more text than this no sign takes a title back (`Policy.short_text` and some margin: a
# parser may count fewer characters).
_LITTLE_TEXT = 2000
_TITLE = re.compile(r"<title(?:\s[^<>]*)?>([^<]*)</title", re.I)
_TITLE_START = re.compile(r"<title\b", re.I)
_HEADING = re.compile(r"<h1(?:\s[^<>]*)?>", re.I)
_HEADING_END = re.compile(r"</h1", re.I)
_HEADINGS = 3
_TAG = re.compile(r"<[^<>]*>?")
_OPEN_GRAPH_TITLE = re.compile(r"<meta\b[^<>]{0,200}?\bog:title\b[^<>]{0,1000}", re.I)
_CONTENT = re.compile(r"\bcontent\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.I)


class Reader:
    """Reads the page of one look as briefly as its cited title allows."""

    def __init__(self, vouches: Vouches) -> None:
        """Ask `vouches` what of a page is enough."""
        self._vouches = vouches
        self._deeply: Callable[[], PageFacts] | None = None

    def __call__(
        self, body: bytes, content_type: str | None, *, truncated: bool, url: str
    ) -> PageFacts:
        """Return what a page says of itself; total, and bounded as `page.read_page` is."""
        declared = content_type or ""
        # Small pages may only send their reader on, and parsing them costs little.
        if len(body) < TINY_BODY or kind_of(body, declared) != "html":
            return read_page(body, content_type, truncated=truncated, url=url)
        text = decode(body, declared)
        cut = cut_hidden(text)
        found = _named(cut.markup[:PARSED], url, self._vouches)
        brief = None if found is None else _rest(found, body, cut, truncated=truncated)
        if brief is None:
            return read_html(body, text, cut, truncated=truncated)
        self._deeply = lambda: read_html(body, text, cut, truncated=truncated)
        return brief

    def completed(self, observation: Observation) -> Observation:
        """Return a look with its whole page where a title alone decides nothing.

        Only answers with success are vouched for by a title; the reader knows no status.
        """
        status, page = observation.status, observation.page
        if self._deeply is None or page is None or not page.is_brief:
            return observation
        if status is not None and 200 <= status < 300 and observation.error != "bad-redirect":
            return observation
        return replace(observation, page=self._deeply())


def _named(markup: str, url: str, vouches: Vouches) -> PageFacts | None:
    """Return a page's names as far as one of them is the cited title; None when none is."""
    title = _TITLE.search(markup)
    if title is None and _TITLE_START.search(markup):
        return None
    facts = PageFacts(title=_clean(title[1], LONGEST_TITLE) if title else "", is_brief=True)
    if facts.title and vouches(facts, url):
        return facts
    facts = replace(facts, headings=_headings(markup), open_graph_title=_open_graph_title(markup))
    return facts if vouches(facts, url) else None


def _rest(found: PageFacts, body: bytes, cut: Cut, *, truncated: bool) -> PageFacts | None:
    """Return a vouched page with its text; None when something may take the title back."""
    markup = cut.markup[:PARSED]
    words = main_text(markup)
    if len(words) < _LITTLE_TEXT and (takes_back(body, markup) or "refresh" in markup.lower()):
        return None
    missing = truncated or not cut.complete
    return replace(
        found,
        opening=words[:OPENING],
        text_length=len(words),
        fingerprint="" if missing else fingerprint(words),
        truncated=missing,
    )


def _clean(text: str, limit: int) -> str:
    text = text[: 4 * limit]
    return " ".join((html.unescape(text) if "&" in text else text).split())[:limit]


def _headings(markup: str) -> tuple[str, ...]:
    found: list[str] = []
    position = 0
    while len(found) < _HEADINGS and (start := _HEADING.search(markup, position)):
        position = start.end()
        end = _HEADING_END.search(markup, position, position + 8 * LONGEST_HEADING)
        if end is None:
            break
        heading = _clean(_TAG.sub(" ", markup[position : end.start()]), LONGEST_HEADING)
        if heading:
            found.append(heading)
        position = end.end()
    return tuple(found)


def _open_graph_title(markup: str) -> str:
    tag = _OPEN_GRAPH_TITLE.search(markup)
    content = _CONTENT.search(tag[0]) if tag is not None else None
    return _clean(content[1] or content[2] or "", LONGEST_HEADING) if content is not None else ""
