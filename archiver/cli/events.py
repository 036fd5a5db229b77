"""`archiver events`: what can be said of the event files without asking the network."""

from __future__ import annotations

import os
from pathlib import Path

import click

from archiver.cli.common import Application, pass_application
from archiver.errors import UsageError
from archiver.text import shown


@click.group()
def events() -> None:
    """Check the event files offline."""


@events.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    *("-f", "--format", "form"),
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The form of the answer.",
)
@pass_application
def lint(application: Application, paths: tuple[str, ...], form: str) -> int:
    """Name every problem of the event files by file and line; exit 1 if one is an error.

    PATH is a file or a folder; without one, the configured folders are read.

    \b
    archiver events lint
    archiver events lint events/2016-11-30--example.md -f json
    """
    from archiver.events.find import find_files
    from archiver.events.lint import as_json, as_text
    from archiver.events.lint import lint as judge
    from archiver.events.read import read_file

    application.wants_json = application.wants_json or form == "json"
    roots = _named(paths) if paths else list(application.loaded.event_folders)
    settings = application.settings.events
    found = find_files(roots, settings.include)
    report = judge(read_file(file, settings.source_keys) for file in found)
    if application.wants_json:
        application.print_json(as_json(report))
    else:
        click.echo(as_text(report))
    return report.exit_code


def _named(paths: tuple[str, ...]) -> list[tuple[str, Path]]:
    for path in paths:
        if not os.path.exists(path):  # of "", and of what is too long for a name, it says no
            raise UsageError(
                f"There is no file or folder {shown(path)}.", "Check the path and try again."
            )
    return [(path, Path(path)) for path in paths]
