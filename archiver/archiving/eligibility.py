"""Which addresses are never submitted to an archive (design §6), decided from the text alone."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from archiver.urls import host_of, is_expiring, parse_archive_url, parts_of

# Addresses that are not even shown to an archive: the question itself would tell a stranger.
SECRET = frozenset({"credentials-in-url", "private-address"})

# RFC 6761, RFC 6762, RFC 8375, RFC 7686 and the names people give to their own networks.
_PRIVATE_SUFFIXES = (
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "onion",
)
_NUMERIC = re.compile(r"^(?:0x[0-9a-f]*|\d+)$")
_IPV6_PUBLIC = ipaddress.ip_network("2000::/3")


def refusal(url: str, *, private_allowed: Sequence[str] = (), save_url: str = "") -> str | None:
    """Return why `url` is never submitted, or None when it may be.

    Words: `credentials-in-url`, `private-address`, `is-archive-url`, `expiring-url`. An archive
    that itself runs on loopback (`save_url`) may be given the addresses that the operator's
    `private_allowed` (CIDR strings) names: it sees what this machine sees.
    """
    authority = parts_of(url).netloc if "://" in url else ""
    if "@" in authority:
        return "credentials-in-url"
    if not is_public_host(host_of(url)) and not _is_allowed(url, private_allowed, save_url):
        return "private-address"
    if parse_archive_url(url) is not None:
        return "is-archive-url"
    if is_expiring(url):
        return "expiring-url"
    return None


def is_public_host(host: str) -> bool:
    """Say whether a host may be on the public internet, by its spelling (no name resolution)."""
    name = host.strip("[]").rstrip(".").lower()
    if not name:
        return False
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        last = name.rpartition(".")[2]
        # `127.1`, `0x7f.1` and `2130706433` are addresses to many programs.
        if _NUMERIC.match(last):
            return False
        dotted = "." in name
        return dotted and not any(
            name == suffix or name.endswith("." + suffix) for suffix in _PRIVATE_SUFFIXES
        )
    if isinstance(address, ipaddress.IPv6Address):
        return address in _IPV6_PUBLIC and address.is_global
    return address.is_global and not address.is_multicast


def is_loopback_url(url: str) -> bool:
    """Say whether an endpoint is on this machine's loopback, by its literal spelling."""
    host = host_of(url)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_allowed(url: str, private_allowed: Sequence[str], save_url: str) -> bool:
    if not private_allowed or not is_loopback_url(save_url):
        return False
    try:
        address = ipaddress.ip_address(host_of(url))
        return any(address in ipaddress.ip_network(each, strict=False) for each in private_allowed)
    except ValueError:
        return host_of(url) == "localhost"
