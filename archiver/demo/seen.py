"""What a crawler elsewhere gets of one URL: the seam between the web and the archive stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
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
