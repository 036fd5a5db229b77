"""`archiver demo`: the whole loop on this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archiver.cli.common import Application, pass_application
from archiver.text import shown

if TYPE_CHECKING:
    from rich.table import Table

    from archiver.demo.rehearsal import Told
    from archiver.service.once import Pass


@click.command()
@pass_application
def demo(application: Application) -> int:
    """Rehearse six weeks against a misbehaving web and an archive, all on loopback.

    Takes less than a minute, sends nothing to the internet, and leaves a database and a report.

    \b
    archiver demo
    """
    import sys
    import tempfile

    from archiver.logs import set_up

    set_up("error", "text", sys.stderr, application.environ)
    folder = Path(tempfile.mkdtemp(prefix="archiver-demo-"))
    told = _play(application, folder)
    application.stdout.print(_table(application, told))
    application.say(f"The report is in {folder / 'report' / 'report.html'}")
    application.say(f"The database is in {folder / 'archiver.db'}")
    application.say(
        f"Look around with: archiver -c {folder / 'archiver.toml'} status"
        " (or why URL, report, events lint)"
    )
    return 0


def _play(application: Application, folder: Path) -> list[Told]:
    import asyncio
    from datetime import UTC, datetime

    from archiver.cli.opening import ProgressBar
    from archiver.demo.rehearsal import HOURS, rehearse, stage, table
    from archiver.service.desk import Silent

    bar = ProgressBar(application) if application.shows_progress else Silent()

    async def main() -> list[Told]:
        start = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0)
        async with stage(folder, start) as opened:
            application.say(
                f"{len(opened.web.sites)} sites misbehave on this machine; six weeks begin."
            )
            bar.begin("Rehearsing six weeks", len(HOURS))

            def after_pass(result: Pass) -> None:
                bar.advance()
                if not application.shows_progress:
                    day = opened.web.day
                    application.say(f"day {day:>2}: {result.looks}; {result.archive}")

            try:
                await rehearse(opened, after_pass)
            finally:
                bar.end()
            return list(table(opened))

    return asyncio.run(main())


def _table(application: Application, told: list[Told]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    colors = {
        "ok": "green",
        "moved": "cyan",
        "blocked": "magenta",
        "failing": "yellow",
        "dead": "red",
    }
    del application
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("host", "belief", "reason", "capture"):
        drawn.add_column(heading, no_wrap=True)
    for row in told:
        capture = f"{row.archive} {row.capture.rpartition('/web/')[2][:8]}".strip()
        drawn.add_row(
            Text(shown(row.host)),
            Text(row.verdict, style=colors.get(row.verdict, "")),
            Text(shown(row.reason)),
            Text(shown(capture)),
        )
    return drawn
