"""From single vectors to plans: which prefixes together, best first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations, product
from math import comb

import numpy as np

from teagent.engine.choose.candidates import (
    ANY_NUMBER,
    Vector,
    changes,
    is_full,
    neighbors,
    prepend_limit,
    swapped,
    vectors,
)
from teagent.engine.choose.digest import plan_digest
from teagent.engine.choose.optimise import Rank, excess_before, grain_bps, idle, rank, score, targets
from teagent.engine.choose.rough import Options, Yardstick
from teagent.engine.choose.screen import Screening, promising
from teagent.engine.choose.verdict import Case, judge
from teagent.engine.predict.looks import look
from teagent.engine.predict.movement import LIKELY
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
EXHAUSTIVE, FEW = 200, 400
"""Up to so many combinations all get a dry run; beyond that those that look best on a quick look, some at a time. Of
FEW it takes longer to lose patience.
"""
AT_A_TIME, PATIENCE, GROPING, HOPELESS = 6, 9, 48, 18
"""No others get one when so many brought nothing better; or so many where there are few, or where the look misses by
more than a step of relief, as it does where single senders decide. Nor, unless there are few, when so many were all
refused.
"""
NEAR = 4
"""So many more of what is near the best one get a dry run; and again, near one that is better."""
SHOWN = 8
"""So many are shown, the best: for these all is weighed that `needed` compares them with and that may be as good."""

ROUNDS, WIDENED, OF_EACH = 4, 3, 2
"""So often the neighbors of so many vectors are looked at, of each of so many prefixes."""


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


def consider(task: Task, candidate: Candidate, *, roughly: bool = False) -> Considered:
    """Dry run, score and verdict of one candidate; the dry run of one of many may be done `roughly`."""
    aims = targets(task.policy, task.scene.snapshot.network, task.triggered)
    predicted = dry_run(task.scene, candidate, targets=aims, forecaster=task.forecaster, roughly=roughly)
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

    Not among them are those that `needed` leaves out; beyond the first SHOWN, not all of these may be known. The first
    is not only weighed roughly and, if it is allowed, not to be had with one prepend less.
    """
    # What takes more changes than a plan may have is looked at where there is nothing else, to say what is refused.
    for most in (task.policy.limits.changes_per_plan, ANY_NUMBER):
        options = _options(task, eligible, most)
        if options:
            break
    else:
        return (), 0
    depth = max(1, min(task.policy.limits.prefixes_per_plan, len(options)))
    yardstick = yardstick_of(task)
    options = _widened(task, yardstick, eligible, options, most)
    count = _combinations(options, depth)
    screenings = [Screening.of_all(yardstick, options, depth)] if count > EXHAUSTIVE else []
    weighed = (
        _screened(task, screenings[0], yardstick.grain_bps, few=count <= FEW)
        if screenings
        else _consider_all(task, _every(options, depth))
    )
    key = order(task)
    exact: set[str] = set()
    climbed: set[str] = set()
    while True:
        ranked = sorted(needed(key, weighed), key=key)
        chosen = [one for one in ranked[:1] if not isinstance(one.verdict, RefusedVerdict)]
        if missing := _not_among(weighed, _one_prefix_less(task, ranked[:SHOWN], screenings)):
            weighed += _consider_all(task, missing)
        elif chosen and (digest := chosen[0].plan.digest) not in climbed:
            climbed.add(digest)
            near = _around(task, yardstick, eligible, chosen[0])
            if near is not None:
                screenings.append(near)
                if found := _not_among(weighed, near.following(near.count))[:NEAR]:
                    weighed += (more := _consider_all(task, found))
                    near.learn(dict(zip(found, more, strict=True)))
        elif missing := _not_among(weighed, _one_prepend_less(task, chosen, options, screenings)):
            weighed += _consider_all(task, missing)
        elif ranked[0].plan.digest not in exact:
            at = weighed.index(ranked[0])
            weighed[at] = consider(task, candidate_of(ranked[0]))
            exact.add(ranked[0].plan.digest)
        else:
            return tuple(ranked), len(weighed)


def _consider_all(task: Task, candidates: Sequence[Candidate]) -> list[Considered]:
    asked: dict[Prefix, set[Vector]] = {}
    for prefix, vector in (part for candidate in candidates for part in candidate.vectors):
        asked.setdefault(prefix, set()).add(vector)
    for prefix, found in asked.items():
        columns, live = task.scene.demands[prefix], task.scene.vectors[prefix]
        task.forecaster.prepare(columns, live, [dict(vector) for vector in sorted(found)])
    return [consider(task, candidate, roughly=True) for candidate in candidates]


def _not_among(weighed: Sequence[Considered], candidates: Iterable[Candidate]) -> list[Candidate]:
    """Each once."""
    known = {frozenset(candidate_of(one).vectors) for one in weighed}
    found = {frozenset(candidate.vectors): candidate for candidate in candidates}
    return [candidate for vectors, candidate in found.items() if vectors not in known]


def _one_prefix_less(task: Task, shown: Sequence[Considered], screenings: Collection[Screening]) -> Iterator[Candidate]:
    """What `needed` compares them with."""
    for one in shown:
        parts = candidate_of(one).vectors
        less = [Candidate(vectors=parts[:at] + parts[at + 1 :]) for at in range(len(parts) if len(parts) > 1 else 0)]
        yield from _perhaps_as_good(task, one, less, screenings)


def _one_prepend_less(
    task: Task, chosen: Sequence[Considered], options: Mapping[Prefix, Options], screenings: Collection[Screening]
) -> Iterator[Candidate]:
    """Where the rougher look saw a difference and the dry run sees none, the lesser change would be missed."""
    for one in chosen:
        parts, lesser = candidate_of(one).vectors, []
        for at, (prefix, vector) in enumerate(parts):
            worth = set(options[prefix].vectors)
            for link, prepend in vector:
                less = tuple((name, n - (name == link)) for name, n in vector)
                if prepend and less in worth:
                    lesser.append(Candidate(vectors=(*parts[:at], (prefix, less), *parts[at + 1 :])))
        yield from _perhaps_as_good(task, one, lesser, screenings)


def _perhaps_as_good(
    task: Task, one: Considered, others: Iterable[Candidate], screenings: Collection[Screening]
) -> Iterator[Candidate]:
    """Of the others those that do not surely relieve less than the one, if nothing is wrong with that."""
    whole = candidate_of(one)
    wrong = isinstance(one.verdict, RefusedVerdict) or idle(task.triggered, one.dry_run)
    for other in others:
        if wrong or not any(screening.surely_behind(other, whole) for screening in screenings):
            yield other


def _combinations(options: Mapping[Prefix, Options], depth: int) -> int:
    """How many there are at most, of up to `depth` prefixes."""
    most = max(len(found.vectors) for found in options.values())
    return sum(comb(len(options), size) * most**size for size in range(1, depth + 1))


def _every(options: Mapping[Prefix, Options], depth: int) -> list[Candidate]:
    """All combinations."""
    return [
        Candidate(vectors=tuple(zip(group, chosen, strict=True)))
        for size in range(1, depth + 1)
        for group in combinations(options, size)
        for chosen in product(*(options[prefix].vectors for prefix in group))
    ]


def _around(task: Task, yardstick: Yardstick, eligible: Collection[OwnPrefix], chosen: Considered) -> Screening | None:
    """What is one prepend away from it, on one link, or has one on another link; None where nothing is."""
    plan, near = candidate_of(chosen), {}
    owned = {own.prefix: own for own in eligible}
    for prefix, vector in plan.vectors:
        own, live = owned[prefix], task.scene.vectors[prefix]
        hot = _hot(task, own)
        limit = prepend_limit(task.policy, own)
        found = neighbors(vector, live, hot, limit) | swapped(vector, live, hot, limit)
        few = [each for each in found if changes(live, each) <= task.policy.limits.changes_per_plan]
        own_options = _worthwhile(task, own, sorted([*few, vector]))
        if own_options is None or vector not in own_options.vectors:
            return None
        near[prefix] = own_options
    if all(len(options.vectors) < 2 for options in near.values()):
        return None
    return Screening.around(yardstick, plan, chosen, near)


def _screened(task: Task, screening: Screening, step_bps: float, *, few: bool) -> list[Considered]:
    weighed: list[Considered] = []
    best: tuple[bool, Rank] | None = None
    waited, patience = 0, PATIENCE
    while waited < patience and (batch := screening.following(AT_A_TIME)):
        found = dict(zip(batch, _consider_all(task, batch), strict=True))
        screening.learn(found)
        patience = GROPING if few or screening.misses_by_bps > step_bps else PATIENCE
        weighed += found.values()
        for one in found.values():
            key = order(task)(one)
            better = not key[0] and (best is None or key < best)
            best, waited = (key, 0) if better else (best, waited + 1)
        if best is None and not few:
            patience = min(patience, HOPELESS)
    return weighed


def yardstick_of(task: Task) -> Yardstick:
    network = task.scene.snapshot.network
    return Yardstick(
        scene=task.scene,
        policy=task.policy,
        triggered=task.triggered,
        aims_bps=targets(task.policy, network, task.triggered),
        grain_bps=grain_bps(network, task.triggered),
        taken_bps=task.taken_bps,
    )


def needed(key: Callable[[Considered], tuple[bool, Rank]], weighed: Collection[Considered]) -> list[Considered]:
    """Without those that change a prefix for nothing: the same with one prefix less relieves as well, as surely. `key`
    is their `order`.
    """
    best: dict[frozenset[tuple[Prefix, Vector]], tuple[bool, bool, float, bool]] = {}
    for one in weighed:
        refused, rest = key(one)
        best[frozenset(candidate_of(one).vectors)] = (refused, *rest[:3])
    kept = []
    for one in weighed:
        whole = frozenset(candidate_of(one).vectors)
        smaller = (best.get(whole - {part}) for part in whole)
        if not any(less is not None and less <= best[whole] for less in smaller):
            kept.append(one)
    return kept


def order(task: Task) -> Callable[[Considered], tuple[bool, Rank]]:
    """Remembers what it said of each: they are sorted again whenever some were added."""
    network = task.scene.snapshot.network
    known: dict[int, tuple[Considered, tuple[bool, Rank]]] = {}

    def key(one: Considered) -> tuple[bool, Rank]:
        if id(one) not in known:
            ranked = rank(task.policy, network, task.triggered, one)
            known[id(one)] = one, (isinstance(one.verdict, RefusedVerdict), ranked)
        return known[id(one)][1]

    return key


def candidate_of(one: Considered) -> Candidate:
    return candidate_in(one.plan)


def candidate_in(plan: Plan) -> Candidate:
    after = plan.after
    return Candidate(vectors=tuple((prefix, tuple(after.vector(prefix).items())) for prefix in after.prefixes()))


def _options(task: Task, eligible: Collection[OwnPrefix], most: int) -> dict[Prefix, Options]:
    """The vectors of up to `most` changes that are worth it, of the prefixes that have any."""
    scene, asked = task.scene, []
    for own in _worth(task, eligible):
        live = scene.vectors[own.prefix]
        if found := vectors(live, _hot(task, own), prepend_limit(task.policy, own), most):
            task.forecaster.expect(scene.demands[own.prefix], live, [dict(vector) for vector in found])
            asked.append((own, found))
    looked = {own.prefix: _worthwhile(task, own, found) for own, found in asked}
    return {prefix: found for prefix, found in looked.items() if found is not None}


def _hot(task: Task, own: OwnPrefix) -> list[str]:
    return [name for name in task.triggered if task.scene.traffic_bps(own.prefix, name) > 0]


def _worthwhile(task: Task, own: OwnPrefix, found: Sequence[Vector]) -> Options | None:
    """Not worth it is a vector where what is expected to leave the triggered links consists, for the most part, of what
    will more likely stay than go: it only breaks ties or hopes, and a plan is not made of many small hopes.
    """
    if not found:
        return None
    columns = [task.scene.links.index(name) for name in _hot(task, own)]
    looks = look(task.scene, own.prefix, [dict(vector) for vector in found], task.forecaster)
    leaving, surely = looks.leaving[:, columns].sum(axis=1), looks.surely[:, columns].sum(axis=1)
    worth = np.flatnonzero((surely >= LIKELY * leaving) & (leaving > 0))
    if not len(worth):
        return None
    chosen = [found[number] for number in worth.tolist()]
    return Options.of(task.scene.vectors[own.prefix], chosen, looks.only(worth))


def _widened(
    task: Task, yardstick: Yardstick, eligible: Collection[OwnPrefix], options: Mapping[Prefix, Options], most: int
) -> dict[Prefix, Options]:
    """With the neighbors of the best, where not all vectors of up to `most` changes are among the options already."""
    owned = {own.prefix: own for own in eligible}
    widened, tried = dict(options), {prefix: set(found.vectors) for prefix, found in options.items()}
    for _ in range(ROUNDS):
        before = {prefix: len(found) for prefix, found in tried.items()}
        for prefix, best in promising(yardstick, widened, WIDENED, OF_EACH).items():
            own, live = owned[prefix], task.scene.vectors[prefix]
            limit, hot = prepend_limit(task.policy, own), _hot(task, own)
            if is_full(len(live), limit):
                continue
            near = {each for vector in best for each in neighbors(vector, live, hot, limit)} - tried[prefix]
            tried[prefix] |= near
            more = _worthwhile(task, own, sorted(vector for vector in near if changes(live, vector) <= most))
            if more is not None:
                widened[prefix] = widened[prefix].with_more(more)
        if before == {prefix: len(found) for prefix, found in tried.items()}:
            break
    return widened


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
