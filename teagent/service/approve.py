"""Approve: what people may do with a proposal, each refused with its own words when it cannot be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from teagent.engine.lifecycle import (
    advance,
    approval_event,
    how_to_ask_again,
    in_the_way,
    is_confirm_overdue,
    is_expired,
    refuse_expired,
)
from teagent.errors import NotFound, Refused, StalePlan
from teagent.model.maintenance import DailyWindow
from teagent.model.policy import Policy
from teagent.model.proposal import FINAL, Proposal, ProposalEvent, ProposalState
from teagent.model.units import format_age
from teagent.ports import Clock
from teagent.service.apply import Applier
from teagent.service.freeze import FreezeSwitch
from teagent.service.proposals import ProposalBook
from teagent.service.prove import Prover

Recheck = Callable[[Proposal, Policy, datetime], Awaitable[Sequence[str]]]
"""Differences between what was shown and what is now; empty when the approval may stand."""


class Approver:
    """`applier` is None in dry run: everything may be looked at, nothing applied."""

    def __init__(
        self,
        *,
        book: ProposalBook,
        applier: Applier | None,
        freeze: FreezeSwitch,
        prover: Prover,
        policies: Mapping[str, Policy],
        recheck: Recheck,
        clock: Clock,
        maintenance: DailyWindow | None = None,
    ) -> None:
        self._book = book
        self._applier = applier
        self._freeze = freeze
        self._prover = prover
        self._policies = policies
        self._recheck = recheck
        self._clock = clock
        self._maintenance = maintenance

    async def approve(self, text: str, *, digest: str | None, actor: str) -> Proposal:
        """Binds to the digest that was shown. Pending still, where the policy asks for more people.

        Raises Frozen, Expired, IllegalTransition, Refused, StalePlan, SpeakerError.
        """
        async with self._book.lock:
            proposal = self._book.find(text)
            now = self._clock.now()
            await self._refuse_expired(proposal, now)
            self._refuse_illegal(proposal, ProposalEvent.APPROVE, actor)
            applier = self._live_applier()
            self._freeze.check()
            self._refuse_experiment(proposal, now)
            policy = self._policy(proposal)
            event = approval_event(proposal, actor=actor, approvers=policy.approval.approvers)
            self._refuse_crossing(proposal)
            self._prover.refuse_blind(proposal, policy)
            if digest is not None and not proposal.plan.digest.startswith(digest):
                raise StalePlan(
                    approved=digest,
                    current=proposal.plan.digest,
                    differences=[f"{proposal.id} holds another plan than the one shown"],
                    hint=f"teagent proposal {proposal.id} show",
                )
            differences = await self._recheck(proposal, policy, now)
            if differences:
                await self._book.move(proposal, ProposalEvent.INVALIDATE, actor="daemon", reason="; ".join(differences))
                raise StalePlan(
                    approved=proposal.plan.digest,
                    current="inputs moved",
                    differences=differences,
                    hint=how_to_ask_again(proposal),
                )
            reason = f"approved plan {proposal.plan.digest[:6]}"
            if event is ProposalEvent.ENDORSE:
                return await self._book.move(proposal, event, actor=actor, reason=reason)
            # Stored together with what follows at once: a commit less before the routers hear of it.
            approved = advance(proposal, event, actor=actor, now=self._clock.now(), reason=reason)
            return await applier.apply(approved, policy=policy, actor=actor)

    async def _refuse_expired(self, proposal: Proposal, now: datetime) -> None:
        if is_expired(proposal, now):
            await self._book.move(proposal, ProposalEvent.EXPIRE, actor="daemon", reason="nobody approved it in time")
        # The watcher may have been there first: late is late, whoever noticed.
        waiting = replace(proposal, state=ProposalState.PENDING)
        if proposal.state in {ProposalState.PENDING, ProposalState.EXPIRED}:
            refuse_expired(waiting, now)

    def _refuse_illegal(self, proposal: Proposal, event: ProposalEvent, actor: str) -> None:
        advance(proposal, event, actor=actor, now=self._clock.now())

    def _refuse_experiment(self, proposal: Proposal, now: datetime) -> None:
        """What is only tried out is tried out when that disturbs least."""
        if not proposal.experiment:
            return
        if self._maintenance is None:
            raise Refused(
                f"{proposal.id} is an experiment, and the configuration has none any more",
                hint="decide.experiments in the configuration",
                proposal=proposal.id,
            )
        if not self._maintenance.holds(now):
            raise Refused(
                f"{proposal.id} is an experiment: it can be approved at {self._maintenance} UTC, now it is {now:%H:%M}",
                hint="decide.experiments.window in the configuration",
                proposal=proposal.id,
            )

    def _refuse_crossing(self, proposal: Proposal) -> None:
        """Over a change that is in the middle of something nothing is applied: its next step would undo the new one."""
        other = in_the_way(proposal.plan, self._book.all())
        if other is not None:
            raise Refused(
                f"{other.id} is {other.state.value} on the same prefixes",
                hint=f"teagent proposal {other.id} show",
                proposal=proposal.id,
                other=other.id,
            )

    def _live_applier(self) -> Applier:
        if self._applier is None:
            raise Refused(
                "bgp.dry_run is true: proposals are computed and shown, and nothing is ever announced",
                hint="set bgp.dry_run: false in the configuration and reload, when the routers are ready",
            )
        return self._applier

    def _policy(self, proposal: Proposal) -> Policy:
        policy = self._policies.get(proposal.policy)
        if policy is None:
            raise NotFound("policy", proposal.policy, known=list(self._policies))
        return policy

    async def reject(self, text: str, *, actor: str, reason: str) -> Proposal:
        async with self._book.lock:
            return await self._book.move(self._book.find(text), ProposalEvent.REJECT, actor=actor, reason=reason)

    async def confirm(self, text: str, *, actor: str) -> Proposal:
        async with self._book.lock:
            proposal = self._book.find(text)
            self._refuse_illegal(proposal, ProposalEvent.CONFIRM, actor)
            now = self._clock.now()
            if is_confirm_overdue(proposal, now):
                closed = format_age(proposal.confirm_deadline or now, now)
                raise Refused(f"the confirm window of {proposal.id} closed {closed} ago", hint="it goes home by itself")
            self._prover.refuse_unproven(proposal, self._policy(proposal))
            return await self._live_applier().confirm(proposal, actor=actor)

    async def revert(self, text: str, *, actor: str, reason: str) -> Proposal:
        """Never blocked by a freeze."""
        async with self._book.lock:
            proposal = self._book.find(text)
            self._refuse_illegal(proposal, ProposalEvent.REVERT, actor)
            applier = self._live_applier()
            reverting = await self._book.move(proposal, ProposalEvent.REVERT, actor=actor, reason=reason)
            return await applier.take_back(reverting)

    async def resolve(self, text: str, *, actor: str, reason: str) -> Proposal:
        """An operator has seen to it that nothing is left on the wire, and says how."""
        async with self._book.lock:
            return await self._book.move(self._book.find(text), ProposalEvent.RESOLVE, actor=actor, reason=reason)

    async def recover(self) -> None:
        """After a restart: what was being applied or reverted goes back; nobody remembers how far it had got."""
        if self._applier is None:
            return
        async with self._book.lock:
            for proposal in self._book.all():
                if proposal.state in FINAL:
                    continue
                match proposal.state:
                    case ProposalState.APPROVED:
                        await self._book.move(
                            proposal, ProposalEvent.INVALIDATE, actor="daemon", reason="the daemon restarted"
                        )
                    case ProposalState.APPLYING:
                        reverting = await self._book.move(
                            proposal, ProposalEvent.REVERT, actor="daemon", reason="the daemon restarted in the middle"
                        )
                        await self._applier.take_back(reverting)
                    case ProposalState.REVERTING:
                        await self._applier.take_back(proposal)
                    case _:
                        pass

    async def revert_unconfirmed(self, *, reason: str) -> None:
        """On a clean stop: unconfirmed changes are reverted, active ones are left alone."""
        if self._applier is None:
            return
        async with self._book.lock:
            for proposal in self._book.in_state(ProposalState.CONFIRMING, ProposalState.APPLYING):
                reverting = await self._book.move(proposal, ProposalEvent.REVERT, actor="daemon", reason=reason)
                await self._applier.take_back(reverting)
