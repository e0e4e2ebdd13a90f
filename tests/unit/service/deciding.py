"""The world of `world`, with flows that fit the counters and a decider that looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from teagent.model.proposal import ProposalState
from teagent.model.traffic import FlowBatch
from teagent.ports import Advisor, ExporterHealth
from teagent.service.advise import Advising
from teagent.service.caller import Caller
from teagent.service.decide import Decider
from teagent.service.exporters import ExporterWatch
from teagent.service.ingest import Ingest
from teagent.service.predictor import Predictor
from teagent.service.scorecards import Scorecards
from tests.fakes.flows import Flow, batch
from tests.unit.service.world import POLICY, M, World

EXPORTER = "192.0.2.1"
WINDOW_SECONDS = 60


class FakeFlows:
    """Implements ports.FlowSource: what a test puts in is what is taken."""

    def __init__(self) -> None:
        self.waiting: list[FlowBatch] = []
        self.health: tuple[ExporterHealth, ...] = ()
        self.told: datetime | None = None  # for a source that is behind
        self.remembers_from: datetime | None = None
        self.why = ""

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def take(self) -> Sequence[FlowBatch]:
        taken, self.waiting = self.waiting, []
        return taken

    def resume(self, since: datetime | None, now: datetime) -> datetime:
        return self.remembers_from or now

    def told_until(self, now: datetime) -> datetime:
        return self.told or now

    def trouble(self) -> str:
        return self.why

    def dropped(self) -> dict[str, int]:
        return {}

    def exporters(self) -> Sequence[ExporterHealth]:
        return self.health


class DecidingWorld(World):
    """Link a (100 Mbps) carries 90: 60 towards HEAVY, 30 towards OTHER, each from senders of their own."""

    def build(self) -> None:
        super().build()
        self.source = FakeFlows()
        self.ingest = Ingest(
            source=self.source,
            links=self.network.links,
            prefixes=[own.prefix for own in self.network.prefixes],
            exporters={EXPORTER: "edge1"},
            observer=self.observer,
            store=self.store,
            clock=self.clock,
            window_seconds=WINDOW_SECONDS,
            max_rows=1000,
            exporter_watch=ExporterWatch(
                source=self.source, links=dict.fromkeys(self.network.links, "edge1"), clock=self.clock
            ),
        )
        self.policies = {POLICY.name: replace(POLICY, links=POLICY.links)}
        self.decide_with(*self.policies.values())

    def decide_with(self, *policies) -> None:
        self.policies = {policy.name: policy for policy in policies}
        self.predictor = Predictor(network=self.network, as_graphs=None)
        self.scorecards = Scorecards(
            links=tuple(self.network.links),
            book=self.book,
            observer=self.observer,
            predictor=self.predictor,
            store=self.store,
            clock=self.clock,
        )
        self.decider = Decider(
            network=self.network,
            policies=policies,
            config_digest="c" * 64,
            observer=self.observer,
            ingest=self.ingest,
            routes=self.routes,
            book=self.book,
            store=self.store,
            freeze=self.freeze,
            clock=self.clock,
            predictor=self.predictor,
            scorecards=self.scorecards,
        )
        self.approver._recheck = self.decider.recheck
        self.approver._policies = self.policies
        self.decider.approver = self.approver

    def send(self, seconds: float, *, towards: dict[str, float] | None = None, asn: int = 64600) -> None:
        """What the exporter tells of `seconds`, in bits per second by destination, on link a. The senders' ASes are
        numbered from `asn` on; with 0 the exporter knows none.
        """
        rates = towards or {"198.51.100.7": 60 * M, "203.0.113.7": 30 * M}
        flows = [
            Flow(
                src=f"10.{number}.0.1",
                dst=dst,
                octets=round(bps * seconds / 8),
                packets=1,
                in_if=2,
                src_asn=asn + number if asn else 0,
            )
            for number, (dst, bps) in enumerate(rates.items())
        ]
        self.source.waiting.append(batch(flows, exporter=EXPORTER))

    async def windows(self, count: int, *, silent: bool = False) -> None:
        """So many windows with their polls; with flows unless `silent`."""
        for _ in range(count):
            await self.run(WINDOW_SECONDS)
            if not silent:
                self.send(WINDOW_SECONDS)
            await self.ingest.close_window()

    def advising(self, advisor: Advisor, *, suggest: bool = True) -> Advising:
        return Advising(
            caller=Caller(advisor=advisor, store=self.store, clock=self.clock),
            book=self.book,
            decider=self.decider,
            predictor=self.predictor,
            policies=self.policies,
            store=self.store,
            clock=self.clock,
            suggest=suggest,
        )

    def pending(self) -> list[str]:
        return [proposal.id for proposal in self.book.in_state(ProposalState.PENDING)]
