"""Where there are too many candidates for a dry run of each: a beam over prefixes, and which of the rest deserve one.

A quick look (`rough.py`) says what comes first. Dry runs show how far off it is, and mostly it is off alike for all
plans that have a part in common: by what they say it is set right for the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from teagent.engine.choose.candidates import Vector
from teagent.engine.choose.rough import NO_PART, Options, Outcome, Rough, Yardstick
from teagent.engine.predict.shares import Floats, Ints
from teagent.model.bgp import Prefix
from teagent.model.plan import Candidate, Considered, DryRun, RefusedVerdict

BEAM = 64
EXTENSIONS = 192
OF_EACH = 4
"""So many vectors of each prefix are in the beam and among the extensions, if others are better or not."""
SCREENED = 384
"""So many plans, those that look best, are candidates for a dry run."""
NUMBER_MAX = 2**62
BEHIND, MISSES = 1, 2
"""A plan is surely behind another one that is so many steps of relief ahead, and so many times more by which the look
misses.
"""
EVEN = 0.01
"""So much counts what a dry run says of plans that have no part in common with its own."""


def promising(
    yardstick: Yardstick, options: Mapping[Prefix, Options], count: int, each: int
) -> dict[Prefix, list[Vector]]:
    """The best few vectors of each of the `count` prefixes that have the best ones, by rank and by the rules."""
    rough = Rough(yardstick, options)
    found: dict[Prefix, list[Vector]] = {}
    for order in _orders(rough, np.arange(len(rough.parts))[:, None]):
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


class Screening:
    """Of many `plans` (N, depth; places in the parts of `rough`, or NO_PART) those that look best, in the order in
    which they deserve a dry run.
    """

    def __init__(self, rough: Rough, plans: Ints) -> None:
        best = plans[_first(_orders(rough, plans, SCREENED), SCREENED)]
        self._rough, self._plans = rough, best[_unlike(rough, best)]
        self._outcome = self._looked = rough.outcome(self._plans)
        self._place = {part: number for number, part in enumerate(rough.parts)}
        self._given: set[tuple[int, ...]] = set()
        self._weighed: list[Ints] = []
        self._off: list[Outcome] = []
        self._allowed = False
        self.misses_by_bps = 0.0
        """On the link where it is furthest off, in the mean of the last candidates: looked at as well as was known."""
        self._misses_by_steps = 0.0

    @property
    def count(self) -> int:
        return len(self._plans)

    @classmethod
    def of_all(cls, yardstick: Yardstick, options: Mapping[Prefix, Options], depth: int) -> Screening:
        """Plans of up to `depth` prefixes."""
        rough = Rough(yardstick, options)
        return cls(rough, _plans(rough, depth))

    @classmethod
    def around(
        cls, yardstick: Yardstick, plan: Candidate, weighed: Considered, near: Mapping[Prefix, Options]
    ) -> Screening:
        """Plans with one part in the place of the one that the `plan` has; `near` has its parts, too."""
        rough = Rough(yardstick, near)
        own = np.array([rough.parts.index(part) for part in plan.vectors])
        others = np.setdiff1d(np.arange(len(rough.parts)), own)
        screening = cls(rough, np.where(rough.prefix[own] == rough.prefix[others, None], others[:, None], own))
        screening.learn({plan: weighed})
        return screening

    def following(self, count: int) -> list[Candidate]:
        """Up to so many that were not given before."""
        # While nothing is allowed, those come too that look nearest to the rules; then those that the look may wrong.
        other = self._rough.leniently if self._allowed else self._rough.by_rules
        by_rank = self._rough.by_rank(self._plans, self._outcome)
        ranked = by_rank, other(self._plans, self._outcome), self._alone(by_rank)
        mixed = dict.fromkeys(number for numbers in zip_longest(*map(np.ndarray.tolist, ranked)) for number in numbers)
        rows = [tuple(self._plans[number].tolist()) for number in mixed if number is not None]
        chosen = [row for row in rows if row not in self._given][:count]
        self._given.update(chosen)
        return [Candidate(vectors=tuple(self._rough.parts[part] for part in row if part != NO_PART)) for row in chosen]

    def _alone(self, ranked: Ints) -> Ints:
        """Of the plans (in their order) the first of each prefix alone of which none was given: where the look is off
        for a prefix, it is for all of its vectors, and only a dry run of one of them says so.
        """
        first = self._plans[ranked, 0]
        tried = [self._rough.prefix[row[0]] for row in self._given if row[1:] == (NO_PART,) * (len(row) - 1)]
        alone = (self._plans[ranked, 1:] == NO_PART).all(axis=1) & ~np.isin(self._rough.prefix[first], tried)
        _, at = np.unique(self._rough.prefix[first[alone]], return_index=True)
        result: Ints = ranked[alone][np.sort(at)]
        return result

    def learn(self, weighed: Mapping[Candidate, Considered]) -> None:
        """What dry runs say of candidates, one or more; of their prefixes all have options here."""
        missed, steps, off = [], [], []
        for candidate, one in weighed.items():
            self._allowed = self._allowed or not isinstance(one.verdict, RefusedVerdict)
            row = np.array([self._row(candidate)])
            looked = self._rough.outcome(row)
            now = self._set_right(row, looked)
            missing = _off(now, one.dry_run, self._rough.links).after
            missed.append(float(np.nanmax(np.where(self._rough.counting(now), np.abs(missing), 0.0))))
            real = replace(now, after=now.after + np.nan_to_num(missing))
            steps.append(abs(float((self._rough.steps(real) - self._rough.steps(now))[0])))
            off.append((row, _off(looked, one.dry_run, self._rough.links)))
        self.misses_by_bps = sum(missed) / max(1, len(missed))
        self._misses_by_steps = sum(steps) / max(1, len(steps))
        for row, each in off:
            self._weighed.append(row)
            self._off.append(each)
        self._outcome = self._set_right(self._plans, self._looked)

    def _row(self, candidate: Candidate) -> list[int]:
        """As a row of plans."""
        places = [self._place[part] for part in candidate.vectors]
        return places + [NO_PART] * (self._plans.shape[1] - len(places))

    def surely_behind(self, one: Candidate, other: Candidate) -> bool:
        """Whether `one` relieves less than `other`, by more than the look is likely to be off; False where it has not
        looked at both.
        """
        strange = any(part not in self._place for part in one.vectors + other.vectors)
        if not self._weighed or strange or max(len(one.vectors), len(other.vectors)) > self._plans.shape[1]:
            return False
        rows = np.array([self._row(one), self._row(other)])
        steps = self._rough.steps(self._set_right(rows, self._rough.outcome(rows)))
        return float(steps[0] - steps[1]) > BEHIND + MISSES * self._misses_by_steps

    def _set_right(self, plans: Ints, looked: Outcome) -> Outcome:
        """By what dry runs had more, each as it has parts in common with a plan."""
        if not self._weighed:
            return looked
        weighed = np.concatenate(self._weighed)
        there = plans != NO_PART
        same = (plans[:, None, :, None] == weighed[None, :, None, :]) & there[:, None, :, None]
        share = same.sum(axis=(2, 3)) / np.maximum(there.sum(axis=1)[:, None], (weighed != NO_PART).sum(axis=1))
        weight = EVEN + share**2

        def of(name: str) -> Floats:
            more = _mean(weight, np.concatenate([getattr(off, name) for off in self._off]))
            result: Floats = np.maximum(0.0, getattr(looked, name) + more)
            return result

        return Outcome(
            gains=looked.gains,
            after=of("after"),
            high=of("high"),
            worst=of("worst"),
            moved=of("moved"),
            moved_high=of("moved_high"),
        )


def _off(looked: Outcome, dry_run: DryRun, links: Sequence[str]) -> Outcome:
    """By how much the dry run has more than the look at one plan, (1, K) and (1); NaN where one of them has nothing."""
    found = {forecast.link: forecast for forecast in dry_run.links}
    nothing = np.full((1, len(links)), np.nan)
    after, high, worst = nothing.copy(), nothing.copy(), nothing.copy()
    for column, name in enumerate(links):
        if name in found:
            after[0, column], high[0, column] = found[name].after.expected, found[name].after.high
            worst[0, column] = found[name].worst_bps
    return Outcome(
        gains=looked.gains,
        after=after - looked.after,
        high=high - looked.high,
        worst=np.where(looked.gains, worst - looked.worst, np.nan),
        moved=dry_run.moved.expected - looked.moved,
        moved_high=dry_run.moved.high - looked.moved_high,
    )


def _mean(weight: Floats, values: Floats) -> Floats:
    """(plans, ...) of `values` (weighed, ...) by `weight` (plans, weighed), without those that are NaN; 0 of none."""
    known = ~np.isnan(values)
    total, counted = weight @ np.where(known, values, 0.0), weight @ known
    result: Floats = np.divide(total, counted, out=np.zeros_like(total), where=counted > 0)
    return result


def _plans(rough: Rough, depth: int) -> Ints:
    """(N, depth) all single parts, and of several prefixes those in a beam."""
    parts = np.arange(len(rough.parts))[:, None]
    orders = _orders(rough, parts)
    grown = parts[_of_each(rough.prefix, orders, BEAM)]
    extra = parts[_of_each(rough.prefix, orders, EXTENSIONS)]
    found = [parts]
    for _ in range(depth - 1):
        plans = np.concatenate((np.repeat(grown, len(extra), axis=0), np.tile(extra, (len(grown), 1))), axis=1)
        apart = (rough.prefix[plans[:, :-1]] != rough.prefix[plans[:, -1:]]).all(axis=1)
        plans = _distinct(np.sort(plans[apart], axis=1), len(parts))
        if not len(plans):
            break
        grown = plans[_first(_orders(rough, plans, BEAM), BEAM)]
        found.append(grown)
    return np.concatenate(
        [np.pad(plans, ((0, 0), (0, depth - plans.shape[1])), constant_values=NO_PART) for plans in found]
    )


def _distinct(plans: Ints, parts: int) -> Ints:
    """Each of the plans (N, depth) once, in their order. One number for each is quicker to sort than the row."""
    if parts ** plans.shape[1] > NUMBER_MAX:
        return np.unique(plans, axis=0)
    digit = parts ** np.arange(plans.shape[1])[::-1]
    return np.unique(plans @ digit)[:, None] // digit % parts


def _orders(rough: Rough, plans: Ints, most: int | None = None) -> tuple[Ints, Ints]:
    """By rank and by the rules, up to `most` of each."""
    return rough.orders(plans, rough.outcome(plans), len(plans) if most is None else most)


def _first(orders: tuple[Ints, Ints], count: int) -> Ints:
    """The first of two orders, half from each."""
    one, other = (order[:count].tolist() for order in orders)
    chosen = dict.fromkeys([*one[: count // 2], *other])
    return np.array(list(chosen)[:count], dtype=np.int64)


def _unlike(rough: Rough, plans: Ints) -> Ints:
    """Which plans do what none before them does with the same prefixes: the same with more prepends is not worth a dry
    run.
    """
    outcome, prefixes = rough.outcome(plans), np.where(plans == NO_PART, NO_PART, rough.prefix[plans])
    does = np.round(np.concatenate((prefixes, outcome.after, outcome.high, outcome.worst), axis=1))
    _, first = np.unique(does, axis=0, return_index=True)
    return np.sort(first)


def _of_each(prefix: Ints, orders: tuple[Ints, Ints], most: int) -> Ints:
    """The best `most`, and the best few of each prefix."""
    chosen = set(_first(orders, most).tolist())
    for number in np.unique(prefix):
        chosen |= set(
            _first((orders[0][prefix[orders[0]] == number], orders[1][prefix[orders[1]] == number]), OF_EACH).tolist()
        )
    return np.array(sorted(chosen), dtype=np.int64)
