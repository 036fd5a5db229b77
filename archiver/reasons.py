"""Every reason in plain words, and what a person does next: the wording of all faces.

A reason is a stable kebab-case word (design §2). Families such as `http-404` share a sentence.
"""

from __future__ import annotations

import re
from http import HTTPStatus

_WAIT = "Nothing to do yet: the daemon looks again by itself."
_BROWSER = "Open the page in a browser; if it is there, nothing else is needed."
_GONE = "Write the archived copy into the event file, or replace the source."
_PARKED = "Replace the link by an archived copy; the site now belongs to somebody else."

# reason: (one plain sentence, what a person does next)
_WORDS: dict[str, tuple[str, str]] = {
    # alive
    "ok": ("The page is there.", "Nothing to do."),
    "moved": (
        "The page has moved for good to another address.",
        "Write the new address into the event file.",
    ),
    "redirected": ("The address leads on to a page that is there.", "Nothing to do."),
    "multiple-choices": ("The server offers several versions of the page.", "Nothing to do."),
    "unreadable": (
        "The page is there, but its content could not be decoded.",
        _BROWSER,
    ),
    "js-redirect": ("The page sends its readers on with a script.", _BROWSER),
    "content-drift": (
        "The address still answers, but its title and text have become another page's.",
        "Compare it with an archived copy; write the copy into the event file if it differs.",
    ),
    "blocked-now": (
        "The page was there before; the last look was refused.",
        _WAIT,
    ),
    "flapping": (
        "The page keeps coming and going.",
        "Make sure an archived copy stands in the event file.",
    ),
    "resurrected": ("The page was dead and is there again.", "Nothing to do."),
    # certificates
    "tls-expired": ("The site's certificate has expired.", _BROWSER),
    "tls-not-yet": ("The site's certificate is not valid yet.", _WAIT),
    "tls-self-signed": ("The site signs its certificate itself.", _BROWSER),
    "tls-chain": ("The site's certificate cannot be traced to a known authority.", _BROWSER),
    "tls-name": ("The site's certificate is for another name.", _BROWSER),
    "tls-handshake": ("No secure connection could be made.", _BROWSER),
    "tls-old": ("The site only speaks outdated encryption.", _BROWSER),
    # blocked
    "challenge": ("The site wants proof that we are human.", _BROWSER),
    "login-wall": ("The site wants a login first.", _BROWSER),
    "consent-wall": ("The site wants consent to its terms first.", _BROWSER),
    "region-locked": ("The site does not answer readers from our region.", _BROWSER),
    "ambiguous-host": ("This site answers every address alike to strangers.", _BROWSER),
    "same-for-every-url": (
        "The site gives every address the same page, so its answer says nothing.",
        _BROWSER,
    ),
    "refusal-page": ("The page that came only says that we may not see it.", _BROWSER),
    "client-cert": ("The site wants a certificate of its readers.", _BROWSER),
    "private-address": (
        "The address belongs to a private network and is never fetched.",
        "Cite a public address; or name the network in network.allow_private.",
    ),
    "bad-port": (
        "The address uses a port that is not for web pages, and is never fetched.",
        "Cite an address on an ordinary port.",
    ),
    "skipped": (
        "The configuration says not to look at this host.",
        "Remove `skip` from the host's section to have it looked at.",
    ),
    "alive-elsewhere": (
        "It fails for us, but an archive captured it alive since.",
        _BROWSER,
    ),
    # failing below HTTP
    "dns-gone": ("The host's name does not exist any more.", _GONE),
    "dns-no-address": ("The host's name has no address.", _WAIT),
    "dns-error": ("The name servers gave no usable answer.", _WAIT),
    "dns-timeout": ("The name servers did not answer in time.", _WAIT),
    "refused": ("The host refused the connection.", _WAIT),
    "unreachable": ("There was no way to the host.", _WAIT),
    "connect-timeout": ("The host did not take the connection in time.", _WAIT),
    "empty-answer": ("The host closed the connection without an answer.", _WAIT),
    "reset": ("The host broke the connection off.", _WAIT),
    "read-timeout": ("The host did not answer in time.", _WAIT),
    "redirect-loop": ("The redirects lead nowhere but round.", _WAIT),
    "bad-redirect": ("The redirect leads to no usable web address.", _WAIT),
    "unreadable-http": ("The answer is no readable HTTP.", _WAIT),
    "odd-status": ("The server answered with a status that makes no sense here.", _WAIT),
    "too-large": ("The answer was larger than we read.", _BROWSER),
    # failing with an answer
    "maintenance": ("The site says it is being maintained.", _WAIT),
    "http-5xx": ("The server reports a fault of its own.", _WAIT),
    "http-503": ("The server says it cannot serve the page now.", _WAIT),
    "http-52x": ("The network before the site cannot get an answer from it.", _WAIT),
    "http-530": ("The network before the site cannot find the site itself.", _WAIT),
    "http-404": ("The server says the page is not there.", _GONE),
    "http-410": ("The server says the page is gone for good.", _GONE),
    "http-451": ("The site withholds the page for legal reasons.", _BROWSER),
    "http-429": ("The site says we ask too often.", _WAIT),
    "empty-page": ("The page that came was empty.", _BROWSER),
    "suspended": ("The hoster has suspended the site.", _WAIT),
    "app-error": ("The site shows an error of its own software.", _WAIT),
    "default-page": ("The server shows its factory page instead of the site.", _GONE),
    "parked": ("The domain is parked or for sale.", _PARKED),
    "soft-404-title": ("The page's title says that nothing was found.", _GONE),
    "soft-404-heading": ("A heading of the page says that nothing was found.", _GONE),
    "soft-404-text": ("The page's text says that nothing was found.", _GONE),
    "soft-404-marker": ("The page marks itself as the site's not-found page.", _GONE),
    "soft-404-path": ("The address leads on to a not-found page.", _GONE),
    "soft-404-sibling": ("The page is the one this site shows for addresses it lacks.", _GONE),
    "same-not-found-page": ("Several cited pages of this site end on this same page.", _GONE),
    "redirected-home": ("The address now leads to the front page.", _GONE),
    "redirected-search": ("The address now leads to a search.", _GONE),
    "redirected-section": ("The address now leads to the section above it.", _GONE),
    "title-missing": ("The short page lacks the cited title.", _BROWSER),
    "archive-not-found": ("The archive's crawler was told the page is not there.", _GONE),
    # void
    "offline": ("We were offline ourselves; this look says nothing.", _WAIT),
    "captive-portal": ("A network login stood between us and the web.", _WAIT),
    "partial-outage": ("Too much failed at once to blame this link.", _WAIT),
    "provider-outage": ("The hosting provider was down as a whole.", _WAIT),
    # the archive and people
    "no-newer-capture": ("The archive has no living copy since it began to fail.", _WAIT),
    "marked-alive": ("A person said that the page is there.", "Nothing to do."),
    "marked-gone": ("A person said that the page is gone.", _GONE),
    "marked-ignored": ("A person left the link out of reports.", "Nothing to do."),
    "mark-cleared": ("A person took the mark back.", "Nothing to do."),
    "never-looked": ("Nobody has looked yet.", _WAIT),
}

# Refusals of our own making: no look and no browser says anything about the page.
OUR_REFUSALS = frozenset({"private-address", "bad-port", "skipped"})

# A void look that rests on a name for which the resolver invents answers (`explain`).
FORGED_NAME = (
    "The resolver invents an address for names that do not exist, and this look rests on such a"
    " name: it may be gone, or not, so the look says nothing."
)

_HTTP = re.compile(r"http-(\d{3})")
_REFUSALS = frozenset({401, 402, 403, 405, 406, 407, 412, 418, 421, 423, 426, 428, 430, 999})

REASONS = frozenset(_WORDS)


def in_words(reason: str) -> str:
    """Return one plain sentence for a reason; total, also for words unknown here."""
    if reason in _WORDS:
        return _WORDS[reason][0]
    if match := _HTTP.fullmatch(reason):
        number = int(match[1])
        name = _status_name(number)
        verb = "refuses our request" if number in _REFUSALS else "answers with an error"
        return f"The server {verb} ({number}{name})."
    return f"The look ended with: {reason.replace('-', ' ')}."


def advice(reason: str) -> str:
    """Return what a person does next about a reason; total."""
    if reason in _WORDS:
        return _WORDS[reason][1]
    return _BROWSER if _HTTP.fullmatch(reason) else _WAIT


def _status_name(number: int) -> str:
    try:
        return " " + HTTPStatus(number).phrase
    except ValueError:
        return ""
