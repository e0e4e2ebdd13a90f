"""Where there are too many candidates for a dry run of each: a quick look at them, and a beam over prefixes.

The look is by mean loads and rough widths, which of several prefixes simply add up. It follows the rules and the order
of the real thing as far as it sees them: it finds what is worth a dry run, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from teagent.engine.choose.candidates import Vector, changes
from teagent.engine.choose.optimise import IDLE, UTILISATION_GRAIN
from teagent.engine.choose.scope import matched_links
from teagent.engine.choose.verdict import RELIEF_AT_LEAST
from teagent.engine.predict.bands import VOLUME_ERROR, Z90, hardly_any
from teagent.engine.predict.looks import Looks
from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import Flags, Floats, Ints
from teagent.model.bgp import Prefix, prefix_key
from teagent.model.plan import Candidate
from teagent.model.policy import Objective, Policy

KEPT, FIRST = 36, 18
"""So many get a dry run; if none of the first ones is allowed, no others do that look refused."""
FEW_DEMANDS = 20_000
"""With no more than so many in the matrix a dry run takes next to nothing."""
LOOKS_REFUSED = 2
"""Where a key says so."""
BEAM = 64
EXTENSIONS = 192
OF_EACH = 4
"""So many vectors of each prefix are in the beam and among the extensions, if others are better or not."""

Columns = TypeVar("Columns", Floats, Ints)


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What the quick look measures with. `aims_bps` (link -> bps), `grain_bps`: a step of relief; `taken_bps`: what
    plans chosen a moment ago add to links.
    """

    scene: Scene
    policy: Policy
    triggered: tuple[str, ...]
    aims_bps: Mapping[str, float]
    grain_bps: float
    taken_bps: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Options:
    """The vectors of one prefix that are worth it: how they look, how many changes each is, with how many prepends."""

    vectors: tuple[Vector, ...]
    looks: Looks
    changes: Ints
    prepends: Ints

    @classmethod
    def of(cls, live: Mapping[str, int], vectors: Sequence[Vector], looks: Looks) -> Options:
        return cls(
            vectors=tuple(vectors),
            looks=looks,
            changes=np.array([changes(live, vector) for vector in vectors], dtype=np.int64),
            prepends=np.array([sum(n for k, n in v if live.get(k) != n) for v in vectors], dtype=np.int64),
        )

    def with_more(self, more: Options) -> Options:
        order = sorted(range(len(self.vectors) + len(more.vectors)), key=(self.vectors + more.vectors).__getitem__)
        return Options(
            vectors=tuple((self.vectors + more.vectors)[number] for number in order),
            looks=Looks.joined([self.looks, more.looks]).only(np.array(order)),
            changes=np.concatenate((self.changes, more.changes))[order],
            prepends=np.concatenate((self.prepends, more.prepends))[order],
        )


def generosity(scene: Scene) -> int:
    """How many times as many candidates as else get a dry run."""
    return 2 if len(scene.matrix) <= FEW_DEMANDS else 1


def promising(
    yardstick: Yardstick, options: Mapping[Prefix, Options], count: int, each: int
) -> dict[Prefix, list[Vector]]:
    """The best few vectors of each of the `count` prefixes that have the best ones, by rank and by the rules."""
    rough = _Rough(yardstick, options)
    found: dict[Prefix, list[Vector]] = {}
    for order in rough.orders(np.arange(len(rough.parts))[:, None]):
        within: dict[int, list[int]] = {}
        for number, owner in zip(order.tolist(), rough.prefix[order].tolist(), strict=True):
            if len(within) == count and owner not in within:
                continue
            best = within.setdefault(owner, [])
            if len(best) < each:
                best.append(number)
        for best in within.values():
            prefix = rough.parts[best[0]][0]
            found.setdefault(prefix, []).extend(rough.parts[number][1] for number in best)
    return found


def screen(
    yardstick: Yardstick, options: Mapping[Prefix, Options], depth: int
) -> tuple[list[Candidate], list[Candidate]]:
    """The candidates of up to `depth` prefixes that look best: the first ones and the others, each in a fixed order.

    Among the first are those that look nearest to the rules. Where these are refused, the others are taken to be, too.
    """
    rough = _Rough(yardstick, options)
    parts = np.arange(len(rough.parts))[:, None]
    orders = rough.orders(parts)
    grown = parts[_of_each(rough.prefix, orders, BEAM)]
    extra = parts[_of_each(rough.prefix, orders, EXTENSIONS)]
    found = [parts]
    for _ in range(depth - 1):
        plans = np.concatenate((np.repeat(grown, len(extra), axis=0), np.tile(extra, (len(grown), 1))), axis=1)
        apart = (rough.prefix[plans[:, :-1]] != rough.prefix[plans[:, -1:]]).all(axis=1)
        plans = np.unique(np.sort(plans[apart], axis=1), axis=0)
        if not len(plans):
            break
        grown = plans[_first(rough.orders(plans), BEAM)]
        found.append(grown)
    first, others = (
        [Candidate(vectors=tuple(rough.parts[number] for number in row)) for row in sorted(rows)]
        for rows in rough.best(found)
    )
    return first, others


def _together(of_parts: Columns, plans: Ints) -> Columns:
    """Summed over the parts of each of `plans` (N, depth)."""
    result = of_parts[plans[:, 0]]
    for part in plans.T[1:]:
        result += of_parts[part]
    return result


def _any(flags: Flags) -> Flags:
    """(N) of (N, links)."""
    result: Flags = np.logical_or.reduce(flags, axis=1)
    return result


def _first(orders: tuple[Ints, Ints], count: int) -> Ints:
    """The first of two orders, half from each."""
    one, other = (order[:count].tolist() for order in orders)
    chosen = dict.fromkeys([*one[: count // 2], *other])
    return np.array(list(chosen)[:count], dtype=np.int64)


def _of_each(prefix: Ints, orders: tuple[Ints, Ints], most: int) -> Ints:
    """The best `most`, and the best few of each prefix."""
    chosen = set(_first(orders, most).tolist())
    for number in np.unique(prefix):
        chosen |= set(
            _first((orders[0][prefix[orders[0]] == number], orders[1][prefix[orders[1]] == number]), OF_EACH).tolist()
        )
    return np.array(sorted(chosen), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Outcome:
    """Of N plans, in bits per second: the load of each link `after` them, at the `high` end, and if all that moves
    landed there (`worst`, of those that gain), (N, K) each; all that is `moved` (N), in the mean and at the high end.
    """

    gains: Flags
    after: Floats
    high: Floats
    worst: Floats
    moved: Floats
    moved_high: Floats


class _Rough:
    """All single vectors, in the order of their names, and what plans of several of them look like."""

    def __init__(self, yardstick: Yardstick, options: Mapping[Prefix, Options]) -> None:
        named = sorted(options, key=prefix_key)
        self._yardstick = yardstick
        self.parts = [(prefix, vector) for prefix in named for vector in options[prefix].vectors]
        self.prefix = np.repeat(np.arange(len(named)), [len(options[prefix].vectors) for prefix in named])
        self._looks = Looks.joined([options[prefix].looks for prefix in named])
        self._changes = np.concatenate([options[prefix].changes for prefix in named])
        self._prepends = np.concatenate([options[prefix].prepends for prefix in named])
        network, names = yardstick.scene.snapshot.network, yardstick.scene.links
        links = [network.links[name] for name in names]
        self._known = np.array([name not in yardstick.scene.unknown for name in names])
        self._hot = np.array([name in yardstick.triggered for name in names]) & self._known
        matched = {link.name for link in matched_links(yardstick.policy, network)}
        self._matched = np.array([name in matched for name in names]) & self._known
        self._aims = np.array([yardstick.aims_bps[name] for name in names])
        self._taken = np.array([yardstick.taken_bps.get(name, 0.0) for name in names])
        self._commit = np.array([link.commit_bps or 0.0 for link in links])
        self._price = np.array([link.price_per_mbps or 0.0 for link in links])

    def orders(self, plans: Ints) -> tuple[Ints, Ints]:
        """By rank, and by how far the rules are broken: the look is rough, and what looks refused may be allowed.
        Equal ones by name. `plans` (N, depth) are places in `parts`.
        """
        keys, names = self._key(plans), tuple(plans.T[::-1])
        return np.lexsort((*names, *keys[:1:-1])), np.lexsort((*names, *keys[::-1]))

    def best(self, found: list[Ints]) -> tuple[list[list[int]], list[list[int]]]:
        """Of plans of several depths: the first and the others."""
        keys = np.concatenate([np.stack(self._key(plans), axis=1) for plans in found])
        rows = [row for plans in found for row in plans.tolist()]
        orders = np.lexsort(keys[:, 2:].T[::-1]), np.lexsort(keys.T[::-1])
        times = generosity(self._yardstick.scene)
        kept, first = _first(orders, times * KEPT).tolist(), set(_first(orders, times * FIRST).tolist())
        first |= {place for place in kept if not keys[place, LOOKS_REFUSED]}
        return [rows[place] for place in first], [rows[place] for place in kept if place not in first]

    def _key(self, plans: Ints) -> tuple[Floats | Flags | Ints, ...]:
        """How far the rules are broken: changes that are too many, or relief too little; overload where it lands.

        Then the rank: is it refused? A relieved link left idle, what is left above target, a trigger that may still
        fire, added cost, what is moved beyond relief, changes, prepends.
        """
        scene, policy = self._yardstick.scene, self._yardstick.policy
        load, capacity, hot = np.nan_to_num(scene.load_bps), scene.capacity_bps, self._hot
        outcome = self._outcome(plans)
        after, high, gains = outcome.after, outcome.high, outcome.gains
        over = np.maximum(0.0, high + self._taken - (1 - policy.limits.headroom) * capacity)
        over = np.where(gains, np.maximum(over, outcome.worst + self._taken - capacity), 0.0).sum(axis=1)
        if policy.limits.shift_per_plan_bps is not None:
            over += np.maximum(0.0, outcome.moved_high - policy.limits.shift_per_plan_bps)
        left, need = np.maximum(0.0, after - self._aims), np.maximum(0.0, load - self._aims)
        fullest = (after / capacity)[:, self._matched].max(axis=1, initial=0.0)
        grain = self._yardstick.grain_bps
        if policy.objective is Objective.MINIMISE_MAX_UTILISATION:
            now = float((load / capacity)[self._matched].max(initial=0.0))
            little, steps = fullest > now - UTILISATION_GRAIN, np.floor(fullest / UTILISATION_GRAIN)
        else:
            little = (left > (1 - RELIEF_AT_LEAST) * need)[:, hot].any(axis=1)
            steps = np.floor(np.where(gains | hot, left, 0.0).sum(axis=1) / grain)
        added = np.maximum(after, self._commit) - np.maximum(load, self._commit)
        changed = _together(self._changes, plans)
        broken = little + (changed > policy.limits.changes_per_plan)
        return (
            broken,
            over,
            (broken > 0) | (over >= grain),
            _any(after[:, hot] < IDLE * capacity[hot]),
            steps,
            _any(high[:, hot] > policy.when.above * capacity[hot]),
            np.round((self._price * np.where(gains, np.maximum(0.0, added), 0.0)).sum(axis=1) / 1e6, 6),
            np.round(np.maximum(0.0, outcome.moved - need[hot].sum())),
            changed,
            _together(self._prepends, plans),
        )

    def _outcome(self, plans: Ints) -> _Outcome:
        """By the rules of the dry run (`simulate.py`), but with means for medians."""
        scene = self._yardstick.scene
        load, capacity, times = np.nan_to_num(scene.load_bps), scene.capacity_bps, scene.snapshot.widening
        change, rise, landing, swing, variance = (
            _together(getattr(self._looks, name), plans) for name in ("change", "rise", "landing", "swing", "variance")
        )
        strangers, leaving = (_together(getattr(self._looks, name), plans) for name in ("strangers", "leaving"))
        width = Z90 * np.sqrt(swing**2 + variance)
        noise, before, most = VOLUME_ERROR * load, load * (1 + scene.hidden_expected), load * (1 + scene.hidden_high)
        after = before + change[:, :-1]
        high = after + times * (most + rise[:, :-1] + np.hypot(width[:, :-1], noise) - after)
        moved = change[:, -1:] + times * (rise[:, -1:] + width[:, -1:] - change[:, -1:])
        more = np.maximum(change[:, :-1], high - (before + times * (most + noise - before))) + strangers
        arriving = change[:, :-1] + leaving * (1 + scene.hidden_expected)
        gains = (landing[:, :-1] > 0) & (more > 0) & (np.maximum(more, arriving) > hardly_any(moved, capacity))
        gains &= self._known
        after, ceiling = np.maximum(0.0, after), np.maximum(capacity, load)
        return _Outcome(
            gains=gains,
            after=np.where(gains, after, np.minimum(after, ceiling)),
            high=np.where(gains, high, np.minimum(high, ceiling)),
            worst=load * (1 + VOLUME_ERROR) + np.minimum(landing[:, :-1], moved + strangers),
            moved=change[:, -1],
            moved_high=moved[:, 0],
        )
