"""A plan that asks to be applied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from teagent.model.plan import DryRun, Plan, Verdict


class ProposalState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    APPLYING = "applying"
    CONFIRMING = "confirming"
    ACTIVE = "active"
    REVERTING = "reverting"
    STUCK = "stuck"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    STALE = "stale"
    REVERTED = "reverted"
    REPLACED = "replaced"


class ProposalEvent(StrEnum):
    ENDORSE = "endorse"
    APPROVE = "approve"
    REJECT = "reject"
    EXPIRE = "expire"
    SUPERSEDE = "supersede"
    INVALIDATE = "invalidate"
    APPLY = "apply"
    ACKED = "acked"
    FAIL = "fail"
    CONFIRM = "confirm"
    TRIP = "trip"
    TIMEOUT = "timeout"
    REVERT = "revert"
    REPLACE = "replace"
    WITHDRAWN = "withdrawn"
    RESOLVE = "resolve"


FINAL = frozenset(
    {
        ProposalState.REJECTED,
        ProposalState.EXPIRED,
        ProposalState.SUPERSEDED,
        ProposalState.STALE,
        ProposalState.REVERTED,
        ProposalState.REPLACED,
    }
)
ON_WIRE = frozenset(
    {
        ProposalState.APPLYING,
        ProposalState.CONFIRMING,
        ProposalState.ACTIVE,
        ProposalState.REVERTING,
        ProposalState.STUCK,
    }
)
"""States in which routes may differ from home."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One row of proposal_event. `actor` is a user, `policy:NAME`, `guard:NAME` or `daemon`; never the advisor."""

    seq: int
    event: ProposalEvent | None  # None for the creation
    from_state: ProposalState | None
    to_state: ProposalState
    actor: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    id: str  # p-7f3c
    plan: Plan
    dry_run: DryRun
    verdict: Verdict
    snapshot_digest: str
    inputs_digest: str  # config, policy and live announcements that the plan starts from
    state: ProposalState
    created_at: datetime
    expires_at: datetime
    confirm_deadline: datetime | None = None
    history: tuple[HistoryEntry, ...] = ()
    restores: str | None = None  # the proposal whose override is to be restored by a revert in the window
    revert_attempts: int = 0
    experiment: str = ""  # what is tried out and in which order; empty for what relieves something

    @property
    def policy(self) -> str:
        return self.plan.policy
