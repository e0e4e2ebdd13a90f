"""The kill switch: blocks approve and apply, never a revert."""

from __future__ import annotations

from datetime import datetime

import structlog

from teagent.errors import Frozen, Refused, SpeakerError, StoreError
from teagent.model.units import format_time, parse_time
from teagent.ports import Clock, Speaker, Store, StoredEvent

log = structlog.get_logger("freeze")

FACT = "frozen"


class FreezeSwitch:
    """Survives restarts in the store; the relay is told as well, so that nothing new leaves there either."""

    def __init__(self, *, store: Store, clock: Clock, speaker: Speaker | None) -> None:
        self._store = store
        self._clock = clock
        self._speaker = speaker
        self.since: datetime | None = None
        self.by = ""
        self.reason = ""

    @property
    def frozen(self) -> bool:
        return self.since is not None

    async def load(self) -> None:
        fact = await self._store.fact(FACT)
        if isinstance(fact, dict):
            self.since = parse_time(str(fact["since"]))
            self.by, self.reason = str(fact["by"]), str(fact["reason"])

    def check(self) -> None:
        """Raises Frozen."""
        if self.since is not None:
            raise Frozen(since=format_time(self.since), by=self.by, reason=self.reason)

    async def freeze(self, *, actor: str, reason: str) -> None:
        """In force when this returns or raises: a full disk must not be in the way of the kill switch."""
        first = self.since is None
        if self.since is None:
            self.since, self.by, self.reason = self._clock.now(), actor, reason
        await self.tell_relay()
        try:
            await self._store.set_fact(FACT, {"since": format_time(self.since), "by": self.by, "reason": self.reason})
            if first:
                await self._record("frozen", actor, reason)
        except StoreError as error:
            raise StoreError(f"frozen, but a restart would forget it: {error.message}", hint=error.hint) from error

    async def thaw(self, *, actor: str) -> None:
        if self.since is None:
            raise Refused("not frozen: there is nothing to thaw")
        await self._store.set_fact(FACT, None)
        self.since, self.by, self.reason = None, "", ""
        await self._record("thawed", actor, "")
        await self.tell_relay()

    async def tell_relay(self) -> None:
        """The relay's copy is the second lock on the door: the first, ours, holds without it."""
        if self._speaker is None:
            return
        try:
            await self._speaker.freeze(frozen=self.frozen)
        except SpeakerError as error:
            log.warning("relay could not be told", frozen=self.frozen, error=error.message)

    async def _record(self, kind: str, actor: str, reason: str) -> None:
        log.warning(kind, actor=actor, reason=reason or None)
        await self._store.log(
            StoredEvent(at=self._clock.now(), kind=kind, actor=actor, subject="daemon", message=reason, fields={})
        )
