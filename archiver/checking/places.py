"""Where a redirect can end that is not the document: tables of hosts and paths, pure tests.

Sources: reference checking §4.2 (login, consent), §4.3 (for sale), §4.6 (home, search, 404).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from archiver.urls import bare_host, host_of, is_home, site_of, slug_words

# (host or parent domain, how the path begins; "" for any)
LOGIN_PLACES: tuple[tuple[str, str], ...] = (
    ("linkedin.com", "/authwall"),
    ("linkedin.com", "/checkpoint"),
    ("linkedin.com", "/uas/login"),
    ("linkedin.com", "/login"),
    ("facebook.com", "/login"),
    ("facebook.com", "/checkpoint"),
    ("instagram.com", "/accounts/login"),
    ("accounts.google.com", ""),
    ("login.microsoftonline.com", ""),
    ("login.live.com", ""),
    ("login.yahoo.com", ""),
    ("x.com", "/i/flow/login"),
    ("twitter.com", "/i/flow/login"),
    ("reddit.com", "/login"),
    ("myprivacy.dpgmedia.nl", ""),
)
CONSENT_PLACES: tuple[tuple[str, str], ...] = (
    ("consent.yahoo.com", ""),
    ("guce.yahoo.com", ""),
    ("guce.aol.com", ""),
    ("guce.techcrunch.com", ""),
    ("guce.engadget.com", ""),
    ("guce.huffpost.com", ""),
    ("consent.youtube.com", ""),
    ("consent.google.com", ""),
    ("myprivacy.dpgmedia.be", ""),
)
FOR_SALE_PLACES: tuple[tuple[str, str], ...] = (
    ("hugedomains.com", "/domain_profile"),
    ("dan.com", "/buy-domain"),
    ("afternic.com", "/forsale"),
    ("sedo.com", "/search"),
    ("domainmarket.com", ""),
    ("buydomains.com", ""),
    ("undeveloped.com", ""),
    ("godaddy.com", "/domainsearch"),
    ("godaddy.com", "/forsale"),
    ("parkingcrew.net", ""),
    ("sedoparking.com", ""),
    ("bodis.com", ""),
)
# Answer 200 or 400 for anything to strangers (reference checking §4.2, `ambiguous-host`).
AMBIGUOUS_HOSTS = ("x.com", "twitter.com", "facebook.com", "instagram.com")

# Reference checking §4.2, and what products call theirs: Rails' `sign_in`, WordPress' `wp-login`,
# ASP.NET's `logon.aspx` [judgement]. Without extension, `_` as `-`.
_LOGIN_SEGMENTS = frozenset(
    {
        *("login", "signin", "sign-in", "log-in", "sso", "idp", "saml", "cas", "auth", "oauth2"),
        *("oauth", "wp-login", "logon", "log-on", "authorize", "authenticate", "authentication"),
    }
)
# Walls of a site's own that ask for consent or an age [judgement: common names].
_CONSENT_SEGMENTS = frozenset(
    {
        *("consent", "cookie-consent", "gdpr-consent", "privacy-consent", "cookiewall"),
        *("cookie-wall", "privacy-wall", "privacy-gate", "zustimmung", "consentement"),
        *("age-gate", "agegate", "age-verification", "age-check"),
    }
)
_RETURN_KEYS = frozenset(
    {
        *("next", "return_to", "returnto", "returnurl", "return_url", "redirect_uri", "redirect"),
        *("redirect_url", "redirecturl", "continue", "target", "service", "relaystate", "dest"),
        *("destination", "from", "origin", "goto", "back", "backurl", "returnuri", "r", "url"),
        *("redirect_to", "redirectto", "next_url", "nexturl", "returnpath", "return_path", "ru"),
        *("callbackurl", "callback_url", "original_url", "originalurl", "success_url", "wreply"),
    }
)
_ROBOT_PATHS = re.compile(
    r"/sorry/|/(?:captcha|challenge|robot-?check|are-you-a-robot|px/captcha|blocked|tosv\d*)\b",
    re.I,
)
_NOT_FOUND_STEM = re.compile(
    r"404|410|not[-_]?found|page[-_]?not[-_]?found|error[-_]?404|404[-_]?(?:error|page)|errorpage"
    r"|error[-_]page|file[-_]?not[-_]?found|missing|seite-nicht-gefunden|pagina-no-encontrada"
    r"|page-introuvable|page-non-trouvee|pagina-niet-gevonden|pagina-non-trovata"
    r"|pagina-nao-encontrada|http[-_]?404|nicht-gefunden|non-trovata|introuvable|no-encontrado",
    re.I,
)
_NOT_FOUND_QUERY = re.compile(
    r"(?:^|[?&;])(?:aspxerrorpath=|404;|error=404|status=404|code=404|statuscode=404|err=404)", re.I
)
_SEARCH_SEGMENTS = frozenset(
    {
        *("search", "suche", "recherche", "buscar", "busca", "cerca", "ricerca", "zoeken"),
        *("sok", "szukaj", "hledat", "search-results", "searchresults", "busqueda", "pesquisa"),
        *("rechercher", "haku", "sog", "arama", "poisk", "kereses", "search.html", "search.php"),
    }
)
_SEARCH_KEYS = frozenset(
    {"s", "q", "query", "search", "keyword", "keywords", "searchterm", "wd", "search_query"}
)
_WW_HOST = re.compile(r"^ww\d{1,2}\.")


def is_at(url: str, places: tuple[tuple[str, str], ...]) -> bool:
    """Say whether an address lies at one of these places."""
    host, path = host_of(url), urlsplit(url).path.lower()
    return any(
        (host == place or host.endswith("." + place)) and path.startswith(start)
        for place, start in places
    )


def is_login(cited: str, final: str) -> bool:
    """Say whether we were sent to a login: a known one, or one that is called so."""
    if is_at(final, LOGIN_PLACES):
        return not is_at(cited, LOGIN_PLACES)
    if not _LOGIN_SEGMENTS.isdisjoint(_names(final) - _names(cited)):
        return True
    host_label = host_of(final).partition(".")[0]
    return host_label in _LOGIN_SEGMENTS and host_of(cited) != host_of(final)


def remembers(cited: str, final: str) -> bool:
    """Say whether the query of an address carries another address to come back to."""
    target = urlsplit(cited)
    wanted = target.path.rstrip("/")
    if len(wanted) < 4:
        return False
    for key, value in parse_qsl(urlsplit(final).query):
        if key.lower() in _RETURN_KEYS and wanted in unquote(value):
            return True
    return False


def is_consent(cited: str, final: str) -> bool:
    """Say whether we were sent to a consent page."""
    host = host_of(final)
    return (
        is_at(final, CONSENT_PLACES)
        or host.startswith(("guce.", "consent."))
        or "collectConsent" in final
        or not _CONSENT_SEGMENTS.isdisjoint(_names(final) - _names(cited))
    )


def is_robot_page(cited: str, final: str) -> bool:
    """Say whether we were sent to a page for robots."""
    path = urlsplit(final).path
    return bool(_ROBOT_PATHS.search(path)) and not _ROBOT_PATHS.search(urlsplit(cited).path)


def is_for_sale(cited: str, final: str) -> bool:
    """Say whether we were sent to a market for domains (class A)."""
    return is_at(final, FOR_SALE_PLACES) and not is_at(cited, FOR_SALE_PLACES)


def is_numbered_host(cited: str, final: str) -> bool:
    """Say whether we were sent to `ww1.` … `ww99.` of the cited domain, as parking services do."""
    host, before = host_of(final), host_of(cited)
    return bool(_WW_HOST.match(host)) and host != before and site_of(host) == site_of(before)


def says_not_found(cited: str, final: str) -> bool:
    """Say whether the final address says "not found" and the cited one does not."""
    parts, before = urlsplit(final), urlsplit(cited)
    if _NOT_FOUND_QUERY.search("?" + parts.query) and not _NOT_FOUND_QUERY.search(
        "?" + before.query
    ):
        return True
    return any(map(_NOT_FOUND_STEM.fullmatch, _stems(parts.path) - _stems(before.path)))


def _stems(path: str) -> set[str]:
    return {
        re.sub(r"\.[A-Za-z]{2,5}$", "", unquote(segment)) for segment in path.split("/") if segment
    }


def _names(url: str) -> set[str]:
    return {stem.lower().replace("_", "-") for stem in _stems(urlsplit(url).path)}


def _segments(url: str) -> set[str]:
    return {segment.lower() for segment in urlsplit(url).path.split("/") if segment}


def is_search(cited: str, final: str) -> bool:
    """Say whether we were sent to a search on the same site."""
    if site_of(host_of(cited)) != site_of(host_of(final)):
        return False
    if not _SEARCH_SEGMENTS.isdisjoint(_segments(final) - _segments(cited)):
        return True
    before = {key.lower() for key, _ in parse_qsl(urlsplit(cited).query)}
    gained = {key.lower() for key, _ in parse_qsl(urlsplit(final).query)} - before
    return not _SEARCH_KEYS.isdisjoint(gained)


def is_home_redirect(cited: str, final: str) -> bool:
    """Say whether we were sent from a deep address to a front page."""
    return is_home(final) and not is_home(cited)


def is_section_redirect(cited: str, final: str) -> bool:
    """Say whether we were sent from a document to a section above it (`/news/x` to `/news/`)."""
    if bare_host(host_of(cited)) != bare_host(host_of(final)):
        return False
    before, after = urlsplit(cited).path.strip("/"), urlsplit(final).path.strip("/")
    if not after or not before.startswith(after + "/"):
        return False
    # An id (longer than a year) in what is left means the same document without its slug.
    return not re.search(r"\d{5,}", after.rpartition("/")[2]) and not slug_words(final)


def is_document_path(url: str) -> bool:
    """Say whether an address looks like one document, not a front page or a section."""
    parts = urlsplit(url)
    if is_home(url):
        return False
    return bool(slug_words(url) or re.search(r"\d{3,}|\.[a-z]{3,5}$", parts.path) or parts.query)
