"""A small network with everything real but the routers, on a clock that is told to move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, ip_address, ip_network

from teagent.engine.choose.digest import plan_digest
from teagent.model.announcement import AnnouncementSet, difference
from teagent.model.bgp import Asn, Prefix
from teagent.model.link import Link, LinkKind
from teagent.model.network import Network, OwnPrefix
from teagent.model.plan import Band, Considered, DryRun, LinkForecast, NeedsApproval, Plan, Score
from teagent.model.policy import (
    Approval,
    Confirm,
    Limits,
    LinkMatch,
    Metric,
    NoDataGuard,
    Objective,
    Policy,
    PrefixMatch,
    PrependLever,
    Trigger,
    UtilisationGuard,
)
from teagent.model.proposal import Proposal
from teagent.service.apply import Applier
from teagent.service.approve import Approver
from teagent.service.freeze import FreezeSwitch
from teagent.service.observe import Observer
from teagent.service.proposals import ProposalBook
from teagent.service.prove import Prover
from teagent.service.reconcile import Reconciler, Routes
from teagent.service.score import Scorer
from teagent.service.watch import Watcher
from tests.fakes.clock import FakeClock
from tests.fakes.speaker import FakeSpeaker
from tests.fakes.store import MemoryStore
from tests.fakes.telemetry import FakeTelemetry
from tests.fakes.witness import FakeWitness

HEAVY: Prefix = IPv4Network("198.51.100.0/24")
OTHER: Prefix = IPv4Network("203.0.113.0/24")
M = 1_000_000.0

POLICY = Policy(
    name="relief",
    description="",
    links=LinkMatch(names=frozenset({"a"})),
    prefixes=PrefixMatch(),
    when=Trigger(metric=Metric.IN_UTILISATION, above=0.8, for_seconds=60, clear_below=0.7),
    objective=Objective.RELIEVE_AT_LEAST_COST,
    levers=(PrependLever(max=3),),
    limits=Limits(cooldown_seconds=600),
    approval=Approval(expires_after_seconds=600),
    confirm=Confirm(
        window_seconds=300,
        settle_seconds=60,
        revert_if=(UtilisationGuard(above=0.95), NoDataGuard(for_seconds=90)),
    ),
)


def network() -> Network:
    def link(name: str, number: int, capacity: float) -> Link:
        return Link(
            name=name,
            id=number,
            kind=LinkKind.TRANSIT,
            router="edge1",
            interface=f"eth{number}",
            neighbor=ip_address(f"192.0.2.{number}"),
            peer_asn=Asn(64500 + number),
            capacity_bps=capacity,
        )

    return Network(
        asn=Asn(64510),
        links={"a": link("a", 1, 100 * M), "b": link("b", 2, 1000 * M)},
        prefixes=(
            OwnPrefix(prefix=ip_network("198.51.100.0/24"), home={"a": 0, "b": 2}, engineer=True),
            OwnPrefix(prefix=ip_network("203.0.113.0/24"), home={"a": 0, "b": 2}, engineer=True),
        ),
    )


@dataclass
class World:
    clock: FakeClock
    live: bool = True
    store: MemoryStore = field(default_factory=MemoryStore)
    speaker: FakeSpeaker = field(default_factory=FakeSpeaker)
    witness: FakeWitness | None = None
    differences: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network = network()
        self.home = self.network.home()
        self.telemetry = FakeTelemetry(self.clock, {"edge1": {"eth1": 90 * M, "eth2": 100 * M}})
        self.build()

    def build(self) -> None:
        """A new daemon on the same store and the same routers."""
        speaker = self.speaker if self.live else None
        self.book = ProposalBook(store=self.store, clock=self.clock)
        self.routes = Routes(speaker=speaker, home=self.home, clock=self.clock)
        self.freeze = FreezeSwitch(store=self.store, clock=self.clock, speaker=speaker)
        self.applier = (
            Applier(book=self.book, routes=self.routes, speaker=self.speaker, home=self.home, clock=self.clock)
            if self.live
            else None
        )
        self.reconciler = Reconciler(book=self.book, routes=self.routes, speaker=self.speaker, home=self.home)
        self.observer = Observer(
            links=self.network.links,
            telemetry=self.telemetry,
            store=self.store,
            clock=self.clock,
            poll_seconds=10,
            stale_after_seconds=30,
            history_seconds=3600,
        )
        self.policies = {POLICY.name: POLICY}
        self.prover = Prover(
            witness=self.witness,
            speaker=speaker,
            routes=self.routes,
            neighbors={"edge1": ip_address("192.0.2.65")},
            network=self.network,
            book=self.book,
            store=self.store,
            clock=self.clock,
        )
        self.approver = Approver(
            book=self.book,
            applier=self.applier,
            freeze=self.freeze,
            prover=self.prover,
            policies=self.policies,
            recheck=self._recheck,
            clock=self.clock,
        )
        self.watcher = Watcher(
            book=self.book,
            applier=self.applier,
            observer=self.observer,
            prover=self.prover,
            policies=self.policies,
            links=self.network.links,
        )
        self.scorer = Scorer(book=self.book, observer=self.observer, store=self.store)

    async def _recheck(self, _proposal: Proposal, _policy: Policy, _now: datetime) -> Sequence[str]:
        return self.differences

    async def restart(self) -> None:
        """kill -9, and a new daemon."""
        self.build()
        await self.book.load()
        await self.freeze.load()
        await self.scorer.load()
        await self.prover.load()

    async def settle(self) -> None:
        """What the daemon does at its start."""
        await self.routes.refresh()
        await self.approver.recover()
        async with self.book.lock:
            await self.reconciler.cycle(self.clock.now())

    async def run(self, seconds: int, *, every: int = 10) -> None:
        """Polls and watches as time goes by."""
        for _ in range(0, seconds, every):
            now = self.clock.advance(every)
            await self.observer.poll()
            await self.watcher.tick(now)
            await self.scorer.measure(self.policies, now)

    async def propose(self, vectors: dict[Prefix, dict[str, int]] | None = None) -> Proposal:
        live = self.routes.live()
        before = live if isinstance(live, AnnouncementSet) else self.home
        after = before
        for prefix, vector in (vectors or {HEAVY: {"a": 1, "b": 0}}).items():
            after = after.with_vector(prefix, vector)
        changes = difference(before, after)
        plan = Plan(
            policy=POLICY.name,
            changes=changes,
            before=before,
            after=after,
            digest=plan_digest(POLICY.name, changes, before, after),
        )
        return await self.book.create(
            Considered(plan=plan, dry_run=dry_run(), score=SCORE, verdict=NeedsApproval(reasons=())),
            policy=POLICY,
            snapshot_digest="5" * 64,
            inputs_digest="1" * 64,
            now=self.clock.now(),
        )

    async def applied(self, vectors: dict[Prefix, dict[str, int]] | None = None) -> Proposal:
        proposal = await self.propose(vectors)
        return await self.approver.approve(proposal.id, digest=proposal.plan.digest, actor="kim")

    async def active(self, vectors: dict[Prefix, dict[str, int]] | None = None) -> Proposal:
        proposal = await self.applied(vectors)
        return await self.approver.confirm(proposal.id, actor="kim")

    def state(self, proposal: Proposal) -> str:
        return self.book.get(proposal.id).state.value

    def on_wire(self) -> dict[str, dict[str, int]]:
        """prefix -> vector of what the routers hear from us; empty is home."""
        return {str(prefix): held.override.vector() for prefix, held in self.speaker.held.items()}


SCORE = Score(excess_bps=0, shortfall_risk_bps=0, cost_per_month=0, moved_bps=0, changes=2, prepends=1)


def dry_run() -> DryRun:
    def forecast(link: str, capacity: float, before: float, expected: float) -> LinkForecast:
        return LinkForecast(
            link=link,
            capacity_bps=capacity,
            before_bps=before,
            after=Band(low=expected * 0.8, expected=expected, high=expected * 1.2),
            worst_bps=capacity,
            target_bps=capacity * 0.7,
        )

    return DryRun(
        links=(forecast("a", 100 * M, 90 * M, 40 * M), forecast("b", 1000 * M, 100 * M, 150 * M)),
        shifts=(),
        moved=Band(low=20 * M, expected=50 * M, high=70 * M),
        assumption="a test's",
    )
