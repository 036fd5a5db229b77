"""The exceptions of archiver: each means "I could not do my job", and says what to do next.

What the network or a file did is data (see `archiver.model`), never an exception.

    ArchiverError
    ├── UsageError              exit 2   the command line names something that is not there
    ├── ConfigurationError      exit 3   settings are wrong, or the events folder is unreadable
    └── CannotWork              exit 4   the world does not let us work now
        ├── Offline                      no way out to the internet
        ├── DatabaseUnusable             locked, newer, read-only, corrupted, or the disk is full
        ├── AnotherDaemon                a second `run` on one database
        └── KeysRefused                  archive.org refused the account keys
"""

from __future__ import annotations


class ArchiverError(Exception):
    """Root of everything archiver raises on purpose."""

    exit_code = 4
    code = "error"

    def __init__(self, message: str, next_step: str, *, code: str | None = None) -> None:
        """Carry one sentence of what happened and one of what to do next."""
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class UsageError(ArchiverError):
    """The command line names something that does not exist or makes no sense."""

    exit_code = 2
    code = "usage"


class ConfigurationError(ArchiverError):
    """The settings are wrong, or the folder of events cannot be read."""

    exit_code = 3
    code = "bad-configuration"


class CannotWork(ArchiverError):
    """The surroundings do not let us work now; trying later may help."""

    exit_code = 4
    code = "cannot-work"


class Offline(CannotWork):
    """This machine has no way out to the internet."""

    code = "offline"


class DatabaseUnusable(CannotWork):
    """The database is locked, newer than us, read-only, corrupted, or the disk is full."""

    code = "database-unusable"


class AnotherDaemon(CannotWork):
    """Another `archiver run` holds this database."""

    code = "another-daemon"


class KeysRefused(CannotWork):
    """archive.org refused the account keys (401 or 403)."""

    code = "keys-refused"
