"""What sites say when a page is not there, for sale, or behind a wall: rows of words.

All phrases are folded (`titles.fold`: case, accents, marks and punctuation do not count).
Phrases of whole titles and headings must *equal* a segment; sentences are searched in the
opening of short pages. Long lists come from `phrases.txt`, which names its sources.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

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

# Reference checking §4.1, "generic titles" and the vendors' own, all by equality of a segment.
CHALLENGE_TITLES = frozenset(
    map(
        fold,
        (
            *("just a moment", "attention required", "access denied", "please wait"),
            *("access to this page has been denied", "pardon our interruption"),
            *("error the request could not be satisfied", "vercel security checkpoint"),
            *("the request could not be satisfied", "ddos guard", "are you a robot"),
            *("robot check", "security check", "you have been blocked", "verifying you are human"),
            *("are you human", "human verification", "bot verification", "robot challenge screen"),
            *("making sure you re not a bot", "one moment please", "checking your browser"),
            *("please verify you are a human", "security verification", "client challenge"),
            *("ddos protection", "captcha", "captcha challenge", "request rejected"),
            *("403 forbidden", "forbidden", "request blocked", "blocked", "request unsuccessful"),
            *("you are being rate limited", "rate limited", "too many requests"),
            *("429 too many requests", "sucuri website firewall", "access blocked"),
            *("unusual traffic detected", "verify you are human", "prove your humanity"),
            *("un instant", "un momento", "einen moment", "nur einen moment", "een moment geduld"),
            *("accès refusé", "zugriff verweigert", "acceso denegado", "accesso negato"),
            *("acesso negado", "toegang geweigerd", "доступ запрещен", "odmowa dostępu"),
            *("检测到异常流量", "安全验证", "访问被拒绝", "アクセスが拒否されました"),
        ),
    )
)
REGION = re.compile(
    "|".join(
        (
            r"(?:not|isn t|n t) (?:currently )?available (?:in|for|to) (?:\w+ ){0,5}"
            r"(?:region|country|location|territory|area)",
            r"unavailable (?:in|due to) (?:\w+ ){0,6}(?:region|country|location|legal reasons)",
            r"(?:european economic area|\beea\b|\bgdpr\b|european union)(?: \w+){0,25} "
            r"(?:access|available|unavailable|visitors|grant)",
            r"access (?:\w+ ){0,4}(?:cannot|can not|can t) be granted",
            r"in (?:ihrem|deinem) land nicht verfugbar",
            r"(?:n est pas|pas) disponible dans votre (?:pays|region)",
            r"no (?:esta )?disponible en (?:tu|su) (?:pais|region|ubicacion)",
            r"nao (?:esta )?disponivel (?:no seu|na sua|em seu) (?:pais|regiao)",
            r"non (?:e )?disponibile (?:nel tuo|nella tua|nel suo) (?:paese|regione)",
            r"недоступн\w+ в вашем? (?:стране|регионе)",
        )
    )
)
LOGIN_TITLES = frozenset(
    map(
        fold,
        (
            *("log in", "login", "sign in", "sign up", "log in to continue", "sign in to continue"),
            *("anmelden", "einloggen", "connexion", "se connecter", "iniciar sesión", "accedi"),
            *("inloggen", "logga in", "entrar", "вход", "войти", "ログイン", "登录", "로그인"),
            *("log in or sign up", "log in or register", "member login", "subscriber login"),
        ),
    )
)
# §4.3, class B.
FOR_SALE_TITLES = frozenset(
    map(
        fold,
        (
            *("buy this domain", "this domain is for sale", "domain for sale", "domain parking"),
            *("inquire about this domain", "domain is for sale", "this domain may be for sale"),
            *("parked domain", "domain name for sale", "this domain name is for sale"),
            *("premium domain for sale", "this website is for sale", "domain parked"),
            *("this domain is parked", "domain expired", "this domain has expired"),
            *("domain available", "diese domain steht zum verkauf", "domain kaufen"),
            *("ce domaine est à vendre", "domaine à vendre", "dominio en venta"),
            *("este dominio está en venta", "domínio à venda", "dominio in vendita"),
            *("dit domein is te koop", "domein te koop", "domena na sprzedaż", "домен продается"),
            *("домен продаётся", "этот домен продается", "此域名出售", "域名出售", "域名停靠"),
            *("parking page", "domain seized", "website expired", "hosting expired"),
        ),
    )
)
FOR_SALE_TEXT = re.compile(
    r"\b(?:may be|is|are) for sale\b|parked free|parked for free|courtesy of godaddy"
    r"|domain (?:name )?(?:has )?expired|buy this domain|purchase this domain|domain is parked"
    r"|parked domain|domain parking|registered (?:at|with|by) (?:\w+ ){1,3}and (?:is )?parked"
    r"|interested in (?:this|buying this|the) domain|make an offer on this domain"
    r"|steht zum verkauf|domain kaufen|zu verkaufen|a vendre|en venta|a venda|in vendita|te koop"
    r"|na sprzedaz|продается|domain is available for purchase|this domain is registered"
    r"|has been registered (?:\w+ ){0,4}(?:parked|customer)|domain owner|related searches"
    r"|renew (?:your|this) domain|域名出售|域名转让"
)
SUSPENDED_TITLES = frozenset(
    map(
        fold,
        (
            *("account suspended", "website suspended", "site suspended", "domain suspended"),
            *("this account has been suspended", "this site has been suspended"),
            *(
                "hosting account suspended",
                "konto gesperrt",
                "compte suspendu",
                "cuenta suspendida",
            ),
            *("site disabled", "website disabled", "account disabled"),
        ),
    )
)
DEFAULT_TITLES = re.compile(
    r"welcome to (?:nginx|caddy|openresty|tengine|lighttpd|centos|your new (?:site|website))\b.*"
    r"|apache2? (?:\w+ ){0,2}default page.*|test page for the .*|iis windows server|iis\d+"
    r"|(?:\w+ )?http server test page.*|default web ?site page|it works|placeholder page"
    r"|apache http server test page.*|plesk .*default.*|web server s default page"
    r"|(?:domain )?default page|microsoft internet information services.*|index of"
    r"|congratulations your website is (?:working|ready).*|website coming soon page"
)
MAINTENANCE_TITLES = frozenset(
    map(
        fold,
        (
            *("maintenance", "under maintenance", "site maintenance", "we'll be back soon"),
            *("maintenance mode", "site under maintenance", "scheduled maintenance", "wartung"),
            *(
                "down for maintenance",
                "website under maintenance",
                "be right back",
                "en maintenance",
            ),
            *(
                "en mantenimiento",
                "em manutenção",
                "in manutenzione",
                "onderhoud",
                "wartungsarbeiten",
            ),
            *("wartungsmodus", "техническое обслуживание", "технические работы", "メンテナンス中"),
            *("briefly unavailable for scheduled maintenance", "tymczasowa przerwa", "系统维护"),
        ),
    )
)
MAINTENANCE_TEXT = re.compile(
    r"scheduled maintenance|under maintenance|down for maintenance|maintenance mode"
)

_SEARCH_WORDS = re.compile(
    r"\b(?:search results?|results for|suchergebnisse?|resultats? (?:de recherche|pour)|no results"
    r"|resultados de (?:la )?(?:busqueda|pesquisa|busca)|risultati (?:della|di|per)|search for"
    r"|zoekresultaten|wyniki wyszukiwania|результаты поиска|検索結果|搜索结果)\b"
)


def _rows(text: str) -> frozenset[str]:
    return frozenset(phrase for row in text.split("|") if (phrase := fold(row)))


DOUBTFUL = _rows(_DOUBTFUL)
VAGUE = _rows(_VAGUE)


@cache
def _catalogue() -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the sure phrases and the sentences of `phrases.txt`, folded."""
    text = resources.files("archiver.checking").joinpath("phrases.txt").read_text("utf-8")
    sure: set[str] = set()
    sentences: list[str] = []
    for line in text.splitlines():
        kind, _, phrase = line.partition(" ")
        if kind == "=":
            sure.add(_trimmed(fold(phrase)))
        elif kind == "~":
            sentences.append(fold(phrase))
    return frozenset(sure - DOUBTFUL - VAGUE - {""}), tuple(dict.fromkeys(sentences))


@cache
def _sentence_pattern() -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(_catalogue()[1], key=len, reverse=True))))


def _trimmed(folded: str) -> str:
    """Drop what may stand around a phrase: `404`, `error`, `oops` …"""
    words = folded.split()
    while words and words[0] in _AROUND:
        del words[0]
    while words and words[-1] in _AROUND:
        del words[-1]
    return " ".join(words)


def sure_segment(text: str) -> str | None:
    """Return the segment of a title or heading that says "not found" and nothing else."""
    sure = _catalogue()[0]
    for part in (*segments(text), text):
        folded = fold(part)
        if folded in sure or _trimmed(folded) in sure:
            return folded
    return None


def doubtful_segment(text: str) -> str | None:
    """Return a segment that may speak of a missing page (a second sign is needed)."""
    for part in segments(text):
        folded = fold(part)
        if folded in DOUBTFUL or (_trimmed(folded) in DOUBTFUL and _trimmed(folded) != folded):
            return folded
        if folded and not _trimmed(folded) and ("404" in folded or "410" in folded):
            return folded
    return None


def vague_segment(text: str) -> str | None:
    """Return a segment that speaks of some error or search, about nothing in particular."""
    return next((folded for part in segments(text) if (folded := fold(part)) in VAGUE), None)


def sentence_in(text: str) -> str | None:
    """Return the sentence of a not-found page that a text contains."""
    folded = f" {fold(text)} "
    match = _sentence_pattern().search(folded) if _catalogue()[1] else None
    return match[0] if match else None


def has_segment(text: str, phrases: frozenset[str]) -> bool:
    """Say whether one segment of a title equals one of these folded phrases."""
    return any(fold(part) in phrases for part in (*segments(text), text))


def is_search_heading(text: str) -> bool:
    """Say whether a title or heading is that of a page of search results."""
    return _SEARCH_WORDS.search(fold(text)) is not None
