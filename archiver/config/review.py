"""What is allowed but perhaps not meant: the remarks of `config check`."""

from __future__ import annotations

import ipaddress
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from archiver.config import catalogue
from archiver.config.account import account_keys, keys_refusal
from archiver.config.loading import Loaded
from archiver.config.problems import SeveralProblems
from archiver.errors import ConfigurationError
from archiver.text import shown

_FILES = (
    "network.ca_file",
    "archive.access_key_file",
    "archive.secret_key_file",
    "web.token_file",
    "notify.secret_file",
)
# What IPAddressDeny= of the unit names, "link-local" spelt out.
_DENIED = tuple(
    ipaddress.ip_network(block)
    for block in (
        *("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"),
        *("169.254.0.0/16", "fe80::/64", "fc00::/7"),
    )
)
# Below these numbers a link may be called dead sooner than design §5 holds to be safe.
_CAUTIOUS = {"check.strong_looks": 3, "check.strong_days": 3, "check.weak_looks": 5}


def require_usable(loaded: Loaded, environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError unless all that the settings name is there and built.

    Folders of events, files with certificates, keys or tokens, keys for the mode that needs some.
    """
    raise_all(list(lacking(loaded, environ)))


def raise_all(problems: Sequence[ConfigurationError]) -> None:
    """Raise what is wrong, all of it at once."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise SeveralProblems(problems)


def lacking(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[ConfigurationError]:
    """Yield one problem for each thing that the settings name and that is not there."""
    for written, folder in loaded.event_folders:
        if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
            yield ConfigurationError(
                f"The events folder {shown(written)} cannot be read (it would be {shown(folder)}).",
                "Create it, mend its permissions, or set events.paths.",
            )
    for option in _FILES:
        file = loaded.path(option)
        if file is not None and not _readable(file):
            yield ConfigurationError(
                f"{option} names a file that cannot be read: {shown(file)}.",
                "Mend its path or permissions.",
            )
    yield from _lacking_keys(loaded, environ)


def _lacking_keys(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[ConfigurationError]:
    named = (loaded.path("archive.access_key_file"), loaded.path("archive.secret_key_file"))
    if any(file is not None and not _readable(file) for file in named):
        return  # told already
    try:
        keys = account_keys(loaded, environ)
    except ConfigurationError as problem:
        yield problem
        return
    if loaded.settings.archive.mode == "spn2" and keys is None:
        yield ConfigurationError(
            'archive.mode is "spn2", but there are no account keys.',
            'Give keys (docs/archiving.md says where), or set archive.mode = "auto".',
        )


def _readable(file: Path) -> bool:
    return file.is_file() and os.access(file, os.R_OK)


def remarks(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield one sentence for each thing a person should know of these settings."""
    settings = loaded.settings
    if not settings.check.contact:
        yield (
            "check.contact is empty: owners of sites cannot reach you, and the User-Agent says so."
        )
    for option, least in _CAUTIOUS.items():
        section, _, name = option.partition(".")
        if getattr(getattr(settings, section), name) < least:
            yield f"{option} is below {least}: a link may be called dead too early."
    if account_keys(loaded, environ) is not None:
        refusal = keys_refusal(loaded, settings.archive.save_url)
        if refusal:
            yield f"The account keys are not sent to archive.save_url: {refusal}."
    yield from _deaf_notifications(loaded, environ)
    unbuilt = sorted(catalogue.FORMATS_NOT_BUILT.intersection(settings.report.formats))
    if unbuilt:
        yield f"report.formats names formats this version cannot write: {', '.join(unbuilt)}."
    idle = [
        key
        for key, option in catalogue.options().items()
        if not catalogue.has_effect(key) and loaded.written[key] != option.default
    ]
    if idle:
        yield f"Set, but without effect in this version: {', '.join(idle)}."


def _deaf_notifications(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what would keep digests from arriving, known long before the first one is made."""
    notify = loaded.settings.notify
    if notify.command:
        program = notify.command[0]
        # A program with a slash is found as `notify.command` finds it.
        named = str(loaded.resolve("notify.command", program)) if "/" in program else program
        if shutil.which(named, path=environ.get("PATH", os.defpath)) is None:
            yield (
                f"notify.command: there is no program {shown(named)} that may be run here; no"
                " digest reaches it. Install it, or mend its path."
            )
    secret = loaded.path("notify.secret_file")
    if secret is not None and secret.is_file() and not secret.stat().st_size:
        yield "notify.secret_file is empty: no digest is sent to the webhook. Write a key into it."
    if secret is not None and not notify.webhook:
        yield "notify.secret_file signs what goes to notify.webhook, and that is empty."


def resolver_remark(resolv_conf: Path) -> str | None:
    """Return a warning when the unit's address filter would cut off the system's resolver.

    The unit denies private ranges and allows loopback (systemd/archiver.service); the format
    of the file is resolv.conf(5).
    """
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    servers = [
        parts[1] for parts in map(str.split, lines) if parts[:1] == ["nameserver"] and parts[1:]
    ]
    cut_off = [server for server in servers if _is_denied(server)]
    if not cut_off:
        return None
    return (
        f"The resolver {shown(cut_off[0])} is on the local network, which systemd/archiver.service"
        " keeps out of reach: install examples/private-resolver.conf beside it."
    )


def _is_denied(server: str) -> bool:
    try:
        address = ipaddress.ip_address(server.partition("%")[0])
    except ValueError:
        return False
    return any(address in block for block in _DENIED if block.version == address.version)


def without_effect() -> list[str]:
    """Return what has no effect in this version: options, and whole sections in brackets."""
    return [
        f"[{name}]" if name in catalogue.sections() else name
        for name in sorted(catalogue.NOT_YET_EFFECTIVE)
    ]
