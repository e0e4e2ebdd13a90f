"""From single vectors to plans: which prefixes together, best first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations, product
from math import comb

from teagent.engine.choose.candidates import Vector, prepend_limit, vectors
from teagent.engine.choose.digest import plan_digest
from teagent.engine.choose.optimise import Rank, excess_before, grain_bps, rank, score, targets
from teagent.engine.choose.screen import Yardstick, screen
from teagent.engine.choose.verdict import Case, judge
from teagent.engine.predict.looks import LIKELY, Look, looks
from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import Forecaster
from teagent.engine.predict.simulate import dry_run
from teagent.model.announcement import Announcement, AnnouncementSet, difference
from teagent.model.bgp import Prefix, prefix_key
from teagent.model.network import OwnPrefix
from teagent.model.plan import Candidate, Considered, DryRun, Plan, RefusedVerdict
from teagent.model.policy import Policy

PREFIXES = 24
"""So many prefixes are weighed: half the heaviest, half those nearest to what relief takes."""
EXHAUSTIVE = 200
"""Up to so many combinations all get a dry run; beyond that those that look best on a quick look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One policy on one scene: what is to be relieved, and what plans of this round have taken already."""

    scene: Scene
    policy: Policy
    triggered: tuple[str, ...]
    now: datetime
    forecaster: Forecaster
    taken_bps: Mapping[str, float] = field(default_factory=dict)


def plan_for(scene: Scene, policy: str, candidate: Candidate) -> Plan:
    """The candidate as changes against what is live; `before` and `after` hold its prefixes only."""
    chosen = dict(candidate.vectors)
    before = AnnouncementSet(
        Announcement(prefix=prefix, link=link, prepend=prepend)
        for prefix in chosen
        for link, prepend in scene.vectors.get(prefix, {}).items()
    )
    after = AnnouncementSet(
        Announcement(prefix=prefix, link=link, prepend=prepend)
        for prefix, vector in chosen.items()
        for link, prepend in vector
    )
    changes = difference(before, after)
    digest = plan_digest(policy, changes, before, after)
    return Plan(policy=policy, changes=changes, before=before, after=after, digest=digest)


def consider(task: Task, candidate: Candidate) -> Considered:
    """Dry run, score and verdict of one candidate."""
    aims = targets(task.policy, task.scene.snapshot.network, task.triggered)
    predicted = dry_run(task.scene, candidate, targets=aims, forecaster=task.forecaster)
    return considered(task, plan_for(task.scene, task.policy.name, candidate), predicted)


def considered(task: Task, plan: Plan, predicted: DryRun) -> Considered:
    need = excess_before(predicted, task.triggered)
    network = task.scene.snapshot.network
    return Considered(
        plan=plan,
        dry_run=predicted,
        score=score(network, task.triggered, predicted, need, plan.changes),
        verdict=judge(
            Case(
                snapshot=task.scene.snapshot,
                policy=task.policy,
                plan=plan,
                dry_run=predicted,
                now=task.now,
                triggered=task.triggered,
                taken_bps=task.taken_bps,
            )
        ),
    )


def search(task: Task, eligible: Collection[OwnPrefix]) -> tuple[tuple[Considered, ...], int]:
    """The candidates, best first, refused ones after those that are not; and how many were weighed.

    Not among them are those that `needed` leaves out.
    """
    options = {own.prefix: _options(task, own) for own in _worth(task, eligible)}
    options = {prefix: found for prefix, found in options.items() if found}
    if not options:
        return (), 0
    depth = max(1, min(task.policy.limits.prefixes_per_plan, len(options)))
    weighed = [consider(task, candidate) for candidate in _candidates(task, options, depth)]
    return tuple(sorted(needed(task, weighed), key=order(task))), len(weighed)


def _candidates(task: Task, options: Mapping[Prefix, Mapping[Vector, Look]], depth: int) -> list[Candidate]:
    most = max(len(found) for found in options.values())
    if sum(comb(len(options), size) * most**size for size in range(1, depth + 1)) <= EXHAUSTIVE:
        return [
            Candidate(vectors=tuple(zip(group, chosen, strict=True)))
            for size in range(1, depth + 1)
            for group in combinations(options, size)
            for chosen in product(*(options[prefix] for prefix in group))
        ]
    network = task.scene.snapshot.network
    yardstick = Yardstick(
        scene=task.scene,
        policy=task.policy,
        triggered=task.triggered,
        aims_bps=targets(task.policy, network, task.triggered),
        grain_bps=grain_bps(network, task.triggered),
    )
    return screen(yardstick, options, depth)


def needed(task: Task, weighed: Collection[Considered]) -> list[Considered]:
    """Without those that change a prefix for nothing: the same with one prefix less relieves as well, as surely."""
    best: dict[frozenset[tuple[Prefix, Vector]], tuple[bool, bool, float, bool]] = {}
    for one in weighed:
        refused, rest = order(task)(one)
        best[frozenset(candidate_of(one).vectors)] = (refused, *rest[:3])
    kept = []
    for one in weighed:
        whole = frozenset(candidate_of(one).vectors)
        smaller = (best.get(whole - {part}) for part in whole)
        if not any(less is not None and less <= best[whole] for less in smaller):
            kept.append(one)
    return kept


def order(task: Task) -> Callable[[Considered], tuple[bool, Rank]]:
    network = task.scene.snapshot.network

    def key(one: Considered) -> tuple[bool, Rank]:
        return isinstance(one.verdict, RefusedVerdict), rank(task.policy, network, task.triggered, one)

    return key


def candidate_of(one: Considered) -> Candidate:
    after = one.plan.after
    return Candidate(vectors=tuple((prefix, tuple(after.vector(prefix).items())) for prefix in after.prefixes()))


def _options(task: Task, own: OwnPrefix) -> dict[Vector, Look]:
    """The vectors that are worth it, each with a quick look.

    Not so is one where what is expected to leave the triggered links consists, for the most part, of what will more
    likely stay than go: it only breaks ties or hopes, and a plan is not made of many small hopes.
    """
    hot = [name for name in task.triggered if task.scene.traffic_bps(own.prefix, name) > 0]
    found = vectors(task.scene.vectors[own.prefix], hot, prepend_limit(task.policy, own))
    columns = [task.scene.links.index(name) for name in hot]
    looked = looks(task.scene, own.prefix, [dict(vector) for vector in found], task.forecaster)
    return {
        vector: look
        for vector, look in zip(found, looked, strict=True)
        if float(look.surely[columns].sum()) >= LIKELY * float(look.leaving[columns].sum()) > 0
    }


def _worth(task: Task, eligible: Collection[OwnPrefix]) -> list[OwnPrefix]:
    if len(eligible) <= PREFIXES:
        return sorted(eligible, key=lambda own: prefix_key(own.prefix))
    bps = {own.prefix: sum(task.scene.traffic_bps(own.prefix, name) for name in task.triggered) for own in eligible}
    aims = targets(task.policy, task.scene.snapshot.network, task.triggered)
    load = dict(zip(task.scene.links, task.scene.load_bps, strict=True))
    need = sum(max(0.0, float(load[name]) - aims[name]) for name in task.triggered)
    heaviest = sorted(eligible, key=lambda own: (-bps[own.prefix], prefix_key(own.prefix)))
    nearest = sorted(heaviest[PREFIXES // 2 :], key=lambda own: (abs(bps[own.prefix] - need), prefix_key(own.prefix)))
    chosen = heaviest[: PREFIXES // 2] + nearest[: PREFIXES // 2]
    return sorted(chosen, key=lambda own: prefix_key(own.prefix))
