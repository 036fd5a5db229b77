"""What a crawler elsewhere gets of one URL: the seam between the web and the archive stand-in."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import urljoin

from archiver.demo.behaviours import Fault, Outcome
from archiver.records import record


@record
class Seen:
    """One answer (one hop, redirects not followed), or why there was none.

    `headers` are in lower case; `body` is decoded; `location` is absolute, present on redirects
    only; `error` is a `status_ext` word of Save Page Now without its `error:` prefix
    (reference wayback §1.8) and then `status` is None.
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    location: str | None = None
    error: str | None = None


# Reference wayback §1.8: what the archive's crawler reports when it gets no HTTP answer.
CRAWLER_ERRORS: Mapping[Fault, str] = {
    Fault.NAME_GONE: "invalid-host-resolution",
    Fault.NAME_WITHOUT_ADDRESS: "invalid-host-resolution",
    Fault.NAME_SERVER_TROUBLE: "invalid-host-resolution",
    Fault.REFUSED: "cannot-fetch",
    Fault.SILENT_HANDSHAKE: "read-timeout",
    Fault.NOT_TLS: "cannot-fetch",
    Fault.SILENT: "read-timeout",
    Fault.RESET: "protocol-error",
    Fault.EMPTY: "protocol-error",
    Fault.UNREADABLE: "invalid-server-response",
    Fault.TRICKLING_HEADERS: "read-timeout",
}
BODY_LIMIT = 1024 * 1024


def seen_by_crawler(outcome: Outcome, url: str) -> Seen:
    """Return an outcome as a crawler takes it: decoded, at most `BODY_LIMIT` bytes."""
    if isinstance(outcome, Fault):
        return Seen(None, error=CRAWLER_ERRORS[outcome])
    headers = {name.lower(): value for name, value in outcome.headers}
    body = outcome.body
    if headers.pop("content-encoding", "") == "gzip":
        body = zlib.decompressobj(31).decompress(body, BODY_LIMIT)
    location = headers.get("location")
    return Seen(
        outcome.status, headers, body[:BODY_LIMIT], urljoin(url, location) if location else None
    )
