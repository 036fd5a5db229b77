"""What a URL is here: read as cited, sent as cited, compared by a documented canonical form.

Three forms of one address, never mixed up:

* *cited*: as the event file has it, outer white space removed;
* *wire*: what is requested, byte for byte as cited but for the exceptions of design §5;
* *canonical*: the key under which two spellings are one link (reference checking §8). It is
  never fetched.

No I/O and no name resolution.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import idna

from archiver.records import record

DEFAULT_PORTS = {"http": 80, "https": 443}
# No server takes a longer request line; a host name has at most 253 octets (RFC 1035 §2.3.4),
# a spelling of one in other scripts or escapes some times more characters.
MAX_URL = 8192
MAX_HOST_SPELLING = 1024

# Query keys that make a URL a short-lived permission rather than an address (design §6).
_EXPIRING_KEYS = frozenset({"x-amz-signature", "signature", "sig", "token", "expires"})

# Reference checking §8, "Grouping keys": measured campaign parameters, used for hints and for
# recognising home pages, never for identity.
_TRACKING_KEYS = frozenset(
    {
        *("fbclid", "gclid", "dclid", "msclkid", "yclid", "igshid", "mc_cid", "mc_eid", "_ga"),
        *("ref_src", "smid", "ncid", "ocid", "cmpid", "s_cid", "taid", "guccounter"),
        *("mkt_tok", "_hsenc", "si"),
    }
)
_TRACKING_PREFIXES = ("utm_", "guce_referrer")
_MIRROR_PREFIXES = ("www.", "m.", "mobile.", "amp.", "edition.")

# "example.org:8080/x" has no scheme, "Reuters: a headline" neither.
_SCHEME = re.compile(
    r"^(?:(tel|sms|fax|doi|urn|isbn|mailto):|([A-Za-z][A-Za-z0-9+.\-]*):(?!\d+(?:/|$)|\s))", re.I
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# As the resolver takes them: an underscore or an outer hyphen is against RFC 1123, and in use.
_HOST_LABEL = re.compile(r"[a-z0-9_\-]{1,63}")
# Escapes that a stray percent sign could swallow ("%%34%31") are left alone.
_ESCAPE = re.compile(r"(?<!%)(?<!%[0-9A-Fa-f])%([0-9A-Fa-f]{2})")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::([0-9]{0,5}))?")
# Most hosts are written plainly, which spares taking the whole URL apart.
_PLAIN_HOST = re.compile(r"https?://([a-z0-9.\-]+)(?=[/?#]|\Z)")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HOME_FILE = re.compile(
    r"^(?:index|default|home|main|start|welcome)(?:\.(?:html?|php|aspx?|jsp|cfm|do))?$", re.I
)
_LOCALE = re.compile(r"^[a-z]{2}(?:[-_][A-Za-z]{2,4})?$")


def _respell(text: str) -> str:
    return re.sub(r"^(https?):?/*", lambda match: match[1].lower() + "://", text, flags=re.I)


def _spell_scheme(text: str) -> str:
    scheme, rest = text.split("://", 1)
    return ("https://" if "s" in scheme.lower() else "http://") + rest


def _only_url(text: str) -> str:
    """Return the one URL in a text, less what belongs to the text; `Moon_(film)` keeps its end."""
    found = re.findall(r"https?://[^\s<>\"“”„«»‘]+", text, re.I)
    if len(found) != 1:
        return text
    url: str = found[0].rstrip(_AFTER_A_URL)
    while url.endswith(")") and url.count("(") < url.count(")"):
        url = url[:-1].rstrip(_AFTER_A_URL)
    return url


_AFTER_A_URL = ".,;:!?]}'’"
_MENDABLE = frozenset({"not-a-url", "unsupported-scheme"})
_MISSPELT_SCHEME = r"^(?:hxx|hh?t{1,3}|t{1,2})p{1,2}s{0,2}://"
# Spellings that were meant as http(s) but are none; each is proposed, never guessed silently.
_MENDINGS = (
    (re.compile(r"^https?://https?:?/+", re.I), lambda text: _respell(text.split("//", 1)[1])),
    (re.compile(r"^https?%3a", re.I), unquote),
    (re.compile(r"^https?(?::/{0,2}|/{1,2})(?=[^/:])", re.I), _respell),
    (re.compile(r"^https?:///+", re.I), lambda text: re.sub(r":/+", "://", text, count=1)),
    (re.compile(_MISSPELT_SCHEME, re.I), _spell_scheme),
    (re.compile(r"^doi:\s*10\.", re.I), lambda text: "https://doi.org/" + text[4:].strip()),
    (
        re.compile(r"^(?:www\.)?[a-z0-9\-]+(?:\.[a-z0-9\-]+)+(?:[/?:]|$)", re.I),
        lambda text: "https://" + text,
    ),
    (re.compile(r"^//[^/]"), lambda text: "https:" + text),
    (re.compile(r".*https?://", re.I | re.S), _only_url),
)


@record
class Address:
    """A usable http(s) address in its three forms, with what a maintainer should know of it."""

    cited: str
    wire: str
    canonical: str
    host: str
    notes: tuple[str, ...] = ()


@record
class BadAddress:
    """Why a cited string cannot be looked at: a stable problem name and a proposal, if any."""

    problem: str
    message: str
    proposal: str | None = None


@record
class ArchivedAddress:
    """An address inside an archive, taken apart (reference checking §8)."""

    archive: str
    timestamp: str | None
    modifier: str
    original: str | None


def read_address(raw: str) -> Address | BadAddress:
    """Read what an event file cites; total, never raises.

    Problems: `missing-url`, `not-a-url`, `unsupported-scheme`, `credentials-in-url`. Notes on a
    usable address: `unencoded-characters`, `expiring-url`, `is-archive-url`,
    `tracking-parameters`.
    """
    cited = raw.strip()
    read = _read_unmended(cited)
    if isinstance(read, BadAddress) and read.problem in _MENDABLE:
        return replace(read, proposal=_mend(cited))
    return read


def _read_unmended(cited: str) -> Address | BadAddress:
    if not cited:
        return BadAddress("missing-url", "The source has no URL.")
    if len(cited) > MAX_URL:
        return BadAddress("not-a-url", f"The URL is longer than {MAX_URL} characters.")
    if _CONTROL.search(cited) or "\\" in cited:
        return BadAddress("not-a-url", "The URL contains a control character or a backslash.")
    match = _SCHEME.match(cited)
    if match is None or _looks_misspelt(cited):
        return BadAddress("not-a-url", "This is no http(s) URL.")
    scheme = match[1] or match[2]
    if scheme.lower() not in DEFAULT_PORTS:
        message = f"Only http and https can be looked at, not {scheme[:30]}:."
        return BadAddress("unsupported-scheme", message)
    return _read_http(cited)


def _looks_misspelt(cited: str) -> bool:
    lowered = cited[:20].lower()
    if lowered.startswith(("http:", "https:")):
        return not re.match(r"^https?://(?!https?(?:[:/?#]|$))[^/?#]", lowered)
    return bool(re.match(_MISSPELT_SCHEME, lowered))


def _mend(cited: str) -> str | None:
    """Return what may be meant, when it is an address and differs from what is written."""
    if len(cited) > MAX_URL:
        return None
    for pattern, mend in _MENDINGS:
        if pattern.match(cited):
            proposal = mend(cited).strip()
            usable = proposal != cited and isinstance(_read_unmended(proposal), Address)
            return proposal if usable else None
    return None


def _read_http(cited: str) -> Address | BadAddress:
    scheme, rest = cited.split("://", 1)
    rest = rest.split("#", 1)[0]
    cut = min((rest.find(mark) for mark in "/?" if mark in rest), default=len(rest))
    authority, target = rest[:cut], rest[cut:]
    if "@" in authority:
        return BadAddress(
            "credentials-in-url", "The URL carries a user name or password; remove it."
        )
    place = _read_authority(scheme.lower(), authority)
    if place is None:
        return BadAddress("not-a-url", "The URL has no usable host name.")
    host, port = place
    shown_host = f"[{host}]" if ":" in host else host
    origin = f"{scheme.lower()}://{shown_host}{port}"
    wire = origin + wire_target(target)
    canonical = origin + _canonical_target(target)
    return Address(cited, wire, canonical, host, tuple(_notes(cited, target)))


def _read_authority(scheme: str, authority: str) -> tuple[str, str] | None:
    """Return (host, ":port" or ""), or None when either is unusable."""
    match = _AUTHORITY.fullmatch(authority) if len(authority) <= MAX_HOST_SPELLING else None
    if match is None or (match[2] and int(match[2]) > 65535):
        return None
    host = _read_host(match[1])
    if host is None:
        return None
    port = int(match[2]) if match[2] else DEFAULT_PORTS[scheme]
    return host, "" if port == DEFAULT_PORTS[scheme] else f":{port}"


@lru_cache(maxsize=4096)
def _read_host(text: str) -> str | None:
    if text.startswith("["):
        try:
            # One spelling for all, as browsers send it: each would have a lane of its own.
            return str(IPv6Address(text[1:-1]))
        except ValueError:
            return None
    host = unquote(text) if "%" in text else text
    try:
        host = host.lower() if host.isascii() else _to_a_labels(host)
    except (idna.IDNAError, ValueError):  # a UnicodeError is a ValueError
        return None
    labels = host.removesuffix(".").split(".")
    if len(host) > 254 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        return None
    return host


def _to_a_labels(host: str) -> str:
    """Return the host as A-labels; names IDNA 2008 forbids (emoji) as browsers spell them."""
    mapped = idna.uts46_remap(host, std3_rules=False, transitional=False)
    labels = (
        label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")
        for label in mapped.split(".")
    )
    return ".".join(labels).lower()


def wire_target(target: str) -> str:
    """Return path and query as they go out: as cited, but non-ASCII and spaces encoded."""
    if not target.startswith("/"):
        target = "/" + target
    if target.isascii() and " " not in target:
        return target
    return "".join(
        character if character.isascii() and character != " " else _escape(character)
        for character in target
    )


def _escape(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _canonical_target(target: str) -> str:
    wire = wire_target(target)
    path, mark, query = wire.partition("?")
    path = _without_dot_segments(_canonical_escapes(path))
    return path + mark + _canonical_escapes(query)


def _canonical_escapes(text: str) -> str:
    def spell(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    return _ESCAPE.sub(spell, text) if "%" in text else text


def _without_dot_segments(path: str) -> str:
    """Resolve `.` and `..` as RFC 3986 §5.2.4 does."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
            continue
        if last:
            kept.append("")
    return "/" + "/".join(kept)


def _notes(cited: str, target: str) -> Iterable[str]:
    if not target.isascii() or " " in target:
        yield "unencoded-characters"
    if is_expiring(cited):
        yield "expiring-url"
    if parse_archive_url(cited) is not None:
        yield "is-archive-url"
    if any(is_tracking(key) for key in _query_keys(cited)):
        yield "tracking-parameters"


def _query_keys(url: str) -> list[str]:
    query = url.partition("?")[2].partition("#")[0]
    return [part.partition("=")[0].lower() for part in re.split("[&;]", query) if part]


def is_expiring(url: str) -> bool:
    """Say whether the query is a signed, short-lived permission (never submitted, design §6)."""
    return not _EXPIRING_KEYS.isdisjoint(_query_keys(url))


def is_tracking(key: str) -> bool:
    """Say whether a query key only tells a site where its reader came from."""
    lowered = key.lower()
    return lowered in _TRACKING_KEYS or lowered.startswith(_TRACKING_PREFIXES)


@lru_cache(maxsize=1024)
def host_of(url: str) -> str:
    """Return the lower-case host of an http(s) URL without port, or "" when it has none."""
    plain = _PLAIN_HOST.match(url)
    if plain is not None:
        return plain[1]
    return (parts_of(url).hostname or "").lower()


def parts_of(url: str) -> SplitResult:
    """Split a URL; total: one that Python's rules refuse (`http://[`) has no parts."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def bare_host(host: str) -> str:
    """Return the host without a leading `www.`, `m.`, `mobile.`, `amp.` or `edition.`."""
    for prefix in _MIRROR_PREFIXES:
        if host.startswith(prefix) and host.count(".") >= 2:
            return host.removeprefix(prefix)
    return host


# Second-level labels under which countries sell names; enough to tell "own" from "foreign"
# without shipping the whole public suffix list.
_SECOND_LEVELS = frozenset(
    {
        *("ac", "co", "com", "edu", "gob", "gov", "go", "govt", "ltd", "mil", "net", "ne"),
        *("nom", "or", "org", "plc", "sch"),
    }
)


def site_of(host: str) -> str:
    """Return the registrable part of a host, approximately (`news.bbc.co.uk` → `bbc.co.uk`)."""
    labels = host.split(".")
    if len(labels) <= 2 or labels[-1].isdigit():
        return host
    wide = len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS
    return ".".join(labels[-3:] if wide else labels[-2:])


def is_home(url: str) -> bool:
    """Say whether a URL is a site's front page (reference checking §4.6, "Home")."""
    parts = parts_of(url)
    segments = [segment for segment in parts.path.split("/") if segment]
    if segments and _LOCALE.match(segments[0]):
        segments = segments[1:]
    if len(segments) > 1 or (segments and not _HOME_FILE.match(segments[0])):
        return False
    harmless = {"lang", "language", "locale", "hl", "l"}
    keys = parse_qsl(parts.query, keep_blank_values=True)
    return all(is_tracking(key) or key.lower() in harmless for key, _ in keys)


def directory_of(url: str) -> str:
    """Return a URL up to its last path segment, without query: where its siblings would be."""
    return url.partition("?")[0].rpartition("/")[0]


def grouping_key(url: str) -> str:
    """Return a loose key for "the same page": no scheme, mirror prefix, tracking or end slash."""
    parts = parts_of(url)
    query = "&".join(
        part for part in parts.query.split("&") if part and not is_tracking(part.partition("=")[0])
    )
    path = parts.path.rstrip("/")
    return f"{bare_host(parts.hostname or '')}{path}" + (f"?{query}" if query else "")


def slug_words(url: str) -> list[str]:
    """Return the words of the longest readable path segment, or [] when none has three.

    Reference checking §9: split at `-_+.`, without extension and ids.
    """
    best: list[str] = []
    for segment in parts_of(url).path.split("/"):
        stem = re.sub(r"\.[A-Za-z]{2,5}$", "", unquote(segment))
        words = [
            word
            for word in re.split(r"[-_+. ]", stem)
            if word and not re.fullmatch(r"[0-9a-f]{6,}|[a-z]{1,2}\d*|\d+", word)
        ]
        readable = [word for word in words if any(character.isalpha() for character in word)]
        if len(readable) >= 3 and len(segment) > len("-".join(best)):
            best = readable
    return best


def capture_identity(url: str) -> str:
    """Return the key under which a capture is *of this URL* (design §6).

    Equal up to scheme, `www.`, default port, empty-path slash and the case of percent-escapes;
    case-sensitive otherwise, so stricter than SURT.
    """
    text = url.strip().split("#", 1)[0]
    text = re.sub(r"^https?:/+", "", text, flags=re.I)
    cut = min((text.find(mark) for mark in "/?" if mark in text), default=len(text))
    authority, target = text[:cut].lower(), text[cut:]
    authority = re.sub(r":(?:80|443)?$", "", authority)
    host = (_read_host(authority) if len(authority) <= MAX_HOST_SPELLING else None) or authority
    target = wire_target(target)
    escapes = _ESCAPE.sub(lambda match: match[0].upper(), target)
    return host.removeprefix("www.") + escapes


_WAYBACK = re.compile(
    r"^https?://(?:web\.archive\.org|wayback\.archive\.org|archive\.org)/web/"
    r"(?:([0-9]{1,14}|[0-9]*\*)([a-z]{2}_)?/)?(.+)$",
    re.I,
)
_WAYBACK_SAVE = re.compile(r"^https?://web\.archive\.org/save/(?:_embed/)?(https?:.+)$", re.I)
_ARCHIVE_TODAY = re.compile(
    r"^https?://archive\.(?:today|ph|is|li|vn|fo|md)/(?:(?:(\d{14})|newest|oldest)/)?(.+)$", re.I
)
_OTHER_ARCHIVES = {
    "perma.cc": "perma.cc",
    "webcitation.org": "webcitation.org",
    "ghostarchive.org": "ghostarchive.org",
    "arquivo.pt": "arquivo.pt",
    "webarchive.nationalarchives.gov.uk": "UK Government Web Archive",
    "webarchive.loc.gov": "Library of Congress",
    "webcache.googleusercontent.com": "Google cache",
    "megalodon.jp": "megalodon.jp",
    "timetravel.mementoweb.org": "Memento Time Travel",
}


def parse_archive_url(url: str) -> ArchivedAddress | None:
    """Take an archive's address apart, or return None when the URL is of no archive we know."""
    text = url.strip()
    if match := _WAYBACK.match(text):
        stamp, modifier, original = match[1], match[2] or "", match[3]
        return ArchivedAddress("web.archive.org", stamp, modifier, _inner(original))
    if match := _WAYBACK_SAVE.match(text):
        return ArchivedAddress("web.archive.org", None, "", _inner(match[1]))
    if match := _ARCHIVE_TODAY.match(text):
        original = match[2] if re.match(r"https?:", match[2], re.I) else None
        return ArchivedAddress("archive.today", match[1], "", original)
    host = host_of(text).removeprefix("www.")
    name = _OTHER_ARCHIVES.get(host)
    if name is None:
        return None
    inner = re.search(r"/(\d{14})[a-z_]*/(https?:/.+)$", text)
    if inner:
        return ArchivedAddress(name, inner[1], "", _inner(inner[2]))
    return ArchivedAddress(name, None, "", None)


def _inner(original: str) -> str:
    if re.match(r"^https?:/", original, re.I):
        return re.sub(r"^(https?):/+", r"\1://", original, count=1, flags=re.I)
    return "http://" + original
