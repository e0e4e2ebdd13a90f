"""Demands in groups of which sums are enough, and by name the few that are heavy: what makes a dry run quick.

All demands of a group have the same chances, so that means and variances need no more of them than the sum of their
loads and of its squares. Which senders are the heaviest depends on the chances too; of each group only so many are
looked at as can be among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from teagent.engine.predict.shares import DemandColumns, Floats, Ints, Shares
from teagent.model.bgp import Prefix

NAMED = 128
"""So many of the heaviest demands of a prefix are looked at one by one to begin with."""
MORE = 8


class Senders:
    """The demands (N) towards one prefix, whatever their groups: by unit, and the heaviest, which are `named`; `others`
    (N) has the loads of the rest, and 0 for these.
    """

    def __init__(self, columns: DemandColumns, unit: Ints) -> None:
        self.columns, self.unit = columns, unit
        self.square: Floats = columns.bps**2
        self.named = np.ones(len(columns.bps), dtype=bool)
        if len(columns.bps) > NAMED:
            self.named[:] = False
            self.named[np.argpartition(-columns.bps, NAMED)[:NAMED]] = True
        self.others: Floats = np.where(self.named, 0.0, columns.bps)
        self._order = np.argsort(unit, kind="stable")
        self._known = unit[self._order]
        self._common: dict[Prefix, tuple[Senders, Ints, Ints]] = {}

    def name(self, rows: Ints) -> None:
        """Those too from now on: who is needed under one division mostly is under the next one."""
        self.named[rows] = True
        self.others[rows] = 0.0

    def rows_of(self, units: Ints) -> Ints:
        """Which demand is that of each unit; -1 where it has none here."""
        place = np.minimum(np.searchsorted(self._known, units), len(self._known) - 1)
        return np.where(self._known[place] == units, self._order[place], -1)

    def common(self, other: Senders) -> tuple[Ints, Ints]:
        """Demands of the same units: here, and there."""
        known = self._common.get(other.columns.prefix)
        if known is None or known[0] is not other:
            rows = other.rows_of(self.unit)
            mine = np.flatnonzero(rows >= 0)
            known = self._common[other.columns.prefix] = other, mine, rows[mine]
        return known[1:]


class Crowd:
    """The demands towards one prefix under one division into M groups.

    `link_index` (M), `movable` (M): as of the demands; `bps`, `square`, `count` (M): sums of their loads, of the
    squares, and how many they are. `named`: which demands are looked at one by one; `rest` (M): the heaviest of the
    others.
    """

    def __init__(self, senders: Senders, shares: Shares) -> None:
        self.senders, columns = senders, senders.columns
        self.columns, self.group, self.unit = columns, shares.group, senders.unit
        groups = len(shares.expected)
        one_of_each = np.zeros(groups, dtype=np.int64)
        one_of_each[self.group] = np.arange(len(self.group))
        self.link_index = columns.link_index[one_of_each]
        self.movable = columns.kinds.movable[columns.kind[one_of_each]]
        self.bps: Floats = np.bincount(self.group, weights=columns.bps, minlength=groups).astype(np.float64)
        self.square: Floats = np.bincount(self.group, weights=senders.square, minlength=groups).astype(np.float64)
        self.count = np.bincount(self.group, minlength=groups)
        self._named = senders.named.copy()
        self.rest: Floats = np.zeros(groups)
        np.maximum.at(self.rest, self.group, senders.others)

    @property
    def names(self) -> int:
        """How many are looked at one by one."""
        return int(np.count_nonzero(self._named))

    @property
    def named(self) -> Ints:
        return np.flatnonzero(self._named)

    def name_more(self, groups: Ints) -> None:
        """Of each of these groups several times as many as now, the heaviest."""
        wanted = np.zeros(len(self.bps), dtype=bool)
        wanted[groups] = True
        rows = np.flatnonzero(wanted[self.group])
        bps = self.columns.bps
        rows = rows[np.lexsort((self.unit[rows], -bps[rows], self.group[rows]))]
        size, named = (np.bincount(self.group[each], minlength=len(self.bps))[groups] for each in (rows, self.named))
        place = np.arange(len(rows)) - np.repeat(np.cumsum(size) - size, size)
        more = rows[place < np.repeat(MORE * np.maximum(1, named), size)]
        self._named[more] = True
        self.senders.name(more)
        others = rows[~self._named[rows]][::-1]
        self.rest[groups] = 0.0
        self.rest[self.group[others]] = bps[others]


class Crowds:
    """The crowds of one or several prefixes together; R counts all their groups, one prefix after the other.

    `unit_bps`, `unit_group` (U, prefixes): of the senders that are looked at one by one, the load towards each prefix
    and its group; 0 and any group where there is none. `common`: for pairs of groups of different prefixes (P, P) the
    sum over their common senders of the product of loads (P).
    """

    def __init__(self, crowds: Sequence[Crowd]) -> None:
        self.crowds = tuple(crowds)
        self._starts = np.cumsum([0, *(len(crowd.bps) for crowd in crowds)])
        self.link_index = np.concatenate([crowd.link_index for crowd in crowds])
        self.movable = np.concatenate([crowd.movable for crowd in crowds])
        self.bps: Floats = np.concatenate([crowd.bps for crowd in crowds])
        self.square: Floats = np.concatenate([crowd.square for crowd in crowds])
        self.count = np.concatenate([crowd.count for crowd in crowds])
        self._looked: tuple[int, ...] = ()
        self.common = [self._common(i, j) for i, j in combinations(range(len(crowds)), 2)]
        self.look()

    def look(self) -> None:
        """Takes those in by name that a crowd has named since."""
        if self._looked == (looked := tuple(crowd.names for crowd in self.crowds)):
            return
        self._looked = looked
        units = np.unique(np.concatenate([crowd.unit[crowd.named] for crowd in self.crowds]))
        rows = np.stack([crowd.senders.rows_of(units) for crowd in self.crowds], axis=1)
        self.unit_bps = np.zeros(rows.shape)
        self.unit_group = np.zeros(rows.shape, dtype=np.int64)
        for number, crowd in enumerate(self.crowds):
            here = np.flatnonzero(rows[:, number] >= 0)
            self.unit_bps[here, number] = crowd.columns.bps[rows[here, number]]
            self.unit_group[here, number] = crowd.group[rows[here, number]] + self._starts[number]
        self.rest: Floats = np.concatenate([crowd.rest for crowd in self.crowds])

    def parts(self) -> Iterator[tuple[Crowd, slice]]:
        """Each prefix's crowd, and which of the R groups are its."""
        for number, crowd in enumerate(self.crowds):
            yield crowd, slice(self._starts[number], self._starts[number + 1])

    def _common(self, one: int, other: int) -> tuple[Ints, Ints, Floats]:
        first, second = self.crowds[one], self.crowds[other]
        mine, theirs = first.senders.common(second.senders)
        pair, which = np.unique(first.group[mine] * len(second.bps) + second.group[theirs], return_inverse=True)
        loads = first.columns.bps[mine] * second.columns.bps[theirs]
        product = np.bincount(which.reshape(-1), weights=loads).astype(np.float64)
        left, right = np.divmod(pair, len(second.bps))
        return left + self._starts[one], right + self._starts[other], product

    def heaviest(self, weight: Floats, count: int) -> Ints:
        """(C, up to `count`) units whose loads, each times the `weight` (C, R) of its group, are the largest."""
        while True:
            size = np.einsum("un,cun->cu", self.unit_bps, weight[:, self.unit_group])
            if size.shape[1] <= count:
                chosen = np.broadcast_to(np.arange(size.shape[1]), size.shape)
                least = np.zeros(len(size))
            else:
                chosen = np.sort(np.argpartition(-size, count - 1, axis=1)[:, :count], axis=1)
                least = np.take_along_axis(size, chosen, axis=1).min(axis=1)
            # A sender that is not looked at weighs no more than the heaviest of the rest of each prefix together.
            open_groups = self.rest * weight > (least / len(self.crowds))[:, None]
            if not open_groups.any():
                return chosen
            for crowd, part in self.parts():
                crowd.name_more(np.flatnonzero(open_groups[:, part].any(axis=0)))
            self.look()


class Assembled:
    """Remembers what was put together for one scene: the same prefixes are asked for with many vectors."""

    def __init__(self) -> None:
        self._senders: dict[Prefix, Senders] = {}
        self._crowd: dict[tuple[Prefix, int], Crowd] = {}
        self._crowds: dict[tuple[Prefix, ...], Crowds] = {}

    def crowd(self, columns: DemandColumns, shares: Shares) -> Crowd:
        # A division is told by what it is, not by what is in it: a search comes back to the same ones.
        key = columns.prefix, id(shares.group)
        known = self._crowd.get(key)
        if known is None or known.columns is not columns:
            known = self._crowd[key] = Crowd(self._senders_of(columns, shares.unit), shares)
        return known

    def _senders_of(self, columns: DemandColumns, unit: Ints) -> Senders:
        known = self._senders.get(columns.prefix)
        if known is None or known.columns is not columns or not np.array_equal(known.unit, unit):
            known = self._senders[columns.prefix] = Senders(columns, unit)
        return known

    def crowds(self, parts: Sequence[tuple[DemandColumns, Shares]]) -> Crowds:
        crowds = tuple(self.crowd(columns, shares) for columns, shares in parts)
        key = tuple(columns.prefix for columns, _ in parts)
        known = self._crowds.get(key)
        if known is None or known.crowds != crowds:
            known = self._crowds[key] = Crowds(crowds)
        known.look()
        return known
