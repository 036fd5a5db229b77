"""How walls speak: challenges, refusals, logins, regions. All texts are folded (`titles.fold`).

A wall says nothing about the document behind it, so every rule of these stands before the rules
that say *gone* (design §5, "blocked").
"""

from __future__ import annotations

import re
from functools import cache

from archiver.checking.phrases import catalogue_rows
from archiver.checking.titles import fold, segments

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
            *("request blocked", "blocked", "request unsuccessful", "access blocked"),
            *("you are being rate limited", "rate limited", "sucuri website firewall"),
            *("unusual traffic detected", "verify you are human", "prove your humanity"),
            *("un instant", "un momento", "einen moment", "nur einen moment", "een moment geduld"),
            *("accès refusé", "zugriff verweigert", "acceso denegado", "accesso negato"),
            *("acesso negado", "toegang geweigerd", "доступ запрещен", "odmowa dostępu"),
            *("检测到异常流量", "安全验证", "访问被拒绝", "アクセスが拒否されました"),
        ),
    )
)
# A title that only repeats its status names no wall: with that status the status is the reason.
STATUS_TITLES = frozenset(
    {"403 forbidden", "forbidden", "too many requests", "429 too many requests"}
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
# "In your country", by one row a language: what is missing there is there for others
# [judgement: common wording].
_YOUR_PLACE = re.compile(
    "|".join(
        (
            r"(?:in|for|from|to|at) your (?:\w+ )?(?:country|region|location|territory|area|state)",
            r"(?:in|fur|aus|an) (?:ihre|deine)[mrs]? (?:\w+ )?(?:land|region|standort|gebiet)",
            r"(?:dans|depuis|pour) votre (?:\w+ )?(?:pays|region|territoire|zone|localisation)",
            r"(?:en|desde|para) (?:tu|su) (?:\w+ )?(?:pais|region|ubicacion|zona|territorio)",
            r"\b(?:no|na|em|para) (?:o |a )?(?:seu|sua|teu|tua) (?:pais|regiao|localizacao|area)",
            r"(?:nel|nella|dal|dalla) (?:tu[oa]|su[oa]|vostr[oa]) (?:paese|regione|zona|area)",
            r"(?:in|voor|vanuit) (?:uw|je|jouw) (?:land|regio|locatie|gebied)",
            r"\b(?:i|for|fran|fra) (?:ditt|ert|dit|din|jeres|deres) (?:land|region|omrade)",
            r"w (?:twoim|twojej|panstwa) (?:kraju|regionie|lokalizacji)",
            r"\bve? (?:vas\w+|tve\w*) (?:zemi|regionu|oblasti|krajine|regione)",
            r"orszag(?:od|a)ban|regio(?:d|ja)ban|in (?:tara|regiunea) (?:ta|dvs|dumneavoastra)",
            r"(?:ulke|bolge|konum)(?:niz|nuz|n)(?:de|da)\b|maassa(?:si|nne)|aluee?lla(?:si|nne)",
            r"(?:в|для) ваш\w+ (?:стран\w+|регион\w+|местоположен\w+|территори\w+)",
            r"[ву] ваш\w+ (?:краіні|регіоні)|(?:quoc gia|khu vuc) cua (?:ban|quy khach)",
            r"di (?:negara|wilayah|lokasi|daerah|kawasan) (?:anda|kamu)",
            *map(fold, ("στη χώρα σας", "στην περιοχή σας", "في بلدك", "في منطقتك", "במדינתך")),
            *map(fold, ("במדינה שלך", "באזורך", "در کشور شما", "お住まいの", "您所在", "你所在")),
            *map(fold, ("您的国家", "您的地区", "您的國家", "您的地區", "현재 국가", "현재 지역")),
            *map(fold, ("귀하의 국가", "해당 국가", "해당 지역", "ในประเทศของคุณ")),
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

# A page for members says so in the words of a not-found page: "the page you are trying to view …"
# [judgement: common wording].
_MEMBERS = re.compile(
    "|".join(
        (
            r"(?:restricted|available|reserved|accessible) (?:\w+ )?(?:to|for) (?:\w+ ){0,2}"
            r"(?:members|subscribers|registered|logged in|authori[sz]ed|employees|customers)",
            r"requires? (?:an? |you to )?(?:\w+ )?(?:log ?in|sign ?in|password|subscription|account"
            r"|authentication|registration)|(?:log|sign) ?in to (?:continue|view|access|see|read)",
            r"(?:must|need to|have to) (?:be )?(?:log|sign)(?:ged|ned)? ?in",
            r"(?:members|subscribers) only|nur fur (?:mitglieder|abonnenten|angemeldete)",
            r"(?:reserve|reservee|reservad[oa]|riservat[oa])s? "
            r"(?:aux?|a|para|agli|ai) (?:\w+ )?(?:abonnes|membres|suscriptores|socios|assinantes"
            r"|abbonati|soci)",
        )
    )
)
# What a refusal says on a short page, wherever it stands; [judgement: common wording].
_REFUSAL = re.compile(
    "|".join(
        (
            r"captcha",
            r"(?:not|n t|nicht|kein|keine|pas|no|non|niet|geen|nao|не|nie|degil\w*|inte|ikke|ei) "
            r"(?:\w+ ){0,2}(?:ro?boter|ro?bots?|робот\w*)",
            r"automated (?:access|queries|requests|traffic|activity)",
            r"suspicious (?:activity|traffic)",
            r"unusual (?:\w+ )?(?:traffic|activity)|verif(?:y|ying) (?:that )?you|bot protection",
            r"access (?:\w+ ){0,4}(?:denied|restricted|limited|blocked|forbidden|refused)",
            r"(?:permission denied|have permission|not authori[sz]ed|unauthori[sz]ed|forbidden)",
            r"(?:your|this) ip (?:address )?(?:\w+ ){0,3}(?:blocked|banned|blacklisted)",
            r"zugriff (?:\w+ ){0,3}(?:verweigert|gesperrt|nicht erlaubt)|keine berechtigung",
            r"acces (?:\w+ ){0,3}(?:refuse|interdit|bloque|limite)|pas autorise",
            r"acceso (?:\w+ ){0,3}(?:denegado|restringido|bloqueado)|no tiene permiso",
            r"acesso (?:\w+ ){0,3}(?:negado|restrito|bloqueado)",
            r"accesso (?:\w+ ){0,2}(?:negato|vietato)|atkomst nekad|ingen tilgang",
            r"toegang (?:\w+ ){0,2}(?:geweigerd|ontzegd)|adgang naegtet",
            r"доступ (?:\w+ ){0,4}(?:ограничен|запрещен|заблокирован|заборонено|обмежено|закрыт)",
            r"odmowa dostepu|brak dostepu|dostep (?:\w+ ){0,2}(?:zablokowany|zabroniony)",
            r"pristup (?:\w+ ){0,2}(?:odepren|zakazan|zabranjen|odbijen)|hozzaferes megtagadva",
            r"erisim(?:iniz)? (?:\w+ ){0,3}(?:engellen\w+|reddedildi|kisitlan\w+)",
            r"truy cap bi tu choi|akses ditolak|acces (?:interzis|respins)",
        )
    )
)
_REFUSAL_DENSE = re.compile(
    "|".join(
        map(
            fold,
            (
                *("验证码", "人机验证", "机器人", "访问受限", "访问被拒绝", "拒绝访问", "禁止访问"),
                *("安全验证", "異常流量", "拒絕存取", "ロボットではありません", "アクセスが拒否"),
                *("アクセスが制限", "アクセス拒否", "접근이 거부", "접근이 제한", "접근이 차단"),
                *("로봇이 아닙니다", "دسترسی غیرمجاز", "تم رفض الوصول", "הגישה נדחתה"),
            ),
        )
    )
)
# What a living page may say instead of its content: an application without its script, a paywall,
# a question of age. Such a page is no refusal, but it is no not-found page either.
_CURTAIN = re.compile(
    r"\bjavascript\b|\bcookies\b|unsupported browser"
    r"|browser (?:\w+ ){0,3}(?:not supported|outdated)"
    r"|subscri(?:be|ber|ption)|abonn\w+|assinant\w+|suscriptor\w*|подписчик\w*|prenumerant\w*"
    r"|to read the full|exclusiv\w+ (?:para|for|fur|pour)|(?:log|sign) in to|members only|premium"
    r"|\b18\b|over 21|years (?:old|of age)|age verification"
)
_WAITING = re.compile(r"loading|please wait|bitte warten")
# What else a site shows every stranger first: consent, a check for robots, a queue, a choice of
# country [judgement: common wording].
_FIRST = re.compile(
    r"\bconsent|(?:your|ihre|votre|tu|su|sua|uw) (?:privacy|privatsphare|vie privee|privacidad)"
    r"|datenschutz|einwillig\w+|zustimm\w+|tracking|\bverif\w+|uberpruf\w+|провер\w+|checking"
    r"|\bhuman\b|人間|真人|too many requests|\bqueue\b|waiting room|warteschlange|in line|\bvpn\b"
    r"|(?:choose|select) (?:your|a) (?:country|region|language|location)"
)
_AGE = re.compile(
    r"(?:are you|must be|you are|i am) (?:\w+ ){0,2}(?:over |at least )?(?:18|21)\b"
    r"|age verification|age restricted|confirm your age"
)


@cache
def _proxy_titles() -> frozenset[str]:
    """Return what filtering proxies title their own error pages with, folded."""
    titles = catalogue_rows("!")
    return frozenset(fold(part) for title in titles for part in (title, _after_colon(title)))


def _after_colon(title: str) -> str:
    return title.partition(":")[2].strip() or title


def is_proxy_error(text: str) -> bool:
    """Say whether a title is that of an error page of a proxy, not of the site."""
    proxy = _proxy_titles()
    return any(fold(part) in proxy for part in (text, *segments(text)))


def tells_refusal(text: str) -> bool:
    """Say whether a short text says that access is refused."""
    folded = fold(text)
    return bool(_REFUSAL.search(folded) or _REFUSAL_DENSE.search(folded))


def names_place(text: str) -> bool:
    """Say whether a text speaks of the place its reader is in."""
    return _YOUR_PLACE.search(fold(text)) is not None


def tells_members_only(text: str) -> bool:
    """Say whether a short text says that a page is for members, or wants a login."""
    return _MEMBERS.search(fold(text)) is not None


def tells_age_gate(text: str) -> bool:
    """Say whether a heading asks for the reader's age."""
    return _AGE.search(fold(text)) is not None


def draws_curtain(text: str) -> bool:
    """Say whether a text stands before the content of a living page."""
    folded = fold(text)
    return bool(_CURTAIN.search(folded) or _WAITING.search(folded))


def wants_something_first(text: str) -> bool:
    """Say whether a text names what a site asks of its reader before it shows anything."""
    folded = fold(text)
    return bool(_CURTAIN.search(folded) or _FIRST.search(folded))
