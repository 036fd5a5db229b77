"""What each refusal of Save Page Now means for us: one row per `status_ext`.

Reference wayback §1.8. A code we have never seen gets `UNKNOWN_CODE`: one wrong retry a day is
harmless, hammering is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from archiver.records import record


class Kind(StrEnum):
    """Whom a refusal concerns and whether trying again can help."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    DAILY_URL = "daily-url"  # this URL's share of the day; a capture of today exists
    ACCOUNT = "account"
    HOST = "host"
    OPERATOR = "operator"
    EXCLUSION = "exclusion"  # the site does not want to be in this archive


@record
class Refusal:
    """One row: `again` is the first delay, `tries` how many failed tries in all.

    `sees` is what the archive's crawler saw of the page, in the checker's words (`http-404`,
    `dns-gone`), where the code says so; `look_first` that a capture may exist all the same.
    """

    kind: Kind
    again: timedelta
    tries: int = 1
    sees: str | None = None
    look_first: bool = False
    text: str = ""


MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# A permanent refusal is asked about again after a month: sites change their minds.
REASK = 30 * DAY
_P, _T, _H = Kind.PERMANENT, Kind.TRANSIENT, Kind.HOST

REFUSALS: Mapping[str, Refusal] = {
    "bad-gateway": Refusal(_T, 6 * HOUR, 3, "http-5xx", text="the site answered 502"),
    "bad-request": Refusal(_P, REASK, text="the site refused the archive's request"),
    "bandwidth-limit-exceeded": Refusal(_T, DAY, 3, "http-5xx", text="the site answered 509"),
    "blocked": Refusal(_P, REASK, 1, "http-999", text="the site blocks the archive"),
    "blocked-client-ip": Refusal(
        Kind.OPERATOR, DAY, 5, text="our address is on a block list; use account keys"
    ),
    "blocked-url": Refusal(_P, REASK, text="the archive does not capture this address"),
    "browsing-timeout": Refusal(_T, HOUR, 3, text="the page was too slow for the archive"),
    "cannot-fetch": Refusal(_T, HOUR, 5, text="the archive is overloaded"),
    "capture-location-error": Refusal(
        _T, HOUR, 3, look_first=True, text="the archive cannot find the capture it made"
    ),
    "celery": Refusal(_T, 10 * MINUTE, 5, text="the archive could not start the task"),
    "filesize-limit": Refusal(_P, REASK, text="the file is larger than the archive takes"),
    "ftp-access-denied": Refusal(_P, REASK, text="the server refused access"),
    "gateway-timeout": Refusal(_T, 6 * HOUR, 3, "http-5xx", text="the site answered 504"),
    "http-version-not-supported": Refusal(_P, REASK, text="the site answered 505"),
    "internal-server-error": Refusal(_T, HOUR, 5, text="the archive had an internal error"),
    "invalid-url-syntax": Refusal(_P, REASK, text="the archive cannot read this address"),
    "invalid-server-response": Refusal(_T, DAY, 2, text="the site's answer was broken"),
    "invalid-host-resolution": Refusal(
        _T, DAY, 2, "dns-gone", text="the archive found no such host"
    ),
    "job-failed": Refusal(_T, HOUR, 3, look_first=True, text="the capture failed"),
    "max-daily-bandwidth": Refusal(Kind.ACCOUNT, DAY, 5, text="the account's day is used up"),
    "max-daily-bandwidth-from-ip": Refusal(
        Kind.ACCOUNT, DAY, 5, text="our address's day is used up"
    ),
    "max-daily-bandwidth-host": Refusal(_H, DAY, 5, text="this host's day is used up"),
    "method-not-allowed": Refusal(_P, REASK, 1, "http-405", text="the site answered 405"),
    "network-authentication-required": Refusal(_P, REASK, text="the site answered 511"),
    "no-access": Refusal(_P, REASK, 2, "http-403", text="the site answered the archive 403"),
    "no-browsers-available": Refusal(_T, 30 * MINUTE, 5, text="the archive has no free browser"),
    "no-captures": Refusal(_T, 6 * HOUR, 3, text="the archive could not reach the page"),
    "no-request": Refusal(_T, 6 * HOUR, 2, text="the archive made no request"),
    "not-found": Refusal(_P, 7 * DAY, 1, "http-404", text="the site answered the archive 404"),
    "not-implemented": Refusal(_P, REASK, text="the site answered 501"),
    "protocol-error": Refusal(_T, HOUR, 3, text="the connection to the site broke"),
    "proxy-error": Refusal(_T, 10 * MINUTE, 5, text="the archive's proxy failed"),
    "read-timeout": Refusal(_T, 6 * HOUR, 3, text="the site was too slow for the archive"),
    "redis-error": Refusal(_T, HOUR, 5, text="the archive had an internal error"),
    "service-unavailable": Refusal(_T, 6 * HOUR, 3, "http-5xx", text="the site answered 503"),
    "soft-time-limit-exceeded": Refusal(_T, HOUR, 2, text="the page was too heavy"),
    "too-many-daily-captures": Refusal(
        Kind.DAILY_URL, DAY, 5, look_first=True, text="captured often enough today"
    ),
    "too-many-redirects": Refusal(_P, REASK, text="more redirects than the archive follows"),
    "too-many-requests": Refusal(_H, 10 * MINUTE, 3, "http-429", text="the site answered 429"),
    "unauthorized": Refusal(_P, REASK, 1, "http-401", text="the site answered 401"),
    "user-session-limit": Refusal(Kind.ACCOUNT, MINUTE, 99, text="our slots are full"),
    # Our own words, for what is no `status_ext`.
    "excluded": Refusal(Kind.EXCLUSION, 90 * DAY, text="the site is excluded from the archive"),
    "keys-refused": Refusal(Kind.OPERATOR, DAY, 99, text="the archive refused the account keys"),
    "login-required": Refusal(
        Kind.OPERATOR, DAY, 99, text="the archive wants account keys for saving"
    ),
    "daily-limit": Refusal(Kind.ACCOUNT, DAY, 99, text="the day's captures are used up"),
    "unreachable": Refusal(_T, 15 * MINUTE, 99, text="the archive could not be reached"),
    "live-page-not-available": Refusal(
        _T, 6 * HOUR, 3, text="the page is not available to the archive"
    ),
    "host-paused": Refusal(_H, 10 * MINUTE, 5, text="the archive pauses this host"),
}
UNKNOWN_CODE = Refusal(_T, DAY, 2, text="the archive refused for a reason we do not know")

# Target statuses worth another try, by spn.sh (reference wayback §1.5).
_PASSING_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504, 507, 508})
_STATUS_CODE = re.compile(r"^http-(\d{3})$")


def refusal_for(code: str) -> Refusal:
    """Return the row of a code (with or without `error:`); never raises."""
    word = code.removeprefix("error:")
    known = REFUSALS.get(word)
    if known:
        return known
    if match := _STATUS_CODE.match(word):
        status = int(match[1])
        text = f"the site answered the archive {status}"
        if status in _PASSING_STATUSES:
            return Refusal(_T, 6 * HOUR, 3, word, text=text)
        return Refusal(_P, REASK, 1, word, text=text)
    return UNKNOWN_CODE
