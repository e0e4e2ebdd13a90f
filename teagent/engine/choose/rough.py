"""A quick look at plans: what each would do by mean loads and rough widths, which of several prefixes simply add up.

It follows the rules and the order of the real thing as far as it sees them: it finds what is worth a dry run, and
decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from teagent.engine.choose.candidates import Vector
from teagent.engine.choose.optimise import IDLE, UTILISATION_GRAIN
from teagent.engine.choose.scope import matched_links
from teagent.engine.choose.verdict import RELIEF_AT_LEAST
from teagent.engine.predict.bands import VOLUME_ERROR, Z90, hardly_any
from teagent.engine.predict.looks import Looks
from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import Flags, Floats, Ints
from teagent.model.bgp import Prefix, prefix_key
from teagent.model.policy import Objective, Policy

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
        """`vectors` are of the same links, in the same order."""
        links = [link for link, _ in vectors[0]]
        counts = np.array([[prepend for _, prepend in vector] for vector in vectors], dtype=np.int64)
        changed = counts != np.array([live.get(link, -1) for link in links])
        return cls(
            vectors=tuple(vectors),
            looks=looks,
            changes=np.count_nonzero(changed, axis=1),
            prepends=np.where(changed, counts, 0).sum(axis=1),
        )

    def with_more(self, more: Options) -> Options:
        order = sorted(range(len(self.vectors) + len(more.vectors)), key=(self.vectors + more.vectors).__getitem__)
        return Options(
            vectors=tuple((self.vectors + more.vectors)[number] for number in order),
            looks=Looks.joined([self.looks, more.looks]).only(np.array(order)),
            changes=np.concatenate((self.changes, more.changes))[order],
            prepends=np.concatenate((self.prepends, more.prepends))[order],
        )


SLACK = 0.1
"""By this share of a capacity or limit a rule may look broken and not be."""
NO_PART = -1
"""Stands in the place of a part in plans of fewer parts than others."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """Of N plans, in bits per second: the load of each link `after` them, at the `high` end, and if all that moves
    landed there (`worst`, of those that gain), (N, K) each; all that is `moved` (N), in the mean and at the high end.
    """

    gains: Flags
    after: Floats
    high: Floats
    worst: Floats
    moved: Floats
    moved_high: Floats

    def only(self, plans: Ints) -> Outcome:
        return Outcome(**{each.name: getattr(self, each.name).take(plans, axis=0) for each in fields(self)})


class Rough:
    """All single vectors, in the order of their names, and what plans of several of them look like."""

    def __init__(self, yardstick: Yardstick, options: Mapping[Prefix, Options]) -> None:
        named = sorted(options, key=prefix_key)
        self._yardstick = yardstick
        self.parts = [(prefix, vector) for prefix in named for vector in options[prefix].vectors]
        self.prefix = np.repeat(np.arange(len(named)), [len(options[prefix].vectors) for prefix in named])
        looks = Looks.joined([options[prefix].looks for prefix in named])
        self._looks = {each.name: _and_none(getattr(looks, each.name)) for each in fields(looks)}
        self._changes = _and_none(np.concatenate([options[prefix].changes for prefix in named]))
        self._prepends = _and_none(np.concatenate([options[prefix].prepends for prefix in named]))
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

    @property
    def links(self) -> tuple[str, ...]:
        return self._yardstick.scene.links

    def counting(self, outcome: Outcome) -> Flags:
        """(N, K) of which links the load counts for the rank."""
        evenly = self._yardstick.policy.objective is Objective.MINIMISE_MAX_UTILISATION
        result: Flags = (outcome.gains | self._hot | (self._matched & evenly)) & self._known
        return result

    def steps(self, outcome: Outcome) -> Floats:
        """(N) what is left to relieve, in steps of relief: only whole ones tell plans apart in the rank."""
        if self._yardstick.policy.objective is Objective.MINIMISE_MAX_UTILISATION:
            shares = (outcome.after / self._yardstick.scene.capacity_bps)[:, self._matched]
            fullest: Floats = shares.max(axis=1, initial=0.0) / UTILISATION_GRAIN
            return fullest
        left = np.maximum(0.0, outcome.after - self._aims)
        result: Floats = np.where(outcome.gains | self._hot, left, 0.0).sum(axis=1) / self._yardstick.grain_bps
        return result

    def orders(self, plans: Ints, outcome: Outcome, most: int) -> tuple[Ints, Ints]:
        """The first of the two that follow, up to `most` of each."""
        key = self._key(plans, outcome)
        return _sorted(plans, key[2:], most), _sorted(plans, key, most)

    def by_rank(self, plans: Ints, outcome: Outcome) -> Ints:
        """The places of `plans` (N, depth; places in `parts`, or NO_PART), best first; equal ones by name."""
        _, _, *rank = self._key(plans, outcome)
        return _sorted(plans, rank)

    def by_rules(self, plans: Ints, outcome: Outcome) -> Ints:
        """As `by_rank`, but first by how far the rules are broken: what looks refused may be allowed."""
        return _sorted(plans, self._key(plans, outcome))

    def leniently(self, plans: Ints, outcome: Outcome) -> Ints:
        """As `by_rank`, for what may be better than it looks: rules that are broken by little are not, relief counts in
        coarser steps, and nothing is unsure.
        """
        _, _, *rank = self._key(plans, outcome, lenient=True)
        return _sorted(plans, rank)

    def _key(self, plans: Ints, outcome: Outcome, *, lenient: bool = False) -> Sequence[Floats | Flags | Ints]:
        """How far the rules are broken: changes that are too many, or relief too little; overload where it lands.

        Then the rank: is it refused? A relieved link left idle, what is left above target, a trigger that may still
        fire, added cost, what is moved beyond relief, changes, prepends.
        """
        scene, policy = self._yardstick.scene, self._yardstick.policy
        load, capacity, hot = np.nan_to_num(scene.load_bps), scene.capacity_bps, self._hot
        after, high, gains = outcome.after, outcome.high, outcome.gains
        slack, relief, coarse = (SLACK, 0.5, 2) if lenient else (0.0, 1.0, 1)
        over = np.maximum(0.0, high + self._taken - (1 + slack - policy.limits.headroom) * capacity)
        worst = outcome.worst + self._taken - (1 + slack) * capacity
        over = np.where(gains, np.maximum(over, worst), 0.0).sum(axis=1)
        if policy.limits.shift_per_plan_bps is not None:
            over += np.maximum(0.0, outcome.moved_high - (1 + slack) * policy.limits.shift_per_plan_bps)
        need, steps = np.maximum(0.0, load - self._aims), self.steps(outcome)
        if policy.objective is Objective.MINIMISE_MAX_UTILISATION:
            now = float((load / capacity)[self._matched].max(initial=0.0))
            little = steps > now / UTILISATION_GRAIN - relief
        else:
            little = (after - self._aims > (1 - relief * RELIEF_AT_LEAST) * need)[:, hot].any(axis=1)
        added = np.maximum(after, self._commit) - np.maximum(load, self._commit)
        changed = _together(self._changes, plans)
        broken = little + (changed > policy.limits.changes_per_plan)
        unsure = _any(high[:, hot] > policy.when.above * capacity[hot])
        return (
            broken,
            over,
            (broken > 0) | (over >= self._yardstick.grain_bps),
            _any(after[:, hot] < IDLE * capacity[hot]),
            np.floor(steps / coarse),
            unsure & (not lenient),
            np.round((self._price * np.where(gains, np.maximum(0.0, added), 0.0)).sum(axis=1) / 1e6, 6),
            np.round(np.maximum(0.0, outcome.moved - need[hot].sum())),
            changed,
            _together(self._prepends, plans),
        )

    def outcome(self, plans: Ints) -> Outcome:
        """By the rules of the dry run (`simulate.py`), but with means for medians."""
        scene = self._yardstick.scene
        load, capacity, times = np.nan_to_num(scene.load_bps), scene.capacity_bps, scene.snapshot.widening
        change, rise, landing, swing, variance = (
            _together(self._looks[name], plans) for name in ("change", "rise", "landing", "swing", "variance")
        )
        strangers, leaving = (_together(self._looks[name], plans) for name in ("strangers", "leaving"))
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
        return Outcome(
            gains=gains,
            after=np.where(gains, after, np.minimum(after, ceiling)),
            high=np.where(gains, high, np.minimum(high, ceiling)),
            worst=load * (1 + VOLUME_ERROR) + np.minimum(landing[:, :-1], moved + strangers),
            moved=change[:, -1],
            moved_high=moved[:, 0],
        )


def _sorted(plans: Ints, key: Sequence[Floats | Flags | Ints], most: int | None = None) -> Ints:
    """The places of the plans by `key` (each N), up to `most` of them."""
    keys = (*key, *plans.T)
    if most is None or most >= len(plans):
        return np.lexsort(keys[::-1])
    first = _first_of(keys, most)
    return first[np.lexsort([each[first] for each in keys[::-1]])]


def _first_of(keys: Sequence[Floats | Flags | Ints], most: int) -> Ints:
    """Which `most` come first, in any order: to sort thousands by many keys takes longer than to find these few."""
    found: list[Ints] = []
    tied = np.arange(len(keys[0]))
    for each in keys:
        value = each[tied]
        last = np.partition(value, most - 1)[most - 1]
        before = value < last
        found.append(tied[before])
        most -= len(found[-1])
        tied = tied[value == last]
        if len(tied) == most:
            break
    return np.concatenate((*found, tied[:most]))


def _and_none(of_parts: Columns) -> Columns:
    """With what NO_PART adds: nothing."""
    return np.concatenate((of_parts, np.zeros_like(of_parts, shape=(1, *of_parts.shape[1:]))))


def _together(of_parts: Columns, plans: Ints) -> Columns:
    """Summed over the parts of each of `plans` (N, depth)."""
    # What `take` does with whole rows in a fraction of the time that an index takes.
    result = of_parts.take(plans[:, 0], axis=0)
    for part in plans.T[1:]:
        result += of_parts.take(part, axis=0)
    return result


def _any(flags: Flags) -> Flags:
    """(N) of (N, links)."""
    result: Flags = np.logical_or.reduce(flags, axis=1)
    return result
