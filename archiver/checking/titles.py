"""Titles as evidence: does this page carry the title it is cited with? (design §5)

A match protects: the page is alive, whatever phrases it contains. A mismatch proves nothing.
The measured thresholds are in reference checking §9 and linkrot §3.3.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from rapidfuzz import fuzz
from rapidfuzz.utils import default_process

from archiver.urls import bare_host, host_of, slug_words

# Between a headline and the name of its site (reference checking §4.5).
_SEPARATOR = re.compile(r"\s*(?:[|–—―•·»«›‹⋅]|::|\s[-:~/]\s|:\s|：|｜|\s-\s?$)\s*")
# Scripts written without spaces: their words are pairs of neighbouring characters here.
_DENSE = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]{3,}")
_SHORTEST_WORD = 3
_NO_LETTER = re.compile(r"[\W_]+")

# Words that say nothing about a document, in the languages that are cited most.
STOP_WORDS = frozenset(
    (
        "the and for with from that this are was were has have had not but its his her their our "
        "your you she him they them who what when where why how all any can will would could "
        "should may might must about after before over under into onto out off than then there "
        "here more most new says said say via per amid against between during while also just "
        "page home site web website news article story blog post online official index html com "
        "der die das und ein eine einer eines für mit von aus bei nach über unter vor auf ist "
        "sind war wird werden nicht auch den dem des zum zur als wie "
        "les des une dans pour par sur avec sans aux est sont que qui pas plus son ses leur "
        "los las una uno del para por con sin sobre entre que como más sus fue son "
        "dos das uma para pelo pela com sem não que "
        "gli dei della delle degli per con che non nel nella sul una "
        "het een van voor met aan door over zijn naar niet "
        "och att det som för med till från inte den "
        "для что как это его она они при над под без или все был была было "
        "które jest się nie dla przez oraz"
    ).split()
)


@lru_cache(maxsize=256)
def normalise(text: str) -> str:
    """Return a title as it is compared: unescaped twice, NFKC, casefolded, without punctuation."""
    if not text.isascii() or "&" in text:
        text = html.unescape(html.unescape(text))
        text = unicodedata.normalize("NFKC", text)
    processed = default_process(text.casefold())
    if not processed.isascii():
        processed = _DENSE.sub(_pairs, processed)
    return " ".join(processed.split())


def _pairs(match: re.Match[str]) -> str:
    run = match[0]
    return " " + " ".join(run[index : index + 2] for index in range(len(run) - 1)) + " "


@cache
def _marks() -> dict[int, None]:
    """Return the accents, vowel signs and invisible marks of the basic plane, to be deleted."""
    return {
        code: None
        for code in range(0x300, 0x10000)
        if unicodedata.category(chr(code)) in ("Mn", "Mc", "Cf")
    }


@lru_cache(maxsize=256)
def fold(text: str) -> str:
    """Return a phrase as phrases are compared: casefolded, without accents and punctuation."""
    if text.isascii():
        return " ".join(default_process(text.casefold()).split())
    text = unicodedata.normalize("NFKD", html.unescape(text)).casefold()
    text = unicodedata.normalize("NFKD", text).translate(_marks())
    return " ".join(_NO_LETTER.sub(" ", text).split())


def segments(title: str) -> list[str]:
    """Return the parts of a title between separators, without empty ones."""
    # With white space in long runs the pattern would look at every part of a run.
    parts = _SEPARATOR.split(" ".join(title.split()))
    return [part for part in parts if part and not part.isspace()]


@lru_cache(maxsize=256)
def content_words(text: str) -> frozenset[str]:
    """Return the words of a title that say something (pairs for scripts without spaces)."""
    return frozenset(
        word
        for word in normalise(text).split()
        if (len(word) >= _SHORTEST_WORD or not word.isascii()) and word not in STOP_WORDS
    )


def publisher_words(publishers: tuple[str, ...], url: str) -> frozenset[str]:
    """Return the words that name the publisher or the host: shared by all its pages."""
    return _naming_words(publishers, host_of(url))


@lru_cache(maxsize=4096)
def _naming_words(publishers: tuple[str, ...], host: str) -> frozenset[str]:
    words: set[str] = set()
    for publisher in publishers:
        words |= content_words(publisher)
    for label in bare_host(host).split(".")[:-1]:
        words.add(label)
        words.update(part for part in label.split("-") if len(part) >= _SHORTEST_WORD)
    return frozenset(words)


def similarity(one: str, other: str) -> float:
    """Return how alike two titles are, 0 to 100 (token set, order and repetition ignored)."""
    return float(fuzz.token_set_ratio(normalise(one), normalise(other)))


def matches(
    cited: str,
    candidate: str,
    common: frozenset[str],
    *,
    threshold: int,
    shared_words: int,
) -> bool:
    """Say whether a candidate carries a cited title.

    `common` are words that prove nothing here (publisher, host). A cited title with fewer than
    `shared_words` distinctive words needs two shared ones; a candidate with fewer than three
    content words carries nothing (design §5).
    """
    candidate_words = content_words(candidate)
    if len(candidate_words) < 3:
        return False
    distinctive = content_words(cited) - common
    needed = min(shared_words, max(2, len(distinctive)))
    if len(distinctive & candidate_words) < needed:
        return False
    return similarity(cited, candidate) >= threshold


def slug_witness(cited_url: str, final_url: str, threshold: int) -> bool:
    """Say whether two addresses end in the same slug: the same document, moved."""
    cited, final = slug_words(cited_url), slug_words(final_url)
    if len(cited) < 3 or len(final) < 3:
        return False
    one, other = " ".join(cited).casefold(), " ".join(final).casefold()
    return len(set(one.split()) & set(other.split())) >= 3 and (
        fuzz.token_set_ratio(one, other) >= threshold
    )


def longest(parts: Sequence[str]) -> str:
    """Return the longest part, "" when there is none."""
    return max(parts, key=len, default="")


def distinct(texts: Iterable[str]) -> list[str]:
    """Return the non-empty texts, each once, in order."""
    return list(dict.fromkeys(text for text in texts if text))


def text_ratio(one: str, other: str) -> float:
    """Return how alike two texts are, 0 to 100, in order."""
    return float(fuzz.ratio(one, other))
