"""Going home: an override that is not needed any more is proposed for release, never forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from teagent.engine.choose.decide import tell_senders
from teagent.engine.choose.optimise import excess_before, gains, score, targets
from teagent.engine.choose.scope import matched_links
from teagent.engine.choose.search import plan_for
from teagent.engine.choose.trigger import POLLS_MISSED
from teagent.engine.choose.verdict import Case, judge
from teagent.engine.predict.scene import Scene, prepare
from teagent.engine.predict.shares import TIES_STICK, Forecaster
from teagent.engine.predict.simulate import dry_run
from teagent.model.link import NoData
from teagent.model.plan import Candidate, Considered, DryRun
from teagent.model.policy import Policy
from teagent.model.proposal import Proposal, ProposalState
from teagent.model.snapshot import Snapshot
from teagent.model.units import format_bps, format_duration

if TYPE_CHECKING:
    from teagent.engine.predict.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A plan that takes an active proposal's prefixes home, and why now."""

    proposal: str
    considered: Considered
    message: str


def release(
    snapshot: Snapshot,
    policy: Policy,
    active: Sequence[Proposal],
    now: datetime,
    *,
    forecaster: Forecaster = TIES_STICK,
    topology: Topology | None = None,
) -> tuple[Release, ...]:
    """For each active proposal of `policy` that is not needed any more: the plan that goes home.

    Not needed is an override when all through `when.for_seconds` every link of the policy would have stayed below
    `clear_below` with all the traffic back home that may come back. Where telemetry has gaps in
    that time, or is not trusted, nothing is released. The verdict's relief rule is not asked: nothing is congested.
    """
    if isinstance(snapshot.matrix, NoData) or snapshot.distrust:
        return ()
    scene = prepare(snapshot)
    found = []
    for proposal in active:
        if proposal.policy == policy.name and proposal.state is ProposalState.ACTIVE:
            one = _release(scene, policy, proposal, now, forecaster, topology)
            if one is not None:
                found.append(one)
    return tuple(found)


def _release(
    scene: Scene,
    policy: Policy,
    proposal: Proposal,
    now: datetime,
    forecaster: Forecaster,
    topology: Topology | None,
) -> Release | None:
    network = scene.snapshot.network
    home = network.home()
    prefixes = [p for p in proposal.plan.prefixes() if home.vector(p).keys() == scene.vectors.get(p, {}).keys()]
    if len(prefixes) != len(proposal.plan.prefixes()) or all(home.vector(p) == scene.vectors[p] for p in prefixes):
        return None
    aims = targets(policy, network, [link.name for link in matched_links(policy, network)])
    candidate = Candidate(vectors=tuple((p, tuple(sorted(home.vector(p).items()))) for p in prefixes))
    predicted = dry_run(scene, candidate, targets=aims, forecaster=forecaster)
    if not _stays_clear(scene, policy, predicted, now):
        return None
    plan = plan_for(scene, policy.name, candidate)
    verdict = judge(
        Case(snapshot=scene.snapshot, policy=policy, plan=plan, dry_run=predicted, now=now, proposal=proposal.id)
    )
    considered = Considered(
        plan=plan,
        dry_run=predicted,
        score=score(network, (), predicted, excess_before(predicted, ()), plan.changes),
        verdict=verdict,
    )
    back = ", ".join(
        f"{f.link} would carry {format_bps(f.after.expected)}, in the worst case {format_bps(f.worst_bps)} of "
        f"{format_bps(f.target_bps)}"
        for f in predicted.links
        if gains(f)
    )
    names = ", ".join(str(p) for p in prefixes)
    held = format_duration(policy.when.for_seconds)
    return Release(
        proposal=proposal.id,
        considered=tell_senders(scene, considered, forecaster=forecaster, topology=topology),
        message=f"{names} can go home, for {held} by now: {back or 'no load'}",
    )


def _stays_clear(scene: Scene, policy: Policy, predicted: DryRun, now: datetime) -> bool:
    """With the peak of the hold time on top of what comes back, is every link of the policy below where it clears?"""
    forecasts = {f.link: f for f in predicted.links}
    for link in matched_links(policy, scene.snapshot.network):
        forecast = forecasts.get(link.name)
        peak = _peak_bps(scene.snapshot, link.name, timedelta(seconds=policy.when.for_seconds), now)
        if forecast is None or peak is None:
            return False
        above_now = max(0.0, peak - forecast.before_bps)
        if forecast.worst_bps + above_now >= policy.when.clear_below * link.capacity_bps:
            return False
    return True


def _peak_bps(snapshot: Snapshot, link: str, hold: timedelta, now: datetime) -> float | None:
    """The highest reading of the hold time; None where the readings do not cover it without a gap."""
    readings = [u for u in snapshot.history.get(link, ()) if u.at <= now]
    if not readings:
        return None
    edge, peak = now, 0.0
    for reading in reversed(readings):
        if edge - reading.at > timedelta(seconds=POLLS_MISSED * reading.seconds):
            return None
        peak = max(peak, reading.in_bps)
        edge = reading.at - timedelta(seconds=reading.seconds)
        if now - edge >= hold:
            return peak
    return None
