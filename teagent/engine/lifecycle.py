"""Life of a proposal: one table, one function, and the rules beside the table that need no I/O.

The store keeps what `advance` returns; a service decides when to call it. Time, actor and entropy are arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from teagent.errors import Expired, IllegalTransition, NotAuthorised, NotFound, Refused
from teagent.model.announcement import AnnouncementSet, changed_link
from teagent.model.bgp import Prefix
from teagent.model.plan import DryRun, Plan, Verdict
from teagent.model.proposal import FINAL, ON_WIRE, HistoryEntry, Proposal, ProposalEvent, ProposalState
from teagent.model.units import format_age, format_duration

S, E = ProposalState, ProposalEvent

TRANSITIONS: Mapping[tuple[ProposalState, ProposalEvent], ProposalState] = MappingProxyType(
    {
        (S.PENDING, E.ENDORSE): S.PENDING,
        (S.PENDING, E.APPROVE): S.APPROVED,
        (S.PENDING, E.REJECT): S.REJECTED,
        (S.PENDING, E.EXPIRE): S.EXPIRED,
        (S.PENDING, E.SUPERSEDE): S.SUPERSEDED,
        (S.PENDING, E.INVALIDATE): S.STALE,
        (S.APPROVED, E.APPLY): S.APPLYING,
        (S.APPROVED, E.REJECT): S.REJECTED,
        (S.APPROVED, E.EXPIRE): S.EXPIRED,
        (S.APPROVED, E.INVALIDATE): S.STALE,
        (S.APPLYING, E.ACKED): S.CONFIRMING,
        (S.APPLYING, E.FAIL): S.REVERTING,
        (S.APPLYING, E.REVERT): S.REVERTING,
        (S.CONFIRMING, E.CONFIRM): S.ACTIVE,
        (S.CONFIRMING, E.TRIP): S.REVERTING,
        (S.CONFIRMING, E.TIMEOUT): S.REVERTING,
        (S.CONFIRMING, E.REVERT): S.REVERTING,
        (S.ACTIVE, E.REVERT): S.REVERTING,
        (S.ACTIVE, E.TRIP): S.REVERTING,
        (S.ACTIVE, E.REPLACE): S.REPLACED,
        (S.REVERTING, E.WITHDRAWN): S.REVERTED,
        (S.REVERTING, E.FAIL): S.STUCK,
        (S.STUCK, E.REVERT): S.REVERTING,
        (S.STUCK, E.RESOLVE): S.REVERTED,
    }
)

REVERT_ATTEMPTS = 3
"""Failed attempts to take a change back after which the proposal is stuck and an operator must look."""

BLOCKED_BY_FREEZE = frozenset({E.ENDORSE, E.APPROVE, E.APPLY})
"""The kill switch stops what leads to an announcement; it never stops a revert."""

DAEMON = "daemon"
ROOT = "root"
ACTOR_KINDS = frozenset({"policy", "guard"})
"""Actors beside users and the daemon are written KIND:NAME. The advisor is none of them."""


def legal_events(state: ProposalState) -> tuple[ProposalEvent, ...]:
    """The events that `state` can take, in the order of the table; empty for a final state."""
    return tuple(event for from_state, event in TRANSITIONS if from_state is state)


def create(
    *,
    id: str,  # noqa: A002  # the field's own name
    plan: Plan,
    dry_run: DryRun,
    verdict: Verdict,
    snapshot_digest: str,
    inputs_digest: str,
    actor: str,
    now: datetime,
    expires_after_seconds: float,
    restores: str | None = None,
    reason: str = "",
    experiment: str = "",
) -> Proposal:
    """A pending proposal whose history holds its creation as row 0."""
    _check_actor(actor)
    _check_aware(now)
    born = HistoryEntry(seq=0, event=None, from_state=None, to_state=S.PENDING, actor=actor, at=now, reason=reason)
    return Proposal(
        id=id,
        plan=plan,
        dry_run=dry_run,
        verdict=verdict,
        snapshot_digest=snapshot_digest,
        inputs_digest=inputs_digest,
        state=S.PENDING,
        created_at=now,
        expires_at=now + timedelta(seconds=expires_after_seconds),
        history=(born,),
        restores=restores,
        experiment=experiment,
    )


def advance(proposal: Proposal, event: ProposalEvent, *, actor: str, now: datetime, reason: str = "") -> Proposal:
    """The proposal after `event`, with one more row of history; the one given is unchanged.

    A confirm deadline lives only in `applying` and `confirming`; entering `reverting` starts its attempts anew.
    Raises IllegalTransition for an event that the state does not take, NotAuthorised when anyone but an operator
    moves a stuck proposal, Refused for a `resolve` without a reason, ValueError for an actor that is none.
    """
    _check_actor(actor)
    _check_aware(now)
    target = TRANSITIONS.get((proposal.state, event))
    if target is None:
        raise IllegalTransition(
            proposal=proposal.id,
            state=proposal.state.value,
            event=event.value,
            legal=[legal.value for legal in legal_events(proposal.state)],
        )
    if proposal.state is S.STUCK and not is_operator(actor):
        raise NotAuthorised(actor=actor, needs=["an operator"], action=f"{event.value} {proposal.id} while it is stuck")
    if event is E.RESOLVE and not reason.strip():
        raise Refused(
            f"proposal {proposal.id} is stuck and resolving it needs a reason",
            hint=f'teagent proposal resolve {proposal.id} --reason "what was found on the routers"',
            proposal=proposal.id,
        )
    entry = HistoryEntry(
        seq=len(proposal.history),
        event=event,
        from_state=proposal.state,
        to_state=target,
        actor=actor,
        at=now,
        reason=reason,
    )
    return replace(
        proposal,
        state=target,
        history=(*proposal.history, entry),
        confirm_deadline=proposal.confirm_deadline if target in {S.APPLYING, S.CONFIRMING} else None,
        revert_attempts=0 if target is S.REVERTING else proposal.revert_attempts,
    )


def begin_apply(
    proposal: Proposal, *, actor: str, now: datetime, confirm_window_seconds: float, reason: str = ""
) -> Proposal:
    """`apply`, with the confirm deadline set: the relay is given the same deadline with the announcement."""
    applying = advance(proposal, E.APPLY, actor=actor, now=now, reason=reason)
    return replace(applying, confirm_deadline=now + timedelta(seconds=confirm_window_seconds))


def attempt_failed(proposal: Proposal, *, actor: str, now: datetime, reason: str) -> Proposal:
    """A reverting proposal after one more failed attempt: reverting still, or stuck after REVERT_ATTEMPTS of them.

    Only the last attempt is an event; those before it are counted in `revert_attempts`.
    """
    attempts = proposal.revert_attempts + 1
    if proposal.state is S.REVERTING and attempts < REVERT_ATTEMPTS:
        return replace(proposal, revert_attempts=attempts)
    if proposal.state is not S.REVERTING:
        raise IllegalTransition(
            proposal=proposal.id,
            state=proposal.state.value,
            event="count a failed attempt",
            legal=[legal.value for legal in legal_events(proposal.state)],
        )
    return replace(advance(proposal, E.FAIL, actor=actor, now=now, reason=reason), revert_attempts=attempts)


# --- time -----------------------------------------------------------------------------------------------------------


def is_expired(proposal: Proposal, now: datetime) -> bool:
    """True when it still waits to be applied and its time is over."""
    return proposal.state in {S.PENDING, S.APPROVED} and now >= proposal.expires_at


def refuse_expired(proposal: Proposal, now: datetime) -> None:
    """Raises Expired when `is_expired`."""
    if is_expired(proposal, now):
        lifetime = format_duration((proposal.expires_at - proposal.created_at).total_seconds())
        raise Expired(
            f"proposal {proposal.id} is expired and cannot be approved "
            f"(expired {format_age(proposal.expires_at, now)} ago, expires_after {lifetime})",
            hint=how_to_ask_again(proposal),
            proposal=proposal.id,
            expires_at=proposal.expires_at.isoformat(),
        )


def how_to_ask_again(proposal: Proposal) -> str:
    """The command that makes such a proposal anew."""
    if proposal.experiment:
        return "teagent experiment plan --propose"
    if proposal.history and not proposal.history[0].actor.startswith("policy:"):
        return f"teagent simulate CHANGE... --propose {proposal.policy}"
    return f"teagent plan --policy {proposal.policy} --propose"


def is_confirm_overdue(proposal: Proposal, now: datetime) -> bool:
    """True when the confirm window has passed; a confirming proposal without a deadline has no window left."""
    if proposal.state is not S.CONFIRMING:
        return False
    return proposal.confirm_deadline is None or now >= proposal.confirm_deadline


# --- who owns what, and where a revert leads -------------------------------------------------------------------------


def owners(proposals: Iterable[Proposal]) -> dict[Prefix, Proposal]:
    """Prefix -> the proposal whose override is, or may be, on the wire.

    While a change waits for its confirmation over an active one, the newer owns the prefix; the active one gets it
    back when the newer is reverted in its window. Of two that were both confirmed the one applied last owns it.
    """
    found: dict[Prefix, Proposal] = {}
    on_wire = [proposal for proposal in proposals if proposal.state in ON_WIRE]
    # One that never was confirmed is newer than any that was: nothing is applied over an unconfirmed change.
    for proposal in sorted(on_wire, key=lambda p: (last_forward_state(p) is not S.ACTIVE, _applied_at(p))):
        for prefix in proposal.plan.prefixes():
            found[prefix] = proposal
    return found


def _applied_at(proposal: Proposal) -> datetime:
    return max((entry.at for entry in proposal.history if entry.to_state is S.APPLYING), default=proposal.created_at)


def in_the_way(plan: Plan, others: Iterable[Proposal]) -> Proposal | None:
    """A proposal in the middle of a change to one of the plan's prefixes; nothing is applied over it.

    Over an active one a plan may be applied. Over one that is being taken back it may not, even where the routes are
    what the plan starts from: the next attempt to take them back would take the new ones.
    """
    prefixes = set(plan.prefixes())
    for other in others:
        if other.state in ON_WIRE - {S.ACTIVE} and not prefixes.isdisjoint(other.plan.prefixes()):
            return other
    return None


def replaced_by(confirmed: Proposal, others: Iterable[Proposal]) -> tuple[Proposal, ...]:
    """The active proposals that own nothing any more once `confirmed` is active: they take `replace` with it.

    One that keeps a prefix of its own stays active, or that prefix's override would be nobody's.
    """
    active = [other for other in others if other.state is S.ACTIVE and other.id != confirmed.id]
    owned = {proposal.id for proposal in owners([*active, confirmed]).values()}
    taken = set(confirmed.plan.prefixes())
    return tuple(o for o in active if o.id not in owned and not taken.isdisjoint(o.plan.prefixes()))


def supersedes(newer: Plan, waiting: Proposal) -> bool:
    """True when `waiting` is pending and `newer` touches one of its prefixes or links."""
    if waiting.state is not S.PENDING:
        return False
    links = {changed_link(change) for change in newer.changes}
    return not set(newer.prefixes()).isdisjoint(waiting.plan.prefixes()) or any(
        changed_link(change) in links for change in waiting.plan.changes
    )


def target_after_revert(
    proposal: Proposal, *, home: AnnouncementSet, others: Iterable[Proposal] = ()
) -> dict[Prefix, dict[str, int]]:
    """Prefix -> link -> prepend that a revert of `proposal` brings about, for the plan's prefixes that it owns.

    Undo inside the window, go home after it: while it had not been confirmed the plan's `before` is restored, from
    `active` on its prefixes go home. `others` are all other proposals. An override in `before` whose proposal is not
    active any more has no owner: it is not restored, the prefix goes home. A prefix that a newer change has taken
    over is left out: it is for the newer one to say where it goes.
    """
    rest = [other for other in others if other.id != proposal.id]
    inside_window = last_forward_state(proposal) is not S.ACTIVE
    now_owners, active = owners([proposal, *rest]), owners(other for other in rest if other.state is S.ACTIVE)
    targets = {}
    for prefix in proposal.plan.prefixes():
        if now_owners.get(prefix, proposal).id != proposal.id:
            continue
        before = proposal.plan.before.vector(prefix)
        owner = active.get(prefix)
        restorable = inside_window and owner is not None and owner.plan.after.vector(prefix) == before
        targets[prefix] = before if restorable else home.vector(prefix)
    return targets


def last_forward_state(proposal: Proposal) -> ProposalState:
    """The state that its revert started from; the present one when it is not being reverted."""
    states = [proposal.state, *(entry.from_state for entry in reversed(proposal.history) if entry.from_state)]
    return next((state for state in states if state not in {S.REVERTING, S.STUCK, S.REVERTED}), S.PENDING)


# --- who has approved so far ----------------------------------------------------------------------------------------


def endorsers(proposal: Proposal) -> tuple[str, ...]:
    """Who has approved it, in order, the last approval included. Its plan never changes, so they all saw the same."""
    return tuple(entry.actor for entry in proposal.history if entry.event in {E.ENDORSE, E.APPROVE})


def approval_event(proposal: Proposal, *, actor: str, approvers: int) -> ProposalEvent:
    """`endorse` while others are still needed, `approve` for the last of `approvers` different people.

    Raises Refused when `actor` has approved already, or is nobody in particular where people count.
    """
    given = endorsers(proposal)
    if approvers > 1 and actor == ROOT:
        raise Refused(
            f"policy {proposal.policy} asks for {approvers} people, and {ROOT} is nobody in particular",
            hint="log in with your own name; control.approvers in the configuration names the groups",
            proposal=proposal.id,
        )
    if actor in given:
        raise Refused(
            f"{actor} has approved {proposal.id} already, and policy {proposal.policy} asks for {approvers} people",
            hint=f"somebody else: teagent proposal approve {proposal.id}",
            proposal=proposal.id,
            approvals=list(given),
        )
    return E.APPROVE if len(given) + 1 >= approvers else E.ENDORSE


# --- actors ---------------------------------------------------------------------------------------------------------


def is_operator(actor: str) -> bool:
    """True for a user; false for the daemon, a policy or a guard. User names hold no colon."""
    return actor != DAEMON and ":" not in actor


def _check_actor(actor: str) -> None:
    kind, colon, name = actor.partition(":")
    if not actor.strip() or (colon and (kind not in ACTOR_KINDS or not name)):
        raise ValueError(f"'{actor}' is no actor: a user, {DAEMON}, or NAME behind {' or '.join(sorted(ACTOR_KINDS))}:")


def _check_aware(now: datetime) -> None:
    if now.tzinfo is None:
        raise ValueError(f"{now} has no time zone")


# --- ids ------------------------------------------------------------------------------------------------------------


def proposal_id(entropy: int, taken: Collection[str] = ()) -> str:
    """`p-7f3c` out of random bits: four hex digits, more only while the shorter id is taken.

    `entropy` is a random integer of 64 bits. Raises ValueError when even all of its digits are taken.
    """
    digits = f"{entropy % 2**64:016x}"
    for length in range(4, len(digits) + 1):
        if (candidate := f"p-{digits[:length]}") not in taken:
            return candidate
    raise ValueError(f"p-{digits} is taken: give other entropy")


def resolve_id(text: str, ids: Iterable[str]) -> str:
    """The one id that `text` stands for: the id itself or the beginning of just one, with or without `p-`.

    Raises NotFound when there is none and Refused when there are several.
    """
    wanted = "p-" + text.strip().lower().removeprefix("p-")
    known = sorted(set(ids))
    if wanted in known:
        return wanted
    matches = [id_ for id_ in known if id_.startswith(wanted)] if wanted != "p-" else []
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise NotFound("proposal", text, hint="teagent proposal")
    raise Refused(
        f"{text} is the beginning of {len(matches)} proposals: {', '.join(matches[:10])}",
        hint="type more of the id",
        text=text,
        matches=matches,
    )


# --- for the documentation ------------------------------------------------------------------------------------------


def diagram() -> str:
    """The table as a Mermaid state diagram; docs/internals/lifecycle.md holds it and a test compares the two."""
    arrows: dict[tuple[ProposalState, ProposalState], list[str]] = {}
    for (from_state, event), to_state in TRANSITIONS.items():
        arrows.setdefault((from_state, to_state), []).append(event.value)
    lines = ["stateDiagram-v2", "    [*] --> pending: decide"]
    lines += [f"    {a.value} --> {b.value}: {' / '.join(events)}" for (a, b), events in arrows.items()]
    lines += [f"    {state.value} --> [*]" for state in ProposalState if state in FINAL]
    return "\n".join(lines)


def state_table() -> str:
    """One Markdown row for each state: whether routes may differ from home, and the events that it takes."""
    lines = ["| State | Routes may differ from home? | Leaves by |", "| --- | --- | --- |"]
    for state in ProposalState:
        leaves = ", ".join(event.value for event in legal_events(state)) or "final"
        where = "unknown" if state is S.STUCK else "yes" if state in ON_WIRE else "no"
        lines.append(f"| `{state.value}` | {where} | {leaves} |")
    return "\n".join(lines)
