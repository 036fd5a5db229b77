"""The archive's pauses, kept in the store: a restart never hammers (reference wayback §9.2.9)."""

from __future__ import annotations

from datetime import timedelta

from archiver.archiving import breakers as pauses
from archiver.archiving.answers import Trouble
from archiver.archiving.breakers import Breaker
from archiver.service.desk import Desk, log

_STATE = "breakers"


class Breakers:
    """All breakers of the archive, read and written as one small state."""

    def __init__(self, desk: Desk) -> None:
        """Keep them in the desk's store."""
        self._desk = desk

    def all(self) -> dict[str, Breaker]:
        """Return the breakers by name."""
        stored: dict[str, str] = self._desk.store.journal.state(_STATE, {})
        return {name: Breaker.from_json(text) for name, text in stored.items()}

    def keys_are_refused(self, backend: str) -> bool:
        """Say whether nothing is submitted any more until we act: our keys were refused."""
        return pauses.keys_are_refused(self.all(), backend, self._mark if backend == "spn2" else "")

    def are_for_us(self, breaker: Breaker) -> bool:
        """Say whether a pause is ours: other keys than the refused ones end what these began."""
        return not (self._mark and breaker.is_open_ended and breaker.mark != self._mark)

    @property
    def _mark(self) -> str:
        keys = self._desk.keys
        return "" if keys is None else pauses.mark_of(keys.access, keys.secret)

    def note(
        self,
        trouble: Trouble,
        scope: str,
        retry_after: int | None,
        *,
        backend: str = "",
        keys_mark: str = "",
    ) -> None:
        """Let an answer open or close breakers."""
        # All are one value: another process's pause must not be lost between reading and writing.
        with self._desk.store.atomic():
            breakers = self.all()
            changed = pauses.note(
                breakers,
                trouble,
                scope,
                self._desk.clock.now(),
                backend=backend,
                retry_after=retry_after,
                keys_mark=keys_mark,
            )
            self._store(breakers, changed)

    def note_host(self, host: str, *, refused: bool, pause: timedelta | None) -> None:
        """Let a site's refusals rest the site, not the archive."""
        with self._desk.store.atomic():
            breakers = self.all()
            changed = pauses.note_host(
                breakers, host, self._desk.clock.now(), refused=refused, pause=pause
            )
            self._store(breakers, [] if changed is None else [changed])

    def _store(self, breakers: dict[str, Breaker], changed: list[Breaker]) -> None:
        if not changed:
            return
        for breaker in changed:
            if breaker.until is not None:
                log.warning(
                    "archive: a pause (%s) until %s", breaker.reason, f"{breaker.until:%F %H:%M}"
                )
            elif breaker.is_open_ended:
                log.warning("archive: nothing is submitted any more (%s)", breaker.reason)
            breakers[breaker.name] = breaker
        texts = {name: breaker.to_json() for name, breaker in breakers.items()}
        self._desk.store.journal.set_state(_STATE, texts)
