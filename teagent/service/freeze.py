"""The kill switch: blocks approve and apply, never a revert."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from teagent.errors import Frozen, Refused, SpeakerError, StoreError
from teagent.model.link import NoData
from teagent.model.units import format_time, parse_time
from teagent.ports import Clock, Speaker, SpeakerState, Store, StoredEvent

log = structlog.get_logger("freeze")

FACT = "frozen"
FREEZE_FILE = "the freeze file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    since: datetime
    by: str
    reason: str


class FreezeSwitch:
    """Survives restarts in the store; the relay is told as well, so that nothing new leaves there either."""

    def __init__(self, *, store: Store, clock: Clock, speaker: Speaker | None) -> None:
        self._store = store
        self._clock = clock
        self._speaker = speaker
        self._asked: Freeze | None = None
        self._by_file: Freeze | None = None

    @property
    def standing(self) -> Freeze | None:
        """The freeze that is in force; one that was asked for is named before the operator's file."""
        return self._asked or self._by_file

    @property
    def frozen(self) -> bool:
        return self.standing is not None

    def see(self, state: SpeakerState | NoData) -> None:
        """What the relay said last. Its file freezes us as well: a relay that refuses everything applies nothing."""
        if isinstance(state, NoData):
            return
        if not state.freeze_file:
            self._by_file = None
        elif self._by_file is None:
            self._by_file = Freeze(since=self._clock.now(), by=FREEZE_FILE, reason="")
            log.warning("frozen", actor=FREEZE_FILE)

    async def load(self) -> None:
        fact = await self._store.fact(FACT)
        if isinstance(fact, dict):
            self._asked = Freeze(since=parse_time(str(fact["since"])), by=str(fact["by"]), reason=str(fact["reason"]))

    def check(self) -> None:
        """Raises Frozen."""
        standing = self.standing
        if standing is not None:
            raise Frozen(since=format_time(standing.since), by=standing.by, reason=standing.reason)

    async def freeze(self, *, actor: str, reason: str) -> None:
        """In force when this returns or raises: a full disk must not be in the way of the kill switch."""
        first = self._asked is None
        asked = self._asked or Freeze(since=self._clock.now(), by=actor, reason=reason)
        self._asked = asked
        await self.tell_relay()
        try:
            await self._store.set_fact(
                FACT, {"since": format_time(asked.since), "by": asked.by, "reason": asked.reason}
            )
            if first:
                await self._record("frozen", actor, reason)
        except StoreError as error:
            raise StoreError(f"frozen, but a restart would forget it: {error.message}", hint=error.hint) from error

    async def thaw(self, *, actor: str) -> None:
        if self._asked is None and self._by_file is not None:
            raise Refused(
                f"frozen by {FREEZE_FILE}: only its removal thaws", hint="bgp.freeze_file in the configuration names it"
            )
        if self._asked is None:
            raise Refused("not frozen: there is nothing to thaw")
        await self._store.set_fact(FACT, None)
        self._asked = None
        await self._record("thawed", actor, "")
        await self.tell_relay()

    async def tell_relay(self) -> None:
        """The relay's copy is the second lock on the door: the first, ours, holds without it."""
        if self._speaker is None:
            return
        try:
            await self._speaker.freeze(frozen=self._asked is not None)
        except SpeakerError as error:
            log.warning("relay could not be told", frozen=self._asked is not None, error=error.message)

    async def _record(self, kind: str, actor: str, reason: str) -> None:
        log.warning(kind, actor=actor, reason=reason or None)
        await self._store.log(
            StoredEvent(at=self._clock.now(), kind=kind, actor=actor, subject="daemon", message=reason, fields={})
        )
