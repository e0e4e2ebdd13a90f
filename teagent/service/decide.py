"""Decide: one snapshot, one pure decision, and a proposal where there is something to ask."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from teagent.engine.choose.by_hand import by_hand
from teagent.engine.choose.decide import decide
from teagent.engine.choose.digest import inputs_digest, with_digest
from teagent.engine.choose.recheck import recheck
from teagent.engine.choose.release import release
from teagent.engine.choose.verdict import Case, telemetry_doubts
from teagent.engine.choose.what_if import WhatIf, what_if
from teagent.engine.measure.trust import distrust
from teagent.errors import NotFound, Refused, StoreError, TeagentError
from teagent.model.bgp import Prefix
from teagent.model.link import NoData
from teagent.model.network import Network
from teagent.model.plan import Allowed, Considered, Decision, Plan, RefusedVerdict
from teagent.model.policy import Policy
from teagent.model.proposal import Proposal, ProposalState
from teagent.model.snapshot import Busy, Snapshot
from teagent.model.what_if import Wish
from teagent.ports import Clock, Store
from teagent.service.freeze import FreezeSwitch
from teagent.service.ingest import Ingest
from teagent.service.observe import Observer
from teagent.service.predictor import Predictor
from teagent.service.proposals import ProposalBook
from teagent.service.reconcile import Routes
from teagent.service.scorecards import Scorecards

if TYPE_CHECKING:
    from teagent.service.approve import Approver

log = structlog.get_logger("decide")


class Decider:
    """Remembers the last decision of every policy, so that `policy explain` says why just now."""

    def __init__(
        self,
        *,
        network: Network,
        policies: Sequence[Policy],
        config_digest: str,
        observer: Observer,
        ingest: Ingest,
        routes: Routes,
        book: ProposalBook,
        store: Store,
        freeze: FreezeSwitch,
        clock: Clock,
        predictor: Predictor,
        scorecards: Scorecards,
    ) -> None:
        self._network = network
        self._policies = {policy.name: policy for policy in policies}
        self._config_digest = config_digest
        self._observer = observer
        self._ingest = ingest
        self._routes = routes
        self._book = book
        self._store = store
        self._freeze = freeze
        self._clock = clock
        self._predictor = predictor
        self._scorecards = scorecards
        self._last: dict[str, Decision] = {}
        self._taken_at: datetime | None = None
        self.approver: Approver | None = None
        self.counters: Counter[str] = Counter()

    async def load(self) -> None:
        for name in self._policies:
            decision = await self._store.last_decision(name)
            if decision is not None:
                self._last[name] = decision

    def last(self) -> Mapping[str, Decision]:
        return self._last

    def distrust(self, now: datetime) -> tuple[str, ...]:
        """Why no decision at all may be made now; what concerns single links is weighed with each decision."""
        reasons = distrust(
            now=now,
            links=(),
            latest=self._observer.readings(now),
            matrix=self._ingest.latest(now),
            previous=self._taken_at,
        )
        # Shares of a capacity that is not there any more say nothing, of this link and of those that would take over.
        reasons = (*reasons, *(each.reason for each in self._observer.shrunk()))
        live = self._routes.live()
        if isinstance(live, NoData):
            reasons = (*reasons, f"live announcements are not known: {live.reason}")
        if self._observer.store_trouble:
            # Nothing could be announced: the row that has to be there first cannot be written.
            reasons = (*reasons, f"the store cannot be written: {self._observer.store_trouble}")
        return reasons

    def doubts(self, proposal: Proposal) -> tuple[str, ...]:
        """Why the telemetry that a proposal rests on is not trusted now; empty when it is, and where nobody is asked
        for an answer.
        """
        policy = self._policies.get(proposal.policy)
        if proposal.state is not ProposalState.PENDING or policy is None:
            return ()
        now = self._clock.now()
        return telemetry_doubts(
            Case(snapshot=self._look(now), policy=policy, plan=proposal.plan, dry_run=proposal.dry_run, now=now)
        )

    async def snapshot(self) -> Snapshot:
        snapshot = self._look(self._clock.now())
        self._taken_at = snapshot.taken_at
        return await asyncio.to_thread(with_digest, snapshot)

    def _look(self, now: datetime) -> Snapshot:
        """Without the digest, which takes its time where there are many demands."""
        live = self._routes.live()
        return Snapshot(
            taken_at=now,
            network=self._network,
            live=self._network.home() if isinstance(live, NoData) else live,
            latest=self._observer.readings(now),
            history=self._observer.history(),
            matrix=self._ingest.latest(now),
            busy=self._busy(),
            frozen=self._freeze.frozen,
            distrust=self.distrust(now),
            digest="",
            flow_doubts=self._ingest.flow_doubts(now),
            counter_doubts=self._observer.doubts(),
            coverage_limits=self._ingest.coverage_limits,
            widening=self._predictor.widening,
        )

    def _busy(self) -> dict[Prefix, Busy]:
        busy: dict[Prefix, Busy] = {}
        moves = self._book.moves()
        for own in self._network.prefixes:
            owner = self._book.owner(own.prefix)
            changed_at = self._book.changed_at(own.prefix)
            if owner is not None or changed_at is not None:
                busy[own.prefix] = Busy(
                    owner=None if owner is None else owner.id, changed_at=changed_at, moves=moves.get(own.prefix, ())
                )
        return busy

    async def cycle(self) -> None:
        """One round of all policies: decide, remember why, and propose."""
        decisions = await self.compute(None)
        for decision in decisions:
            before = self._last.get(decision.policy)
            self._last[decision.policy] = decision
            if before is None or before.message != decision.message:
                log.info("decided", policy=decision.policy, message=decision.message)
                await self._remember(decision)
        if not self._freeze.frozen:
            await self.propose(decisions)
            await self._propose_releases()

    async def _remember(self, decision: Decision) -> None:
        try:
            await self._store.save_decision(decision)
        except StoreError as error:
            # It is explained from memory until the next restart.
            self.counters["store_failures"] += 1
            log.warning("decision could not be stored", policy=decision.policy, error=error.message)

    async def _propose_releases(self) -> None:
        """An override that no longer helps is never forgotten: going home is proposed like any other change."""
        active = self._book.in_state(ProposalState.ACTIVE)
        if not active:
            return
        snapshot = await self.snapshot()
        for policy in self._policies.values():
            if not policy.enabled:
                continue
            found = release(
                snapshot,
                policy,
                active,
                snapshot.taken_at,
                forecaster=self._predictor.forecaster,
                topology=self._predictor.topology,
            )
            for each in found:
                made = await self._offer(each.considered, policy, snapshot.digest, each.message)
                if made is not None and isinstance(made.verdict, Allowed) and self.approver is not None:
                    await self._approve_by_policy(made)

    async def compute(self, policy: str | None) -> tuple[Decision, ...]:
        """Decides on a fresh snapshot; nothing is proposed and nothing remembered."""
        snapshot = await self.snapshot()
        policies = [p for p in self._policies.values() if policy in (None, p.name)]
        return await asyncio.to_thread(
            decide,
            snapshot,
            policies,
            snapshot.taken_at,
            forecaster=self._predictor.forecaster,
            topology=self._predictor.topology,
        )

    async def what_if(self, wishes: Sequence[Wish]) -> tuple[Snapshot, WhatIf]:
        """Of a fresh snapshot; nothing is proposed and nothing remembered. Raises as engine.choose.what_if."""
        snapshot = await self.snapshot()
        found = await asyncio.to_thread(
            what_if, snapshot, wishes, forecaster=self._predictor.forecaster, topology=self._predictor.topology
        )
        return snapshot, found

    async def propose_by_hand(
        self, wishes: Sequence[Wish], policy_name: str, *, actor: str, experiment: str = ""
    ) -> tuple[Snapshot, WhatIf, Proposal]:
        """A proposal that waits for approval, whatever the policy says of that; it supersedes others on its ground.

        Raises NotFound for the policy, and as engine.choose.by_hand; Refused with what the verdict has against it.
        """
        policy = self._policies.get(policy_name)
        if policy is None:
            raise NotFound("policy", policy_name, known=list(self._policies))
        snapshot = await self.snapshot()
        found, considered = await asyncio.to_thread(
            by_hand,
            snapshot,
            wishes,
            policy,
            snapshot.taken_at,
            over=self._experiment_on(wish.prefix for wish in wishes) if experiment else None,
            forecaster=self._predictor.forecaster,
            topology=self._predictor.topology,
        )
        if isinstance(considered.verdict, RefusedVerdict):
            against = "; ".join(f"{reason.rule}: {reason.message}" for reason in considered.verdict.failed())
            raise Refused(f"by the rules of policy {policy.name} this is refused: {against}")
        async with self._book.lock:
            proposal = await self._book.create(
                considered,
                policy=policy,
                snapshot_digest=snapshot.digest,
                inputs_digest=self._inputs(considered.plan, policy),
                now=self._clock.now(),
                why=f"experiment: {experiment}" if experiment else f"asked for: {'; '.join(map(str, wishes))}",
                actor=actor,
                experiment=experiment,
            )
        await self._scorecards.expect(proposal, snapshot)
        return snapshot, found, proposal

    async def propose(self, decisions: Sequence[Decision]) -> list[Proposal]:
        made: list[Proposal] = []
        for decision in decisions:
            proposal = await self._propose_one(decision)
            if proposal is not None:
                made.append(proposal)
        for proposal in made:
            if isinstance(proposal.verdict, Allowed) and self.approver is not None:
                await self._approve_by_policy(proposal)
        return made

    async def _propose_one(self, decision: Decision) -> Proposal | None:
        chosen = decision.chosen
        if chosen is None:
            return None
        policy = self._policies[decision.policy]
        return await self._offer(chosen, policy, decision.snapshot_digest, decision.message)

    async def _offer(self, chosen: Considered, policy: Policy, snapshot_digest: str, why: str) -> Proposal | None:
        if isinstance(chosen.verdict, RefusedVerdict):
            return None
        async with self._book.lock:
            now = self._clock.now()
            for waiting in self._book.in_state(ProposalState.PENDING):
                if waiting.policy == policy.name and not await self.recheck(waiting, policy, now):
                    # What waits still holds: a plan that is slightly better now is no reason to pull it from
                    # under the operator who is reading it.
                    return None
            if self._declined(chosen.plan, policy, now):
                return None
            made = await self._book.create(
                chosen,
                policy=policy,
                snapshot_digest=snapshot_digest,
                inputs_digest=self._inputs(chosen.plan, policy),
                now=now,
                why=why,
            )
        await self._scorecards.expect(made, await self.snapshot())
        return made

    def _experiment_on(self, prefixes: Iterable[Prefix]) -> str | None:
        """The confirmed experiment that owns these prefixes: the next one begins where it has led to."""
        owners = {prefix: self._book.owner(prefix) for prefix in prefixes}
        found = {
            None if owner is None or not owner.experiment or owner.state is not ProposalState.ACTIVE else owner.id
            for owner in owners.values()
        }
        return found.pop() if len(found) == 1 else None

    def _declined(self, plan: Plan, policy: Policy, now: datetime) -> bool:
        """Somebody said no to these very changes not long ago, or let them expire: asking again at once is nagging."""
        pause = timedelta(seconds=policy.limits.cooldown_seconds)
        return any(
            proposal.plan.changes == plan.changes and now - proposal.history[-1].at < pause
            for proposal in self._book.in_state(ProposalState.REJECTED, ProposalState.EXPIRED)
        )

    def _inputs(self, plan: Plan, policy: Policy) -> str:
        live = self._routes.live()
        known = self._network.home() if isinstance(live, NoData) else live
        return inputs_digest(self._network, policy, known, plan.prefixes(), self._config_digest)

    async def recheck(self, proposal: Proposal, policy: Policy, now: datetime) -> Sequence[str]:
        """Differences between what the proposal was shown on and what is now, in words; empty when it may stand."""
        snapshot = self._look(now)
        self._taken_at = snapshot.taken_at
        return recheck(
            proposal,
            snapshot,
            policy,
            now,
            inputs_digest=self._inputs(proposal.plan, policy),
            over=self._experiment_on(proposal.plan.prefixes()) if proposal.experiment else None,
            forecaster=self._predictor.forecaster,
        )

    async def _approve_by_policy(self, proposal: Proposal) -> None:
        assert self.approver is not None  # noqa: S101 - the caller looked
        try:
            await self.approver.approve(proposal.id, digest=proposal.plan.digest, actor=f"policy:{proposal.policy}")
        except TeagentError as error:
            log.warning("policy could not approve", proposal=proposal.id, error=error.message)
