"""The book of proposals: every state change is in the store before anything follows from it."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from datetime import datetime, timedelta

import structlog

from teagent.engine.lifecycle import advance, create, owners, proposal_id, replaced_by, resolve_id, supersedes
from teagent.errors import NotFound
from teagent.model.bgp import Prefix
from teagent.model.plan import Considered
from teagent.model.policy import Policy
from teagent.model.proposal import FINAL, ON_WIRE, HistoryEntry, Proposal, ProposalEvent, ProposalState
from teagent.ports import Clock, Store, StoredEvent

log = structlog.get_logger("proposals")

KEEP_FINAL = 200
MOVES_KEPT = timedelta(days=7)
MOVES = frozenset(
    {ProposalEvent.APPLY, ProposalEvent.REVERT, ProposalEvent.TRIP, ProposalEvent.TIMEOUT, ProposalEvent.FAIL}
)
"""What makes a prefix's announcements change."""
GOING_BACK = frozenset({ProposalState.REVERTING, ProposalState.STUCK})
"""A failed revert, or another attempt at it, changes nothing more."""


class ProposalBook:
    """All live proposals and the last final ones, in memory as in the store.

    Whoever changes a proposal holds `lock` from reading its state to having acted on it.
    """

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._proposals: dict[str, Proposal] = {}
        self.lock = asyncio.Lock()
        self.counters: Counter[str] = Counter()
        self._changed_at: dict[Prefix, datetime] = {}

    async def load(self) -> None:
        for proposal in reversed(await self._store.proposals(limit=KEEP_FINAL)):
            self._keep(proposal)
        for proposal in await self._store.proposals(live_only=True):
            self._keep(proposal)

    def _keep(self, proposal: Proposal) -> None:
        self._proposals[proposal.id] = proposal
        touched = [entry.at for entry in proposal.history if entry.to_state in ON_WIRE]
        if touched:
            for prefix in proposal.plan.prefixes():
                known = self._changed_at.get(prefix)
                self._changed_at[prefix] = max(touched[-1], known) if known else touched[-1]

    def all(self) -> list[Proposal]:
        """Newest first."""
        return sorted(self._proposals.values(), key=lambda p: (p.created_at, p.id), reverse=True)

    def live(self) -> list[Proposal]:
        return [p for p in self.all() if p.state not in FINAL]

    def on_wire(self) -> list[Proposal]:
        return [p for p in self.all() if p.state in ON_WIRE]

    def in_state(self, *states: ProposalState) -> list[Proposal]:
        return [p for p in self.all() if p.state in states]

    def find(self, text: str) -> Proposal:
        """By id or an unambiguous beginning of it. Raises NotFound."""
        return self._proposals[resolve_id(text, self._proposals)]

    def get(self, proposal_id_: str) -> Proposal:
        try:
            return self._proposals[proposal_id_]
        except KeyError:
            raise NotFound("proposal", proposal_id_) from None

    def owner(self, prefix: Prefix) -> Proposal | None:
        """The live proposal whose override is, or may be, on the wire for the prefix."""
        return owners(self._proposals.values()).get(prefix)

    def changed_at(self, prefix: Prefix) -> datetime | None:
        return self._changed_at.get(prefix)

    def moves(self) -> dict[Prefix, tuple[datetime, ...]]:
        """When each prefix was changed, and when it was taken back, in the last MOVES_KEPT; oldest first."""
        since = self._clock.now() - MOVES_KEPT
        found: dict[Prefix, list[datetime]] = {}
        for proposal in self._proposals.values():
            moments = [e.at for e in proposal.history if e.event in MOVES and e.from_state not in GOING_BACK]
            for prefix in proposal.plan.prefixes() if any(at > since for at in moments) else ():
                found.setdefault(prefix, []).extend(at for at in moments if at > since)
        return {prefix: tuple(sorted(moments)) for prefix, moments in found.items()}

    async def create(
        self,
        chosen: Considered,
        *,
        policy: Policy,
        snapshot_digest: str,
        inputs_digest: str,
        now: datetime,
        why: str = "",
        actor: str | None = None,
        experiment: str = "",
    ) -> Proposal:
        """A pending proposal, stored. Pending ones on the same prefixes or links are superseded by it. `actor` is who
        proposes it, the policy where nobody else does.
        """
        actor = actor or f"policy:{policy.name}"
        proposal = create(
            id=proposal_id(secrets.randbits(64), await self._store.proposal_ids()),
            plan=chosen.plan,
            dry_run=chosen.dry_run,
            verdict=chosen.verdict,
            snapshot_digest=snapshot_digest,
            inputs_digest=inputs_digest,
            actor=actor,
            now=now,
            expires_after_seconds=policy.approval.expires_after_seconds,
            reason=why,
            experiment=experiment,
        )
        event = _event(proposal, proposal.history[0], "proposed", f"plan {proposal.plan.digest[:6]} waits for approval")
        await self._store.add_proposal(proposal, events=[event])
        self._keep(proposal)
        _tell(event)
        for other in self.all():
            if other.id != proposal.id and supersedes(proposal.plan, other):
                await self.move(
                    other, ProposalEvent.SUPERSEDE, actor=actor, reason=f"{proposal.id} is newer on the same ground"
                )
        self.counters["created"] += 1
        return proposal

    async def save(self, *moved: Proposal) -> Proposal:
        """Stores what was advanced already, by one step or more, all in one transaction with what the log says of it;
        then remembers it. Returns the first.
        """
        steps = [(each, entry) for each in moved for entry in each.history[len(self._proposals[each.id].history) :]]
        events = [_event(each, entry, _kind(entry), entry.reason) for each, entry in steps]
        await self._store.save_proposals(*moved, events=events)
        for each in moved:
            self._keep(each)
        for (_, entry), event in zip(steps, events, strict=True):
            self.counters[f"to_{entry.to_state.value}"] += 1
            _tell(event)
        return moved[0]

    async def move(self, proposal: Proposal, event: ProposalEvent, *, actor: str, reason: str = "") -> Proposal:
        """Advances, stores, then remembers. Raises IllegalTransition or StoreError with nothing changed."""
        now = self._clock.now()
        return await self.save(advance(self.get(proposal.id), event, actor=actor, now=now, reason=reason))

    async def confirm(self, proposal: Proposal, *, actor: str) -> Proposal:
        """confirming -> active; those that owned the prefixes before are replaced in the same transaction."""
        now = self._clock.now()
        confirmed = advance(self.get(proposal.id), ProposalEvent.CONFIRM, actor=actor, now=now)
        replaced = [
            advance(other, ProposalEvent.REPLACE, actor=actor, now=now, reason=f"{proposal.id} owns its prefixes now")
            for other in replaced_by(confirmed, self.all())
        ]
        return await self.save(confirmed, *replaced)


def _event(proposal: Proposal, entry: HistoryEntry, kind: str, message: str) -> StoredEvent:
    return StoredEvent(
        at=entry.at,
        kind=f"proposal.{kind}",
        actor=entry.actor,
        subject=proposal.id,
        message=message,
        fields={"policy": proposal.policy, "state": entry.to_state.value, "digest": proposal.plan.digest},
    )


def _kind(entry: HistoryEntry) -> str:
    return "endorsed" if entry.event is ProposalEvent.ENDORSE else entry.to_state.value


def _tell(event: StoredEvent) -> None:
    state = event.fields["state"]
    log.info("proposal", proposal=event.subject, state=state, actor=event.actor, reason=event.message or None)
