"""Where an answer sends us next: `Location`, `Refresh`, and the sibling of an address. Pure."""

from __future__ import annotations

import random
import re
import string
from urllib.parse import urljoin

from archiver.urls import Address, is_home, read_address

_EDGES = b" \t\r\n\x00\x0b\x0c"
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*:")
_NO_HOST = re.compile(r"^(?:https?:)?//(?:[/#]|$)", re.I)
_REFRESH = re.compile(r"^\s*(\d{1,4})(?:\.\d*)?\s*[;,]\s*(?:url\s*=\s*)?(['\"]?)(.+?)\2$", re.I)
# A refresh later than this is a page that reloads itself, not a redirect
# (reference checking §5.1 row 40).
_REFRESH_SECONDS = 5


def redirect_target(base: str, location: bytes) -> Address | None:
    """Return where a Location leads from `base`, or None when it leads nowhere we go.

    Bytes from 0x80 on are percent-encoded as they stand (reference checking §5.1 row 34), the
    rest stays byte for byte; user-info is dropped, as only a cited one is a person's problem.
    Other schemes, unusable hosts and control characters lead nowhere.
    """
    text = "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in location.strip(_EDGES))
    text = re.sub(r"[\t\r\n]", "", text)
    head, mark, query = text.partition("?")
    if not _SCHEME.match(head) or head[:4].lower() == "http":
        head = head.replace("\\", "/")
    if not text or _NO_HOST.match(head):
        return None
    try:
        joined = urljoin(base, head + mark + query)
    except ValueError:
        return None
    # urljoin loses an empty query; it is part of the address (reference checking §5.3).
    if mark and not query.split("#")[0] and "?" not in joined:
        joined = joined.split("#")[0] + "?"
    joined = re.sub(r"^(https?://)[^/?#]*@", r"\1", joined, flags=re.I)
    address = read_address(joined)
    return address if isinstance(address, Address) else None


def refresh_target(base: str, header: str) -> Address | None:
    """Return where a `Refresh` header leads within five seconds, or None."""
    match = _REFRESH.match(header.strip())
    if match is None or int(match[1]) > _REFRESH_SECONDS:
        return None
    return redirect_target(base, match[3].encode("utf-8", "replace"))


def sibling_of(wire: str, chooser: random.Random | None = None) -> str | None:
    """Return an address beside this one that cannot exist, or None for a home page.

    The last segment becomes 24 random letters; extension and end slash are kept, the query is
    dropped (reference checking §4.6, "Sibling probe").
    """
    path = wire.partition("?")[0]
    origin = re.match(r"^https?://[^/]+", path)
    if origin is None or is_home(wire):
        return None
    head, slash, last = path.removesuffix("/").rpartition("/")
    if len(head) < len(origin[0]) or not last:
        return None
    letters = "".join((chooser or random.SystemRandom()).choices(string.ascii_lowercase, k=24))
    extension = re.search(r"\.[A-Za-z][A-Za-z0-9]{0,4}$", last)
    end = "/" if path.endswith("/") else ""
    return head + slash + letters + (extension[0] if extension else "") + end
