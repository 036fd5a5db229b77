"""The grammar of single values: durations, sizes, daily times, networks, addresses.

Every reader takes what a file or a variable holds (or the value itself, already read) and
returns it, or raises ValueError with a reason a person can act on (contract §3).
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, time, timedelta
from urllib.parse import SplitResult, urlsplit

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_LONGEST = timedelta(days=36500)

DURATION_PATTERN = r"^[0-9]+ ?[smhd]$"
SIZE_PATTERN = r"^[0-9]+ ?(B|KiB|MiB|GiB)$"
SCHEDULE_PATTERN = r"^([0-9]+ ?[smhd]|daily ([01][0-9]|2[0-3]):[0-5][0-9])$"


def read_duration(value: object) -> timedelta:
    """Read a whole number and one of `s m h d`, such as `90s` or `7d`; at most 100 years."""
    if isinstance(value, timedelta):
        return value
    match = (
        re.fullmatch(r"(\d{1,12}) ?([smhd])", value, re.ASCII) if isinstance(value, str) else None
    )
    if match is None:
        raise ValueError('expected a duration such as "30s", "15m", "6h" or "7d"')
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > _LONGEST.total_seconds():
        raise ValueError("expected a duration of at most 100 years (36500d)")
    return timedelta(seconds=seconds)


def read_positive_duration(value: object) -> timedelta:
    """Read a duration that is longer than nothing."""
    duration = read_duration(value)
    if duration <= timedelta(0):
        raise ValueError("expected a duration longer than zero")
    return duration


def read_duration_or_never(value: object) -> timedelta | None:
    """Read a positive duration, or `never` as None."""
    return None if value is None or value == "never" else read_positive_duration(value)


def read_size(value: object) -> int:
    """Read a whole number and one of `B KiB MiB GiB` as bytes; larger than zero."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = (
        re.fullmatch(r"(\d{1,9}) ?([KMG]iB|B)", value, re.ASCII) if isinstance(value, str) else None
    )
    if match is None:
        raise ValueError('expected a size such as "512 KiB", "20 MiB" or "5 GiB"')
    if int(match[1]) == 0:
        raise ValueError("expected a size larger than zero")
    return int(match[1]) * _BYTES[match[2]]


def read_schedule(value: object) -> timedelta | time:
    """Read how often a duty is done: a positive duration, or `daily HH:MM` as a UTC time."""
    if isinstance(value, time):
        return value
    if isinstance(value, str) and value.startswith("daily"):
        match = re.fullmatch(r"daily +([01]\d|2[0-3]):([0-5]\d)", value, re.ASCII)
        if match is None:
            raise ValueError('expected a time of day such as "daily 03:30" (UTC)')
        return time(int(match[1]), int(match[2]), tzinfo=UTC)
    try:
        return read_positive_duration(value)
    except ValueError:
        raise ValueError(
            'expected a duration such as "15m", or "daily 03:30" (UTC); cron lines are not known'
        ) from None


def read_network(value: str) -> str:
    """Read an address block in CIDR notation, such as `10.0.0.0/8`; kept as written."""
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"expected an address block such as 10.0.0.0/8 ({error})") from None
    return value


def read_web_address(value: str) -> str:
    """Read any http(s) address without a user name or password in it."""
    parts = _split(value)
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected an address without a user name or password in it")
    return value


def read_endpoint(value: str) -> str:
    """Read the address of a service: https, or plain http on loopback; no end slash is kept.

    Plain http is only for this machine because what is sent there may hold account keys and
    what comes back is believed (contract §3).
    """
    parts = _split(read_web_address(value))
    if parts.query or parts.fragment:
        raise ValueError("expected an address without ? or #")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("expected https (plain http only for an address of this machine)")
    return value.rstrip("/")


def read_proxy(value: str) -> str:
    """Read the address of an HTTP proxy, such as `http://proxy.example:3128`."""
    parts = _split(value)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("expected only scheme, host and port, such as http://proxy.example:3128")
    return value


def read_bind(value: str) -> str:
    """Read `ADDRESS:PORT`, with brackets around an IPv6 address."""
    host, colon, port = value.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    usable = host and colon and re.fullmatch(r"\d{1,5}", port, re.ASCII) and int(port) <= 65535
    if not usable or (":" in host and not bracketed):
        raise ValueError("expected ADDRESS:PORT such as 127.0.0.1:8088 or [::1]:8088")
    return value


def is_loopback(host: str) -> bool:
    """Say whether a host is this very machine: 127.0.0.0/8, ::1, or the name localhost."""
    if host.lower().rstrip(".") == "localhost":  # RFC 6761 §6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f\\]", value):
        raise ValueError("expected an address that begins with https:// or http://")
    return parts
