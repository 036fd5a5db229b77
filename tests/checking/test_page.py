"""What is read off a page, and that no page can make reading it expensive."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.checking import signs
from archiver.checking.fingerprints import distance, fingerprint
from archiver.checking.markup import main_text
from archiver.checking.page import read_page
from archiver.model import PageFacts


def read(html: str | bytes, content_type: str | None = "text/html", **options: bool) -> PageFacts:
    body = html.encode() if isinstance(html, str) else html
    return read_page(body, content_type, truncated=options.get("truncated", False))


ARTICLE = """<!doctype html><html lang="en-GB"><head>
<meta charset="utf-8"><title>Court bans   system | The Daily</title>
<meta property="og:title" content="Court bans the system">
<meta property="og:site_name" content="The Daily"><meta property="og:type" content="article">
<link rel="canonical" href="https://daily.example/a">
<script type="application/ld+json">{"@type": "NewsArticle", "headline": "Court b\\u0061ns \\"it\\""}
</script><style>p{}</style></head><body class="post">
<svg><title>Logo</title></svg><nav>Home News Sport</nav><!-- <h1>no</h1> -->
<h1>Court <b>bans</b> the system</h1><h2>What happened</h2><p>One two three.</p>
<footer>Imprint</footer></body></html>"""


def test_an_article_tells_its_titles_headings_and_text():
    page = read(ARTICLE)
    assert page.title == "Court bans system | The Daily"
    assert page.open_graph_title == "Court bans the system"
    assert page.headline == 'Court bans "it"'
    assert page.headings == ("Court bans the system",)
    assert page.subheadings == ("What happened",)
    assert (page.site_name, page.language) == ("The Daily", "en-GB")
    assert page.canonical_url == "https://daily.example/a"
    assert page.is_article
    assert page.opening == "Court bans the system What happened One two three."
    assert page.kind == "html"


@pytest.mark.parametrize(
    ("body", "content_type", "kind"),
    [
        (b"", "text/html", "empty"),
        (b"  \r\n\0", None, "empty"),
        (b"%PDF-1.7 ...", "text/html", "binary"),
        (b"\x89PNG\r\n", None, "binary"),
        (b"PK\x03\x04xx", "application/octet-stream", "binary"),
        (b"plain words", "image/webp", "binary"),
        (b"plain words, no markup", "text/plain", "text"),
        (b"plain words, no type", None, "text"),
        (b"<html><title>x</title>", "text/plain", "html"),
        (b"<p>x", None, "html"),
        (b'{"a": 1}', "application/json", "text"),
        (b"\0\1\2\3binary", None, "binary"),
    ],
)
def test_the_kind_of_a_page_follows_its_first_bytes_before_its_type(body, content_type, kind):
    assert read(body, content_type).kind == kind


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<title>Grüße €</title>".encode(), "text/html; charset=utf-8"),
        ("<title>Grüße €</title>".encode("cp1252"), "text/html; charset=iso-8859-1"),
        ("<title>Grüße €</title>".encode("cp1252"), "text/html"),
        ("<title>Grüße €</title>".encode("utf-16"), "text/html; charset=utf-8"),
        (b'<meta charset="windows-1252">' + "<title>Grüße €</title>".encode("cp1252"), None),
        (b"\xef\xbb\xbf" + "<title>Grüße €</title>".encode(), "text/html; charset=latin-1"),
        ("<title>Grüße €</title>".encode(), "text/html; charset=no-such-thing"),
        ("<title>Grüße €</title>".encode(), 'text/html; charset="rot13"'),
    ],
)
def test_the_encoding_is_found_by_bom_header_meta_and_trial(body, content_type):
    assert read(body, content_type).title == "Grüße €"


@pytest.mark.parametrize(
    ("name", "encoding", "title"),
    [
        ("gb2312", "gbk", "朱镕基总理谈互联网"),
        ("Shift_JIS", "cp932", "規制①の報告書"),
        ("x-sjis", "cp932", "人工知能の規制"),
        ("windows-31j", "cp932", "人工知能の規制"),
        ("euc-kr", "cp949", "똠방각하 보고서"),
        ("iso-8859-9", "cp1254", "Yapay zekâ “yasası”"),
    ],
)
def test_an_encoding_is_what_browsers_mean_by_its_name(name, encoding, title):
    body = f"<title>{title}</title>".encode(encoding)
    for declared in (f"text/html; charset={name}", "text/html"):
        meta = f"<meta charset={name}>".encode() if declared == "text/html" else b""
        assert read_page(meta + body, declared, truncated=False).title == title


def test_a_title_in_a_drawing_is_none_and_the_first_of_several_counts():
    assert read("<svg><title>no</title></svg><title>yes</title><title>no</title>").title == "yes"
    assert len(read(f"<title>{'x' * 5000}</title>").title) == 1000


def test_the_text_of_scripts_and_navigation_does_not_count():
    page = read("<nav>a</nav><script>var x = '<p>b</p>'</script><p>c</p><noscript>d</noscript>")
    assert page.opening == "c"
    assert page.text_length == 1


def test_an_unclosed_script_or_comment_hides_the_rest_and_an_unclosed_svg_does_not():
    assert read("<p>a</p><script>b<p>c").opening == "a"
    assert read("<p>a</p><!-- b<p>c").opening == "a"
    assert read("<p>a</p><svg><p>c").opening.endswith("c")


@pytest.mark.parametrize(
    ("html", "target"),
    [
        ('<meta http-equiv="refresh" content="0; url=/new">', "/new"),
        ('<meta http-equiv="Refresh" content="3;URL=\'/new\'">', "/new"),
        ('<meta http-equiv="refresh" content="300; url=/new">', ""),
        ("<script>window.location.href='/lander'</script>", "/lander"),
        ("<script>location.replace('/lander')</script>", "/lander"),
        ("<p>" + "word " * 100 + "</p><script>location='/x'</script>", ""),
        ("<body onload=\"location.href='/new'\">", "/new"),
        ("<script>onload=function(){location.href='/lander'}</script>", "/lander"),
        ("<h1>x</h1><button onclick=\"location.href='/'\">Back</button>", ""),
        ("<script>b.addEventListener('click', () => { location.href = '/' })</script>", ""),
        ("<script>if (top == self) location.href = '/index.html'</script>", ""),
        ("<script>if (/iPhone/.test(agent)) { location.replace('https://m.x/') }</script>", ""),
    ],
)
def test_a_near_empty_page_tells_where_it_sends_its_reader(html, target):
    assert read(html).refresh_url == target


@pytest.mark.parametrize(
    ("html", "sign"),
    [
        ('<body class="error404">', "not-found-class"),
        ('<body class="home error-404 x">', "not-found-class"),
        ("<div id=page-not-found>", "not-found-class"),
        ('<section class="not-found">', "not-found-class"),
        ('<div class="template-404">', "not-found-class"),
        ('<main class="NotFound_page__x1">', "not-found-class"),
        ('<div class="td-404-title">', "not-found-class"),
        ('<div class="site-error-page-404">', "not-found-class"),
        ('<body class="cms-no-route cms-noroute-index">', "not-found-class"),
        ('<meta name="robots" content="noindex, follow">', "noindex"),
        ('<div class="noarticletext">', "empty-wiki-page"),
        ('<html data-adblockkey="x">', "parking"),
        ("<script>window._cf_chl_opt={}</script>", "challenge"),
        ("<script src=https://www.google.com/recaptcha/x class=g-recaptcha>", "challenge-trace"),
        ('<input type="password">', "password-form"),
        ("Error establishing a database connection <p>", "broken-application"),
    ],
)
def test_markup_signs_are_named(html, sign):
    assert sign in read(f"<title>x</title>{html}").signs


@pytest.mark.parametrize(
    "html",
    [
        '<body class="postid-404">',
        '<li class="menu-item-404">',
        '<article class="post-404 tag-404">',
        '<img class="size-full wp-image-404">',
        '<article id="div-comment-404" class="comment-body">',
        '<body class="elementor-page elementor-page-404">',
        '<div class="elementor elementor-404">',
        '<div class="attachment-404" id="post-404-content">',
        '<p id="footnote-404">',
        '<h2 id="section-404">',
        '<a class="link-404">',
        '<body class="page-id-404 single">',
        "<p>error404 not-found</p>",
    ],
)
def test_a_number_404_in_an_identifier_is_no_sign(html):
    assert read(f"<title>x</title>{html}").signs == ()


@pytest.mark.parametrize("name", ["image-not-found", "product-img-not-found", "search-not-found"])
def test_a_part_of_a_page_that_is_not_found_is_no_sign(name):
    assert read(f'<title>x</title><img class="{name}">').signs == ()


def test_every_parking_row_passes_the_first_sieve():
    for _, needles in signs._PARKING_MARKERS:
        assert any(hint in needles[0] for hint in signs._PARKING_HINTS), needles


def test_a_long_page_is_not_searched_for_walls():
    text = "word " * 1000
    assert read(f"<p>{text}</p><script>g-recaptcha px-captcha</script>").signs == ()


def test_a_cut_page_has_no_fingerprint_and_says_so():
    html = "<p>" + "some words of a page " * 100
    assert read(html).fingerprint
    assert read(html, truncated=True).fingerprint == ""
    assert read(html, truncated=True).truncated
    assert read("<p>" + "some words of a page " * 9000).truncated


# --- fingerprints -------------------------------------------------------------------------------

WORDS = [f"{chr(97 + i % 26)}{chr(97 + i * 7 % 26)}word{i * i % 977}" for i in range(900)]


def test_too_little_text_has_no_fingerprint():
    assert fingerprint("short " * 20) == ""
    assert distance("", fingerprint(" ".join(WORDS))) is None


def test_a_character_reference_of_thousands_of_digits_is_no_character():
    story = "".join(f"<p>Sentence number {i} of this story." for i in range(40))
    page = read(f"{story}<p>&#{'1' * 5000}; &#65;")
    assert page.fingerprint
    assert main_text(f"<p>&#{'1' * 5000}; &#65;".encode()) == "\ufffd A"


def test_a_small_edit_keeps_the_fingerprint_near_and_another_text_is_far():
    text = " ".join(WORDS)
    edited = " ".join([*WORDS[:400], "inserted", "words", *WORDS[440:]])
    other = " ".join(word[::-1] for word in WORDS)
    near = distance(fingerprint(text), fingerprint(edited))
    far = distance(fingerprint(text), fingerprint(other))
    assert near is not None
    assert near <= 12
    assert far is not None
    assert far >= 20


def test_texts_without_spaces_have_fingerprints_too():
    text = "".join(chr(0x4E00 + index * 37 % 3000) for index in range(2000))
    changed = text[:900] + text[960:]
    apart = distance(fingerprint(text), fingerprint(changed))
    assert apart is not None
    assert apart <= 12


def test_the_fingerprint_is_stable_between_versions():
    # Stored in databases: what is made in another way needs another first letter.
    assert fingerprint(" ".join(WORDS)) == "r61d0659a2db73adf"


def test_a_fingerprint_of_an_earlier_version_is_not_compared():
    assert distance("0261532c128a6389", fingerprint(" ".join(WORDS))) is None


# --- hostile pages ------------------------------------------------------------------------------

N = 512 * 1024
HOSTILE = {
    "nested": "<div>" * (N // 5),
    "nested lists": "<ul><li>" * (N // 8),
    "nested spans and stray ends": "<span>" * 30000 + "</u>" * 60000,
    "formatting reopened": "<p>"
    + "".join(f"<b id=a{i}>" for i in range(20000))
    + "</p><p>x</p>" * 20000,
    "formatting few tags": "<p>" + "".join(f"<b id=a{i}>" for i in range(290)) + "</p><p>x" * 290,
    "attributes": "<div " + " ".join(f"a{i}" for i in range(60000)) + ">",
    "attributes of html": "".join(f"<html a{i}>" for i in range(40000)),
    "unclosed attributes": "<a x=" * (N // 5),
    "comments": "<!--" * (N // 4),
    "comment ends": "<!-- -" * (N // 6),
    "scripts": "<script>" * (N // 8),
    "script pairs": "<script></script>" * (N // 17),
    "svg": "<svg>" * (N // 5),
    "svg ends": "<svg/>" * (N // 6) + "</svg",
    "noscript": "<noscript><noscrip " * (N // 19),
    "templates": "<template>" * (N // 10),
    "entities": "&amp;" * (N // 5),
    "one tag": "<" + "a" * N,
    "angles": "<" * N,
    "quotes": "<p class='" * (N // 10),
    "classes": "<div class='404 not-found " + "x404 " * 60000 + "'>",
    "class hints": '<div class="a404b">' * (N // 19),
    "class names": f"<div id='404Found-otfound' class='x-not-found{'a' * 530}!'>" * 300,
    "headline": '<script type="application/ld+json">' + '"headline": "' * 2000 + "\\" * 40000,
    "refresh": "<meta http-equiv=refresh content='" + "0;" * 60000 + "'>",
    "spaces": "<p>" + " " * N,
    "spaces in linked data": '<script type="application/ld+json">"@type":'.ljust(32_000)
    + "</script>",
    "titles": "<title>" + "page not found | " * 30000,
    "not found": "<h1>" + "the page was not " * 30000,
    "utf-16": "\ufeff" + "<p>x" * 1000,
    "nul": "<p>a\0b" * 1000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_page_costs_no_more_than_a_large_one(name):
    body = HOSTILE[name].encode()
    best = 9.0
    for _ in range(3):
        start = time.process_time()
        page = read_page(body, "text/html", truncated=True)
        best = min(best, time.process_time() - start)
    assert isinstance(page, PageFacts)
    assert best < 0.1


@pytest.mark.parametrize("name", ["charset=", "charset = '", "charset"])
def test_a_content_type_as_long_as_a_header_may_be_costs_next_to_nothing(name):
    start = time.process_time()
    page = read("<p>x", f"text/html; {name}".ljust(32_000) + "!")
    assert page.opening == "x"
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize("name", ["punycode", "utf_7", "unicode_escape", "IDNA"])
def test_an_encoding_that_no_browser_knows_is_not_decoded(name):
    start = time.process_time()
    page = read(
        f"<title>+AGE- \\u0061</title><p>-zzzz9b{'a' * 200_000}", f"text/html; charset={name}"
    )
    assert page.title == "+AGE- \\u0061"
    assert time.process_time() - start < 0.5


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.none() | st.text(max_size=40))
def test_reading_is_total_over_bytes(body, content_type):
    assert isinstance(read_page(body, content_type, truncated=False), PageFacts)


PIECES = st.sampled_from(
    (
        *("<title>", "</title>", "<h1>", "</h1>", "<script>", "</script>", "<svg>", "</svg>"),
        *("<!--", "-->", "<nav>", "</nav>", "<meta name=robots content=none>", "<p>", "</p>"),
        *("page not found", "<body class=error404>", "&#0;", "&#xD800;", "<", ">", '"', "\0"),
        *("<base href=x>", "<template>", "<frameset>", "<plaintext>", "ü", "未找到", "\u202e"),
    )
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_reading_is_total_over_broken_markup(html):
    page = read(html)
    assert len(page.opening) <= 2000
    assert len(page.title) <= 1000
