"""The webhook: a digest as JSON by POST, signed when there is a key."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from archiver.notify.channels import Outcome, Parcel
from archiver.notify.poster import Poster

# The same shape as GitHub's X-Hub-Signature-256: many receivers can check it as it is.
SIGNATURE_HEADER = "X-Archiver-Signature-256"
DIGEST_HEADER = "X-Archiver-Digest"
_LARGEST_SECRET = 4 * 1024


def signature(secret: bytes, body: bytes) -> str:
    """Return `sha256=` and the HMAC-SHA256 (RFC 2104) of a body in hexadecimal digits."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


class Webhook:
    """Posts each digest to one address."""

    def __init__(self, poster: Poster, url: str, secret_file: Path | None = None) -> None:
        """Post to `url`; the key is read from its file each time, so that it can be changed."""
        self._poster = poster
        self._url = url
        self._secret_file = secret_file

    async def send(self, parcel: Parcel) -> Outcome:
        """Send it once; with a key that cannot be read nothing is sent."""
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            DIGEST_HEADER: parcel.digest_id,
        }
        if self._secret_file is not None:
            try:
                secret = read_secret(self._secret_file)
            except (OSError, ValueError):
                return Outcome("notify.secret_file is empty, too large or cannot be read")
            headers[SIGNATURE_HEADER] = signature(secret, parcel.body)
        return await self._poster.post(self._url, parcel.body, headers)


def read_secret(file: Path) -> bytes:
    """Read a key without the line's end; raise OSError, or ValueError when empty or too large."""
    with file.open("rb") as stream:
        secret = stream.read(_LARGEST_SECRET + 1).rstrip(b"\r\n")
    if not secret or len(secret) > _LARGEST_SECRET:
        raise ValueError("no key")
    return secret
