"""Proposals to test with: 198.51.100.0/24 gets a prepend on transit-a, as in the scenario of the lab."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_network

from teagent.engine import lifecycle
from teagent.model.announcement import Announcement, AnnouncementSet, difference
from teagent.model.plan import Band, DryRun, LinkForecast, NeedsApproval, Plan, Reason, Shift
from teagent.model.proposal import Proposal, ProposalEvent, ProposalState
from teagent.model.traffic import Source

NOW = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
PREFIX = ip_network("198.51.100.0/24")
OTHER_PREFIX = ip_network("203.0.113.0/24")
HOME: Mapping[str, int] = {"transit-a": 0, "transit-b": 0}
E = ProposalEvent

PATHS: Mapping[ProposalState, tuple[ProposalEvent, ...]] = {
    ProposalState.PENDING: (),
    ProposalState.APPROVED: (E.APPROVE,),
    ProposalState.APPLYING: (E.APPROVE, E.APPLY),
    ProposalState.CONFIRMING: (E.APPROVE, E.APPLY, E.ACKED),
    ProposalState.ACTIVE: (E.APPROVE, E.APPLY, E.ACKED, E.CONFIRM),
    ProposalState.REVERTING: (E.APPROVE, E.APPLY, E.ACKED, E.TIMEOUT),
    ProposalState.STUCK: (E.APPROVE, E.APPLY, E.ACKED, E.TIMEOUT, E.FAIL),
    ProposalState.REJECTED: (E.REJECT,),
    ProposalState.EXPIRED: (E.EXPIRE,),
    ProposalState.SUPERSEDED: (E.SUPERSEDE,),
    ProposalState.STALE: (E.INVALIDATE,),
    ProposalState.REVERTED: (E.APPROVE, E.APPLY, E.ACKED, E.TIMEOUT, E.WITHDRAWN),
    ProposalState.REPLACED: (E.APPROVE, E.APPLY, E.ACKED, E.CONFIRM, E.REPLACE),
}
"""The events that lead from a new proposal to each state."""


def home() -> AnnouncementSet:
    return AnnouncementSet(
        Announcement(prefix=prefix, link=link, prepend=prepend)
        for prefix in (PREFIX, OTHER_PREFIX)
        for link, prepend in HOME.items()
    )


def example_plan(
    *, prefix=PREFIX, vector: Mapping[str, int] | None = None, before: AnnouncementSet | None = None, digest="9a21c0"
) -> Plan:
    start = home() if before is None else before
    after = start.with_vector(prefix, vector or {"transit-a": 3, "transit-b": 0})
    return Plan(policy="transit-balance", changes=difference(start, after), before=start, after=after, digest=digest)


def example_proposal(
    id: str = "p-7f3c",  # noqa: A002  # the field's own name
    *,
    plan: Plan | None = None,
    now: datetime = NOW,
    state: ProposalState = ProposalState.PENDING,
    expires_after_seconds: float = 1800,
    restores: str | None = None,
) -> Proposal:
    """A proposal in `state`, with the history that leads there."""
    forecast = LinkForecast(
        link="transit-a",
        capacity_bps=10e9,
        before_bps=9.31e9,
        after=Band(low=6.0e9, expected=6.9e9, high=7.7e9),
        worst_bps=9.31e9,
        target_bps=8e9,
    )
    shift = Shift(
        source=Source(asn=64496),
        prefix=PREFIX,
        from_link="transit-a",
        to_link="transit-b",
        band=Band(low=1.6e9, expected=2.4e9, high=3.3e9),
    )
    proposal = lifecycle.create(
        id=id,
        plan=plan or example_plan(),
        dry_run=DryRun(
            links=(forecast,),
            shifts=(shift,),
            moved=shift.band,
            assumption="all that may move moves",
            warnings=("2 of 3 sources seen",),
        ),
        verdict=NeedsApproval(
            reasons=(Reason(rule="max_prepend", ok=True, message="3 prepends, limit 3", value=3, limit=3),)
        ),
        snapshot_digest="51be07",
        inputs_digest="e2d001",
        actor="policy:transit-balance",
        now=now,
        expires_after_seconds=expires_after_seconds,
        restores=restores,
    )
    for event in PATHS[state]:
        proposal = lifecycle.advance(proposal, event, actor="alice", now=now)
    return proposal
