"""What a pass would do, said without doing it (`run --dry-run`)."""

from __future__ import annotations

from collections.abc import Iterable

from archiver.archiving.eligibility import SECRET
from archiver.service.archiving import resolved_mode
from archiver.service.desk import Desk
from archiver.service.scan import scan
from archiver.service.situations import refused
from archiver.text import shown


async def plan_pass(desk: Desk) -> Iterable[str]:
    """Return one line for every look, look-up and submission that is due.

    Work on a copy of the database: the scan writes into it.
    """
    await scan(desk)
    now = desk.clock.now()
    lines = [f"look {shown(row['url'], 2000)}" for row in desk.store.queries.due_links(now)]
    mode = resolved_mode(desk)
    if mode != "off":
        for task in desk.store.archive.due(now, 1_000_000):
            if refused(task, desk.settings) not in SECRET:
                lines.append(f"archive ({mode}, {task.state}) {shown(task.url, 2000)}")
    lines.append(f"{len(lines)} requests are due; nothing was sent or written")
    return lines
