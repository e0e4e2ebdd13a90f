"""One decision per policy: what it would do now, or why it would not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from teagent.engine.choose.optimise import gains
from teagent.engine.choose.scope import Scope, matched_links, scope, settling
from teagent.engine.choose.search import SHOWN, Task, candidate_of, search
from teagent.engine.choose.trigger import evaluate
from teagent.engine.measure.trust import distrust
from teagent.engine.predict.outlook import with_outlook
from teagent.engine.predict.scene import Scene, prepare
from teagent.engine.predict.shares import TIES_STICK, Forecaster, Remembering
from teagent.model.announcement import Announce, Change, Modify, Withdraw, changed_prefix
from teagent.model.bgp import Prefix
from teagent.model.link import Link, NoData
from teagent.model.plan import Considered, Decision, Plan, Reason, RefusedVerdict, TriggerStatus
from teagent.model.policy import Policy
from teagent.model.snapshot import Snapshot
from teagent.model.units import format_bps

if TYPE_CHECKING:
    from teagent.engine.predict.topology import Topology


@dataclass(slots=True, kw_only=True)
class _Round:
    """What earlier policies of the same round have chosen: their prefixes, the links they relieve, and what they add
    to others.
    """

    prefixes: dict[Prefix, str] = field(default_factory=dict)
    relieved: dict[str, str] = field(default_factory=dict)
    taken_bps: dict[str, float] = field(default_factory=dict)

    def add(self, decision: Decision, chosen: Considered) -> None:
        self.prefixes |= dict.fromkeys(chosen.plan.prefixes(), decision.policy)
        self.relieved |= {status.link: decision.policy for status in decision.triggers if status.firing}
        for forecast in chosen.dry_run.links:
            if gains(forecast):
                more = max(0.0, forecast.after.high - forecast.before_bps)
                self.taken_bps[forecast.link] = self.taken_bps.get(forecast.link, 0.0) + more


def decide(
    snapshot: Snapshot,
    policies: Sequence[Policy],
    now: datetime,
    *,
    forecaster: Forecaster = TIES_STICK,
    topology: Topology | None = None,
) -> tuple[Decision, ...]:
    """A decision for each policy, in their order; an earlier one's plan is taken into account by the later ones.

    What is chosen is told by its senders as well (`DryRun.outlook`), for which `topology` is asked.

    Nothing is proposed on telemetry that is not trusted, nor while an earlier change on the same link settles.
    """
    earlier = _Round()
    scene: Scene | None = None if isinstance(snapshot.matrix, NoData) else prepare(snapshot)
    remembering = Remembering(forecaster)
    decisions = []
    for policy in policies:
        decision = _decide(snapshot, scene, policy, now, remembering, earlier)
        if decision.chosen is not None and scene is not None:
            earlier.add(decision, decision.chosen)
            told = tell_senders(scene, decision.chosen, forecaster=remembering, topology=topology)
            decision = replace(decision, chosen=told, considered=(told, *decision.considered[1:]))
        decisions.append(decision)
    return tuple(decisions)


def tell_senders(scene: Scene, chosen: Considered, *, forecaster: Forecaster, topology: Topology | None) -> Considered:
    """With the outlook of its dry run."""
    told = with_outlook(scene, candidate_of(chosen), chosen.dry_run, forecaster=forecaster, topology=topology)
    return replace(chosen, dry_run=told)


def _decide(
    snapshot: Snapshot, scene: Scene | None, policy: Policy, now: datetime, forecaster: Forecaster, earlier: _Round
) -> Decision:
    links = matched_links(policy, snapshot.network)
    if not policy.enabled:
        return _none(policy, snapshot, now, (), "the policy is not enabled")
    triggers = _triggers(snapshot, policy, links, now)
    triggered = tuple(status.link for status in triggers if status.firing)
    if not links:
        return _none(policy, snapshot, now, (), "no link matches the policy")
    if not triggered:
        quiet = "; ".join(f"{s.link}: {s.message}" for s in triggers)
        return _none(policy, snapshot, now, triggers, *_untrusted(snapshot.distrust, quiet))
    doubts = distrust(
        now=now,
        links=triggered,
        latest=snapshot.latest,
        matrix=snapshot.matrix,
        covered=triggered,
        counter_doubts=snapshot.counter_doubts,
        flow_doubts=snapshot.flow_doubts,
        coverage_limits=snapshot.coverage_limits,
    )
    doubts = tuple(dict.fromkeys((*snapshot.distrust, *doubts)))
    if doubts or scene is None:
        return _none(policy, snapshot, now, triggers, *_untrusted(doubts))
    taken = {name: earlier.relieved[name] for name in triggered if name in earlier.relieved}
    triggered = tuple(name for name in triggered if name not in taken)
    if not triggered:
        why = "; ".join(f"{name} is relieved by the plan of policy {other}" for name, other in taken.items())
        return _none(policy, snapshot, now, triggers, why)
    waits = settling(snapshot, scene, policy, triggered, now)
    if waits:
        reasons = (Reason(rule="settling", ok=False, message=waits),)
        return _none(policy, snapshot, now, triggers, f"waiting: {waits}", reasons)
    task = Task(
        scene=scene,
        policy=policy,
        triggered=triggered,
        now=now,
        forecaster=forecaster,
        taken_bps=dict(earlier.taken_bps),
    )
    return _search(task, _unclaimed(scope(scene, policy, triggered, now), earlier), triggers)


def _triggers(snapshot: Snapshot, policy: Policy, links: tuple[Link, ...], now: datetime) -> tuple[TriggerStatus, ...]:
    missing = NoData(since=snapshot.taken_at, reason="never read")
    return tuple(
        evaluate(policy, link, snapshot.history.get(link.name, ()), snapshot.latest.get(link.name, missing), now)
        for link in links
    )


def _unclaimed(found: Scope, earlier: _Round) -> Scope:
    claimed = tuple(
        Reason(
            rule="owner",
            ok=False,
            message=f"{own.prefix} is in the plan of policy {earlier.prefixes[own.prefix]}",
            value=earlier.prefixes[own.prefix],
        )
        for own in found.eligible
        if own.prefix in earlier.prefixes
    )
    left = tuple(own for own in found.eligible if own.prefix not in earlier.prefixes)
    return Scope(eligible=left, left_out=(*claimed, *found.left_out))


def _search(task: Task, found: Scope, triggers: tuple[TriggerStatus, ...]) -> Decision:
    snapshot, policy = task.scene.snapshot, task.policy
    ranked, count = search(task, found.eligible)
    hot = ", ".join(task.triggered)
    if not ranked:
        why = "; ".join(reason.message for reason in found.left_out) or _nothing(found)
        return _none(policy, snapshot, task.now, triggers, f"nothing can relieve {hot}: {why}", found.left_out)
    best = ranked[0]
    refused = isinstance(best.verdict, RefusedVerdict)
    failed = best.verdict.failed() if isinstance(best.verdict, RefusedVerdict) else ()
    message = f"{describe(best.plan)}: {_relief(best, task.triggered)}"
    if refused:
        why = "; ".join(f"{reason.rule}: {reason.message}" for reason in failed)
        message = f"all {count} candidates for {hot} are refused; the best ({describe(best.plan)}) because {why}"
    return Decision(
        policy=policy.name,
        at=task.now,
        snapshot_digest=snapshot.digest,
        triggers=triggers,
        chosen=None if refused else best,
        considered=ranked[:SHOWN],
        candidates=count,
        reasons=(*failed, *found.left_out),
        message=message,
    )


def _nothing(found: Scope) -> str:
    if not found.eligible:
        return "no prefix of ours has traffic there"
    names = ", ".join(str(own.prefix) for own in found.eligible[:3])
    return f"no prepend within the limits is likely to move {names}"


def describe(plan: Plan) -> str:
    """`11.0.0.0/24 transit-a prepend 0 -> 1, transit-b prepend 2 -> 0`"""
    lines = []
    for prefix in plan.prefixes():
        changes = [_change(change) for change in plan.changes if changed_prefix(change) == prefix]
        lines.append(f"{prefix} {', '.join(changes)}")
    return "; ".join(lines)


def _change(change: Change) -> str:
    match change:
        case Announce(after=after):
            return f"{after.link} announce with prepend {after.prepend}"
        case Modify(before=before, after=after):
            return f"{after.link} prepend {before.prepend} -> {after.prepend}"
        case Withdraw(before=before):
            return f"{before.link} withdraw"


def _relief(best: Considered, triggered: tuple[str, ...]) -> str:
    return ", ".join(
        f"{f.link} {format_bps(f.before_bps)} -> {format_bps(f.after.expected)} (target {format_bps(f.target_bps)})"
        for f in best.dry_run.links
        if f.link in triggered or gains(f)
    )


def _untrusted(doubts: Sequence[str], otherwise: str = "") -> tuple[str, tuple[Reason, ...]]:
    """A decision's message and reasons. What is said `otherwise` stands behind the doubts: it may come from them."""
    against = f"telemetry is not trusted: {'; '.join(doubts)}" if doubts else ""
    reasons = tuple(Reason(rule="telemetry_trusted", ok=False, message=message) for message in doubts)
    return ". ".join(filter(None, (against, otherwise))), reasons


def _none(
    policy: Policy,
    snapshot: Snapshot,
    now: datetime,
    triggers: tuple[TriggerStatus, ...],
    message: str,
    reasons: tuple[Reason, ...] = (),
) -> Decision:
    return Decision(
        policy=policy.name,
        at=now,
        snapshot_digest=snapshot.digest,
        triggers=triggers,
        chosen=None,
        considered=(),
        candidates=0,
        reasons=reasons,
        message=message,
    )
