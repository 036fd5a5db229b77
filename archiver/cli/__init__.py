"""The command line: a table of commands, each imported only when it is called.

`--help` and completion load click and nothing heavy (measured in tests/cli/test_help.py), so
the table carries each command's one-line help.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from archiver.cli.common import Application, global_options, global_parameters, usage_problem
from archiver.errors import ArchiverError, CannotWork
from archiver.text import shown

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

INTERRUPTED = 130
PROGRAM = "archiver"
COMPLETION_VARIABLE = "_ARCHIVER_COMPLETE"


class Entry(NamedTuple):
    """Where a command lives, and its line in the help."""

    module: str
    attribute: str
    summary: str


# One row per command, in the order of the contract.
COMMANDS = {
    "run": Entry("archiver.cli.run", "run", "Watch as a service, or make one pass."),
    "check": Entry("archiver.cli.check", "check", "Look at links now."),
    "archive": Entry("archiver.cli.archive", "archive", "Have links archived now."),
    "mark": Entry("archiver.cli.mark", "mark", "Say the last word about a link."),
    "why": Entry("archiver.cli.why", "why", "Explain what is believed of a link."),
    "status": Entry("archiver.cli.status", "status", "Show what is known and what waits."),
    "report": Entry("archiver.cli.report", "report", "Report what has rotted, and the mending."),
    "events": Entry("archiver.cli.events", "events", "Check the event files offline."),
    "config": Entry("archiver.cli.config", "config", "Check, show or write the configuration."),
    "db": Entry("archiver.cli.db", "db", "Look after the database."),
    "demo": Entry("archiver.cli.demo", "demo", "Show the whole loop on this machine alone."),
    "completion": Entry(
        "archiver.cli.completion", "completion", "Print the completion script of a shell."
    ),
}


class Commands(click.Group):
    """The group over `COMMANDS`; looks commands up in the table and imports them late."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, None when there is none of that name."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(entry.module), entry.attribute)
        return global_options(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command to call; a name nobody knows gets the nearest one proposed."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            close = get_close_matches(args[0], COMMANDS, 1, 0.5)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            ctx.fail(f"No such command '{shown(args[0], 60)}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table alone."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands from the table alone."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=entry.summary)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


def _begin(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)


command_line = Commands(
    PROGRAM,
    params=list(global_parameters(hidden=False)),
    callback=click.pass_context(_begin),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Watch the web pages a timeline cites, and have them archived before they vanish.",
    epilog="The options above may also stand behind a command."
    " 'archiver COMMAND --help' explains one command.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (contract §1); never raises."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if COMPLETION_VARIABLE in os.environ:
        command_line.main(given, PROGRAM, COMPLETION_VARIABLE)
    _survive_closed_outputs()
    _survive_odd_characters()
    application = Application()
    application.wants_json = "--json" in _before_dashes(given)
    with _terminated_like_interrupted():
        code = 0
        try:
            code = _run(given, application)
            sys.stdout.flush()
        except BrokenPipeError:
            pass  # whoever read our output has seen enough; a code already known stays
        except KeyboardInterrupt:
            code = INTERRUPTED
        except OSError as error:
            code = _fail_late(application, error)
    return _leave_quietly(code)


def _run(arguments: list[str], application: Application) -> int:
    """Call the command; turn everything but interruption and broken pipes into a code."""
    try:
        with command_line.make_context(PROGRAM, arguments, obj=application) as context:
            result: Any = command_line.invoke(context)
            return result if isinstance(result, int) else 0
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            return error.exit_code
        return application.fail(usage_problem(error))
    except ArchiverError as error:
        _trace(application)
        return application.fail(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        _trace(application)
        return application.fail(_trouble(error))
    except Exception as error:
        _trace(application)
        return application.fail(_our_mistake(error))


def _trouble(error: OSError) -> ArchiverError:
    named = f": {error.filename}" if error.filename else ""
    reason = error.strerror or str(error) or type(error).__name__
    next_step = (
        "Free some space, or raise the limit, and try again."
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        else "Check that place and its permissions; -vv shows where it happened."
    )
    return CannotWork(f"The system refused{named}: {reason}.", next_step)


def _our_mistake(error: Exception) -> ArchiverError:
    return CannotWork(
        f"Something went wrong inside archiver: {type(error).__name__}: {error}",
        "This is a mistake of the program, not yours; run it again with -vv and report that.",
        code="internal-error",
    )


def _trace(application: Application) -> None:
    """Show a trace to who asked for one with -vv, and to nobody else."""
    if application.verbose >= 2:
        import traceback

        traceback.print_exc()


def _fail_late(application: Application, error: OSError) -> int:
    """Report that the last output could not be written, if even that can be written."""
    with contextlib.suppress(OSError):
        application.wants_json = False
        return application.fail(_trouble(error))
    return CannotWork.exit_code


def _before_dashes(arguments: list[str]) -> list[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _survive_closed_outputs() -> None:
    """Let what is written to an output that was closed at the start (`>&-`) go nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _survive_odd_characters() -> None:
    """Let a terminal that cannot show a character get an escape instead of an exception."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that a stopped command leaves as cleanly and says 130."""
    try:
        before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    except ValueError:  # not in the main thread: whoever is, decides
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave_quietly(code: int) -> int:
    """Point standard output away when its reader is gone, so that Python's exit says nothing."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
