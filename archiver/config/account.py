"""The keys of an archive.org account: where they may come from, and where they may go.

They never stand in the configuration file (contract §3), and are sent only to archive.org
itself or to this machine (design §8): a checkout from a stranger must not be able to
collect them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from archiver.config.loading import FILE, Loaded
from archiver.config.quantities import is_loopback
from archiver.errors import ConfigurationError
from archiver.records import record
from archiver.text import shown

ARCHIVE_HOST = "web.archive.org"
_LARGEST_KEY = 256


@record
class Keys:
    """A pair of account keys; never shows itself."""

    access: str
    secret: str

    def __repr__(self) -> str:
        return "Keys(***)"


def account_keys(loaded: Loaded, environ: Mapping[str, str]) -> Keys | None:
    """Return the account's keys, or None when there are none.

    Asked in this order, each key for itself: `$CREDENTIALS_DIRECTORY`, the `*_key_file`
    options, `IA_ACCESS_KEY` and `IA_SECRET_KEY`. Raises ConfigurationError when a named file
    cannot be read, or when one key of the two is missing.
    """
    access = _key(loaded, environ, "access")
    secret = _key(loaded, environ, "secret")
    if bool(access) != bool(secret):
        missing = "secret" if access else "access"
        raise ConfigurationError(
            f"The archive.org {missing} key is missing; the other one is there.",
            f"Give archive.{missing}_key_file or IA_{missing.upper()}_KEY too, or neither.",
        )
    return Keys(access, secret) if access and secret else None


def _key(loaded: Loaded, environ: Mapping[str, str], name: str) -> str:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder:
        credential = Path(folder) / f"archiver.ia-{name}-key"
        if credential.is_file() and (key := _read(credential)):
            return key
    option = f"archive.{name}_key_file"
    file = loaded.path(option)
    if file is not None:
        return _read(file)
    return _checked(environ.get(f"IA_{name.upper()}_KEY", ""), f"IA_{name.upper()}_KEY")


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST_KEY + 1)
    except OSError as error:
        raise ConfigurationError(
            f"The key file {shown(file)} cannot be read: {error.strerror}.",
            "Mend its path or permissions.",
        ) from None
    return _checked(data.decode("ascii", "replace"), str(file))


def _checked(text: str, place: str) -> str:
    """Refuse what cannot be a key: it would end up in a header, perhaps as two."""
    key = text.strip()
    if len(key) > _LARGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"{shown(place)} does not hold an archive.org key.",
            "Copy it again from https://archive.org/account/s3.php: one short line.",
        )
    return key


def keys_refusal(loaded: Loaded, url: str) -> str | None:
    """Return why account keys may not be sent to `url`, or None when they may."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "this is no address"
    home = parts.scheme == "https" and host == ARCHIVE_HOST and port in (None, 443)
    if not home and not (parts.scheme in ("http", "https") and is_loopback(host)):
        return f"account keys go only to https://{ARCHIVE_HOST} or to this machine"
    if loaded.found_in_working_directory:
        for option in ("network.ca_file", "network.proxy"):
            if loaded.origins.get(option) == FILE and loaded.path(option) is not None:
                return (
                    f"{option} comes from a configuration merely found in the working"
                    " directory; name the file with --config if it is yours"
                )
    return None


def may_send_keys(loaded: Loaded, url: str) -> bool:
    """Say whether account keys may be sent to `url` (design §8, law 13)."""
    return keys_refusal(loaded, url) is None
