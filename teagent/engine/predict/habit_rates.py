"""How common each kind of habit is: what is assumed before anything was seen, and what senders taught about all.

A way (see `habits`) is taken apart: by how much its costs differ from the hops that the graph shows (its bias), whether
it keeps older routes, where it ignores prepends, above which number it stops counting. Each part has a rate of its own,
so that what one sender shows of a part is learned for all, whatever their hops. Rates are those of a Dirichlet
distribution: assumed counts and seen ones, added.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from teagent.engine.predict.habits import CAPS, NEVER, SLOTS_MAX, Habits, habits

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Flags = npt.NDArray[np.bool_]

UNREACHED = 9
"""Stands in a pattern for a link over which the graph has no path."""
PATTERN_MAX = 5
"""Further behind the nearest link than this is as far as this."""

OFF_BY = {0: 0.80, 1: 0.055, 2: 0.02, 3: 0.012, 4: 0.004}
"""Weight of a cost that is so many hops off the graph's, one way or the other."""
NEVER_TAKEN = 0.02
ALWAYS_TAKEN = 0.02
"""Weight of a link that is out of the question, and of one beside which all others are."""
UNREACHED_IS_NEVER = 0.6
STICKY = 0.4
IGNORES = 0.1
"""On one of the links; as much on each."""
CAPPED = 0.03
"""At one of `CAPS`; as much at each."""

ASSUMED_SENDERS = 100.0
"""So many independent senders' worth are the assumed rates; what is seen counts beside them."""


def pattern(hops: Ints, far: int) -> Ints:
    """`hops` (N, S), `far` and more standing for no path: how far behind the nearest link each is, cut off."""
    # Links come first: the least along a short last axis takes many times as long.
    behind = np.minimum(hops - np.ascontiguousarray(hops.T).min(axis=0)[:, None], PATTERN_MAX)
    return np.where(hops >= far, UNREACHED, behind)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rates:
    """Weights of each part: of the C biases, of [counts on, sticky], of each mask of ignored slots, of each cap."""

    bias: Floats
    sticky: Floats
    ignores: Floats
    cap: Floats

    def flat(self) -> Floats:
        """All in one row."""
        return np.concatenate([self.bias, self.sticky, self.ignores, self.cap])

    def towards(self, others: Rates, part: float) -> Rates:
        """Between these and others of the same parts, 0 to 1 of the way."""
        return Rates(
            bias=self.bias + part * (others.bias - self.bias),
            sticky=self.sticky + part * (others.sticky - self.sticky),
            ignores=self.ignores + part * (others.ignores - self.ignores),
            cap=self.cap + part * (others.cap - self.cap),
        )

    def of_flat(self, row: Floats) -> Rates | None:
        """A row of rates of these parts, taken apart; None where it is of others."""
        lengths = [len(part) for part in (self.bias, self.sticky, self.ignores, self.cap)]
        if len(row) != sum(lengths):
            return None
        bias, sticky, ignores, cap = np.split(row, np.cumsum(lengths)[:-1])
        return Rates(bias=bias, sticky=sticky, ignores=ignores, cap=cap)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kinds:
    """Of P patterns: which of the C biases each of the G ways has, `bias_of` (P, G); and the rates assumed of all,
    `doubled` where rules against following prepends are twice as common. `onto_habits` (G, H), sparse, sums ways up.
    """

    habits: Habits
    patterns: Ints
    bias_of: Ints
    assumed: Rates
    doubled: Rates
    onto_habits: csr_array

    def only(self, rows: Ints) -> Kinds:
        return replace(self, patterns=self.patterns[rows], bias_of=self.bias_of[rows])

    def with_more(self, more: float) -> Kinds:
        """Where rules against following prepends are assumed to be 1 + `more` times as common, `more` being 0 to 1."""
        return replace(self, assumed=self.assumed.towards(self.doubled, more))

    def of_ways(self, rates: Rates) -> Floats:
        """(P, G) how likely each way is; each row sums to 1."""
        ways = self.habits.ways
        common = rates.sticky[ways.sticky.astype(np.int64)] * rates.ignores[ways.ignores]
        common = common * rates.cap[np.searchsorted(CAPS, ways.cap)]
        weight = rates.bias[self.bias_of] * common
        result: Floats = weight / weight.sum(axis=1, keepdims=True)
        return result

    def of_habits(self, ways: Floats) -> Floats:
        """(P, H) from (P, G)."""
        result: Floats = ways @ self.onto_habits
        return result

    def learned(self, ways: Floats, seen: Floats) -> Rates:
        """`seen` (P, H): how many independent senders of each pattern have each habit; `ways` (P, G): what was thought
        so far.
        """
        habit_of = self.habits.habit_of
        each = seen / np.maximum(self.of_habits(ways), 1e-300)
        count = each[:, habit_of] * ways
        in_all = count.sum(axis=0)
        rules, before = self.habits.ways, self.assumed
        return Rates(
            bias=_added(before.bias, self.bias_of.ravel(), count.ravel()),
            sticky=_added(before.sticky, rules.sticky.astype(np.int64), in_all),
            ignores=_added(before.ignores, rules.ignores, in_all),
            cap=_added(before.cap, np.searchsorted(CAPS, rules.cap), in_all),
        )


@lru_cache(maxsize=SLOTS_MAX)
def kinds(slots: int) -> Kinds:
    """For all patterns that there are. Raises ValueError as `habits` does."""
    known = habits(slots)
    steps = (*range(PATTERN_MAX + 1), UNREACHED)
    patterns = np.array([p for p in itertools.product(steps, repeat=slots) if min(p) in {0, UNREACHED}])
    costs, cost_of = np.unique(known.ways.cost, axis=0, return_inverse=True)
    rows = np.concatenate([_biases(costs, row) for row in patterns])
    # One number for each row is quicker to sort than the row.
    packed = (rows + PATTERN_MAX + NEVER) @ (4 * NEVER) ** np.arange(rows.shape[1])
    _, first, bias_of = np.unique(packed, return_index=True, return_inverse=True)
    distinct = rows[first]
    cap_at = np.searchsorted(CAPS, known.ways.cap)
    ignores = np.bincount(known.ways.ignores, minlength=1 << slots) > 0

    def assumed(times: float) -> Rates:
        return Rates(
            bias=_weight(distinct[:, :slots], distinct[:, slots:] > 0, times),
            sticky=np.array([1 - STICKY * times, STICKY * times]),
            ignores=_beside_none(ignores, IGNORES * times),
            cap=_beside_none(np.bincount(cap_at, minlength=len(CAPS)) > 0, CAPPED * times),
        )

    return Kinds(
        habits=known,
        patterns=patterns,
        bias_of=bias_of.reshape(len(patterns), len(costs))[:, cost_of.reshape(-1)],
        assumed=assumed(1),
        doubled=assumed(2),
        onto_habits=csr_array(
            (np.ones(len(known.ways)), (np.arange(len(known.ways)), known.habit_of)),
            shape=(len(known.ways), len(known)),
        ),
    )


def _beside_none(there: Flags, rate: float) -> Floats:
    """`rate` for each that is there but the first, which means none and gets what is left."""
    result = np.where(there, rate, 0.0)
    result[0] = 1 - result[1:].sum()
    return result


def patterns_of(all_patterns: Ints, rows: Ints) -> Ints:
    """(N) the place of each row (N, S) in `all_patterns` (P, S)."""
    base = (UNREACHED + 1) ** np.arange(rows.shape[1])
    place = np.zeros((UNREACHED + 1) ** rows.shape[1], dtype=np.int64)
    place[all_patterns @ base] = np.arange(len(all_patterns))
    found: Ints = place[rows @ base]
    return found


def _added(assumed: Floats, part: Ints, count: Floats) -> Floats:
    seen = np.bincount(part, weights=count, minlength=len(assumed))
    result: Floats = (ASSUMED_SENDERS * assumed + seen) / (ASSUMED_SENDERS * assumed.sum() + seen.sum())
    return result


def _biases(cost: Ints, row: Ints) -> Ints:
    """(G, 2 S): costs less hops, shifted so that most of them are 0, and which links the graph does not reach."""
    unreached = row == UNREACHED
    off = np.where(cost >= NEVER, NEVER, cost - np.where(unreached, 0, row))
    result, best = off, np.full(len(off), -np.inf)
    for slot in range(cost.shape[1]):
        shift = np.where(off[:, slot] >= NEVER, 0, off[:, slot])
        shifted = np.where(off >= NEVER, NEVER, off - shift[:, None])
        finite = shifted < NEVER
        score = 100.0 * np.sum(finite & (shifted == 0), axis=1) - np.sum(np.abs(shifted) * finite, axis=1)
        better = score > best
        result, best = np.where(better[:, None], shifted, result), np.maximum(score, best)
    return np.concatenate([result, np.broadcast_to(unreached, cost.shape)], axis=1)


def _weight(bias: Ints, unreached: Flags, times: float) -> Floats:
    """Of links that are out of the question, `times` as common."""
    never = bias >= NEVER
    far = max(OFF_BY)
    table = np.array([OFF_BY[min(n, far)] for n in range(NEVER + 1)])
    table[NEVER] = NEVER_TAKEN * times
    finite = 1 - UNREACHED_IS_NEVER
    here = np.where(unreached, np.where(never, UNREACHED_IS_NEVER, finite / (2 * far + 1)), table[np.abs(bias)])
    result: Floats = here.prod(axis=1)
    # All others excluded is one decision, not several.
    alone = (bias.shape[1] - never.sum(axis=1) == 1) & (bias.shape[1] > 2) & ~unreached.any(axis=1)
    return np.where(alone, ALWAYS_TAKEN * times, result)
