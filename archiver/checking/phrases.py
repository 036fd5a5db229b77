"""What sites say when a page is not there: whole phrases for headings, sentences for texts.

All phrases are folded (`titles.fold`: case, accents, marks and punctuation do not count).
Phrases of titles and headings must *equal* a segment, sentences are searched in the opening of
short pages. The catalogues of products stand in `phrases.txt`, which names its sources; the
free wording of sites is `missing`'s.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib import resources

from archiver.checking.missing import heading_tells_missing, may_tell, tells_missing
from archiver.checking.titles import fold, segments

# Reference checking §4.5, "Ambiguous": about a missing page, but a second sign is needed.
_DOUBTFUL = (
    "not found|introuvable|no encontrado|no encontrada|nicht gefunden|non trouvé|non trouvée|"
    "non trovato|non trovata|não encontrado|não encontrada|niet gevonden|nie znaleziono|"
    "nenalezeno|не найдено|не найдена|не знайдено|bulunamadı|未找到|找不到|见つかりません|404|410|"
    "gone|removed|expired|unavailable|page unavailable|content unavailable|not available|"
    "page not available|404 error|error 404|http 404|lost|page missing|missing page|no page|"
    "nothing found|nothing here|nothing to see here|does not exist|this content isn t available "
    "right now|content not found|deleted|"
)
# About anything at all: proves nothing but with an equal sibling or a redirect to the home page.
_VAGUE = "error|oops|something went wrong|no results|search|search results|untitled|whoops|sorry"

# What may stand around a phrase in a segment without changing it.
_AROUND = frozenset(
    "404 410 error err http https code status oops ooops ups uups sorry whoops uh oh ohh hmm "
    "fehler erreur errore erro fout feil fel virhe hata ошибка помилка chyba blad klaida błąd "
    "опс упс ой 错误 錯誤 エラー 오류 خطا خطأ שגיאה σφαλμα lỗi loi hiba greska грешка eroare viga "
    "kluda sorry entschuldigung desole desolee lo siento perdon opa eita".split()
)

_SEARCH_WORDS = re.compile(
    r"\b(?:search results?|results for|suchergebnisse?|resultats? (?:de recherche|pour)|no results"
    r"|resultados de (?:la )?(?:busqueda|pesquisa|busca)|risultati (?:della|di|per)|search for"
    r"|zoekresultaten|wyniki wyszukiwania|результаты поиска|検索結果|搜索结果)\b"
)


def _rows(text: str) -> frozenset[str]:
    return frozenset(phrase for row in text.split("|") if (phrase := fold(row)))


_SHORT_HEADING = 6
DOUBTFUL = _rows(_DOUBTFUL)
VAGUE = _rows(_VAGUE)


@cache
def catalogue_rows(kind: str) -> tuple[str, ...]:
    """Return the rows of `phrases.txt` that begin with this mark, as written."""
    text = resources.files("archiver.checking").joinpath("phrases.txt").read_text("utf-8")
    return tuple(line[2:] for line in text.splitlines() if line[:2] == kind + " ")


@cache
def _sure() -> frozenset[str]:
    return frozenset({_trimmed(fold(row)) for row in catalogue_rows("=")} - DOUBTFUL - VAGUE - {""})


@cache
def _sure_words() -> frozenset[str]:
    """Return of every sure phrase its longest word: a heading without any is none of them."""
    return frozenset(max(phrase.split(), key=len) for phrase in _sure())


@cache
def _sentences() -> tuple[str, ...]:
    return tuple(dict.fromkeys(fold(row) for row in catalogue_rows("~")))


def _trimmed(folded: str) -> str:
    """Drop what may stand around a phrase: `404`, `error`, `oops` …"""
    words = folded.split()
    while words and words[0] in _AROUND:
        del words[0]
    while words and words[-1] in _AROUND:
        del words[-1]
    return " ".join(words)


@lru_cache(maxsize=256)
def sure_segment(text: str) -> str | None:
    """Return the segment of a title or heading that says "not found" and little else."""
    whole = fold(text)
    if _sure_words().isdisjoint(whole.split()) and not may_tell(whole):
        return None
    sure = _sure()
    for part in (*segments(text), text):
        folded = fold(part)
        if folded in sure or _trimmed(folded) in sure:
            return folded
        if heading_tells_missing(part):
            return folded
    return None


def doubtful_segment(text: str) -> str | None:
    """Return a segment that may speak of a missing page (a second sign is needed)."""
    for part in segments(text):
        folded = fold(part)
        if folded in DOUBTFUL or (_trimmed(folded) in DOUBTFUL and _trimmed(folded) != folded):
            return folded
        # `404`, `Error 404`, `This is a 404 error`: short, and about little else.
        if "404" in (words := folded.split()) and len(words) <= _SHORT_HEADING:
            return folded
    return None


def vague_segment(text: str) -> str | None:
    """Return a segment that speaks of some error or search, about nothing in particular."""
    return next((folded for part in segments(text) if (folded := fold(part)) in VAGUE), None)


def sentence_in(text: str) -> str | None:
    """Return the words of a not-found page that a text contains."""
    folded = fold(text)
    for sentence in _sentences():
        if sentence in folded:
            return sentence
    return tells_missing(text)


@lru_cache(maxsize=256)
def speaks_of_missing(title: str) -> bool:
    """Say whether a cited title itself speaks of missing pages, or is as short as they are.

    Works are called `Gone`, `Lost`, `Removed`: as a heading that is their title.
    """
    return "404" in title or bool(
        sentence_in(title) or sure_segment(title) or doubtful_segment(_without_brackets(title))
    )


def _without_brackets(title: str) -> str:
    """Return a title without what is explained behind it: `Lost (2018)`."""
    return re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", title)


def has_segment(text: str, phrases: frozenset[str]) -> bool:
    """Say whether one segment of a title equals one of these folded phrases."""
    return any(fold(part) in phrases for part in (*segments(text), text))


def is_search_heading(text: str) -> bool:
    """Say whether a title or heading is that of a page of search results."""
    return _SEARCH_WORDS.search(fold(text)) is not None
