"""Routers in memory that hold what the speaker tells them, or do not, and say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from teagent.model.announcement import signal_community
from teagent.model.bgp import PathAttributes, Prefix
from teagent.model.link import NoData
from teagent.model.network import Network
from teagent.model.witness import Sighting, WitnessKind
from teagent.ports import Clock, SessionSeen, WitnessHealth
from tests.fakes.speaker import FakeSpeaker


class FakeWitness:
    """Implements ports.Witness for routers that are spoken to by `speaker`.

    `drops`: they receive and do not accept. `late`: they say that they dropped it until they are told again. `losing`:
    they do not receive. `silent` is the reason for saying nothing. `home` is whether their own routes are there. With
    `kind` IBGP they tell what they prefer, and nothing else.
    """

    def __init__(
        self, speaker: FakeSpeaker, network: Network, clock: Clock, *, routers: Sequence[str] = ("edge1",)
    ) -> None:
        self.speaker = speaker
        self.network = network
        self.clock = clock
        self.routers = tuple(routers)
        self.kind = WitnessKind.BMP
        self.drops: set[str] = set()
        self.losing: set[str] = set()
        self.late = False
        self.silent = ""
        self.home: bool | None = None
        self.stale: dict[Prefix, PathAttributes] = {}

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def sighting(self, router: str, prefix: Prefix) -> Sighting | NoData:
        if self.silent or router not in self.routers:
            return NoData(since=self.clock.now(), reason=self.silent or "is not configured to send BMP")
        seen = Sighting(
            session_up=True,
            complete=True,
            tells_received=True,
            tells_accepted=True,
            tells_selected=False,
            home=self.home,
            refusals={},
        )
        received = None if router in self.losing else self._told(prefix)
        told_again = ("repeat", "") in self.speaker.log
        accepted = None if router in self.drops or (self.late and not told_again) else received
        if self.kind is WitnessKind.IBGP:
            own = PathAttributes(next_hop=None)
            tells = {"tells_received": False, "tells_accepted": False, "tells_selected": True}
            return replace(seen, session_up=None, selected=accepted or own, **tells)
        return replace(seen, received=received, accepted=accepted or self.stale.get(prefix))

    def _told(self, prefix: Prefix) -> PathAttributes | None:
        held = self.speaker.held.get(prefix)
        if held is None:
            return None
        asn, links = int(self.network.asn), self.network.links
        signals = (signal_community(asn, links[s.link].id, s) for s in held.override.signals)
        return PathAttributes(next_hop=None, large_communities=frozenset(signals))

    def strangers(self) -> frozenset[str]:
        return frozenset()

    def health(self) -> Sequence[WitnessHealth]:
        session = SessionSeen(
            address="192.0.2.250", asn=int(self.network.asn), up=True, since=self.clock.now(), reason=""
        )
        return tuple(
            WitnessHealth(
                router=router,
                kind=self.kind,
                connected=not self.silent,
                since=self.clock.now(),
                reason=self.silent,
                told=True,
                system="a router",
                messages=1,
                undecoded=0,
                routes=len(self.speaker.held),
                sessions=(session,),
            )
            for router in self.routers
        )
