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

from archiver.checking.encodings import as_utf8
from archiver.checking.fingerprints import fingerprint
from archiver.checking.markup import PARSED, Cut, as_text, cut_hidden, main_text
from archiver.checking.page import (
    LONGEST_HEADING,
    LONGEST_TITLE,
    OPENING,
    TINY_BODY,
    kind_of,
    read_html,
    read_page,
)
from archiver.checking.signs import takes_back
from archiver.model import Observation, PageFacts

# Says of the names of a page, found at an address, whether one of them is the cited title.
Vouches = Callable[[tuple[str, ...], str], bool]

# With more text than this no sign takes a title back (`Policy.short_text` and some margin: a
# parser may count fewer characters).
_LITTLE_TEXT = 2000
# With more than this none sends its reader on (`Policy.redirect_text`, with a margin).
_HARDLY_TEXT = 1000
_TITLE = re.compile(rb"<(?=[tT])(?i:title)(?:\s[^<>]*)?>([^<]*)</(?i:title)")
_TITLE_START = re.compile(rb"<title\b", re.I)
_HEADING = re.compile(rb"<h1(?:\s[^<>]*)?>", re.I)
_HEADING_END = re.compile(rb"</h1", re.I)
_HEADINGS = 3
_TAG = re.compile(rb"<[^<>]*>?")
_OPEN_GRAPH_TITLE = re.compile(rb"<meta\b[^<>]{0,200}?\bog:title\b[^<>]{0,1000}", re.I)
_CONTENT = re.compile(rb"\bcontent\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.I)


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
        page = as_utf8(body, declared)
        cut = cut_hidden(page)
        brief = self._briefly(page, cut, url, truncated=truncated)
        if brief is None:
            return read_html(page, cut, truncated=truncated)
        self._deeply = lambda: read_html(page, cut, truncated=truncated)
        return brief

    def _briefly(self, page: bytes, cut: Cut, url: str, *, truncated: bool) -> PageFacts | None:
        """Return a page that carries its cited title; None when something may take that back."""
        markup = cut.markup if cut.complete else cut.markup[:PARSED]
        title = _title(markup)
        if title is None:
            return None
        headings: tuple[str, ...] = ()
        open_graph_title = ""
        if not (title and self._vouches((title,), url)):
            headings, open_graph_title = _headings(markup), _open_graph_title(markup)
            if not self._vouches((title, open_graph_title, *headings), url):
                return None
        words = main_text(markup)
        if len(words) < _LITTLE_TEXT and takes_back(page, markup):
            return None
        if len(words) < _HARDLY_TEXT and b"refresh" in markup.lower():
            return None
        missing = truncated or not cut.complete
        return PageFacts(
            title=title,
            headings=headings,
            open_graph_title=open_graph_title,
            opening=words[:OPENING],
            text_length=len(words),
            fingerprint="" if missing else fingerprint(words),
            truncated=missing,
            is_brief=True,
        )

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


def _title(markup: bytes) -> str | None:
    """Return the title, "" for none, None when there is one that only a parser can read."""
    found = _TITLE.search(markup)
    if found is None:
        return None if _TITLE_START.search(markup) else ""
    return _clean(found[1], LONGEST_TITLE)


def _clean(part: bytes, limit: int) -> str:
    text = as_text(part[: 4 * limit])
    return " ".join((html.unescape(text) if "&" in text else text).split())[:limit]


def _headings(markup: bytes) -> tuple[str, ...]:
    found: list[str] = []
    position = 0
    while len(found) < _HEADINGS and (start := _HEADING.search(markup, position)):
        position = start.end()
        end = _HEADING_END.search(markup, position, position + 8 * LONGEST_HEADING)
        if end is None:
            break
        heading = _clean(_TAG.sub(b" ", markup[position : end.start()]), LONGEST_HEADING)
        if heading:
            found.append(heading)
        position = end.end()
    return tuple(found)


def _open_graph_title(markup: bytes) -> str:
    tag = _OPEN_GRAPH_TITLE.search(markup)
    content = _CONTENT.search(tag[0]) if tag is not None else None
    return _clean(content[1] or content[2] or b"", LONGEST_HEADING) if content is not None else ""
