"""Two processes at one link's archiving: what one has stored, the other's late answer keeps."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from archiver.archiving.record import from_json
from archiver.clock import SystemClock
from archiver.config import Keys
from archiver.demo.wayback import Scripted
from archiver.service.archiving import Archiving
from archiver.service.checking import Checking
from archiver.service.rounds import look_at_due
from archiver.service.scan import scan
from tests.service.desk import open_desk
from tests.service.town import Place, Town

NEWS = "/news/a-source-that-is-cited-by-an-event"


async def test_a_late_look_up_does_not_undo_a_submission_made_meanwhile(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    town.archive.job_time = timedelta(hours=1)
    with open_desk(place, SystemClock()) as service, open_desk(place, SystemClock()) as command:
        service.keys = command.keys = Keys("access-word", "secret-word")
        command.holder = "command:test"
        await scan(service)
        async with Checking(service) as checking:
            await look_at_due(checking)
        async with Archiving(service) as slow, Archiving(command) as fast:
            slowly = Scripted(200, "[]", "application/json", hang=1.0)
            town.archive.script("cdx", ".", slowly, times=1)
            late = asyncio.create_task(slow.one(1))
            await asyncio.sleep(0.5)
            begun = await fast.one(1)
            assert begun.job_id is not None
            await late
        record = from_json(service.store.archive.task(1).record)
    assert len(town.archive.asked("spn2")) == 1
    assert record.job_id == begun.job_id
