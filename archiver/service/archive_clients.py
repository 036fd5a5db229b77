"""The clients of one archive, opened from the settings."""

from __future__ import annotations

import ssl
from datetime import timedelta
from types import TracebackType

from archiver.archiving.aggregator import Aggregator
from archiver.archiving.anonymous import AnonymousSaver, SaveEndpoint
from archiver.archiving.breakers import mark_of
from archiver.archiving.cdx import IndexClient
from archiver.archiving.pacing import ReadPace
from archiver.archiving.playback import PlaybackClient
from archiver.archiving.spn2 import AccountKeys, SavePageNow
from archiver.archiving.wire import ArchiveWire
from archiver.service.desk import Desk
from archiver.service.elsewhere import Elsewhere


class ArchiveClients:
    """Index, playback and saving; an async context manager.

    `account` is there in mode `spn2` only; `keys_mark` tells one pair of keys from another
    without showing them.
    """

    def __init__(self, desk: Desk, mode: str) -> None:
        """Make the clients; nothing is opened yet."""
        self._desk = desk
        settings, clock = desk.settings.archive, desk.clock
        agent = desk.settings.check.sent_user_agent
        network = desk.settings.network
        trust = desk.loaded.path("network.ca_file")
        self._wire = ArchiveWire(
            (
                settings.save_url,
                settings.cdx_url,
                settings.playback_url,
                settings.aggregator_url,
            ),
            user_agent=agent,
            pace=ReadPace(clock, settings.reads_per_minute, self._take_turn),
            proxy=network.proxy,
            trust=ssl.create_default_context(cafile=str(trust)) if trust else None,
        )
        base = settings.playback_url
        self.index = IndexClient(self._wire, clock, cdx_url=settings.cdx_url, playback_url=base)
        self.player = PlaybackClient(self._wire, clock, playback_url=base)
        self.saver = AnonymousSaver(
            SaveEndpoint(
                save_url=settings.save_url,
                playback_url=base,
                user_agent=agent,
                proxy=network.proxy,
                trust=str(trust) if trust else True,
            ),
            clock,
        )
        self.elsewhere = Elsewhere(
            desk,
            Aggregator(self._wire, clock, aggregator_url=settings.aggregator_url)
            if settings.aggregator_url
            else None,
        )
        self.account: SavePageNow | None = None
        self.keys_mark = ""
        if mode == "spn2" and desk.keys is not None:
            self.keys_mark = mark_of(desk.keys.access, desk.keys.secret)
            self.account = SavePageNow(
                self._wire,
                clock,
                AccountKeys(desk.keys.access, desk.keys.secret),
                save_url=settings.save_url,
                playback_url=base,
                submit_timeout=settings.submit_timeout,
            )

    def _take_turn(self, gap: timedelta) -> timedelta:
        """Share the pace of reads with the service, or with commands, on the same database."""
        now, journal = self._desk.clock.now(), self._desk.store.journal
        return journal.take_turn("archive-reads", self._desk.holder, now, gap)

    async def __aenter__(self) -> ArchiveClients:
        await self._wire.__aenter__()
        await self.elsewhere.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.elsewhere.__aexit__()
        await self._wire.__aexit__(kind, error, trace)
