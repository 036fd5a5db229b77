"""`archiver why`: the whole story of one link."""

from __future__ import annotations

import click

from archiver.cli.common import Application, pass_application
from archiver.errors import UsageError
from archiver.text import shown


@click.command()
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead.")
@pass_application
def why(application: Application, url: str, as_json: bool) -> int:
    """Explain what is believed of URL: every look, the rule that fired, what would change it.

    \b
    archiver why https://example.org/article
    """
    from archiver.cli.opening import open_desk
    from archiver.service import explain
    from archiver.service.targets import known_link

    with open_desk(application, must_exist=True) as desk:
        link_id = known_link(desk, url)
        if link_id is None:
            raise UsageError(
                f"The database knows no link {shown(url)}.",
                "Check the spelling, or look at it first with 'archiver check URL'.",
            )
        if as_json:
            application.print_json(explain.why(desk, link_id))
        else:
            for line in explain.why_in_words(desk, link_id):
                click.echo(shown(line, 2000))
    return 0
