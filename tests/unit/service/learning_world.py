"""The deciding world with learning beside it: windows in which each sender comes by a link that a test says."""

from __future__ import annotations

from collections.abc import Mapping

from teagent.ports import LearnedKind
from teagent.service.evidence import Evidence
from teagent.service.learning import Learning
from tests.fakes.flows import Flow, batch
from tests.unit.service.deciding import EXPORTER, WINDOW_SECONDS, DecidingWorld
from tests.unit.service.world import M

PLACES = {"a": 2, "b": 3}
"""ifIndex of the links."""
SETTLE_SECONDS = 60


class LearningWorld(DecidingWorld):
    """Two senders towards HEAVY (64601 with 40 Mbps, 64602 with 30) and one towards OTHER (64603 with 20)."""

    def decide_with(self, *policies) -> None:
        super().decide_with(*policies)
        self.approver._recheck = self._recheck  # what is approved here was not decided
        links = tuple(self.network.links)
        self.evidence = Evidence(
            links=links,
            predictor=self.predictor,
            routes=self.routes,
            store=self.store,
            settle_seconds=SETTLE_SECONDS,
        )
        self.learning = Learning(
            links=links,
            evidence=self.evidence,
            scorecards=self.scorecards,
            ingest=self.ingest,
            observer=self.observer,
            clock=self.clock,
        )

    async def window(
        self,
        *,
        moved: Mapping[int, str] | None = None,
        seen: float = 1.0,
        asn: bool = True,
        unseen_on_b: float = 0.0,
    ) -> None:
        """One window in which all come by link a but those that have `moved`; flows tell the share `seen` of it, and
        nothing of `unseen_on_b`.
        """
        by_link = {"a": 0.0, "b": 0.0}
        flows = []
        for number, (dst, bps) in {
            64601: ("198.51.100.7", 40 * M),
            64602: ("198.51.100.8", 30 * M),
            64603: ("203.0.113.7", 20 * M),
        }.items():
            link = (moved or {}).get(number, "a")
            by_link[link] += bps
            octets = round(bps * seen * WINDOW_SECONDS / 8)
            flows.append(
                Flow(
                    src=f"10.{number % 256}.0.1",
                    dst=dst,
                    octets=octets,
                    packets=1,
                    in_if=PLACES[link],
                    src_asn=number if asn else 0,
                )
            )
        self.telemetry.rates["edge1"] = {"eth1": by_link["a"], "eth2": by_link["b"] + unseen_on_b}
        for _ in range(WINDOW_SECONDS // 10):
            now = self.clock.advance(10)
            await self.observer.poll()
            self.evidence.note(now)
        self.source.waiting.append(batch(flows, exporter=EXPORTER))
        await self.ingest.close_window()
        await self.learning.cycle(self.decider.distrust)

    async def observations(self) -> int:
        return len(await self.store.learned(LearnedKind.OBSERVATION))
