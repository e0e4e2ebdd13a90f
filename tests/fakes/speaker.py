"""A speaker in memory that can lose, delay, refuse and forget, as the real way to the routers can."""

from __future__ import annotations

from datetime import datetime

from teagent.errors import NotAcknowledged, SpeakerDown, SpeakerError, SpeakerRejected
from teagent.model.announcement import HeldOverride, Override
from teagent.model.bgp import Prefix
from teagent.ports import NeighborState, SpeakerState


class FakeSpeaker:
    """Implements ports.Speaker. `fail_next` makes the next calls raise; `log` keeps all calls in order."""

    def __init__(self) -> None:
        self.held: dict[Prefix, HeldOverride] = {}
        self.log: list[tuple[str, str]] = []
        self.failures: list[SpeakerError] = []
        self.down = False
        self.is_frozen = False
        self.freeze_file = False
        self.neighbor = "up"
        self.allow_list: str | None = None

    def lose_ack(self) -> None:
        self.failures.append(NotAcknowledged("no answer within 5s"))

    def reject(self, rule: str = "max_prepend") -> None:
        self.failures.append(SpeakerRejected(f"refused by the relay: {rule}", rule=rule))

    def _call(self, name: str, what: str) -> None:
        self.log.append((name, what))
        if self.down:
            raise SpeakerDown("the relay cannot be reached")
        if self.failures:
            raise self.failures.pop(0)

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def announce(self, override: Override, *, owner: str, deadline: datetime | None) -> None:
        self._call("announce", str(override.prefix))
        self.held[override.prefix] = HeldOverride(override=override, owner=owner, deadline=deadline, acknowledged=True)

    async def withdraw(self, prefix: Prefix, *, owner: str) -> None:
        self._call("withdraw", str(prefix))
        self.held.pop(prefix, None)

    async def confirm(self, prefix: Prefix, *, owner: str) -> None:
        self._call("confirm", str(prefix))
        held = self.held[prefix]
        self.held[prefix] = HeldOverride(
            override=held.override, owner=owner, deadline=None, acknowledged=held.acknowledged
        )

    async def repeat(self) -> None:
        self._call("repeat", "")

    async def state(self) -> SpeakerState:
        if self.down:
            raise SpeakerDown("the relay cannot be reached")
        return SpeakerState(
            overrides=tuple(self.held.values()),
            neighbors=(NeighborState(address="192.0.2.65", state=self.neighbor, since=None),),
            frozen=self.is_frozen or self.freeze_file,
            counters={},
            freeze_file=self.freeze_file,
            allow_list=self.allow_list,
            allow_list_problem="" if self.allow_list else "there is none",
        )

    async def freeze(self, *, frozen: bool) -> None:
        self._call("freeze" if frozen else "thaw", "")
        self.is_frozen = frozen
