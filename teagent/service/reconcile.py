"""Reconcile: what should be announced, what the relay holds, and the difference taken away."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from teagent.engine.lifecycle import is_confirm_overdue
from teagent.errors import SpeakerError, StoreError
from teagent.model.announcement import AnnouncementSet, HeldOverride, Override
from teagent.model.bgp import Prefix
from teagent.model.link import NoData
from teagent.model.proposal import FINAL, Proposal, ProposalEvent, ProposalState
from teagent.ports import Clock, Speaker, SpeakerState
from teagent.service.proposals import ProposalBook

log = structlog.get_logger("reconcile")

KEEP_ON_WIRE = frozenset({ProposalState.CONFIRMING, ProposalState.ACTIVE})


class Routes:
    """What is announced, as far as the relay says; NoData while it does not answer."""

    def __init__(self, *, speaker: Speaker | None, home: AnnouncementSet, clock: Clock) -> None:
        self._speaker = speaker
        self._home = home
        self._clock = clock
        self._state: SpeakerState | NoData = NoData(since=clock.now(), reason="the relay has not been asked yet")
        self._turn = asyncio.Lock()
        self._begun = 0
        self._ended = 0

    async def refresh(self) -> SpeakerState | NoData:
        """Asks the relay, and returns nothing older than this call; of many that ask at once all but the first share
        one question, and no answer is overtaken by an older one. Without a speaker (dry run) nothing is held by
        definition.
        """
        wanted = self._begun + 1
        async with self._turn:
            if self._ended < wanted:
                self._begun = wanted
                await self._ask()
                self._ended = wanted
            return self._state

    async def _ask(self) -> None:
        if self._speaker is None:
            self._state = SpeakerState(overrides=(), neighbors=(), frozen=False, counters={})
            return
        try:
            self._state = await self._speaker.state()
        except SpeakerError as error:
            if not isinstance(self._state, NoData):
                log.warning("relay does not answer", error=error.message)
                self._state = NoData(since=self._clock.now(), reason=error.message)
            else:
                self._state = NoData(since=self._state.since, reason=error.message)

    @property
    def state(self) -> SpeakerState | NoData:
        return self._state

    def live(self) -> AnnouncementSet | NoData:
        """Home, with every override that the relay holds and ExaBGP has acknowledged."""
        if isinstance(self._state, NoData):
            return self._state
        held = {each.override.prefix: each.override.vector() for each in self._state.overrides}
        return self._home.with_vectors(held) if held else self._home

    def override(self, prefix: Prefix) -> HeldOverride | None:
        if isinstance(self._state, NoData):
            return None
        return next((held for held in self._state.overrides if held.override.prefix == prefix), None)


class Reconciler:
    """Callers hold the book's lock."""

    def __init__(self, *, book: ProposalBook, routes: Routes, speaker: Speaker, home: AnnouncementSet) -> None:
        self._book = book
        self._routes = routes
        self._speaker = speaker
        self._home = home
        self.counters: Counter[str] = Counter()

    async def cycle(self, now: datetime) -> None:
        """Puts back what is missing of active proposals, withdraws what nobody live owns.

        What nobody has confirmed yet and is missing is given up: the relay's clock, which cannot be set, has brought it
        home, or the relay has lost it.
        """
        state = await self._routes.refresh()
        if isinstance(state, NoData):
            return
        held = {each.override.prefix: each for each in state.overrides}
        lost = self._lost(held)
        for proposal in lost:
            await self._give_up(proposal)
        wanted = self._wanted(now, lost)
        touched = False
        for prefix, (proposal, override) in wanted.items():
            there = held.get(prefix)
            if there is None or there.override != override or there.owner != proposal.id:
                touched = True
                await self._put_back(proposal, override)
        for prefix, each in held.items():
            if prefix not in wanted and not self._in_flight(each):
                touched = True
                await self._withdraw(each)
        if touched:
            await self._routes.refresh()

    def _lost(self, held: Mapping[Prefix, HeldOverride]) -> list[Proposal]:
        return [
            proposal
            for proposal in self._book.in_state(ProposalState.CONFIRMING)
            if any(
                (there := held.get(prefix)) is None or there.owner != proposal.id or there.override != override
                for prefix, override in self._overrides(proposal).items()
                if override is not None
            )
        ]

    async def _give_up(self, proposal: Proposal) -> None:
        """The watcher takes back what may be left of it."""
        log.warning("the relay does not hold an unconfirmed change any more", proposal=proposal.id)
        try:
            await self._book.move(
                proposal, ProposalEvent.REVERT, actor="daemon", reason="the relay does not hold it any more"
            )
        except StoreError as error:
            log.error("a change could not be given up", proposal=proposal.id, error=error.message)

    def _overrides(self, proposal: Proposal) -> dict[Prefix, Override | None]:
        """What should be held for each prefix of the proposal; None where that is home."""
        vectors = {prefix: proposal.plan.after.vector(prefix) for prefix in proposal.plan.prefixes()}
        return {
            prefix: None if vector == self._home.vector(prefix) else Override.of(prefix, vector)
            for prefix, vector in vectors.items()
        }

    def _wanted(self, now: datetime, lost: Sequence[Proposal]) -> dict[Prefix, tuple[Proposal, Override]]:
        wanted: dict[Prefix, tuple[Proposal, Override]] = {}
        # Confirming ones come last: inside its window the newer proposal owns the prefix.
        for state in (ProposalState.ACTIVE, ProposalState.CONFIRMING):
            for proposal in self._book.in_state(state):
                if proposal in lost or is_confirm_overdue(proposal, now):
                    continue
                for prefix, override in self._overrides(proposal).items():
                    if override is None:
                        wanted.pop(prefix, None)
                    else:
                        wanted[prefix] = (proposal, override)
        return wanted

    def _in_flight(self, held: HeldOverride) -> bool:
        """Owned by a proposal that is being applied, reverted or is stuck: others look after those."""
        owner = next((p for p in self._book.all() if p.id == held.owner), None)
        return owner is not None and owner.state not in FINAL and owner.state not in KEEP_ON_WIRE

    async def _put_back(self, proposal: Proposal, override: Override) -> None:
        self.counters["put_back"] += 1
        log.warning("override is missing, putting it back", proposal=proposal.id, prefix=str(override.prefix))
        try:
            await self._speaker.announce(override, owner=proposal.id, deadline=None)
        except SpeakerError as error:
            self.counters["failures"] += 1
            log.warning("override could not be put back", prefix=str(override.prefix), error=error.message)

    async def _withdraw(self, held: HeldOverride) -> None:
        self.counters["withdrawn"] += 1
        log.warning("override has no live owner, going home", prefix=str(held.override.prefix), owner=held.owner)
        try:
            await self._speaker.withdraw(held.override.prefix, owner=held.owner)
        except SpeakerError as error:
            self.counters["failures"] += 1
            log.warning("override could not be withdrawn", prefix=str(held.override.prefix), error=error.message)
