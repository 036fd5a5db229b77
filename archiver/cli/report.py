"""`archiver report`: what to mend, in the format that is wanted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from archiver.cli.common import Application, pass_application

FORMATS = (
    *("html", "md", "csv", "json", "junit", "sarif", "github", "atom", "badge", "prometheus"),
)


@click.command()
@click.option(
    *("-f", "--format", "form"),
    type=click.Choice(FORMATS),
    default="md",
    show_default=True,
    help="The form of the report.",
)
@click.option(
    *("-o", "--output", "output"),
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write into FILE instead of standard output.",
)
@click.option(
    "--since",
    metavar="DURATION",
    default="7d",
    show_default=True,
    help="How far back the list of changes reaches.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["dead", "gone", "failing", "never"]),
    default="never",
    show_default=True,
    help="Exit 1 when a cited link is in this state.",
)
@pass_application
def report(
    application: Application, form: str, output: Path | None, since: str, fail_on: str
) -> int:
    """Report what has rotted, what to mend first, and with what.

    \b
    archiver report > report.md
    archiver report -f html -o report.html
    """
    from archiver.cli.opening import open_desk
    from archiver.service.report import render, write_whole
    from archiver.service.verdicts import any_failing

    span = _duration(since)
    with open_desk(application, must_exist=True) as desk:
        chunks = render(desk, form, span)
        if output is None:
            for chunk in chunks:
                click.echo(chunk, nl=False)
        elif output.exists() and not output.is_file():
            # A pipe or a device stays what it is: a file renamed to its name would replace it.
            with output.open("w", encoding="utf-8", newline="") as opened:
                opened.writelines(chunks)
        else:
            write_whole(output, chunks)
            application.say(f"The report is in {output}")
        return 1 if any_failing(desk, fail_on) else 0


def _duration(text: str) -> timedelta:
    from archiver.config.quantities import read_positive_duration

    try:
        return read_positive_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
