"""Markup before it is parsed: hidden parts cut, hostile parts bounded, the main text taken out.

Everything here is linear in the length of the page, whatever a stranger wrote into it.
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
_HIDDEN = re.compile(r"<(?:(script|style|svg|noscript|template)(?=[\s/>])|!--)", re.I)
_HIDDEN_END = {
    name: re.compile(rf"</{name}\b[^<>]*>?", re.I)
    for name in ("script", "style", "svg", "noscript", "template")
}
# Where the end is missing a browser hides all the rest, or only what it knows to hide.
_HIDES_REST = frozenset({"script", "style"})
_FORMATTING = re.compile(
    r"</?(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])[^<>]*>?", re.I
)
_LONG_TAG = re.compile(rf"<([a-zA-Z][a-zA-Z0-9]{{0,15}})[^<>]{{{_LONGEST_TAG},}}>?")
_LD_LIMIT = 32 * 1024
_BODY = re.compile(r"<body(?=[\s>])|</head\b|</title\b", re.I)
_BESIDE = re.compile(r"<(nav|header|footer|aside|dialog)(?=[\s>])", re.I)
_BESIDE_END = {
    name: re.compile(rf"</{name}\s*>", re.I)
    for name in ("nav", "header", "footer", "aside", "dialog")
}
_TEXT = re.compile(r">([^<]+)")


@dataclass(slots=True)
class Cut:
    """The markup that is left, and what was found in the parts that were cut."""

    markup: str = ""
    linked_data: list[str] = field(default_factory=list)
    complete: bool = True


def cut_hidden(text: str) -> Cut:
    """Cut scripts, styles, drawings and comments, in one pass that never looks back."""
    cut = Cut()
    kept: list[str] = []
    length, position = 0, 0
    unclosed: set[str] = set()
    while length <= PARSED and (start := _HIDDEN.search(text, position)):
        kept.append(text[position : start.start()])
        length += len(kept[-1])
        name = (start[1] or "").lower()
        position = _end_of(text, start, name, unclosed, cut)
        if position < 0:
            position = len(text)
            break
    kept.append(text[position : position + PARSED + 1])
    cut.markup = "".join(kept)
    cut.complete = len(cut.markup) <= PARSED
    return cut


def _end_of(text: str, start: re.Match[str], name: str, unclosed: set[str], cut: Cut) -> int:
    """Return where the hidden part ends, or -1 when it hides all the rest."""
    if not name:
        end = text.find("-->", start.start() + 2)
        return end + 3 if end >= 0 else -1
    if name in unclosed:
        return start.end()
    end_tag = _HIDDEN_END[name].search(text, start.end())
    if end_tag is None:
        unclosed.add(name)
        return -1 if name in _HIDES_REST else start.end()
    if name == "script" and "ld+json" in text[start.end() : start.end() + 120]:
        cut.linked_data.append(text[start.end() : min(end_tag.start(), start.end() + _LD_LIMIT)])
    return end_tag.end()


def bounded(cut: Cut) -> tuple[str, bool]:
    """Return markup that no parser can choke on, and whether anything of the page is missing."""
    markup, complete = cut.markup[:PARSED], cut.complete
    tags = markup.count("<")
    if tags > _SUSPICIOUS_TAGS:
        markup = _FORMATTING.sub("", markup)
        if markup.count("<") > _MOST_TAGS:
            markup = "<".join(markup.split("<", _MOST_TAGS)[:_MOST_TAGS])
            complete = False
    if len(markup) > _LONGEST_TAG and max(map(len, markup.split("<"))) > _LONGEST_TAG:
        markup = _LONG_TAG.sub(r"<\1>", markup)
    return markup, complete


def main_text(markup: str) -> str:
    """Return the text outside navigation, one space between words, without parsing the page.

    `markup` is a cut's. Close to what a parser would find, at a fraction of the cost; elements
    whose end is missing, or that stand in others of their name, are not left out wholly.
    """
    start = _BODY.search(markup)
    main = _without_surroundings(markup, start.start() if start else 0)
    text = " ".join(" ".join(_TEXT.findall(main)).split())
    return html.unescape(text) if "&" in text else text


def _without_surroundings(markup: str, position: int) -> str:
    """Return the markup from a position on without what stands around a page's main text."""
    kept: list[str] = []
    unclosed: set[str] = set()
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
    return "".join(kept)
