"""The door every request passes: the name it asked for, its method, and the token.

A page on the internet can make a reader's browser send requests to this machine, and can let its
own name point here ("DNS rebinding"): so only known names are answered (421, RFC 9110 §15.5.20),
and where there is a token every route but the one for liveness wants it (contract §5).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from archiver.config.quantities import is_loopback
from archiver.errors import ConfigurationError
from archiver.records import record
from archiver.text import shown

if TYPE_CHECKING:
    from archiver.config import Loaded

_LARGEST_TOKEN = 1024
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")


@record
class Door:
    """Whom to answer. `token` is the SHA-256 of the token, None where none is wanted."""

    names: frozenset[tuple[str, str | None]]
    token: bytes | None

    @classmethod
    def of(cls, loaded: Loaded) -> Door:
        """Build the door of a configuration.

        Raises ConfigurationError: a token that cannot be read, or none although others could
        reach the address.
        """
        web = loaded.settings.web
        bound, _ = bind_address(web.bind)
        file = loaded.path("web.token_file")
        if file is None and not is_loopback(bound):
            raise ConfigurationError(
                f"web.bind = {web.bind!r} is open to others, and there is no token.",
                "Set web.token_file, or bind to 127.0.0.1.",
            )
        token = None if file is None else _digest(read_token(str(file)))
        own = (bound,) if _number(bound) is None else ()
        return cls(frozenset(_names((*own, *web.allowed_hosts))), token)

    def knows(self, hosts: Iterable[str], local: str) -> bool:
        """Say whether a request asked for us: `hosts` are its Host headers, exactly one.

        `local` is the address the connection came in by; asking for it by number is no
        rebinding, for that needs a name.
        """
        asked = list(hosts)
        found = _AUTHORITY.fullmatch(asked[0]) if len(asked) == 1 else None
        if found is None:
            return False
        host, port = _plain(found[1]), found[2]
        if is_loopback(host) or (host, None) in self.names or (host, port) in self.names:
            return True
        return bool(local) and _number(host) is not None and _number(host) == _number(local)

    def admits(self, authorization: str | None) -> bool:
        """Say whether a request carries the token, as Bearer or as Basic password."""
        if self.token is None:
            return True
        given = _token_in(authorization or "")
        # Digests have one length, so that the comparison tells nothing of the token's.
        return hmac.compare_digest(_digest(given or b""), self.token) and given is not None


def require_servable(loaded: Loaded) -> None:
    """Raise ConfigurationError when `[web]` is enabled and could not be served as it stands."""
    if loaded.settings.web.enabled:
        Door.of(loaded)


def bind_address(bind: str) -> tuple[str, int]:
    """Split `ADDRESS:PORT` (as `config` has checked it) into a host without brackets and a port."""
    host, _, port = bind.rpartition(":")
    return host.strip("[]"), int(port)


def read_token(path: str) -> bytes:
    """Read the token: one line of printable ASCII; raise ConfigurationError."""
    try:
        with open(path, "rb") as file:
            token = file.read(_LARGEST_TOKEN + 1).strip()
    except OSError as error:
        raise ConfigurationError(
            f"web.token_file {shown(path)} cannot be read: {error.strerror}.",
            "Mend its path or permissions.",
        ) from None
    if not token or len(token) > _LARGEST_TOKEN or not re.fullmatch(rb"[\x21-\x7e]+", token):
        raise ConfigurationError(
            f"web.token_file {shown(path)} does not hold a token.",
            "Write one line of letters and digits into it, such as `openssl rand -hex 32` gives.",
        )
    return token


def _names(hosts: Iterable[str]) -> Iterable[tuple[str, str | None]]:
    for host in hosts:
        found = _AUTHORITY.fullmatch(host if host.count(":") < 2 else f"[{host.strip('[]')}]")
        if found is None:
            raise ConfigurationError(
                f"web.allowed_hosts: {shown(host)} is no host name.",
                'Write names such as "archiver.example.org".',
            )
        yield _plain(found[1]), found[2]


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _token_in(authorization: str) -> bytes | None:
    """Return the token of an Authorization header (RFC 6750 §2.1, RFC 7617 §2)."""
    scheme, _, rest = authorization.strip().partition(" ")
    value = rest.strip().encode("utf-8", "backslashreplace")
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() != "basic":
        return None
    try:
        name_and_password = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    _, colon, password = name_and_password.partition(b":")
    return password if colon else None


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
