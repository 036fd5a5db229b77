"""Does a page carry the cited title? And do languages say that a page is missing?"""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.checking import languages, missing, phrases, places, titles
from archiver.checking.titles import matches

NOTHING: frozenset[str] = frozenset()


def carries(cited: str, candidate: str, common: frozenset[str] = NOTHING) -> bool:
    return matches(cited, candidate, common, threshold=70, shared_words=3)


@pytest.mark.parametrize(
    ("cited", "candidate"),
    [
        ("Court bans welfare fraud system", "Court bans welfare fraud system | The Daily"),
        ("Court bans welfare fraud system", "The Daily: COURT BANS WELFARE FRAUD SYSTEM"),
        ("Court bans &quot;welfare&quot; fraud system", "Court bans “welfare” fraud system"),
        ("Court bans welfare fraud system", "court-bans-welfare-fraud-system"),
        ("Zürcher Gericht verbietet System", "Zürcher Gericht verbietet System - NZZ"),
        ("Cafe\u0301 owners sue robot maker", "Café owners sue robot maker"),
        ("Dutch court", "Dutch court decides today"),
        ("理研と富士通、スパコン富岳を開発", "理研と富士通、スパコン「富岳」を開発 | 新聞"),
    ],
)
def test_a_title_is_carried(cited, candidate):
    assert carries(cited, candidate)


@pytest.mark.parametrize(
    ("cited", "candidate"),
    [
        ("Amazon launches face recognition", "Amazon"),
        ("Home secretary resigns today", "Home"),
        ("Court bans welfare fraud system", "Court News"),
        ("Court bans welfare fraud system", "Page not found | The Daily"),
        ("Court bans welfare fraud system", "Minister sues newspaper over fraud story"),
        ("Anthropic", "Not Found | Anthropic"),
        ("理研と富士通、スパコン富岳を開発", "東京で桜が満開になりました"),
    ],
)
def test_a_title_is_not_carried(cited, candidate):
    assert not carries(cited, candidate)


def test_words_of_the_publisher_and_the_host_prove_nothing():
    common = titles.publisher_words(("The New York Times",), "https://www.nytimes.com/x")
    assert {"york", "times", "nytimes"} <= common
    assert not carries("New York Times sues maker", "The New York Times - Breaking News", common)


def test_a_slug_witness_needs_three_words():
    cited = "https://a.example/2019/court-bans-fraud-system"
    assert titles.slug_witness(cited, "https://b.example/x/court-bans-fraud-system-123456/", 85)
    assert not titles.slug_witness(cited, "https://b.example/court-news", 85)
    assert not titles.slug_witness("https://a.example/x", "https://b.example/x", 85)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_matching_is_total_and_never_made_of_nothing(cited, candidate):
    assert carries(cited, candidate) in (True, False)
    assert not carries("", candidate)
    assert titles.fold(titles.fold(cited)) == titles.fold(cited)


def test_a_cited_title_full_of_white_space_costs_next_to_nothing():
    start = time.process_time()
    assert titles.segments("Court bans".ljust(4000) + "it | The Daily") == [
        "Court bans it",
        "The Daily",
    ]
    assert time.process_time() - start < 0.05


def test_titles_split_where_site_names_are_joined():
    assert titles.segments("A story | Site – World") == ["A story", "Site", "World"]
    assert titles.segments("Self-driving cars: an overview") == ["Self-driving cars", "an overview"]


@pytest.mark.parametrize(
    "text",
    [
        "The page you are looking for doesn't exist.",
        "Sorry, we could not find that page",
        "This page doesn’t exist",
        "This page can't be found",
        "The page cannot be found",
        "Oh no, we've lost this page",
        "Diese Seite gibt es leider nicht mehr",
        "Oups, cette page n’existe plus",
        "La página que buscas no existe",
        "A página que você procura não foi encontrada",
        "La pagina che stai cercando non esiste",
        "De pagina die u zoekt bestaat niet",
        "Sidan du söker finns inte",
        "Siden du leter etter finnes ikke",
        "Etsimääsi sivua ei löytynyt",
        "Strona, której szukasz, nie istnieje",
        "Požadovaná stránka nebyla nalezena",
        "К сожалению, такой страницы нет",
        "Сторінку не знайдено",
        "A keresett oldal nem található",
        "Η σελίδα που ζητήσατε δεν βρέθηκε",
        "Aradığınız sayfa bulunamadı",
        "الصفحة التي تبحث عنها غير موجودة",
        "صفحه مورد نظر شما پیدا نشد",
        "הדף שחיפשתם לא נמצא",
        "आप जो पेज खोज रहे हैं वह नहीं मिला",
        "Trang bạn tìm kiếm không tồn tại",
        "Halaman yang Anda cari tidak ditemukan",
        "お探しのページは見つかりませんでした",
        "您访问的页面不存在",
        "您要找的網頁找不到",
        "요청하신 페이지를 찾을 수 없습니다",
        "ไม่พบหน้าที่คุณต้องการ",
        "Էջը չի գտնվել",
        "გვერდი არ მოიძებნა",
    ],
)
def test_a_language_says_that_a_page_is_missing(text):
    assert missing.tells_missing(text)


@pytest.mark.parametrize(
    "text",
    [
        "Court bans welfare fraud system",
        "Police find missing page of history book after ten years of search for the thieves",
        "Der Minister hat die Vorwürfe nicht bestätigt",
        "Le président n'existe que par le vote",
        "Робот научился искать людей под завалами",
        "人工知能の規制を強化へ",
        "This content isn't available because you don't have permission",
        "Why cool URIs don't change, and what to do when they do in a large organisation",
    ],
)
def test_headlines_do_not_say_that_a_page_is_missing(text):
    assert phrases.sure_segment(text) is None


def test_the_catalogue_is_folded_once_and_has_no_doubtful_rows():
    rows = phrases.catalogue_rows("=")
    assert len(rows) > 150
    assert all(phrases.sure_segment(row) or phrases.doubtful_segment(row) for row in rows)


_PHRASES = [
    *phrases.catalogue_rows("="),
    *phrases.catalogue_rows("~"),
    *(
        phrase.replace("*", "")
        for row in (*languages.ROWS, *languages.DENSE_ROWS)
        for part in row
        for phrase in part.split("|")
    ),
    *"the harbour senate letters budget inquiry story".split(),
]


@given(
    st.lists(st.sampled_from(_PHRASES), min_size=1, max_size=3),
    st.sampled_from((" ", " | ", " - ", ": ")),
)
@settings(max_examples=300, deadline=None)
def test_a_heading_that_is_not_looked_into_would_not_have_told_anything(parts, between):
    text = between.join(parts)
    folded = titles.fold(text)
    if phrases.sure_segment(text) is None:
        said = {titles.fold(part) for part in (*titles.segments(text), text)}
        assert said.isdisjoint(phrases._sure())
        assert not any(map(missing.heading_tells_missing, (*titles.segments(text), text)))
    if not missing.may_tell(folded):
        assert not missing.heading_tells_missing(text)


def test_places_need_a_gained_segment():
    cited = "https://news.example/search/why-search-engines"
    assert not places.is_search(cited, "https://news.example/search/other")
    assert not places.is_login("https://a.example/login/help", "https://a.example/login/x")
    assert not places.says_not_found("https://a.example/404", "https://b.example/404")
    assert places.says_not_found("https://a.example/x", "https://a.example/404")
