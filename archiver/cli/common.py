"""What every command shares: the global options, the output, and the `Application` object.

Nothing heavy is imported here: `--help` and completion load click and this only.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archiver import __version__
from archiver.errors import ArchiverError, ConfigurationError, UsageError
from archiver.text import shown

if TYPE_CHECKING:
    from rich.console import Console

    from archiver.config import Loaded, Settings

_LINE_LIMIT = 2000
_Command = TypeVar("_Command", bound=click.Command)


def wants_color(choice: str, environ: Mapping[str, str], is_terminal: bool) -> bool:
    """Decide on colour: `--color` first, then NO_COLOR (no-color.org) and FORCE_COLOR."""
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return is_terminal and environ.get("TERM") != "dumb"


class Application:
    """One invocation: what the global options said, and the means of every command.

    Data goes to `stdout`, everything else to `stderr`. Both, and the settings, come into
    being when they are first asked for.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Begin with nothing said on the command line."""
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self.config_file: Path | None = None
        self.verbose = 0
        self.quiet = False
        self.color = "auto"
        self.log_format: str | None = None
        self.wants_json = False
        # A service is read by the journal or a collector of logs, not by a person.
        self.is_service = False

    @cached_property
    def loaded(self) -> Loaded:
        """Find, read and validate the settings; raises ConfigurationError."""
        from archiver.config import load_settings

        try:
            here = Path.cwd()
        except OSError:
            raise UsageError(
                "The working directory does not exist any more.", "Change to one that does."
            ) from None
        return load_settings(self.config_file, self.environ, here, self._flags())

    def read_settings_anew(self) -> Loaded:
        """Read the settings of the same place again; raises ConfigurationError."""
        from archiver.config import load_settings

        known = self.loaded
        return load_settings(
            self.config_file or known.file, self.environ, known.working_directory, self._flags()
        )

    @property
    def settings(self) -> Settings:
        """Return the settings; raises ConfigurationError."""
        return self.loaded.settings

    def _flags(self) -> dict[str, object]:
        flags: dict[str, object] = {}
        if self.log_format:
            flags["log.format"] = self.log_format
        if self.verbose or self.quiet:
            flags["log.level"] = "debug" if self.verbose else "warning"
        return flags

    def start_logging(self) -> None:
        """Send log records to standard error as `[log]` and the global options say."""
        from archiver.config import account_keys
        from archiver.logs import set_up

        log = self.settings.log
        keys = account_keys(self.loaded, self.environ)
        secrets = (keys.access, keys.secret) if keys else ()
        set_up(log.level, log.format, sys.stderr, self.environ, secrets)

    @cached_property
    def stdout(self) -> Console:
        """Return the console for data."""
        return self._console(error=False)

    @cached_property
    def stderr(self) -> Console:
        """Return the console for progress, hints and errors."""
        return self._console(error=True)

    def _console(self, *, error: bool) -> Console:
        from rich.console import Console

        stream = sys.stderr if error else sys.stdout
        color = wants_color(self.color, self.environ, stream.isatty())
        return Console(
            stderr=error,
            force_terminal=True if color else None,
            color_system="auto" if color else None,
            no_color=not color,
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=True,
        )

    @property
    def shows_progress(self) -> bool:
        """Say whether a progress bar has somebody to look at it."""
        return sys.stderr.isatty() and not self.quiet and not self.wants_json

    def say(self, text: object, level: str = "info") -> None:
        """Tell a person one line on standard error, unless they asked for quiet."""
        if not self.quiet:
            self._tell(text, level)

    def _tell(self, text: object, level: str) -> None:
        line = shown(text, _LINE_LIMIT)
        if self.is_service:
            from archiver.logs import spoken

            line = spoken(line, level, self._service_log_format(), sys.stderr, self.environ)
        click.echo(line, err=True)

    def _service_log_format(self) -> str:
        try:
            return self.settings.log.format
        except ArchiverError:  # a wrong configuration is told as the command line wants it
            return self.log_format or "auto"

    def print_json(self, value: object) -> None:
        """Write one JSON value to standard output.

        In ASCII: what a stranger wrote then cannot steer a terminal.
        """
        import json

        click.echo(json.dumps(value, indent=2, ensure_ascii=True))

    def fail(self, error: ArchiverError) -> int:
        """Tell what went wrong and what to do next; return the exit code.

        One sentence on standard error, its details indented below it, then the next step;
        with `--json` also the error object of contract §4 on standard output.
        """
        details: tuple[str, ...] = getattr(error, "details", ())
        headline: str = getattr(error, "headline", error.message)
        lines = [f"archiver: {headline}", *(f"  {detail}" for detail in details), error.next_step]
        with contextlib.suppress(OSError):  # nobody reads it any more: the code still tells
            for line in filter(str.strip, lines):
                self._tell(line, "error")
            if self.wants_json:
                message = shown("; ".join((headline, *details)), 20 * _LINE_LIMIT)
                described = {"code": error.code, "message": message, "next": error.next_step}
                self.print_json({"error": described})
        return error.exit_code


pass_application = click.make_pass_decorator(Application)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep what a global option said, at whichever level of the command line it stood."""
    application = context.find_object(Application)
    if application is None or not value or parameter.name is None:
        return
    if parameter.name == "verbose":
        application.verbose += value
    else:
        setattr(application, parameter.name, value)


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"archiver {__version__}")
        context.exit(0)


def global_parameters(*, hidden: bool) -> list[click.Option]:
    """Return fresh global options (contract §1); hidden ones work but are not in the help."""
    common: dict[str, Any] = {"expose_value": False, "callback": _remember, "hidden": hidden}
    return [
        click.Option(
            ["-c", "--config", "config_file"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The configuration file.",
            **common,
        ),
        click.Option(["-v", "--verbose"], count=True, help="Say more; twice for traces.", **common),
        click.Option(["-q", "--quiet"], is_flag=True, help="Say only what is wrong.", **common),
        click.Option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            help="Colour; auto heeds NO_COLOR and FORCE_COLOR.",
            **common,
        ),
        click.Option(
            ["--log-format"],
            type=click.Choice(["auto", "text", "json"]),
            help="The form of log lines.",
            **common,
        ),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Show the version and exit.",
            hidden=hidden,
        ),
    ]


def global_options(command: _Command) -> _Command:
    """Let a command, and all below it, take the global options too; harmless twice."""
    taken = {name for parameter in command.params for name in parameter.opts}
    for option in global_parameters(hidden=True):
        if taken.isdisjoint(option.opts):
            command.params.append(option)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            global_options(below)
    return command


def usage_problem(error: click.ClickException) -> ArchiverError:
    """Turn a mistake click found into ours: a sentence, and what to do next."""
    context = getattr(error, "ctx", None)
    asked = context.command_path if context is not None else "archiver"
    message = error.format_message().rstrip()
    if not message.endswith((".", "?", "!", ")")):
        message += "."
    if isinstance(error, click.FileError):
        return ConfigurationError(message, "Name a file that can be read.")
    return UsageError(message, f"'{asked} --help' shows what is possible.")
