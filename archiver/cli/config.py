"""`archiver config`: check, show and write the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archiver.cli.common import Application, pass_application
from archiver.errors import ConfigurationError

if TYPE_CHECKING:
    from archiver.config import Loaded

_RESOLV_CONF = Path("/etc/resolv.conf")


@click.group()
def config() -> None:
    """Check, show or write the configuration."""


@config.command(short_help="Say whether it is right, and name everything that is not.")
@pass_application
def check(application: Application) -> None:
    """Say whether the configuration is right; exit 3 and name everything that is not.

    \b
    archiver config check
    archiver config check -q -c /etc/archiver/archiver.toml
    """
    from archiver.config.review import remarks, resolver_remark, without_effect
    from archiver.text import shown

    loaded = application.loaded
    _require_all(application, loaded)
    for remark in remarks(loaded, application.environ):
        application.say(f"warning: {remark}")
    if Path("/run/systemd/system").is_dir() and (warning := resolver_remark(_RESOLV_CONF)):
        application.say(f"warning: {warning}")  # sd_booted(3): only there can a unit matter
    if application.quiet:
        return
    if idle := without_effect():
        application.say(f"No effect in this version: {', '.join(idle)}.")
    source = loaded.file or "no file, defaults only"
    click.echo(f"The configuration is right ({shown(source)}).")
    click.echo(f"Database: {shown(loaded.database_path)}")
    for _, folder in loaded.event_folders:
        click.echo(f"Events: {shown(folder)}")
    click.echo(f"Reports: {shown(loaded.report_directory)}")


def _require_all(application: Application, loaded: Loaded) -> None:
    """Raise everything that is wrong with what the settings name, at once."""
    from archiver.config.review import lacking, raise_all
    from archiver.web.door import require_servable

    problems = list(lacking(loaded, application.environ))
    # A token file that cannot be read was named already.
    if not any("web.token_file" in problem.message for problem in problems):
        try:
            require_servable(loaded)
        except ConfigurationError as problem:
            problems.append(problem)
    raise_all(problems)


@config.command()
@click.option("--origin", is_flag=True, help="Also say where each value comes from.")
@pass_application
def show(application: Application, origin: bool) -> None:
    """Print every value in force, as TOML.

    \b
    archiver config show --origin
    """
    from archiver.config.writing import effective

    click.echo(effective(application.loaded, with_origin=origin), nl=False)


@config.command(short_help="Print an annotated file: every option with its default.")
def init() -> None:
    """Print an annotated file with every option and its default.

    \b
    archiver config init > config/archiver.toml
    """
    from archiver.config.writing import annotated_example

    click.echo(annotated_example(), nl=False)


@config.command()
@pass_application
def schema(application: Application) -> None:
    """Print the JSON Schema of the configuration, for editors.

    \b
    archiver config schema > archiver.schema.json
    """
    from archiver.config.writing import schema as json_schema

    application.print_json(json_schema())
