"""The ways in which a sender may choose among our links.

A sender, or whoever chooses for it, compares costs: its own of each link, in hops, and the prepends that we put on it.
The least wins. A habit is one such rule: the costs (NEVER for a link that no prepend makes good enough), an order for
equals, whether the older of equals is kept, on which links prepends do not count, and above which number they do not
count any more. Rules that choose alike under all vectors are one habit; `ways` are the rules that come to it.

The habits are listed once and are the same for all senders: what is learned of a sender is a weight for each.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Flags = npt.NDArray[np.bool_]

SLOTS_MAX = 3
"""Among so many links a sender is taken to choose at most; of more, see `senders`."""

NEVER = 40
"""A cost that prepends do not outweigh."""

WITHHELD = 1000
"""Prepends that stand for a link that does not announce."""

REACH = 4
"""Costs further apart than this are NEVER; probes go as far."""

CAPS = (0, 1, 2)
"""Above how many prepends a rule stops counting; 0: it counts all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rules:
    """Rows are rules: `cost` and `order` (rows, slots), the others (rows). `ignores` has a bit for each slot."""

    cost: Ints
    order: Ints
    sticky: Flags
    ignores: Ints
    cap: Ints

    def __len__(self) -> int:
        return len(self.cost)

    def only(self, rows: Ints) -> Rules:
        return Rules(
            cost=self.cost[rows],
            order=self.order[rows],
            sticky=self.sticky[rows],
            ignores=self.ignores[rows],
            cap=self.cap[rows],
        )

    def choose(self, prepends: Ints, previous: int) -> Ints:
        """The slot that each rule takes under `prepends` (slots), coming from slot `previous` (-1: nobody knows)."""
        announced = prepends < WITHHELD
        counted = np.where(self.cap[:, None] > 0, np.minimum(prepends, self.cap[:, None]), prepends)
        counted = np.where(self.ignores[:, None] >> np.arange(len(prepends)) & 1, 0, counted)
        # Equal costs are told apart by less than a hop: first the link that it was on, then the rule's own order.
        total = (self.cost + counted) * 8 + self.order
        if previous >= 0:
            total[:, previous] -= np.where(self.sticky, 4, 0)
        total[:, ~announced] = WITHHELD * 8
        result: Ints = np.argmin(total, axis=1)
        return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Habits:
    """`rules` holds one rule for each of the H habits, `ways` all G rules, and `habit_of` (G) which habit each is.

    `takes` (H, slots): whether there is a vector of up to REACH prepends under which the link is taken.
    """

    slots: int
    rules: Rules
    ways: Rules
    habit_of: Ints
    takes: Flags

    def __len__(self) -> int:
        return len(self.rules)


@lru_cache(maxsize=SLOTS_MAX)
def habits(slots: int) -> Habits:
    """Raises ValueError for fewer than one slot or more than SLOTS_MAX."""
    if not 1 <= slots <= SLOTS_MAX:
        raise ValueError(f"{slots} slots are not in 1 to {SLOTS_MAX}")
    ways = _ways(slots)
    vectors = [v for v in itertools.product(range(REACH + 1), repeat=slots) if min(v) == 0]
    chosen = np.stack(
        [ways.choose(np.array(vector), previous) for vector in vectors for previous in range(slots)], axis=1
    ).astype(np.int8)
    _, first, habit_of = np.unique(chosen, axis=0, return_index=True, return_inverse=True)
    takes = (chosen[first][:, :, None] == np.arange(slots)).any(axis=1)
    return Habits(slots=slots, rules=ways.only(first), ways=ways, habit_of=habit_of.reshape(-1), takes=takes)


@lru_cache(maxsize=4096)
def answers(slots: int, prepends: tuple[int, ...], previous: int) -> Ints:
    """(H) the slot that each habit takes; as `Rules.choose`; not to be written to. Few are asked, and often."""
    result = habits(slots).rules.choose(np.array(prepends), previous).astype(np.int8)
    result.flags.writeable = False
    return result


def _ways(slots: int) -> Rules:
    orders = [[order.index(k) for k in range(slots)] for order in itertools.permutations(range(slots))]
    counting = [(0, cap) for cap in CAPS] + [(1 << k, 0) for k in range(slots)]
    rows = [
        (*cost, *order, sticky, ignores, cap)
        for cost, order, sticky, (ignores, cap) in itertools.product(_costs(slots), orders, (0, 1), counting)
    ]
    table = np.array(rows, dtype=np.int64)
    sticky, ignores, cap = table[:, 2 * slots :].T
    return Rules(cost=table[:, :slots], order=table[:, slots : 2 * slots], sticky=sticky > 0, ignores=ignores, cap=cap)


def _costs(slots: int) -> list[tuple[int, ...]]:
    """All costs that are at most REACH apart, the least of them 0, with any links but one NEVER taken."""
    spans = (range(REACH + 1), (NEVER,))
    every = itertools.product(itertools.chain(*spans), repeat=slots)
    return [cost for cost in every if min(cost) == 0]
