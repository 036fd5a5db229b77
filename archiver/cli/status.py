"""`archiver status`: one screen."""

from __future__ import annotations

from typing import Any

import click

from archiver.cli.common import Application, pass_application


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead.")
@pass_application
def status(application: Application, as_json: bool) -> int:
    """Show what is known, what waits, and how the daemon is.

    \b
    archiver status
    archiver status --json
    """
    from archiver.cli.opening import open_desk
    from archiver.service.status import status as gather

    with open_desk(application, must_exist=True) as desk:
        gathered = gather(desk)
        if as_json:
            application.print_json({**gathered, "ok": True})
        else:
            for line in _lines(gathered):
                click.echo(line)
    return 0


def _lines(status: dict[str, Any]) -> list[str]:
    verdicts = "  ".join(f"{count} {word}" for word, count in status["verdicts"].items() if count)
    archive = "  ".join(f"{count} {word}" for word, count in status["archive"].items() if count)
    budgets, backlog, daemon = status["budgets"], status["backlog"], status["daemon"]
    online = {True: "yes", False: f"no, since {status['offline_since']}", None: "not known yet"}
    running = (
        f"running, pid {daemon['pid']}, since {daemon['since']}"
        if daemon["running"]
        else "not running"
    )
    return [
        f"citations  {status['citations']} of {status['links']} links,"
        f" {status['problems']} problems in the event files",
        f"verdicts   {verdicts or 'none yet'}",
        f"archive    {archive or 'none yet'}",
        f"due now    {status['due']} looks",
        f"budget     {budgets['anonymous_left']} of {budgets['anonymous_daily']} anonymous"
        f" submissions left, renewed at {budgets['renews_at']}",
        f"backlog    {backlog['lookups']} look-ups, {backlog['submissions']} submissions,"
        f" about {_hours(backlog['estimate_seconds'])}",
        f"online     {online[status['online']]}",
        f"daemon     {running}; last run {daemon['last_run'] or 'never'}",
    ]


def _hours(seconds: int) -> str:
    if seconds < 5400:
        return f"{max(1, round(seconds / 60))} minutes"
    return (
        f"{round(seconds / 3600)} hours" if seconds < 172800 else f"{round(seconds / 86400)} days"
    )
