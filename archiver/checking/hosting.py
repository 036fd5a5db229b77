"""How domains and hosters speak: for sale, parked, suspended, default page, maintenance.

All texts are folded (`titles.fold`). Sources: reference checking §4.3, §4.4; other wording and
other languages are [judgement].
"""

from __future__ import annotations

import re

from archiver.checking.titles import fold

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
# The first words a new server or an empty account shows, when its title does not tell.
DEFAULT_TEXT = re.compile(
    r"(?:web ?server|server|website|web site|site|domain|installation|nginx|apache|caddy)"
    r"(?: \w+){0,4} (?:is|was|has been) (?:now )?(?:ready|working|running|installed|set up|not yet"
    r"|successfully|configured|online)\b"
    r"|this is the default (?:\w+ ){0,3}(?:page|index|site)"
    r"|default (?:web ?site|welcome|index) page"
    r"|(?:upload|replace) (?:\w+ ){0,3}(?:files?|page|website|index)|future home of"
    r"|no (?:web ?site|site|content) (?:is |has been )?(?:configured|published)"
    r"|(?:caddy|nginx|apache|it) works|placeholder (?:page|site|website)"
    r"|(?:sitio|pagina|web|site|seite|website|webseite|strona|сайт|sito|domain|domaine|dominio)"
    r"(?: \w+){0,4} (?:aun no|todavia no|noch nicht|pas encore|ainda nao|non ancora|nog niet"
    r"|jeszcze|еще не|not yet)\b"
    r"|registered (?:and |& )?(?:\w+ )?protected by|domain (?:\w+ ){0,2}registered (?:by|at|with)"
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
# A site in trouble, or at work on itself, in the free wording of headings and in the languages
# cited most [judgement]. It only ever takes weight from an accusation, so wide is right.
_TROUBLE = re.compile(
    "|".join(
        (
            r"\bmaintenance\b|\bdowntime\b|temporar\w+ (?:\w+ )?(?:unavailable|down|closed)",
            r"back (?:soon|shortly)|be right back|(?:service|site|system)s? unavailable",
            r"(?:experiencing|having) (?:\w+ )?(?:problems|difficulties|issues)|try again later",
            r"wartung\w*|gleich wieder|bald wieder|vorubergehend|momentan nicht",
            r"temporairement|de retour|mantenimiento|temporalmente|volvemos|manutenzione",
            r"temporaneamente|torniamo|manutencao|temporariamente|voltamos|onderhoud|tijdelijk",
            r"underhall\w*|vedligehold\w*|vedlikehold\w*|tillfallig\w*|midlertidig\w*|huolto\w*",
            r"przerwa techniczna|prace (?:konserwacyjne|techniczne|serwisowe)|chwilowo|udrzb\w+",
            r"karbantart\w+|gecici olarak|mentenanta|συντηρηση\w*|bao tri|pemeliharaan",
            r"техническ\w+ (?:работ\w*|обслуживан\w*)|технічн\w+ робот\w*|временно|тимчасово",
            *map(
                fold,
                ("メンテナンス", "维护", "維護", "점검", "صيانة", "תחזוקה", "bakım"),
            ),
        )
    )
)

# A hoster's word for a customer who has not paid, in many languages: what, and what became of it.
_ACCOUNT = (
    r"(?:site|website|web site|account|domain|hosting|service|services|page|webpage|webseite|konto"
    r"|seite|compte|hebergement|sitio|sitio web|cuenta|dominio|alojamiento|conta|sito|servicio"
    r"|servico|servizio|hizmet\w*|hesap|hesab\w*|alan adi|сайт\w*|аккаунт\w*"
    r"|хостинг\w*|домен\w*|konta|strona|serwis|domena|stranka|sidan|kontot|siden|sivusto|tili)"
)
_SUSPENSION = (
    r"(?:suspended|suspension|disabled|deactivated|blocked|gesperrt|deaktiviert|suspendu\w*|desactive"
    r"|suspendid[oa]|desactivad[oa]|suspens[oa]|desativad[oa]|sospes[oa]|disattivat[oa]|opgeschort"
    r"|geblokkeerd|duraklat\w+|askiya alin\w+|durdurul\w+|заблокирован\w*|приостановлен\w*"
    r"|отключен\w*|призупинен\w*|zawieszon\w+|zablokowan\w+|pozastaven\w*|avstangd|suspendert"
    r"|spaerret|suljettu|felfuggesztve|suspendat)"
)
_SUSPENDED = re.compile(
    rf"\b{_ACCOUNT}(?: \w+){{0,6}}? {_SUSPENSION}\b|\b{_SUSPENSION}(?: \w+){{0,2}}? {_ACCOUNT}\b"
)
_LONGEST_NOTICE = 90


def tells_suspension(heading: str) -> bool:
    """Say whether a short heading tells that a hoster has suspended the site."""
    return len(heading) <= _LONGEST_NOTICE and _SUSPENDED.search(fold(heading)) is not None


def tells_trouble(heading: str) -> bool:
    """Say whether a short heading tells of maintenance or of a trouble that passes."""
    return len(heading) <= _LONGEST_NOTICE and _TROUBLE.search(fold(heading)) is not None
