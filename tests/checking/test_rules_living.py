"""Living pages in the shapes that look like missing ones, and missing ones that look alive."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archiver.checking.context import Context, GoodLook, SiblingFacts
from archiver.checking.page import read_page
from archiver.checking.rules import judge, wants_probe
from archiver.model import Strength, Verdict
from tests.checking.servers import Connection, RawServer, fetching, status_line
from tests.checking.test_rules import PLAIN, POLICY, TITLE, URL, found, look

OK, BLOCKED, FAILING = Verdict.OK, Verdict.BLOCKED, Verdict.FAILING
STRONG, NONE = Strength.STRONG, Strength.NONE

SENTENCE = "The committee met on Tuesday to discuss what the members had put forward. "
# Every page below goes by another name than it is cited with, as one in twenty does.
OTHER = "<html><title>Minutes of the meeting</title><body><h1>Minutes of the meeting</h1><p>"


@pytest.mark.parametrize("context", [PLAIN, Context()])
def test_a_page_cited_on_a_numbered_host_is_not_parked(context):
    url = "https://ww2.news.example/our-work/inventory"
    for length in (1, 30, 60):
        assert found(look(OTHER + SENTENCE * length, url=url), context).verdict is OK


def test_a_site_that_moved_to_a_numbered_host_is_not_parked():
    final = "https://ww2.news.example/our-work/inventory"
    for length in (30, 60):
        assert found(look(OTHER + SENTENCE * length, final=final)).strength is NONE


@pytest.mark.parametrize("name", ["wp-image-404", "div-comment-404", "elementor-404"])
def test_the_404th_picture_or_comment_of_a_site_makes_no_page_missing(name):
    assert found(look(f'{OTHER}<div id="{name}">{SENTENCE * 5}')).verdict is OK


REFUSALS = [
    "<title>x</title><p>Request unsuccessful. Incapsula incident ID: 12",
    "<title>Access Denied</title><p>Reference #18 https://errors.edgesuite.net/18",
    "<title>Just a moment...</title><script>window._cf_chl_opt={}</script>",
    "<title>x</title><div id='px-captcha'></div>",
    "<title>Access denied</title>",
]


@pytest.mark.parametrize("html", REFUSALS)
@pytest.mark.parametrize("status", [404, 410])
def test_a_wall_that_answers_404_to_robots_is_still_a_wall(html, status):
    finding = found(look(html, status))
    assert (finding.verdict, finding.reason) == (BLOCKED, "challenge")


def test_a_404_that_says_so_beside_the_mark_of_a_guard_is_a_404():
    for title in ("Page not found", "404 Not Found"):
        html = f"<title>{title}</title><p>Request unsuccessful. Incapsula incident ID: 12"
        assert found(look(html, 404)).strength is STRONG
    assert found(look("<title>x</title><div class='g-recaptcha'></div>", 404)).strength is STRONG
    assert found(look("<title>403 Forbidden</title>", 404)).strength is STRONG


@pytest.mark.parametrize(
    "final",
    [
        "https://news.example/404?url=/2019/03/court-bans-welfare-fraud-system",
        "https://news.example/not-found?from=%2F2019%2F03%2Fcourt-bans-welfare-fraud-system",
        "https://news.example/error/404.aspx?origin=" + URL,
    ],
)
def test_a_not_found_page_that_remembers_what_was_asked_for_is_no_login(final):
    html = "<title>Page not found</title><h1>Page not found</h1>"
    assert found(look(html, final=final)).strength is STRONG
    wall = final.replace("404", "start").replace("not-found", "start")
    assert found(look("<title>Example News</title>", final=wall)).reason == "login-wall"


async def test_a_small_page_with_its_cited_title_and_a_button_to_the_front_page_is_alive():
    small = f"<title>{TITLE}</title><video src=a></video><a onclick=\"location.href='/'\">Home</a>"

    async def site(connection: Connection) -> None:
        html = small if connection.visit.target == "/films/12" else "<title>Example</title>Welcome"
        await connection.send(status_line("200 OK", "Content-Type: text/html", body=html.encode()))

    async with RawServer(site) as server, fetching() as fetcher:
        seen = await fetcher.look(server.url("/films/12"), on_page=read_page)
    assert judge(seen, PLAIN, POLICY).verdict is OK


@pytest.mark.parametrize(
    "text",
    [
        # The shell of every Blazor application, as its template has it.
        "An unhandled error has occurred. <a class=reload>Reload</a> <span>🗙</span>",
        "Oops! Something went wrong. Please try again later.",
        "Sorry, we could not connect to the server.",
        "If nothing happens, update your browser.",
        "Ein Fehler ist aufgetreten. Leider können wir Ihre Anfrage nicht bearbeiten.",
        "Une erreur est survenue.",
        "Произошла ошибка. Попробуйте позже.",
        "エラーが発生しました。",
        "Leer más",
    ],
)
def test_a_shell_with_words_of_an_error_in_it_says_nothing_of_the_document(text):
    seen = look(f"<title>Archive</title><div id=app></div><div id=error>{text}</div>")
    sibling = replace(SiblingFacts.of(seen), url=URL + "x", final_url=URL + "x")
    finding = judge(seen, replace(PLAIN, sibling=sibling), POLICY)
    assert (finding.verdict, finding.reason) == (BLOCKED, "same-for-every-url")


@pytest.mark.parametrize(
    "heading",
    [
        "We are currently performing scheduled maintenance",
        "Our site is down for maintenance",
        "We'll be right back",
        "Site temporarily unavailable",
        "Service unavailable",
        "Wir sind gleich wieder für Sie da",
        "Maintenance en cours",
        "Sitio en mantenimiento",
        "Serwis chwilowo niedostępny",
        "Ведутся технические работы",
        "ただいまメンテナンス中です",
        "서비스 점검 중입니다",
        "Sitemiz bakımdadır",
    ],
)
def test_a_site_at_work_that_sends_every_visitor_to_its_front_page_is_not_gone(heading):
    for html in (
        f"<title>{heading}</title><p>This page is not available right now.",
        f"<title>Example News</title><h1>{heading}</h1><p>Please come back in a few days.",
    ):
        finding = found(look(html, final="https://news.example/"))
        assert (finding.reason, finding.strength) == ("maintenance", NONE)


def test_a_not_found_page_that_may_be_temporarily_unavailable_is_not_found():
    # The words of IIS.
    html = (
        "<title>404 - File or directory not found.</title><h1>Server Error</h1><h2>404 - File or"
        " directory not found.</h2><p>The resource you are looking for might have been removed, had"
        " its name changed, or is temporarily unavailable."
    )
    assert found(look(html)).strength is STRONG


@pytest.mark.parametrize(
    "text",
    [
        "This page can't be found in your country",
        "Diese Seite ist in Ihrer Region nicht verfügbar",
        "Diese Seite ist in Ihrem Land leider nicht verfügbar",
        "Cette page n'est pas disponible dans votre zone géographique",
        "Este contenido no se encuentra disponible en su país",
        "Questa pagina non è disponibile nella tua area geografica",
        "Deze pagina is niet beschikbaar in uw land",
        "Denna sida finns inte tillgänglig i ditt land",
        "Ta strona nie jest dostępna w Twoim kraju",
        "Tato stránka není k dispozici ve vaší zemi",
        "Ez az oldal nem érhető el az Ön országában",
        "Bu sayfa ülkenizde mevcut değil",
        "Данная страница недоступна в вашей стране",
        "Ця сторінка недоступна у вашій країні",
        "Halaman ini tidak tersedia di negara Anda",
        "Nội dung này không có ở quốc gia của bạn",
        "该内容在您所在的地区无法访问",
        "현재 국가에서는 이 콘텐츠를 이용할 수 없습니다",
    ],
)
def test_what_is_missing_in_the_readers_country_is_there_for_others(text):
    for html in (f"<title>Portal</title><h1>{text}</h1>", f"<title>Portal</title><p>{text}."):
        finding = found(look(html))
        assert (finding.verdict, finding.reason) == (BLOCKED, "region-locked")


def test_a_not_found_page_that_asks_for_the_readers_country_is_gone():
    html = "<title>Page not found</title><p>Page not found. See our offers in your country."
    assert found(look(html)).strength is STRONG


@pytest.mark.parametrize(
    "text",
    [
        "This content is not available in English",
        "This page is not available in your language",
        "The document is not available online in the selected language",
        "Cette page n'est pas disponible en français",
        "Dieses Dokument ist in deutscher Sprache nicht verfügbar",
        "Esta página no está disponible en inglés",
        "Denne siden er ikke tilgjengelig på engelsk",
        "Страница недоступна на русском языке",
    ],
)
def test_a_page_without_a_translation_is_there(text):
    for html in (f"<title>Portal</title><h1>{text}</h1>", f"<title>Portal</title><p>{text}."):
        assert found(look(html)).verdict is OK


@pytest.mark.parametrize(
    "text",
    [
        "The page you are trying to access is restricted to members. Please sign in to continue.",
        "The page you requested requires a subscription.",
        "The page you are trying to view is only available to logged in users.",
        "The document you requested is reserved for subscribers.",
    ],
)
def test_a_page_for_members_is_behind_a_wall_not_gone(text):
    finding = found(look(f"<title>Members Area</title><p>{text}"))
    assert (finding.verdict, finding.reason) == (BLOCKED, "login-wall")


def test_a_not_found_page_that_offers_a_login_is_gone():
    html = "<title>Page not found</title><p>Sign in to continue, or go back to the front page."
    assert found(look(html)).strength is STRONG


@pytest.mark.parametrize("title", ["Gone", "Lost (2018)", "Removed | Eric Example"])
def test_a_work_that_is_called_like_a_missing_page_is_there(title):
    name = title.split()[0]
    html = f"<title>{name}</title><h1>{name}</h1><p>{SENTENCE * 5}"
    assert found(look(html), Context(cited_titles=(title,))).verdict is OK


def test_a_site_may_be_called_404():
    html = f"<title>Minutes of the meeting | 404 Media</title><p>{SENTENCE * 5}"
    assert found(look(html, url="https://www.404media.co/minutes-of-the/")).verdict is OK
    assert found(look(html)).strength is STRONG


@pytest.mark.parametrize(
    "html",
    [
        '<div id="not-found" hidden><h1>Page not found</h1></div>',
        '<div class="page-404" style="display:none"><h2>Page not found</h2></div>',
        '<div class="wrap" style="color: red; display: none"><p class="not-found">Page not found',
        '<section ng-show="missing"><h1>Page not found</h1></section>',
        '<div v-if="missing"><div hidden>Sorry</div><h1>Page not found</h1></div>',
    ],
)
def test_a_not_found_message_that_an_application_keeps_hidden_is_not_said(html):
    for title in (TITLE, "Example News"):
        finding = found(look(f"<title>{title}</title><body><div id=app></div>{html}"))
        assert finding.verdict is OK


def test_a_page_that_stays_hidden_until_its_scripts_have_run_is_read():
    html = f"<title>x</title><body><div style='display:none'><h1>{TITLE}</h1>{SENTENCE * 9}</div>"
    assert found(look(html)).verdict is OK
    assert look(html).page.headings == (TITLE,)


@pytest.mark.parametrize(
    "html",
    [
        "<script src=/aes.js></script><script>cookie='__test='+slowAES.decrypt(c,a,b)</script>",
        "<script>var arg1='A1';setCookie('acw_sc__v2',x);location.reload()</script>",
        "<title>You are being redirected...</title><script>sucuri_cloudproxy_js='';</script>",
        "<meta http-equiv=refresh content='0;/.well-known/sgcaptcha/?r=%2F'>",
        "<script>window['bobcmn']='10'</script><script src='/TSPD/08?type=10'></script>",
        "<div id=sec-if-cpt-container></div><script src=/x></script>",
        "<script src='/__qrator/qauth.js'></script>",
    ],
)
def test_a_guard_without_a_word_where_a_text_was_before_is_a_wall(html):
    seen = look(f"<html><head>{html}</head><body></body></html>")
    sibling = replace(SiblingFacts.of(seen), url=URL + "x", final_url=URL + "x")
    before = replace(PLAIN, sibling=sibling, last_good=GoodLook(TITLE, "", 5000))
    assert not wants_probe(seen, PLAIN, POLICY)
    assert judge(seen, before, POLICY).reason == "challenge"


@pytest.mark.parametrize(
    ("reason", "final"),
    [
        ("consent-wall", "https://consent.yahoo.com/v2/collectConsent?sessionId=1"),
        ("login-wall", "https://accounts.google.com/v3/signin"),
    ],
)
def test_a_404_of_a_known_wall_is_none_of_the_document(reason, final):
    assert found(look("<title>Error</title>", 404, final=final)).reason == reason
    assert found(look("<title>Error</title>", 404, final="https://news.example/login")).is_bad
    assert found(look("<title>Error</title>", 404, url=final)).is_bad


@pytest.mark.parametrize(
    ("reason", "wall"),
    [
        ("login-wall", "/users/sign_in"),
        ("login-wall", "/wp-login.php?reauth=1"),
        ("login-wall", "/account/logon.aspx"),
        ("login-wall", "/start?returnPath=/2019/03/court-bans-welfare-fraud-system"),
        ("login-wall", "/gdpr/?next_url=/2019/03/court-bans-welfare-fraud-system"),
        ("consent-wall", "/cookie-consent"),
        ("consent-wall", "/age_gate.php?x=1"),
    ],
)
def test_a_site_that_puts_up_a_wall_for_everybody_is_not_gone(reason, wall):
    final = "https://news.example" + wall
    html = f"<title>Example News</title><h1>Welcome back</h1><p>{SENTENCE * 8}"
    seen = look(html, final=final)
    sibling = replace(SiblingFacts.of(seen), url=URL + "x")
    before = replace(PLAIN, sibling=sibling, last_good=GoodLook(TITLE, "", 5000))
    assert not wants_probe(seen, PLAIN, POLICY)
    assert judge(seen, before, POLICY).reason == reason


@pytest.mark.parametrize(
    "title",
    [
        "Article 13 has been removed from the AI Act",
        "Artikel 17 wurde entfernt",
        "El artículo 28 ha sido eliminado",
    ],
)
def test_an_article_of_a_law_that_was_removed_is_no_page(title):
    assert found(look(f"<title>{title}</title><h1>{title}</h1><p>{SENTENCE * 5}")).verdict is OK
    gone = "Article 48213 has been removed"
    assert found(look(f"<title>{gone}</title><h1>{gone}</h1>")).strength is STRONG


@pytest.mark.parametrize(
    "guard",
    [
        "<script>document.cookie='seen=1';location.reload()</script>",
        "<noscript>Please turn JavaScript on and reload the page.</noscript>",
        "<p>Enable cookies to continue",
    ],
)
def test_a_page_without_a_title_or_a_word_is_no_other_text_than_the_one_before(guard):
    seen = look(f"<html><head></head><body>{guard}</body></html>")
    sibling = replace(SiblingFacts.of(seen), url=URL + "x", final_url=URL + "x")
    before = replace(PLAIN, sibling=sibling, last_good=GoodLook(TITLE, "", 5000))
    finding = judge(seen, before, POLICY)
    assert (finding.verdict, finding.reason) == (BLOCKED, "same-for-every-url")


@pytest.mark.parametrize(
    "final", ["https://product.example/", "https://news.example/de/", "https://news.example/2019/"]
)
def test_a_page_that_alone_is_sent_to_a_short_front_page_is_not_gone(final):
    seen = look("<title>Product</title><h1>Product</h1><p>Try it now.", final=final)
    assert wants_probe(seen, PLAIN, POLICY)
    missing = SiblingFacts(URL + "x", 404, URL + "x")
    assert found(seen, replace(PLAIN, sibling=missing)).verdict is OK
    every = replace(SiblingFacts.of(seen), url=URL + "x")
    assert found(seen, replace(PLAIN, sibling=every)).strength is STRONG


@pytest.mark.parametrize(
    "title",
    [
        "The Missing Link",
        "The Missing Article",
        "Missing Pages",
        "The Missing File",
        "Missing persons report",
        "The missing video",
    ],
)
def test_a_headline_about_something_missing_is_a_headline(title):
    html = f"<title>{title} | Example</title><h1>{title}</h1><p>"
    for length in (5, 60):
        assert found(look(html + SENTENCE * length)).verdict is OK


def test_a_page_that_is_missing_is_gone():
    for title in ("This page is missing", "The article seems to be missing", "Missing page"):
        assert found(look(f"<title>{title}</title><h1>{title}</h1>")).strength is STRONG


@pytest.mark.parametrize("content_type", ["application/rss+xml", "text/xml", "text/html"])
def test_a_feed_is_a_document_whatever_it_is_titled(content_type):
    for start in ("<rss version='2.0'><channel>", "<feed xmlns='http://www.w3.org/2005/Atom'>"):
        feed = f"<?xml version='1.0'?>\n{start}<title>Page not found</title><link>/x</link>"
        page = read_page(feed.encode(), content_type, truncated=False)
        assert found(replace(look(), page=page)).verdict is OK


@pytest.mark.parametrize("final", ["/error?url=", "/oops?from=", "/?redirect=", "/start?back="])
def test_a_page_that_says_it_is_missing_is_no_login_for_remembering_what_was_asked_for(final):
    html = "<title>Page not found</title><h1>Page not found</h1>"
    address = "https://news.example" + final + "/2019/03/court-bans-welfare-fraud-system"
    assert found(look(html, final=address)).strength is STRONG
    assert found(look("<title>Example News</title>", final=address)).reason == "login-wall"


@pytest.mark.parametrize(
    "script",
    [
        "<script>window['bobcmn']='10'</script><script src='/TSPD/08?type=10'></script>",
        "<script src='/__qrator/qauth.js'></script>",
    ],
)
def test_the_script_that_a_guard_puts_into_every_page_makes_no_wall_of_one_with_words(script):
    gone = f"<title>Page not found</title>{script}<h1>Page not found</h1>"
    assert found(look(gone)).strength is STRONG
    assert (
        found(look(f"<title>Example</title>{script}<p>Take another way.", 404)).strength is STRONG
    )
    assert found(look(f"{OTHER}{SENTENCE * 9}{script}")).verdict is OK
    assert found(look(script)).reason == "challenge"


@pytest.mark.parametrize(
    "text",
    [
        "We and our partners ask for your consent to store information on a device",
        "Mit Werbung weiterlesen: ohne Tracking nur mit Abo",
        "Subscribe to read. Unlimited access for 1 euro.",
        "Your browser is not supported. Please upgrade.",
        "Please enable JavaScript and cookies. Ray ID 123",
        "You are now in line. Estimated time in the queue: 3 minutes",
        "It looks like you are using a VPN",
        "Checking if the site connection is secure",
        "Vérification de votre navigateur",
        "Select your region",
    ],
)
def test_what_a_site_shows_every_stranger_first_is_no_other_text_than_the_one_before(text):
    seen = look(f"<title>Example News</title><p>{text}")
    sibling = replace(SiblingFacts.of(seen), url=URL + "x", final_url=URL + "x")
    before = replace(PLAIN, sibling=sibling, last_good=GoodLook(TITLE, "", 5000))
    finding = judge(seen, before, POLICY)
    assert (finding.verdict, finding.reason) == (BLOCKED, "same-for-every-url")


@pytest.mark.parametrize(
    "html",
    [
        "<br /><b>Fatal error</b>:  Uncaught Error: Call to undefined function get_header()",
        "<title>Error</title><p>There has been a critical error on this website.",
    ],
)
def test_an_application_that_breaks_on_every_page_is_broken_not_gone(html):
    seen = look(html)
    sibling = replace(SiblingFacts.of(seen), url=URL + "x", final_url=URL + "x")
    before = replace(PLAIN, sibling=sibling, last_good=GoodLook(TITLE, "", 5000))
    finding = judge(seen, before, POLICY)
    assert (finding.reason, finding.strength) == ("app-error", NONE)
