"""How languages say "there is no such page": a noun and a denial, close together.

Sites word their not-found pages freely; catalogues of phrases (`phrases.txt`) know products, not
sites. The rows of `languages` name what is missing and how its absence is told; both in one
short text, in either order, make the statement. Used on headings and on the opening of short
pages only, where a living document has its own title to vouch for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from archiver.checking.languages import (
    DENSE_ENDINGS,
    DENSE_ROWS,
    ENDINGS,
    HEADING_ROW,
    ROWS,
    SENTENCES,
)
from archiver.checking.titles import fold
from archiver.records import record

# Between noun and denial: at most this many words, or letters in scripts without spaces.
_WORDS_BETWEEN = 9
_LETTERS_BETWEEN = 24
# A heading that says it is no longer than this.
_LONGEST_HEADING = 110
# No beginning of a word in `languages` is shorter.
_FIRST_LETTERS = 3

# A text without any of these words needs no look for `SENTENCES`.
_SENTENCE_WORDS = frozenset(
    "mistyped typed check looks requested server couldn can page results wrong broken dead lien "
    "toter enlace defekter reached".split()
)
# "Not available in English": the page is there in another language [judgement: common wording].
_IN_A_LANGUAGE = re.compile(
    r" (?:in|auf|en|em|i|pa|w|ve|na|на|по|in het|op) (?:(?:your|this|that|the|ihrer|dieser|deiner"
    r"|cette|votre|tu|su|este|questa|sua|deze|uw|jouw|twoim|tym|\w+ed) ){0,2}"
    r"(?:language|sprache|langue|idioma|lingua|taal|sprak\w*|jezyku|jazyce|языке|мові"
    r"|english|englisch\w*|anglais|ingles\w*|engels|engelsk\w*|angielsk\w*|английск\w*"
    r"|german|deutsch\w*|allemand|aleman|tedesco|duits|tysk\w*|niemieck\w*|немецк\w*"
    r"|french|francais|franzosisch\w*|frances\w*|frans|fransk\w*|francusk\w*|французск\w*"
    r"|spanish|espanol|spanisch\w*|espagnol|spagnolo|italian\w*|italienisch\w*|dutch|nederlands"
    r"|portugues\w*|polsk\w*|russian|русск\w*|українськ\w*|chinese|japanese|arabic)\b"
)
# "Article 13 has been removed": of a law, not of a site. Longer numbers are those of pages.
_OF_A_LAW = re.compile(
    r"\b(?:article|artikel|artikelen|articulo|artigo|articolo|art|статья|стать\w+|artykul|clanek|madde)"
    r" (?!404|410)\d{1,3}\b"
)
_STAND_BETWEEN = frozenset({"", " yet", " online", " here"})
_DENSE_LETTER = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u9fff]")


@record
class _Grammar:
    """All rows, compiled, and found by a telling word of a denial: most texts have none."""

    spaced: tuple[re.Pattern[str], ...]
    dense: tuple[re.Pattern[str], ...]
    sentences: re.Pattern[str]
    words: Mapping[str, frozenset[int]]
    heading: re.Pattern[str]
    beginnings: tuple[str, ...]
    first_letters: frozenset[str]
    by_beginning: tuple[tuple[str, int], ...]
    denial_spaced: re.Pattern[str]
    denial_dense: re.Pattern[str]

    def rows_for(self, folded: str) -> Iterator[re.Pattern[str]]:
        """Yield the patterns whose language a text may be in."""
        rows: set[int] = set()
        for word in folded.split():
            rows |= self.words.get(word, frozenset())
            if word.startswith(self.beginnings):
                rows |= {row for start, row in self.by_beginning if word.startswith(start)}
        yield from (self.spaced[row] for row in sorted(rows))
        if not folded.isascii() and _DENSE_LETTER.search(folded):
            yield from self.dense


def _spaced_alternatives(row: str) -> str:
    """Fold phrases word by word, `*` at the end of a word standing for its rest."""
    parts = []
    for phrase in row.split("|"):
        words = [
            fold(word.rstrip("*")) + (r"\w*" if word.endswith("*") else "")
            for word in phrase.split()
        ]
        parts.append(" ".join(word for word in words if word))
    return "|".join(dict.fromkeys(part for part in parts if part))


def _dense_alternatives(row: str) -> str:
    return "|".join(dict.fromkeys(folded for phrase in row.split("|") if (folded := fold(phrase))))


def _spaced_pattern(nouns: str, denials: str) -> re.Pattern[str]:
    denial = _spaced_alternatives(denials)
    if not nouns:
        return re.compile(rf"(?<!\w)(?:{denial})(?!\w)")
    noun = _spaced_alternatives(nouns)
    gap = rf"(?: \w+){{0,{_WORDS_BETWEEN}}}? "
    return re.compile(rf"(?<!\w)(?:(?:{noun}){gap}(?:{denial})|(?:{denial}){gap}(?:{noun}))(?!\w)")


def _dense_pattern(nouns: str, denials: str) -> re.Pattern[str]:
    noun, denial = _dense_alternatives(nouns), _dense_alternatives(denials)
    gap = rf".{{0,{_LETTERS_BETWEEN}}}?"
    return re.compile(rf"(?:{noun}){gap}(?:{denial})|(?:{denial}){gap}(?:{noun})")


@cache
def _grammar() -> _Grammar:
    words: dict[str, set[int]] = {}
    beginnings: list[tuple[str, int]] = []
    for index, (_, denials) in enumerate(ROWS):
        for phrase in denials.split("|"):
            # Several words may come of one when folded (`n'est`); the longest is the anchor.
            anchor = max(phrase.split(), key=len)
            folded = max(fold(anchor.rstrip("*")).split(), key=len, default="")
            if anchor.endswith("*"):
                beginnings.append((folded, index))
            elif folded:
                words.setdefault(folded, set()).add(index)
    return _Grammar(
        spaced=tuple(_spaced_pattern(*row) for row in ROWS),
        dense=tuple(_dense_pattern(*row) for row in DENSE_ROWS),
        sentences=re.compile(rf"\b(?:{SENTENCES})"),
        heading=_spaced_pattern(*HEADING_ROW),
        words={word: frozenset(rows) for word, rows in words.items()},
        beginnings=tuple(dict.fromkeys(start for start, _ in beginnings)),
        first_letters=frozenset(start[:_FIRST_LETTERS] for start, _ in beginnings),
        by_beginning=tuple(dict.fromkeys(beginnings)),
        denial_spaced=re.compile(
            "|".join(
                rf"(?<!\w)(?:{_spaced_alternatives(denials)})(?!\w)"
                for denials in (*(row[1] for row in ROWS), ENDINGS)
            )
        ),
        denial_dense=re.compile(
            "|".join(
                _dense_alternatives(denials)
                for denials in (*(row[1] for row in DENSE_ROWS), DENSE_ENDINGS)
            )
        ),
    )


def may_tell(folded: str) -> bool:
    """Say whether a folded text has any word without which it tells nothing: most have none."""
    if not folded.isascii() and _DENSE_LETTER.search(folded):
        return True
    grammar, words = _grammar(), folded.split()
    if not grammar.words.keys().isdisjoint(words):
        return True
    if grammar.first_letters.isdisjoint([word[:_FIRST_LETTERS] for word in words]):
        return False
    return any(word.startswith(grammar.beginnings) for word in words)


def tells_missing(text: str) -> str | None:
    """Return the words in which a text says that there is no such page, or None."""
    folded = fold(text)
    if not _SENTENCE_WORDS.isdisjoint(folded.split()):
        match = _grammar().sentences.search(folded)
        if match:
            return match[0]
    return _search(folded)


def _search(folded: str) -> str | None:
    for pattern in _grammar().rows_for(folded):
        match = pattern.search(folded)
        if match and not (_lacks_translation(folded, match) or _OF_A_LAW.search(match[0])):
            return match[0]
    return None


def _lacks_translation(folded: str, denial: re.Match[str]) -> bool:
    """Say whether a denial names a language, or one follows it at once."""
    if _IN_A_LANGUAGE.search(denial[0]):
        return True
    follows = _IN_A_LANGUAGE.search(folded, denial.end())
    return follows is not None and folded[denial.end() : follows.start()] in _STAND_BETWEEN


def tells_denial(text: str) -> bool:
    """Say whether a text says of anything that it is not there."""
    folded = fold(text)
    grammar = _grammar()
    return bool(grammar.denial_spaced.search(folded) or grammar.denial_dense.search(folded))


def heading_tells_missing(text: str) -> bool:
    """Say whether a heading says little else than that there is no such page."""
    if len(text) > _LONGEST_HEADING:
        return False
    folded = fold(text)
    found = _search(folded)
    if found is None and folded.isascii() and (match := _grammar().heading.search(folded)):
        found = match[0]
    return found is not None and len(found) * 2 >= len(folded)
