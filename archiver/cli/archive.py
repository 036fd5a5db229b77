"""`archiver archive`: have links archived now."""

from __future__ import annotations

import click

from archiver.cli.common import Application, pass_application
from archiver.errors import UsageError
from archiver.text import shown


@click.command()
@click.argument("targets", nargs=-1, metavar="[URL|FILE|EVENT-ID]...")
@click.option("--missing", is_flag=True, help="All links without a known capture.")
@click.option("--dead", is_flag=True, help="All links believed dead.")
@click.option("--wait", is_flag=True, help="Wait for the capture, at most ten minutes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead.")
@pass_application
def archive(
    application: Application,
    targets: tuple[str, ...],
    missing: bool,
    dead: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Look up captures of links, and submit links that have none; prints the line to paste.

    \b
    archiver archive https://example.org/article --wait
    archiver archive --missing
    """
    from archiver.cli.opening import open_desk
    from archiver.cli.running import run_stoppable
    from archiver.config.review import require_usable
    from archiver.service import on_demand
    from archiver.service.scan import scan
    from archiver.service.targets import resolve_targets

    require_usable(application.loaded, application.environ)
    if application.settings.archive.mode == "off":
        raise UsageError('archive.mode is "off".', "Set another mode to ask an archive.")
    with open_desk(application, asks_network=True) as desk:

        async def work() -> list[int]:
            await scan(desk)
            if targets:
                link_ids = resolve_targets(desk, targets)
            elif missing or dead:
                link_ids = desk.store.queries.links_for_archive(missing=missing, dead=dead)
            else:
                now = desk.clock.now()
                link_ids = [task.link_id for task in desk.store.archive.due(now, 1000)]
            await on_demand.archive(desk, link_ids, wait=wait)
            return link_ids

        link_ids = run_stoppable(desk, work)
        if as_json:
            application.print_json(on_demand.archive_result(desk, link_ids))
        else:
            for link_id in link_ids:
                click.echo(shown(on_demand.archive_line(desk, link_id), 4000))
    return 0
