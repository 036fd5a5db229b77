"""`archiver status`: one screen, or one question for a health check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from archiver.cli.common import Application, pass_application
from archiver.errors import DatabaseUnusable
from archiver.text import span


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead.")
@click.option("--check", is_flag=True, help="Only say whether all is well; exit 1 when it is not.")
@pass_application
def status(application: Application, as_json: bool, check: bool) -> int:
    """Show what is known, what waits, and how the daemon is.

    \b
    archiver status
    archiver status --check    (for HEALTHCHECK: what /readyz says)
    """
    from archiver.cli.opening import open_desk
    from archiver.service.status import status as gather

    try:
        with open_desk(application, must_exist=True) as desk:
            gathered = gather(desk)
    except DatabaseUnusable as error:
        if not check:
            raise
        application.fail(error)
        return 1
    code = 1 if check and not gathered["health"]["ready"] else 0
    if as_json:
        application.print_json({**gathered, "ok": code == 0})
    else:
        for line in _health(gathered) if check else _screen(gathered):
            click.echo(line)
    return code


def _health(status: dict[str, Any]) -> Iterator[str]:
    health = status["health"]
    yield "ready" if health["ready"] else "not ready"
    for found in (*health["reasons"], *health["notes"]):
        yield f"  {found['code']}: {found['message']}"


def _screen(status: dict[str, Any]) -> Iterator[str]:
    backlog, daemon = status["backlog"], status["daemon"]
    online = {True: "yes", False: f"no, since {status['offline_since']}", None: "not known yet"}
    yield (
        f"citations  {status['citations']} of {status['links']} links,"
        f" {status['problems']} problems in the event files"
    )
    yield f"verdicts   {_counts(status['verdicts']) or 'none yet'}"
    yield f"archive    {_counts(status['archive']) or 'none yet'}"
    yield f"due now    {status['due']} looks"
    yield from _budgets(status["budgets"])
    yield (
        f"backlog    {backlog['lookups']} look-ups, {backlog['submissions']} submissions"
        f"{_estimate(backlog)}"
    )
    yield from _copies(status["local_copies"])
    yield f"online     {online[status['online']]}"
    running = (
        f"running, pid {daemon['pid']}, since {daemon['since']}"
        if daemon["running"]
        else "not running"
    )
    yield f"daemon     {running}; last run {daemon['last_run'] or 'never'}"
    if status["next_runs"]:
        yield f"next       {_next(status['next_runs'])}"
    first, *rest = _health(status)
    yield f"health     {first}"
    yield from (f"         {line}" for line in rest)


def _copies(copies: dict[str, Any]) -> Iterator[str]:
    if not copies["enabled"] and not copies["pages"]:
        return
    used, limit = copies["bytes"] / 2**20, copies["max_total"] / 2**20
    full = "; archive.local.max_total is reached: no more are made" if copies["full"] else ""
    yield f"copies     {copies['pages']} pages, {used:.0f} of {limit:.0f} MiB{full}"


def _counts(counted: dict[str, int]) -> str:
    return "  ".join(f"{count} {word}" for word, count in counted.items() if count)


def _budgets(budgets: dict[str, Any]) -> Iterator[str]:
    for key, left in budgets.items():
        name = key.removesuffix("_left")
        if name != key:
            limit, kept = budgets[f"{name}_daily"], budgets[f"{name}_reserved"]
            yield (
                f"budget     {left} of {limit} {name} submissions left today, {kept} of them for"
                f" requests and failing links; renewed at {budgets['renews_at']}"
            )


def _estimate(backlog: dict[str, Any]) -> str:
    seconds = backlog["estimate_seconds"]
    if not backlog["lookups"] and not backlog["submissions"]:
        return ""
    return (
        f", about {span(seconds)} at this pace"
        if seconds is not None
        else ", never at these limits"
    )


def _next(runs: dict[str, str | None]) -> str:
    """Write when each duty comes next: its time today or tomorrow is enough, all within a day."""
    return "  ".join(f"{name} {at[11:16] if at else 'now'}" for name, at in runs.items()) + " (UTC)"
