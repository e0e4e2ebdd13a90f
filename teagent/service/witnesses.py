"""Several ways of asking routers as one: what one of them cannot tell of a router, another may."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

from teagent.engine.proof import joined
from teagent.model.bgp import Prefix
from teagent.model.link import NoData
from teagent.model.witness import Sighting
from teagent.ports import Clock, Witness, WitnessHealth


class Witnesses:
    """Implements ports.Witness. `each` is asked of the routers that are in its `health`."""

    def __init__(self, each: Sequence[Witness], *, clock: Clock) -> None:
        self._each = tuple(each)
        self._clock = clock
        self._of: dict[str, list[Witness]] = {}
        for witness in self._each:
            for health in witness.health():
                self._of.setdefault(health.router, []).append(witness)

    async def start(self) -> None:
        """All of them or none."""
        async with AsyncExitStack() as stack:
            for witness in self._each:
                await witness.start()
                stack.push_async_callback(witness.stop)
            stack.pop_all()

    async def stop(self) -> None:
        for witness in reversed(self._each):
            await witness.stop()

    def sighting(self, router: str, prefix: Prefix) -> Sighting | NoData:
        seen = [witness.sighting(router, prefix) for witness in self._of.get(router, ())]
        if not seen:
            return NoData(since=self._clock.now(), reason="has no witness: neither bmp nor a witness_session")
        return joined(seen)

    def strangers(self) -> frozenset[str]:
        return frozenset[str]().union(*(witness.strangers() for witness in self._each))

    def health(self) -> Sequence[WitnessHealth]:
        return tuple(health for witness in self._each for health in witness.health())
