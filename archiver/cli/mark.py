"""`archiver mark`: a person has the last word."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from archiver.cli.common import Application, pass_application


@click.command()
@click.argument("url")
@click.argument("word", type=click.Choice(["alive", "gone", "ignore", "clear"]))
@click.option("--note", metavar="TEXT", default="", help="Why; kept with the look.")
@click.option("--until", metavar="DATE", help="How long alive or gone holds; 90 days if not said.")
@pass_application
def mark(application: Application, url: str, word: str, note: str, until: str | None) -> int:
    """Say what you see yourself: it holds at once, while looks go on and are recorded.

    "ignore" leaves the link out of reports and of --fail-on; "clear" takes marks back.

    \b
    archiver mark https://example.org/article alive --note "opens in my browser"
    archiver mark https://example.org/article gone --until 2027-06-30
    """
    from archiver.cli.opening import open_desk
    from archiver.service import explain, marking

    moment = _moment(until)
    with open_desk(application, must_exist=True) as desk:
        link_id = marking.mark(desk, url, word, note=note, until=moment)
        belief = explain.result(desk, link_id)["belief"]
        application.say(f"{url}: {belief['verdict']} ({belief['reason']})")
    return 0


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise click.BadParameter("write a date as YYYY-MM-DD", param_hint="--until") from None
