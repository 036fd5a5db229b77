"""`archiver check`: look at links now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archiver.cli.common import Application, pass_application
from archiver.errors import UsageError
from archiver.text import shown

if TYPE_CHECKING:
    from archiver.service.desk import Desk
    from archiver.service.on_demand import Checked


@click.command()
@click.argument("targets", nargs=-1, metavar="[URL|FILE|EVENT-ID]...")
@click.option("--due", is_flag=True, help="All links that are due (the default).")
@click.option("--all", "everything", is_flag=True, help="All cited links, due or not.")
@click.option("--dead", is_flag=True, help="All links believed dead.")
@click.option("--host", metavar="H", help="All links of a host and its subdomains.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead.")
@click.option(
    "--fail-on",
    type=click.Choice(["dead", "gone", "failing", "never"]),
    help="Exit 1 when a link is in this state; gone for named targets, else dead.",
)
@pass_application
def check(
    application: Application,
    targets: tuple[str, ...],
    due: bool,
    everything: bool,
    dead: bool,
    host: str | None,
    as_json: bool,
    fail_on: str | None,
) -> int:
    """Look at links now, with the daemon's own manners, and say what is believed of them.

    \b
    archiver check https://example.org/article
    archiver check events/2016-11-30--example.md --json
    archiver check --host example.org
    """
    from archiver.cli.opening import open_desk
    from archiver.cli.running import run_stoppable
    from archiver.service import on_demand
    from archiver.service.scan import scan
    from archiver.service.targets import resolve_targets
    from archiver.service.verdicts import fails

    del due  # what is due is what no other choice asks for
    fail_on = fail_on or ("gone" if targets else "dead")
    with open_desk(application, asks_network=True) as desk:

        async def work() -> Checked:
            await scan(desk)
            link_ids = _chosen(desk, targets, everything=everything, dead=dead, host=host)
            if link_ids is None and targets:
                link_ids = resolve_targets(desk, targets)
            return await on_demand.check(desk, link_ids)

        checked = run_stoppable(desk, work)
        failed = any(
            fails(fail_on, *_state(desk, link_id, checked)) for link_id in checked.link_ids
        )
        if as_json:
            application.print_json(on_demand.check_result(desk, checked, failed=failed))
        else:
            _tell(desk, checked)
        _tell_missed(application, desk, checked)
        if checked.offline:
            application.say(
                "This machine seems to be offline: nothing was judged. Try again once there is"
                " a way out."
            )
            return 4
        return 1 if failed else 0


def _chosen(
    desk: Desk, targets: tuple[str, ...], *, everything: bool, dead: bool, host: str | None
) -> list[int] | None:
    """Return the links that flags name, None when targets or what is due decide."""
    if targets or not (everything or dead or host is not None):
        return None
    named = None if host is None else _host(host)
    return desk.store.queries.links_where(verdict="dead" if dead else None, host=named)


def _host(written: str) -> str:
    """Return a host as links and `[hosts]` have it: lower-case A-label or address, no end dot."""
    from archiver.config.sections import host_name

    try:
        return host_name(written.strip("[]")).rstrip(".")
    except ValueError:
        raise UsageError(
            f"{shown(written)} is no host.", "Name one such as example.org, without a port."
        ) from None


def _state(desk: Desk, link_id: int, checked: Checked) -> tuple[str | None, str | None]:
    link = desk.store.queries.link(link_id)
    finding = checked.findings.get(link_id)
    verdict = None if link is None or link["ignored"] else str(link["verdict"])
    return verdict, None if finding is None or verdict is None else finding.strength.value


def _tell_missed(application: Application, desk: Desk, checked: Checked) -> None:
    """Say of which links nothing new is known, because their hosts could not be asked."""
    for link_id, until in checked.missed.items():
        link = desk.store.queries.link(link_id)
        if link is not None:
            application.say(
                f"{link['url']} was not looked at: its host asked for a pause, or another process"
                f" is asking it. Try again after {until:%Y-%m-%d %H:%M} UTC."
            )


def _tell(desk: Desk, checked: Checked) -> None:
    from archiver.reasons import in_words
    from archiver.service.explain import result

    for link_id in checked.link_ids:
        told = result(desk, link_id)
        belief = told["belief"]
        click.echo(
            f"{belief['verdict']:<9} {shown(told['url'], 2000)}  {belief['reason']}:"
            f" {shown(in_words(belief['reason']))}"
        )
        finding = checked.findings.get(link_id)
        if finding is not None and finding.verdict is None and not checked.offline:
            # What is believed stands; without a word it would look like what was seen just now.
            click.echo(f"{'':<9} This look counts for nothing. {told['finding']['text']}")
