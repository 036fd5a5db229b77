"""Facts from a page's bytes: title, headings, markup signs, the first text, a fingerprint.

A hostile page must cost no more than a large one: scripts, styles, drawings and comments are
cut in one linear pass, at most 64 KiB of the rest are parsed, and what makes HTML parsers
quadratic (thousands of nested tags, formatting tags that are reopened in every paragraph,
thousands of attributes) is removed before. Nothing is judged here.
"""

from __future__ import annotations

import codecs
import json
import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from archiver.checking.encodings import as_utf8
from archiver.checking.fingerprints import fingerprint
from archiver.checking.markup import PARSED, Cut, as_text, bounded, cut_hidden, main_text
from archiver.checking.signs import markup_signs
from archiver.model import PageFacts

# The markup that fingerprints are searched in: head and start of the raw page, and its end.
_RAW_START, _RAW_END = 48 * 1024, 8 * 1024
# An opening longer than this adds nothing to any rule (design §5, "first 2,000 visible").
OPENING = 2000
LONGEST_TITLE = 1000
LONGEST_HEADING = 300

# Reference checking §5.1, row 71: documents without visible HTML, by their first bytes.
_MAGIC = (
    *(b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"\x1f\x8b", b"Rar!"),
    *(b"RIFF", b"OggS", b"ID3", b"\x00\x00\x00\x18ftyp", b"\x00\x00\x00\x20ftyp", b"BM"),
    *(b"II*\x00", b"MM\x00*", b"7z\xbc\xaf", b"\xd0\xcf\x11\xe0", b"%!PS", b"\x7fELF", b"{\\rtf"),
    *(b"wOFF", b"wOF2", b"fLaC", b"\x1aE\xdf\xa3"),
)
_BINARY_TYPES = (
    *("image/", "audio/", "video/", "font/", "application/pdf", "application/zip"),
    *("application/octet-stream", "application/msword", "application/vnd."),
)
_TEXT_TYPES = (
    *("text/plain", "application/json", "text/csv", "text/markdown", "text/xml"),
    *("application/xml", "application/rss", "application/atom", "application/ld+json"),
)
_CONTENT = re.compile(r"<(?:html|head|body|title|div|p|h1|meta|table|!doctype)\b", re.I)

# Feeds are documents too: their titles and texts are those of what they list.
_FEED = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?[^>]*>\s*|<!--[^>]*-->\s*)*<(?:rss|feed|rdf:RDF)\b", re.I
)

_LD_HEADLINE = re.compile(r'"headline"\s*:\s*"((?:[^"\\]|\\.){1,400})"')
_LD_ARTICLE = re.compile(
    r'"@type"\s*:\s*(?:\[\s*)?"(?:\w*(?:Article|BlogPosting|Report)|LiveBlogPosting)"'
)
_REFRESH = re.compile(r"^\s*([0-9.]{1,8})\s*[;,]\s*(?:url\s*=\s*)?[\"']?([^\"'\s]{1,2000})", re.I)
_SCRIPTED_MOVE = re.compile(
    r"(?:window\.|document\.|top\.|self\.)?location(?:\.href)?\s*=\s*[\"']([^\"'\s]{1,2000})[\"']"
    r"|location\.(?:replace|assign)\(\s*[\"']([^\"'\s]{1,2000})[\"']",
)
# Where a script runs by itself, and what in it waits for a reader or for a browser of some kind.
_RUN_AT_ONCE = re.compile(
    r"<script\b[^<>]*>(.*?)</script|\bonload\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.I | re.S
)
_WAITS = re.compile(r"\bif\s*\(|click|confirm\(|submit|key(?:down|up|press)", re.I)
# A refresh later than this is no redirect but a page that renews itself.
_REFRESH_SECONDS = 5.0
TINY_BODY = 2000
_BOILERPLATE = ["nav", "header", "footer", "aside", "dialog"]


def read_page(
    body: bytes,
    content_type: str | None,
    *,
    truncated: bool,
    url: str = "",  # noqa: ARG001  (part of the seam: a page may one day be read by its place)
) -> PageFacts:
    """Return what a page says of itself; total, and bounded in time for any input.

    `truncated` says that `body` is not the whole body. For its encoding see `encodings.as_utf8`.
    """
    if not body.strip(b" \t\r\n\0"):
        return PageFacts(kind="empty", truncated=truncated)
    kind = kind_of(body, content_type or "")
    if kind == "binary":
        return PageFacts(kind="binary", truncated=truncated)
    page = as_utf8(body, content_type or "")
    if kind == "text":
        return _read_text(as_text(page), truncated)
    return read_html(page, cut_hidden(page), truncated=truncated)


def kind_of(body: bytes, content_type: str) -> str:
    """Return `binary`, `html` or `text`, by the first bytes and the declared type."""
    if body.startswith(_MAGIC) or _FEED.match(body[:1024]):
        return "binary"
    declared = content_type.partition(";")[0].strip().lower()
    head = body[:1024]
    if declared.startswith(_BINARY_TYPES):
        return "binary"
    if b"\0" in head and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "binary"
    if declared in ("text/html", "application/xhtml+xml"):
        return "html"
    looks_html = _CONTENT.search(head.decode("latin-1")) is not None
    if declared.startswith(_TEXT_TYPES) and not looks_html:
        return "text"
    return "html" if looks_html or b"<" in head else "text"


def _read_text(text: str, truncated: bool) -> PageFacts:
    words = " ".join(text[: 4 * PARSED].split())
    first = text.lstrip().partition("\n")[0].strip()
    return PageFacts(
        title=first[:LONGEST_HEADING] if len(words) < OPENING else "",
        opening=words[:OPENING],
        text_length=len(words),
        fingerprint="" if truncated else fingerprint(words),
        truncated=truncated,
        kind="text",
    )


# --- reading ----------------------------------------------------------------------------------


def read_html(body: bytes, cut: Cut, *, truncated: bool) -> PageFacts:
    """Return the facts of an HTML page, given in UTF-8, whole and cut."""
    markup, complete = bounded(cut)
    missing = truncated or not complete
    tree = LexborHTMLParser(markup)
    if _drop_unsaid(tree):
        markup = tree.html or ""
    meta = _read_meta(tree)
    title = tree.css_first("title")
    headings, subheadings = _read_headings(tree)
    language = (tree.root.attributes.get("lang") or "") if tree.root else ""
    tree.strip_tags(_BOILERPLATE)
    words = _visible(tree)
    linked = as_text(b"".join(cut.linked_data[:4]))
    headline = _LD_HEADLINE.search(linked) if linked else None
    article = _is_article(meta, linked)
    raw = body if len(body) <= _RAW_START else body[:_RAW_START] + body[-_RAW_END:]
    return PageFacts(
        title=_clean(title, LONGEST_TITLE),
        headings=headings,
        subheadings=subheadings,
        site_name=meta.get("og:site_name", "")[:LONGEST_HEADING],
        headline=_unescape_json(headline[1]) if headline else "",
        open_graph_title=meta.get("og:title", "")[:LONGEST_HEADING],
        canonical_url=meta.get("canonical", "")[:2000],
        language=language[:20],
        opening=words[:OPENING],
        signs=markup_signs(
            raw,
            markup,
            text_length=len(words),
            is_article=article,
            robots=meta.get("robots", ""),
        ),
        is_article=article,
        text_length=len(words),
        fingerprint="" if missing else fingerprint(main_text(cut.markup)),
        truncated=missing,
        refresh_url=_refresh_target(meta, body, words),
    )


# What a script may show later: applications carry their own "not found" along, hidden.
_UNSAID = (
    '[hidden],[style*="display:none" i],[style*="display: none" i],'
    "[ng-show],[ng-if],[v-if],[v-show],[x-show]"
)
# More text than a message has; and of so many hidden parts only the first are looked at.
_LONGEST_MESSAGE = 300
_MOST_UNSAID = 60


def _drop_unsaid(tree: LexborHTMLParser) -> bool:
    """Drop short hidden messages, which accuse nobody; say whether there were any.

    Longer hidden parts stay: some sites show the whole page only when their scripts have run.
    """
    body = tree.body
    nodes = body.css(_UNSAID)[:_MOST_UNSAID] if body is not None else []
    dropped = False
    # Inner ones first: what lies in a dropped part cannot be asked any more.
    for node in reversed(nodes):
        if node.tag not in ("html", "body") and len(node.text(separator=" ")) <= _LONGEST_MESSAGE:
            node.decompose()
            dropped = True
    return dropped


def _clean(node: LexborNode | None, limit: int) -> str:
    if node is None:
        return ""
    text = node.text(separator=" ")[: 4 * limit]
    return " ".join(text.split())[:limit]


def _read_headings(tree: LexborHTMLParser) -> tuple[tuple[str, ...], tuple[str, ...]]:
    first: list[str] = []
    second: list[str] = []
    for node in tree.css("h1,h2,h3"):
        found, most = (first, 3) if node.tag == "h1" else (second, 4)
        if len(found) < most and (heading := _clean(node, LONGEST_HEADING)):
            found.append(heading)
        if len(first) == 3 and len(second) == 4:
            break
    return tuple(first), tuple(second)


def _read_meta(tree: LexborHTMLParser) -> dict[str, str]:
    """Return the few `<meta>` and `<link>` facts that rules read, first one wins."""
    found: dict[str, str] = {}
    for node in tree.css(_META_QUERY):
        attributes = node.attributes
        name = attributes.get("property") or attributes.get("name")
        name = name or attributes.get("http-equiv") or attributes.get("rel")
        value = attributes.get("content") or attributes.get("href")
        if name and value:
            found.setdefault(name.lower(), value.strip())
    return found


_META_QUERY = (
    'meta[property^="og:"],meta[property^="article:"],meta[name="robots" i],'
    'meta[name^="citation_"],meta[http-equiv="refresh" i],link[rel="canonical"]'
)


def _is_article(meta: dict[str, str], linked: str) -> bool:
    if meta.get("og:type", "").lower() in ("article", "news", "blog", "video.other"):
        return True
    if any(name.startswith(("article:published", "citation_title")) for name in meta):
        return True
    return bool(linked and _LD_ARTICLE.search(linked))


def _visible(tree: LexborHTMLParser) -> str:
    body = tree.body
    return " ".join(body.text(separator=" ").split()) if body is not None else ""


def _unescape_json(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        found = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return ""
    return str(found).encode("utf-8", "replace").decode("utf-8")


def _refresh_target(meta: dict[str, str], body: bytes, words: str) -> str:
    """Return where a page sends its reader at once: a refresh, or a script in an empty page."""
    refresh = _REFRESH.match(meta.get("refresh", ""))
    if refresh and _seconds(refresh[1]) <= _REFRESH_SECONDS:
        return refresh[2]
    if len(body) >= TINY_BODY or len(words) >= 200:
        return ""
    return _scripted_target(as_text(body))


def _scripted_target(markup: str) -> str:
    for run in _RUN_AT_ONCE.finditer(markup):
        script = run[1] or run[2] or run[3] or ""
        move = _SCRIPTED_MOVE.search(script)
        if move and not _WAITS.search(script):
            return move[1] or move[2] or ""
    return ""


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return _REFRESH_SECONDS + 1
