"""Apply: store first, then wire; and take back what was put there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog

from teagent.engine.lifecycle import attempt_failed, begin_apply, owners, target_after_revert
from teagent.errors import SpeakerError
from teagent.model.announcement import AnnouncementSet, Override
from teagent.model.bgp import Prefix
from teagent.model.policy import Policy
from teagent.model.proposal import Proposal, ProposalEvent, ProposalState
from teagent.ports import Clock, Speaker
from teagent.service.proposals import ProposalBook
from teagent.service.reconcile import Routes

log = structlog.get_logger("apply")

REVERT_PAUSE_SECONDS = (0.0, 2.0, 10.0)
"""Before the first, second and third attempt to take a change back; the second also where the store fails."""


class Applier:
    """Callers hold the book's lock."""

    def __init__(
        self, *, book: ProposalBook, routes: Routes, speaker: Speaker, home: AnnouncementSet, clock: Clock
    ) -> None:
        self._book = book
        self._routes = routes
        self._speaker = speaker
        self._home = home
        self._clock = clock
        self._next_try: dict[str, float] = {}

    async def apply(self, proposal: Proposal, *, policy: Policy, actor: str) -> Proposal:
        """approved -> applying -> confirming; on any failure -> reverting, and the error is raised.

        `proposal` need not be stored as approved yet. That, and the deadline, are durable before the relay hears of the
        change, and with the relay before the first router does.
        """
        applying = begin_apply(
            proposal, actor=actor, now=self._clock.now(), confirm_window_seconds=policy.confirm.window_seconds
        )
        await self._book.save(applying)
        try:
            for prefix in applying.plan.prefixes():
                vector = applying.plan.after.vector(prefix)
                await self._put(prefix, vector, owner=applying.id, deadline=applying.confirm_deadline)
        except SpeakerError as error:
            # An answer that did not come is unknown, not failed: taking back is right for both.
            failed = await self._book.move(applying, ProposalEvent.FAIL, actor="daemon", reason=error.message)
            await self.take_back(failed)
            raise
        confirming = await self._book.move(
            applying, ProposalEvent.ACKED, actor="daemon", reason="acknowledged by ExaBGP; not yet proven on the wire"
        )
        await self._routes.refresh()
        return confirming

    async def _put(self, prefix: Prefix, vector: Mapping[str, int], *, owner: str, deadline: datetime | None) -> None:
        if vector == self._home.vector(prefix):
            await self._speaker.withdraw(prefix, owner=owner)
        else:
            await self._speaker.announce(Override.of(prefix, vector), owner=owner, deadline=deadline)

    async def confirm(self, proposal: Proposal, *, actor: str) -> Proposal:
        """confirming -> active. The relay forgets the deadline first: if it cannot, nothing is confirmed."""
        for prefix in proposal.plan.prefixes():
            if proposal.plan.after.vector(prefix) != self._home.vector(prefix):
                await self._speaker.confirm(prefix, owner=proposal.id)
        confirmed = await self._book.confirm(proposal, actor=actor)
        if all(confirmed.plan.after.vector(p) == self._home.vector(p) for p in confirmed.plan.prefixes()):
            # A release has done its work: home needs nobody to hold it.
            homing = await self._book.move(
                confirmed, ProposalEvent.REVERT, actor="daemon", reason="home is what it asked for"
            )
            return await self.take_back(homing)
        await self._routes.refresh()
        return confirmed

    def revert_due(self, proposal: Proposal) -> bool:
        return self._clock.monotonic() >= self._next_try.get(proposal.id, 0.0)

    async def take_back(self, proposal: Proposal) -> Proposal:
        """reverting -> reverted, or one attempt nearer to stuck. Raises nothing of the speaker's."""
        self._next_try[proposal.id] = self._clock.monotonic() + REVERT_PAUSE_SECONDS[1]
        others = self._book.all()
        owner = owners(other for other in others if other.id != proposal.id and other.state is ProposalState.ACTIVE)
        went_home = True
        try:
            for prefix, vector in target_after_revert(proposal, home=self._home, others=others).items():
                at_home = vector == self._home.vector(prefix)
                went_home = went_home and at_home
                heir = proposal if at_home else owner[prefix]
                await self._put(prefix, vector, owner=heir.id, deadline=None)
        except SpeakerError as error:
            return await self._revert_failed(proposal, error)
        reverted = await self._book.move(
            proposal,
            ProposalEvent.WITHDRAWN,
            actor="daemon",
            reason="went home" if went_home else "went back to what was before",
        )
        self._next_try.pop(proposal.id, None)
        await self._routes.refresh()
        return reverted

    async def _revert_failed(self, proposal: Proposal, error: SpeakerError) -> Proposal:
        counted = attempt_failed(proposal, actor="daemon", now=self._clock.now(), reason=error.message)
        log.error("revert failed", proposal=proposal.id, attempt=counted.revert_attempts, error=error.message)
        if counted.state is ProposalState.REVERTING:
            pause = REVERT_PAUSE_SECONDS[min(counted.revert_attempts, len(REVERT_PAUSE_SECONDS) - 1)]
            self._next_try[proposal.id] = self._clock.monotonic() + pause
        else:
            self._next_try.pop(proposal.id, None)
        return await self._book.save(counted)
