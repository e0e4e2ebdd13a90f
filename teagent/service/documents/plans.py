"""Policies, decisions, plans and proposals as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from teagent.engine.lifecycle import endorsers, legal_events
from teagent.model.announcement import (
    Announce,
    AnnouncementSet,
    Change,
    HeldOverride,
    Modify,
    Override,
    Signal,
    Withdraw,
    changed_link,
    changed_prefix,
    signal_community,
)
from teagent.model.audit import ChainRow
from teagent.model.bgp import Prefix
from teagent.model.network import Network
from teagent.model.plan import (
    Allowed,
    Considered,
    Decision,
    NeedsApproval,
    Plan,
    Reason,
    RefusedVerdict,
    Score,
    Verdict,
)
from teagent.model.policy import Policy
from teagent.model.proposal import FINAL, ON_WIRE, HistoryEntry, Proposal, ProposalEvent
from teagent.model.snapshot import Snapshot
from teagent.model.units import format_time
from teagent.model.witness import Proof
from teagent.ports import StoredEvent
from teagent.service.documents.predictions import dry_run_document
from teagent.service.documents.proofs import proof_document
from teagent.service.documents.traffic import trigger_document
from teagent.service.documents.values import Document, as_path, band, decimal, time_or_none, whole

if TYPE_CHECKING:  # values that live beside what makes them
    from teagent.engine.choose.what_if import WhatIf
    from teagent.service.score import Outcome


def plan_overrides(plan: Plan, network: Network) -> tuple[Override, ...]:
    return overrides_of(plan.prefixes(), plan.before, plan.after, network)


def overrides_of(
    prefixes: Iterable[Prefix], before: AnnouncementSet, after: AnnouncementSet, network: Network
) -> tuple[Override, ...]:
    """What is announced to come from `before` to `after`: for each prefix the whole vector, one signal for each link
    that carries it before or after; a link that loses the prefix is told not to announce it. A prefix that goes home
    needs no override, so its signals are empty.
    """
    home = network.home()
    overrides = []
    for prefix in prefixes:
        vector = after.vector(prefix)
        links = () if vector == home.vector(prefix) else sorted({*before.vector(prefix), *vector})
        overrides.append(
            Override(prefix=prefix, signals=tuple(Signal(link=link, prepend=vector.get(link)) for link in links))
        )
    return tuple(overrides)


def override_document(override: Override, network: Network) -> list[Document]:
    """The exact announcements, one for each router: the whole vector goes to every router that carries the prefix,
    and each of its neighbors then hears `as_path` (None: not announced to it). An override without signals is
    withdrawn, and what the routers announce by themselves is what is heard.
    """
    own = network.own(override.prefix)
    home = {} if own is None else own.home
    heard = {s.link: s.prepend for s in override.signals} or home
    # A link taken out of the configuration since then has no router any more; its signal can't be named either.
    links = [network.links[name] for name in sorted(heard) if name in network.links]
    communities = [
        str(signal_community(network.asn, network.links[signal.link].id, signal))
        for signal in override.signals
        if signal.link in network.links
    ]
    return [
        {
            "router": router,
            "prefix": str(override.prefix),
            "action": "announce" if communities else "withdraw",
            "large_communities": communities,
            "neighbors": [
                {
                    "link": link.name,
                    "neighbor": str(link.neighbor),
                    "peer_asn": int(link.peer_asn),
                    "prepend": heard[link.name],
                    "as_path": as_path(network.asn, heard[link.name]),
                }
                for link in links
                if link.router == router
            ],
        }
        for router in sorted({link.router for link in links})
    ]


def announcements_document(overrides: Iterable[Override], network: Network) -> list[Document]:
    return [row for override in overrides for row in override_document(override, network)]


def held_override_document(held: HeldOverride) -> Document:
    return {
        "prefix": str(held.override.prefix),
        "owner": held.owner,
        "vector": {signal.link: signal.prepend for signal in held.override.signals},
        "deadline": time_or_none(held.deadline),
        "acknowledged": held.acknowledged,
    }


def change_document(change: Change) -> Document:
    return {
        "action": _action(change),
        "prefix": str(changed_prefix(change)),
        "link": changed_link(change),
        "before_prepend": None if isinstance(change, Announce) else change.before.prepend,
        "after_prepend": None if isinstance(change, Withdraw) else change.after.prepend,
    }


def _action(change: Change) -> str:
    match change:
        case Announce():
            return "announce"
        case Modify():
            return "modify"
        case Withdraw():
            return "withdraw"
        case _:
            assert_never(change)


def plan_document(plan: Plan, network: Network) -> Document:
    return {
        "policy": plan.policy,
        "digest": plan.digest,
        "prefixes": [str(prefix) for prefix in plan.prefixes()],
        "changes": [change_document(change) for change in plan.changes],
        "announcements": announcements_document(plan_overrides(plan, network), network),
    }


def reason_document(reason: Reason) -> Document:
    value = decimal(reason.value, 4) if isinstance(reason.value, float) else reason.value
    limit = decimal(reason.limit, 4) if isinstance(reason.limit, float) else reason.limit
    return {"rule": reason.rule, "ok": reason.ok, "message": reason.message, "value": value, "limit": limit}


def verdict_document(verdict: Verdict) -> Document:
    return {"verdict": _word(verdict), "reasons": [reason_document(reason) for reason in verdict.reasons]}


def _word(verdict: Verdict) -> str:
    match verdict:
        case Allowed():
            return "allowed"
        case NeedsApproval():
            return "needs_approval"
        case RefusedVerdict():
            return "refused"
        case _:
            assert_never(verdict)


def score_document(score: Score) -> Document:
    return {
        "excess_bps": whole(score.excess_bps),
        "shortfall_risk_bps": whole(score.shortfall_risk_bps),
        "cost_per_month": decimal(score.cost_per_month, 2),
        "moved_bps": whole(score.moved_bps),
        "changes": score.changes,
        "prepends": score.prepends,
    }


def considered_document(considered: Considered, network: Network) -> Document:
    return {
        "plan": plan_document(considered.plan, network),
        "dry_run": dry_run_document(considered.dry_run),
        "score": score_document(considered.score),
        "verdict": verdict_document(considered.verdict),
    }


def decision_document(decision: Decision, network: Network, *, proposal: str | None = None) -> Document:
    """Why a policy did, or did not, propose something; `proposal` is the id of the one that was made of it."""
    return {
        "policy": decision.policy,
        "at": format_time(decision.at),
        "snapshot_digest": decision.snapshot_digest,
        "message": decision.message,
        "triggers": [trigger_document(trigger) for trigger in decision.triggers],
        "reasons": [reason_document(reason) for reason in decision.reasons],
        "candidates": decision.candidates,
        "chosen": None if decision.chosen is None else considered_document(decision.chosen, network),
        "considered": [considered_document(row, network) for row in decision.considered],
        "proposal": proposal,
    }


def policy_document(policy: Policy, *, last: Decision | None = None) -> Document:
    return {
        "name": policy.name,
        "description": policy.description,
        "enabled": policy.enabled,
        "objective": str(policy.objective),
        "links": {"kinds": sorted(map(str, policy.links.kinds)), "names": sorted(policy.links.names)},
        "prefixes": {"tags": sorted(policy.prefixes.tags), "prefixes": sorted(policy.prefixes.prefixes)},
        "when": {
            "metric": str(policy.when.metric),
            "above": policy.when.above,
            "for_seconds": policy.when.for_seconds,
            "clear_below": policy.when.clear_below,
        },
        "max_prepend": policy.max_prepend(),
        "approval_required": policy.approval.required,
        "expires_after_seconds": policy.approval.expires_after_seconds,
        "confirm_window_seconds": policy.confirm.window_seconds,
        "last_decision": None
        if last is None
        else {
            "at": format_time(last.at),
            "message": last.message,
            "firing": sorted(trigger.link for trigger in last.triggers if trigger.firing),
            "proposed": last.chosen is not None,
        },
    }


OPERATOR_EVENTS = frozenset(
    {
        ProposalEvent.APPROVE,
        ProposalEvent.REJECT,
        ProposalEvent.CONFIRM,
        ProposalEvent.REVERT,
        ProposalEvent.RESOLVE,
    }
)
"""What a person may ask for; the other events happen by themselves."""


def history_document(entry: HistoryEntry) -> Document:
    return {
        "seq": entry.seq,
        "event": None if entry.event is None else str(entry.event),
        "from_state": None if entry.from_state is None else str(entry.from_state),
        "to_state": str(entry.to_state),
        "actor": entry.actor,
        "at": format_time(entry.at),
        "reason": entry.reason,
    }


def proposal_summary_document(
    proposal: Proposal, *, proof: Proof | None = None, doubts: Sequence[str] = ()
) -> Document:
    """One row of the list of proposals; `proof` is what the routers said last, `doubts` why a pending one would not be
    applied now.
    """
    return {
        "id": proposal.id,
        "state": str(proposal.state),
        "policy": proposal.policy,
        "digest": proposal.plan.digest,
        "prefixes": [str(prefix) for prefix in proposal.plan.prefixes()],
        "changes": [change_document(change) for change in proposal.plan.changes],
        "moved_bps": whole(proposal.dry_run.moved.expected),
        "created_at": format_time(proposal.created_at),
        "expires_at": format_time(proposal.expires_at),
        "confirm_deadline": time_or_none(proposal.confirm_deadline),
        "approvals": list(endorsers(proposal)),
        "on_wire": proposal.state in ON_WIRE,
        "proof": proof_document(proof),
        "doubts": list(doubts),
        "final": proposal.state in FINAL,
        "can": [str(event) for event in legal_events(proposal.state) if event in OPERATOR_EVENTS],
    }


def proposal_document(
    proposal: Proposal,
    *,
    network: Network,
    at: datetime,
    dry_run: bool,
    confirm_window_seconds: float | None = None,
    proof: Proof | None = None,
    doubts: Sequence[str] = (),
    approvers: int | None = None,
) -> Document:
    """A proposal as `proposal show` prints it; `dry_run` is bgp.dry_run, `confirm_window_seconds` and `approvers` are
    the policy's, None where the policy is gone. `proof` and `doubts` are as in the summary.
    """
    return {
        "at": format_time(at),
        **proposal_summary_document(proposal, proof=proof, doubts=doubts),
        "bgp_dry_run": dry_run,
        "confirm_window_seconds": confirm_window_seconds,
        "approvers": approvers,
        "snapshot_digest": proposal.snapshot_digest,
        "inputs_digest": proposal.inputs_digest,
        "plan": plan_document(proposal.plan, network),
        "dry_run": dry_run_document(proposal.dry_run),
        "verdict": verdict_document(proposal.verdict),
        "history": [history_document(entry) for entry in proposal.history],
        "restores": proposal.restores,
        "experiment": proposal.experiment or None,
        "revert_attempts": proposal.revert_attempts,
    }


def outcome_document(outcome: Outcome) -> Document:
    """What was predicted beside what happened; `realised_bps` is None while the readings say too little."""
    return {
        "since": format_time(outcome.since),
        "until": format_time(outcome.until),
        "links": [
            {
                "link": row.link,
                "before_bps": whole(row.before_bps),
                "predicted": band(row.predicted),
                "realised_bps": whole(row.realised_bps),
                "within_band": row.within_band,
            }
            for row in outcome.links
        ],
    }


def what_if_document(snapshot: Snapshot, found: WhatIf, *, proposal: str | None = None) -> Document:
    """The answer to `teagent simulate`. Nothing has been announced; `proposal` is what waits for approval now."""
    prefixes = dict.fromkeys(changed_prefix(change) for change in found.changes)
    overrides = overrides_of(prefixes, snapshot.live, found.after, snapshot.network)
    return {
        "at": format_time(snapshot.taken_at),
        "snapshot_digest": snapshot.digest,
        "wishes": [str(wish) for wish in found.wishes],
        "changes": [change_document(change) for change in found.changes],
        "announcements": announcements_document(overrides, snapshot.network),
        "dry_run": dry_run_document(found.dry_run),
        "distrust": list(snapshot.distrust),
        "proposal": proposal,
    }


def plans_document(decisions: Sequence[Document], *, at: datetime) -> Document:
    """The answer to `teagent plan`: a decision for each policy; nothing has been announced."""
    return {
        "at": format_time(at),
        "plans": list(decisions),
        "proposed_changes": sum(
            len(plan["changes"])
            for row in decisions
            if isinstance(chosen := row["chosen"], dict)
            and isinstance(plan := chosen["plan"], dict)
            and isinstance(plan["changes"], list)
        ),
    }


def chain_row_document(chain: str, row: ChainRow) -> Document:
    return {
        "chain": chain,
        "position": row.position,
        "row": dict(row.row),
        "previous_digest": row.previous_digest,
        "digest": row.digest,
    }


def event_document(event: StoredEvent) -> Document:
    return {
        "at": format_time(event.at),
        "kind": event.kind,
        "actor": event.actor,
        "subject": event.subject,
        "message": event.message,
        "fields": dict(event.fields),
    }
