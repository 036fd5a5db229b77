"""Which addresses and ports a link may lead to: our own table, nothing but rules.

Pages and event files come from strangers; none of them may make this machine talk to its own
network (design §8, law 5). Python's `is_global` follows an old registry and knows neither
cloud metadata addresses nor addresses wrapped in other addresses, so the tables stand here.
Pure: no name is resolved and no socket opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PRIVATE_ADDRESS = "private-address"
BAD_PORT = "bad-port"

# IANA IPv4 Special-Purpose Address Registry; blocks that the registry calls globally
# reachable and that may carry a web server (192.31.196.0/24, 192.52.193.0/24,
# 192.175.48.0/24) are left out.
_NOT_PUBLIC_V4: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this network, RFC 791 §3.2"),
    ("10.0.0.0/8", "private use, RFC 1918"),
    ("100.64.0.0/10", "carrier-grade NAT, RFC 6598"),
    ("127.0.0.0/8", "loopback, RFC 1122 §3.2.1.3"),
    ("168.63.129.16/32", "Azure's platform address, in public space; design §8"),
    ("169.254.0.0/16", "link-local and cloud metadata, RFC 3927"),
    ("172.16.0.0/12", "private use, RFC 1918"),
    ("192.0.0.0/24", "IETF protocol assignments, RFC 6890 §2.1; 192.0.0.192 is cloud metadata"),
    ("192.0.2.0/24", "documentation, RFC 5737"),
    ("192.88.99.0/24", "6to4 relay anycast, deprecated by RFC 7526"),
    ("192.168.0.0/16", "private use, RFC 1918"),
    ("198.18.0.0/15", "benchmarking, RFC 2544"),
    ("198.51.100.0/24", "documentation, RFC 5737"),
    ("203.0.113.0/24", "documentation, RFC 5737"),
    ("224.0.0.0/4", "multicast, RFC 5771"),
    ("240.0.0.0/4", "reserved and limited broadcast, RFC 1112 §4, RFC 8190"),
)

# IANA IPv6 Address Space: only 2000::/3 is global unicast (RFC 4291 §2.4). That alone refuses
# ::1, ::a.b.c.d, fc00::/7, fe80::/10, fec0::/10, 5f00::/16, 64:ff9b:1::/48, 100::/64, ff00::/8.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# IANA IPv6 Special-Purpose Address Registry, the rows inside 2000::/3.
_NOT_PUBLIC_V6: tuple[tuple[str, str], ...] = (
    ("2001::/23", "IETF protocol assignments, RFC 2928; Teredo below is looked into first"),
    ("2001:db8::/32", "documentation, RFC 3849"),
    ("3fff::/20", "documentation, RFC 9637"),
)
_V4 = tuple(IPv4Network(block) for block, _ in _NOT_PUBLIC_V4)
_V6 = tuple(IPv6Network(block) for block, _ in _NOT_PUBLIC_V6)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1

# The "bad ports" of the Fetch standard (fetch.spec.whatwg.org/#port-blocking): services that
# could be talked into something by the text of an HTTP request.
_BAD_PORTS = frozenset(
    {
        *(0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95),
        *(101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161),
        *(179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563),
        *(587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060),
        *(5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
    }
)


def is_bad_port(port: int) -> bool:
    """Say whether the Fetch standard refuses this port (or it is no port at all)."""
    return port in _BAD_PORTS or not 0 < port < 65536


def is_public(address: str | Address) -> bool:
    """Say whether an address belongs to the public internet; text that is none does not.

    An IPv4 address carried inside an IPv6 one (mapped, NAT64, 6to4, Teredo) decides for it:
    that is where the packets would go.
    """
    found = _parse(address) if isinstance(address, str) else address
    if found is None:
        return False
    if isinstance(found, IPv4Address):
        return not any(found in block for block in _V4)
    if found.ipv4_mapped is not None or found in _NAT64:
        return all(map(is_public, embedded(found)))
    if found not in _GLOBAL_UNICAST or found.scope_id is not None:
        return False
    inner = embedded(found)
    if inner:
        return all(map(is_public, inner))
    return not any(found in block for block in _V6)


def embedded(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses inside an IPv6 one: mapped, NAT64, 6to4, Teredo (both ends)."""
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or ()


def _parse(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_literal(host: str) -> bool:
    """Say whether a URL's host is an address rather than a name."""
    return (":" in host or host[-1:].isdigit()) and _parse(host.strip("[]")) is not None


def is_odd_literal(host: str) -> bool:
    """Say whether a host is meant as an IPv4 address but not in plain dotted form.

    `127.1`, `2130706433`, `0x7f.1`, `127.0.0.1.`: what the URL standard's "ends in a number"
    checker would hand to its IPv4 parser (url.spec.whatwg.org/#ends-in-a-number-checker), and
    `inet_aton` understands.
    """
    labels = host.lower().removesuffix(".").split(".")
    last = labels[-1]
    if not (last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last)):
        return False
    return host.endswith(".") or not isinstance(_parse(host), IPv4Address)


class AddressGuard:
    """The gate every connection passes, with the operator's exceptions.

    `allow_private` lists networks (CIDR) that may be reached although they are not public;
    a port stays bad whatever the address.
    """

    def __init__(self, allow_private: Sequence[str] = ()) -> None:
        """Take the exceptions of `network.allow_private`; raise ValueError for no network."""
        self._allowed: tuple[Network, ...] = tuple(
            ip_network(text, strict=False) for text in allow_private
        )
        # Hosts repeat all day: the verdict on an address is remembered.
        self._refusal = lru_cache(maxsize=8192)(self._judge)
        self._refusal_of_host = lru_cache(maxsize=8192)(self._judge_host)

    def refusal(self, address: str, port: int) -> str | None:
        """Return `private-address`, `bad-port`, or None when a connection there is fine."""
        return self._refusal(address, port)

    def refusal_of_host(self, host: str, port: int) -> str | None:
        """Judge a URL's host as written: literals at once, names only once resolved."""
        return self._refusal_of_host(host, port)

    def _judge_host(self, host: str, port: int) -> str | None:
        if is_odd_literal(host):
            return PRIVATE_ADDRESS
        if is_literal(host):
            return self._refusal(host.strip("[]"), port)
        return BAD_PORT if is_bad_port(port) else None

    def _judge(self, address: str, port: int) -> str | None:
        found = _parse(address)
        if found is None:
            return PRIVATE_ADDRESS
        if not is_public(found) and not self._is_allowed(found):
            return PRIVATE_ADDRESS
        return BAD_PORT if is_bad_port(port) else None

    def _is_allowed(self, address: Address) -> bool:
        seen: Iterable[Address] = (address,)
        if isinstance(address, IPv6Address):
            seen = (address, *embedded(address))
        return any(one in network for one in seen for network in self._allowed)
