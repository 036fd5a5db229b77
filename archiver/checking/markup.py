"""Markup before it is parsed: hidden parts cut, hostile parts bounded, the main text taken out.

Everything here is linear in the length of the page, whatever a stranger wrote into it. Pages are
bytes here, in UTF-8: most come so, and searching bytes costs half of searching text.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

# How much markup is parsed after cutting (design §5), and how many tags of it.
PARSED = 64 * 1024
_MOST_TAGS = 4000
# With fewer tags than this even the worst nesting is cheap.
_SUSPICIOUS_TAGS = 600
_LONGEST_TAG = 4000
_HIDING = (b"script", b"style", b"svg", b"noscript", b"template")
# The letters come first: most tags begin with others, and alternatives are slow to try.
_HIDDEN = re.compile(rb"<(?=[sSnNtT!])(?:((?i:" + b"|".join(_HIDING) + rb"))(?=[\s/>])|!--)")
_HIDDEN_END = {name: re.compile(rb"</" + name + rb"\b[^<>]*>?", re.I) for name in _HIDING}
# Where the end is missing a browser hides all the rest, or only what it knows to hide.
_HIDES_REST = frozenset({b"script", b"style"})
_FORMATTING = re.compile(
    r"</?(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])[^<>]*>?", re.I
)
_LONG_TAG = re.compile(rf"<([a-zA-Z][a-zA-Z0-9]{{0,15}})[^<>]{{{_LONGEST_TAG},}}>?")
_LD_LIMIT = 32 * 1024
_BODY = re.compile(rb"<body(?=[\s>])|</head\b|</title\b", re.I)
_AROUND = (b"nav", b"header", b"footer", b"aside", b"dialog")
_BESIDE = re.compile(rb"<(?=[nNhHfFaAdD][aeosiAEOSI])((?i:" + b"|".join(_AROUND) + rb"))(?=[\s>])")
_BESIDE_END = {name: re.compile(rb"</" + name + rb"\s*>", re.I) for name in _AROUND}
_TEXT = re.compile(rb">([^<]+)")
# No character has such a number, and Python refuses to read one of thousands of digits.
_ENDLESS_REFERENCE = re.compile(r"&#[0-9]{100,};?")


@dataclass(slots=True)
class Cut:
    """The markup that is left, as UTF-8, and what was found in the parts that were cut."""

    markup: bytes = b""
    linked_data: list[bytes] = field(default_factory=list)
    complete: bool = True


def cut_hidden(page: bytes) -> Cut:
    """Cut scripts, styles, drawings and comments, in one pass that never looks back."""
    cut = Cut()
    kept: list[bytes] = []
    length, position = 0, 0
    unclosed: set[bytes] = set()
    while length <= PARSED and (start := _HIDDEN.search(page, position)):
        kept.append(page[position : start.start()])
        length += len(kept[-1])
        name = (start[1] or b"").lower()
        position = _end_of(page, start, name, unclosed, cut)
        if position < 0:
            position = len(page)
            break
    kept.append(page[position : position + PARSED + 1])
    cut.markup = b"".join(kept)
    cut.complete = len(cut.markup) <= PARSED
    return cut


def _end_of(
    page: bytes, start: re.Match[bytes], name: bytes, unclosed: set[bytes], cut: Cut
) -> int:
    """Return where the hidden part ends, or -1 when it hides all the rest."""
    if not name:
        end = page.find(b"-->", start.start() + 2)
        return end + 3 if end >= 0 else -1
    if name in unclosed:
        return start.end()
    end_tag = _HIDDEN_END[name].search(page, start.end())
    if end_tag is None:
        unclosed.add(name)
        return -1 if name in _HIDES_REST else start.end()
    if name == b"script" and b"ld+json" in page[start.end() : start.end() + 120]:
        cut.linked_data.append(page[start.end() : min(end_tag.start(), start.end() + _LD_LIMIT)])
    return end_tag.end()


def bounded(cut: Cut) -> tuple[str, bool]:
    """Return markup that no parser can choke on, and whether anything of the page is missing."""
    markup, complete = as_text(cut.markup[:PARSED]), cut.complete
    tags = markup.count("<")
    if tags > _SUSPICIOUS_TAGS:
        markup = _FORMATTING.sub("", markup)
        if markup.count("<") > _MOST_TAGS:
            markup = "<".join(markup.split("<", _MOST_TAGS)[:_MOST_TAGS])
            complete = False
    if len(markup) > _LONGEST_TAG and max(map(len, markup.split("<"))) > _LONGEST_TAG:
        markup = _LONG_TAG.sub(r"<\1>", markup)
    return markup, complete


def main_text(markup: bytes) -> str:
    """Return the text outside navigation, one space between words, without parsing the page.

    `markup` is a cut's. Close to what a parser would find, at a fraction of the cost; elements
    whose end is missing, or that stand in others of their name, are not left out wholly.
    """
    start = _BODY.search(markup)
    main = _without_surroundings(markup, start.start() if start else 0)
    text = " ".join(as_text(b" ".join(_TEXT.findall(main))).split())
    return html.unescape(_ENDLESS_REFERENCE.sub("\ufffd", text)) if "&" in text else text


def as_text(part: bytes) -> str:
    """Return part of a page as text; bytes that are no UTF-8 are marked, none is an error."""
    return part.decode("utf-8", "replace")


def _without_surroundings(markup: bytes, position: int) -> bytes:
    """Return the markup from a position on without what stands around a page's main text."""
    kept: list[bytes] = []
    unclosed: set[bytes] = set()
    searched = position
    while start := _BESIDE.search(markup, searched):
        name = start[1].lower()
        searched = start.end()
        if name in unclosed:
            continue
        end = _BESIDE_END[name].search(markup, searched)
        if end is None:
            unclosed.add(name)
            continue
        kept.append(markup[position : start.start()])
        # The end tag's own ">" begins the text that follows it.
        position = end.end() - 1
        searched = position
    kept.append(markup[position:])
    return b"".join(kept)
