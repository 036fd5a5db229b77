"""The pages of the small web: articles, not-found pages, walls, parked domains.

Every text is written for this project. Articles are made from their title, so that no two
sites show the same text; walls and parking pages carry only the marks that reference checking
§4 names for their kind. Each function returns bytes or HTML as text, nothing knows of a socket.
"""

from __future__ import annotations

import gzip
import random
import zlib
from html import escape

_OPENINGS = (
    "The first papers on “{subject}” reached the council on a wet Tuesday, in two grey boxes.",
    "Nobody at the evening session expected that “{subject}” would fill the gallery.",
    "For eleven years the question behind “{subject}” had been put off by every committee.",
    "A clerk's note, found in a drawer, is where the story of “{subject}” begins.",
    "When the ferry company opened its books, “{subject}” stopped being a rumour.",
    "Three people who were in the room describe how “{subject}” came about.",
)
_SENTENCES = (
    "The auditors counted {number} invoices that named no supplier and no day of delivery.",
    "A spokeswoman for the harbour board said that the minutes would be published in full.",
    "Two members of the board had sat on the other side of the table only a year before.",
    "The contract ran for {number} months and could be prolonged without a new tender.",
    "Residents of the lower town had complained about the pumps since the spring flood.",
    "According to the register, the company was founded {number} days before the bid.",
    "The ministry answered the written question with a single paragraph.",
    "None of the engineers we spoke to had seen the final drawings.",
    "A second opinion, paid for by the union, put the cost at {number} million.",
    "The court dismissed the first complaint and allowed the second in part.",
    "Letters between the two offices show that the date had been agreed in advance.",
    "The lighthouse keeper kept a diary, and its pages for that week are missing.",
    "By the end of the hearing {number} witnesses had been named and nine had been heard.",
    "The regional bank confirmed the loan but declined to say who had guaranteed it.",
    "What remained of the archive was moved to a school hall and catalogued by hand.",
    "Opposition members left the chamber before the vote and returned for the anthem.",
    "The price of the land rose fourfold in the {number} weeks before the announcement.",
    "An earlier inquiry had used the same figures and come to the contrary result.",
    "The mayor has denied that the dinner took place; the restaurant has kept the bill.",
    "Only one newspaper sent a reporter, and her account differs from the official one.",
    "The new rules came into force at midnight, {number} hours after they were printed.",
    "Fishermen along the northern pier say they were never asked to sign anything.",
    "The report lists {number} recommendations, of which four have been carried out.",
    "Its author has since moved abroad and answers questions by post.",
)
_NEWS_STYLE = "body{font:1rem/1.5 Georgia,serif;max-width:42rem;margin:2rem auto}"


def document(title: str, body: str, head: str = "", language: str = "en") -> str:
    """Return a whole HTML document; `title` is escaped, `head` and `body` are markup."""
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>{head}</head>\n<body>{body}</body></html>\n"
    )


def prose(title: str, paragraphs: int = 6) -> str:
    """Return paragraphs about a title, always the same for the same title."""
    choice = random.Random(zlib.crc32(title.encode()))
    texts = [choice.choice(_OPENINGS).format(subject=title)]
    sentences = list(_SENTENCES)
    choice.shuffle(sentences)
    per_paragraph = len(sentences) // paragraphs
    for start in range(0, paragraphs * per_paragraph, per_paragraph):
        chosen = sentences[start : start + per_paragraph]
        texts.append(" ".join(line.format(number=choice.randint(7, 97)) for line in chosen))
    return "".join(f"<p>{escape(text)}</p>\n" for text in texts)


def article(title: str, publisher: str, *, more: str = "", page_title: str | None = None) -> str:
    """Return a newspaper article that carries its title where newspapers put it."""
    shown = f"{title} | {publisher}" if page_title is None else page_title
    head = (
        f'<meta property="og:type" content="article">'
        f'<meta property="og:title" content="{escape(title)}">'
        f'<meta property="og:site_name" content="{escape(publisher)}">'
        f"<style>{_NEWS_STYLE}</style>"
    )
    body = (
        f'<header><a href="/">{escape(publisher)}</a> <nav><a href="/news">News</a> '
        f'<a href="/letters">Letters</a></nav></header>\n'
        f"<main><article><h1>{escape(title)}</h1>\n<p><time>09:40</time> By our own reporter</p>\n"
        f"{prose(title)}{more}</article></main>\n<footer>Printed in the lower town.</footer>"
    )
    return document(shown, body, head)


def translated_article(title: str, language: str, paragraphs: tuple[str, ...]) -> str:
    """Return an article in another language from its own sentences."""
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    body = f"<main><article><h1>{escape(title)}</h1>{text * 3}</article></main>"
    return document(title, body, language=language)


def short(title: str) -> str:
    """Return a page that says little more than its title."""
    return document(title, f"<h1>{escape(title)}</h1><p>See the printed edition.</p>")


def home(publisher: str) -> str:
    """Return a front page: many teasers, no article."""
    choice = random.Random(zlib.crc32(publisher.encode()))
    lines = choice.sample(_SENTENCES, 12)
    texts = [escape(line.format(number=choice.randint(7, 97))) for line in lines]
    teasers = "".join(f'<li><a href="/story/{n}">{text}</a></li>' for n, text in enumerate(texts))
    body = f"<header><h1>{escape(publisher)}</h1></header><main><ul>{teasers}</ul></main>"
    return document(f"{publisher} - Home", body)


def another_page() -> str:
    """Return what a lapsed domain's new owner may put in place of an article: nothing alike."""
    offers = (
        "Spin the golden wheel tonight and collect forty free rounds on every deposit.",
        "Our live tables are open around the clock with friendly dealers in nine languages.",
        "Compare welcome bonuses, read player reviews and learn which slots pay the most.",
        "Blackjack, roulette and baccarat strategies explained by seasoned gamblers.",
        "Fast withdrawals to your wallet, card or bank account within twelve minutes.",
        "Join the weekly tournament and climb the leaderboard for a share of the jackpot.",
        "Every new member receives a loyalty card, a personal host and a birthday gift.",
        "Sports fans will find odds on football, tennis, darts and greyhound racing.",
    )
    text = "".join(
        f"<section><h2>Offer {n}</h2><p>{offer}</p></section>" for n, offer in enumerate(offers)
    )
    return document("Lucky Wheel Casino Guide: best bonuses of the season", f"<main>{text}</main>")


# Reference checking §4.5, "Sure": the words a site of that language puts in title and heading.
NOT_FOUND_PHRASES = {
    "en": ("Page not found", "Sorry, the page you are looking for does not exist."),
    "de": ("Seite nicht gefunden", "Diese Adresse führt zu keinem Dokument mehr."),
    "fr": ("Page non trouvée", "Le document demandé n'est plus sur ce site."),
    "es": ("Página no encontrada", "El documento que busca ya no está en este sitio."),
    "ru": ("Страница не найдена", "Запрошенного документа на сайте больше нет."),
    "ja": ("ページが見つかりません", "お探しの文書はこのサイトにありません。"),
    "ar": ("تعذر العثور على الصفحة", "المستند المطلوب غير موجود في هذا الموقع."),
    "pl": ("Strona nie została znaleziona", "Szukanego dokumentu nie ma w tym serwisie."),
}


def not_found(publisher: str, language: str = "en") -> str:
    """Return a short not-found page in one of the languages of `NOT_FOUND_PHRASES`."""
    phrase, sentence = NOT_FOUND_PHRASES[language]
    body = (
        f'<main><h1>{phrase}</h1><p>{sentence}</p><p><a href="/">{escape(publisher)}</a></p></main>'
    )
    return document(f"{phrase} - {publisher}", body, language=language)


def search(publisher: str, words: str) -> str:
    """Return a search page that echoes the words it was asked for and found nothing."""
    body = (
        f"<main><h1>Search results for “{escape(words)}”</h1>"
        f"<form><input name=q value='{escape(words, quote=True)}'></form>"
        f"<p>No results.</p></main>"
    )
    return document(f"Search: {words} - {publisher}", body)


def login(publisher: str) -> str:
    """Return a log-in form."""
    body = (
        "<main><h1>Sign in</h1><form method=post><input name=user><input name=password "
        "type=password><button>Sign in</button></form></main>"
    )
    return document(f"Sign in - {publisher}", body)


def consent(publisher: str) -> str:
    """Return a consent form that stands before the page."""
    body = (
        f"<main><h1>Before you go on</h1><p>{escape(publisher)} and its 847 partners keep cookies "
        "on your device.</p><form method=post><button>Accept all</button></form></main>"
    )
    return document(f"Your choices - {publisher}", body)


def wall(title: str, body: str, head: str = "") -> str:
    """Return a short page of a bot wall: a title, marks in head and body, little text."""
    return document(title, body, head)


JUST_A_MOMENT = wall(
    "Just a moment...",
    "<h1>Checking that the site connection is secure</h1>"
    "<script>window._cf_chl_opt={cvId:'3'};</script>",
    '<meta name="robots" content="noindex,nofollow">',
)
CLOUDFLARE_BLOCK = wall(
    "Attention Required! | Cloudflare",
    "<h1>Sorry, you have been blocked</h1><p>error code: 1020</p>",
)
AKAMAI = wall(
    "Access Denied",
    "<h1>Access Denied</h1><p>You don't have permission to access this document.</p>"
    "<p>Reference&#32;&#35;18.6a1b2c3d.1700000000.4e5f</p>"
    "<p>https://errors.edgesuite.net/18.6a1b2c3d.1700000000.4e5f</p>",
)
DATADOME = wall(
    "harbour-ledger",
    "<p>Please enable JS and disable any ad blocker</p>"
    "<script src='https://ct.captcha-delivery.com/c.js'></script>",
)
PERIMETERX = wall(
    "Access to this page has been denied",
    "<h1>Press &amp; Hold to confirm you are a human</h1><div id='px-captcha'></div>"
    "<script>window._pxAppId='PX0000';</script>",
)
IMPERVA = wall(
    "Pardon Our Interruption",
    "<h1>Pardon Our Interruption</h1><p>Something about your browser made us think you were a "
    "bot. Incapsula incident ID: 1-2-3</p><script src='/_Incapsula_Resource?x=1'></script>",
)
ANUBIS = wall(
    "Making sure you're not a bot!",
    "<h1>Making sure you're not a bot!</h1><script id='anubis_challenge' "
    "type='application/json'>{}</script><script src='/.within.website/x/cmd/anubis/static/js/"
    "main.mjs'></script>",
)
VERCEL = wall("Vercel Security Checkpoint", "<p>We're verifying your browser</p>")
CLOUDFRONT = wall(
    "ERROR: The request could not be satisfied",
    "<h1>403 ERROR</h1><h2>The request could not be satisfied.</h2><p>Request blocked.</p>",
)
SUCURI = wall(
    "Sucuri WebSite Firewall - Access Denied",
    "<h1>Sucuri WebSite Firewall - Access Denied</h1><p>Block reason: bot access.</p>",
)
ROBOT_CHECK = wall(
    "Robot Check",
    "<h1>Enter the characters you see below</h1><div class='g-recaptcha' data-sitekey='0'></div>",
)
REGION = wall(
    "Not available in your region",
    "<h1>Not available in your region</h1><p>We cannot show this content to readers in the EEA "
    "because of the GDPR.</p>",
)
SHELL = (
    "<!doctype html><html lang=en><head><meta charset=utf-8><title>Harbour Reader</title>"
    "<script defer src='/static/main.4f1c2.js'></script></head>"
    "<body><noscript>You need to enable JavaScript to run this app.</noscript>"
    "<div id='root'></div></body></html>"
)
PARKED = document(
    "parked-domain.example",
    "<h1>parked-domain.example</h1><p>Related searches</p><ul><li>Harbour tours</li>"
    '<li>Boat insurance</li></ul><script>window.park = "eyJ1dWlkIjoiMCJ9";</script>',
)
LANDER = (
    "<!DOCTYPE html><html><head><script>"
    'window.onload=function(){window.location.href="/lander"}'
    "</script></head></html>"
)
FOR_SALE = document(
    "tidewater-gazette.example - This domain is for sale",
    "<h1>This domain is for sale</h1><p>tidewater-gazette.example may be for sale. Inquire about "
    "this domain with the broker of your choice.</p>",
)
NGINX = document(
    "Welcome to nginx!",
    "<h1>Welcome to nginx!</h1><p>If you see this page, the web server is working. Further "
    "configuration is required.</p>",
)
SUSPENDED = document(
    "Account Suspended",
    "<h1>Account Suspended</h1><p>This account has been suspended. Contact your hosting provider "
    "for more information.</p>",
)
MAINTENANCE = document(
    "Maintenance",
    "<h1>Briefly unavailable for scheduled maintenance. Check back in a minute.</h1>",
)
DATABASE_ERROR = document("Database Error", "<h1>Error establishing a database connection</h1>")
SERVER_ERROR = document("500 Internal Server Error", "<h1>Internal Server Error</h1>")
BAD_GATEWAY = document("502 Bad Gateway", "<h1>502 Bad Gateway</h1><hr>nginx")
WEB_SERVER_DOWN = document("521: Web server is down", "<h1>Web server is down</h1><p>521</p>")
TUNNEL_ERROR = document("Tunnel error", "<h1>Tunnel error</h1><p>error code: 1033</p>")
RATE_LIMITED = document("Too Many Requests", "<h1>Too Many Requests</h1>")
FORBIDDEN = document("403 Forbidden", "<h1>Forbidden</h1>")
FILE_LIST = document(
    "Index of /minutes/2011",
    "<h1>Index of /minutes/2011</h1><pre><a href='january.txt'>january.txt</a>  "
    "<a href='march.txt'>march.txt</a></pre>",
)


def pdf(title: str) -> bytes:
    """Return a small valid PDF of one page that shows a title."""
    safe = title.replace("\\", "").replace("(", "").replace(")", "").encode("latin-1", "replace")
    stream = b"BT /F1 18 Tf 40 700 Td (" + safe + b") Tj ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    return out + b"xref\n0 6\n0000000000 65535 f \n" + table + end


def bomb(page: str, size: int = 32 * 1024 * 1024) -> bytes:
    """Return a page followed by `size` blanks, compressed to a thousandth of that."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [compressor.compress(page.encode())]
    blanks = b" " * (1024 * 1024)
    parts += [compressor.compress(blanks) for _ in range(size // len(blanks))]
    return b"".join([*parts, compressor.flush()])


def compressed(page: str) -> bytes:
    """Return a page as gzip."""
    return gzip.compress(page.encode(), mtime=0)
