"""Senders that answer alike as one unit, and what each unit would do under many vectors, worked out together.

A unit has weights of habits over its slots, and a slot that it is on. What it answers to a vector depends on nothing
but the prepends of its slots. Among many vectors these are the same few again and again, and for all prefixes that are
announced alike: each is worked out once, for many units in one product of matrices, and kept.

Beside what was learned the graph may have a say: who is not moved by it stays. It knows nothing of habits, but of where
a sender is now it needs no explanation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, repeat
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.distinct import distinct, distinct_rows
from teagent.engine.predict.habit_rates import UNREACHED, kinds, patterns_of
from teagent.engine.predict.habits import WITHHELD, answers
from teagent.engine.predict.ingress import ERROR, Flags, Ints, Vector
from teagent.engine.predict.pooling import Weights
from teagent.model.announcement import PREPEND_HARD_MAX

DIGITS = PREPEND_HARD_MAX + 2
"""All prepends that can be announced, and one that stands for links that do not announce."""
ROWS = 512
"""So many rows of weights at once: what is worked with stays in the second-level cache."""
REMEMBERED = 8
"""So many lists of vectors are known again: prefixes that are announced alike are asked about the same ones."""
BLOCK = 256
"""So many units at once: the more there are, the more of them are worked out for what only others are asked."""

Array = TypeVar("Array", Weights, Ints)


class Condensed:
    """Weights of habits (W, H), for each slot that a unit may be on: habits that answer alike there, whatever prepends
    they are asked about, are one, which leaves a few hundred. `of_slot` (S) of (W, these).
    """

    def __init__(self, *parts: Weights, width: int) -> None:
        """`parts`: some rows each, one after the other."""
        self.of_slot: tuple[Weights, ...] = tuple(
            np.concatenate([alike.summed(part) for part in parts]) for alike in map(_alike, repeat(width), range(width))
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """D units, of habits over the links at `places` (D, S): each has the `weights` (W, H) in row `source` (D), and
    comes from slot `at` (D). `of` (R) says which unit each sender is. What was seen of an `owned` one (D) is in its
    weights; of the others only those habits count that would have taken them where they are. `behind` (D, S): how many
    hops further each link is than the nearest of them, cut off as in patterns. `graph` is how much its word counts.
    """

    weights: Condensed
    source: Ints
    places: Ints
    at: Ints
    owned: Flags
    behind: Ints
    of: Ints
    graph: float


def foretold(units: Units, before: Vector, afters: Sequence[Vector]) -> Weights:
    """(V, D, S): for each of V vectors the chance of each slot, for units that were seen under `before`."""
    known = Answers(units.weights, before, units.places.shape[1], units.graph)
    ids = known.register(units)
    column = known.columns(afters)
    result: Weights = known.chance[ids, column[:, known.combination[ids]]]
    return result


class Answers:
    """What units answer, who were seen under one vector, `before`. U counts them as they become known.

    The links at which a unit has its slots are its `combination` (U), one of P at `places` (P, S). `asked` (P): how
    many distinct prepends at its slots were asked for; in that order `chance` (U, columns, S) holds the answers. `at`
    (U) is the slot that a unit is on.
    """

    def __init__(self, weights: Condensed, before: Vector, width: int, graph: float) -> None:
        self.before, self._weights, self._width, self._graph = before, weights, width, np.float32(graph)
        none = np.zeros(0, dtype=np.int64)
        self.places: Ints = np.zeros((0, width), dtype=np.int64)
        self.at, self.combination, self.asked = none, none, none
        self.chance: Weights = np.zeros((0, 0, width), dtype=np.float32)
        self._source, self._owned, self._done, self._pattern = none, np.zeros(0, dtype=bool), none, none
        self._units = _Numbered()
        self._combinations = _Numbered()
        self._code: Ints = np.zeros((0, 0), dtype=np.int64)
        self._expected = none
        self._known: dict[tuple[Vector, ...], Ints] = {}
        self._column = np.zeros((0, DIGITS**width), dtype=np.int16)

    def register(self, units: Units) -> Ints:
        """(D) the number of each unit."""
        links = len(self.before)
        packed = _packed(units.places, links)
        code = ((units.source * self._width + units.at) * 2 + units.owned) * links**self._width + packed
        ids, new = self._units.numbers(code)
        if len(new):
            combination, unseen = self._combinations.numbers(packed[new])
            self._take_in(units.places[new[unseen]])
            self.at = np.concatenate((self.at, units.at[new]))
            self.combination = np.concatenate((self.combination, combination))
            self._source = np.concatenate((self._source, units.source[new]))
            self._owned = np.concatenate((self._owned, units.owned[new]))
            self._done = np.concatenate((self._done, np.zeros(len(new), dtype=np.int64)))
            pattern = patterns_of(kinds(self._width).patterns, units.behind[new])
            self._pattern = np.concatenate((self._pattern, pattern))
            self._grow(len(self.at), self.chance.shape[1])
        return ids

    def _grow(self, units: int, columns: int) -> None:
        self.chance = grown(self.chance, (units, columns, self._width))

    def _take_in(self, places: Ints) -> None:
        count = len(places)
        self._known.clear()
        self.places = np.concatenate((self.places, places))
        self.asked = np.concatenate((self.asked, np.zeros(count, dtype=np.int64)))
        self._expected = np.concatenate((self._expected, np.zeros(count, dtype=np.int64)))
        self._code = grown(self._code, (len(self.places), self._code.shape[1]), -1)
        self._column = np.concatenate((self._column, np.full((count, self._column.shape[1]), -1, dtype=np.int16)))

    def expect(self, afters: Sequence[Vector]) -> Ints:
        """(V, P) which of the answers will be that to each vector: it is worked out when `columns` is asked for."""
        asked = tuple(afters)
        if asked not in self._known:
            if len(self._known) == REMEMBERED:
                self._known.clear()
            self._known[asked] = self._column_of(asked)
        return self._known[asked]

    def _column_of(self, afters: Sequence[Vector]) -> Ints:
        prepends = np.array(afters, dtype=np.int64).reshape(len(afters), -1)
        if ((prepends < 0) | (prepends >= DIGITS - 1) & (prepends < WITHHELD)).any():
            raise ValueError(f"prepends are 0 to {PREPEND_HARD_MAX}")
        code = _packed(_digits(prepends)[:, self.places], DIGITS)
        row = np.arange(len(self.places))
        missing = np.nonzero(self._column[row, code] < 0)
        combination, number = np.divmod(
            np.unique(missing[1] * DIGITS**self._width + code[missing]), DIGITS**self._width
        )
        if len(number):
            new = np.bincount(combination, minlength=len(row))
            place = self._expected[combination] + np.arange(len(number)) - (np.cumsum(new) - new)[combination]
            self._expected += new
            self._code = grown(self._code, (len(row), max(self._code.shape[1], int(self._expected.max()))), -1)
            self._code[combination, place] = number
            self._column[combination, number] = place
        result: Ints = self._column[row, code].astype(np.int64)
        return result

    def columns(self, afters: Sequence[Vector]) -> Ints:
        """(V, P) which of the answers is that to each vector; all known units have theirs now."""
        column = self.expect(afters)
        self.asked = self._expected.copy()
        self._work_out()
        return column

    def forecast(self, units: Ints, after: Vector) -> tuple[Ints, Weights]:
        """At which links `units` (u) have their slots, and their chances to come by these, both (u, S)."""
        (column,) = self.columns([after])
        combination = self.combination[units]
        place = units * self.chance.shape[1] + column[combination]
        chance: Weights = self.chance.reshape(-1, self._width).take(place, axis=0)
        return self.places.take(combination, axis=0), np.minimum(chance, np.float32(1))

    def _work_out(self) -> None:
        """What is missing."""
        late = np.flatnonzero(self._done < self.asked[self.combination])
        if not len(late):
            return
        most = int(self.asked.max())
        if most > self.chance.shape[1]:
            self._grow(len(self.at), most)
        there = _packed(_digits(np.array(self.before))[self.places], DIGITS)
        # In this order neighbors are asked much the same, and for the same reason.
        of_late = self.combination[late]
        reason = np.where(self._owned[late], 0, there[of_late] + 1)
        order = np.lexsort((of_late, self._code[of_late, self._done[late]], reason, self.at[late]))
        late, reason = late[order], reason[order]
        slot, combination, done = self.at[late], self.combination[late], self._done[late]
        count = self.asked[combination] - done
        ends = np.cumsum(count)
        unit = np.repeat(np.arange(len(late)), count)
        column = np.arange(len(unit)) + np.repeat(done + count - ends, count)
        code = self._code[combination[unit], column]
        found = self._by_habits(self._source[late], slot, reason, ends, code)
        found /= np.where(reason[unit] > 0, np.einsum("ns->n", found), np.float32(1))[:, None]
        if self._graph > 0:
            behind = kinds(self._width).patterns[self._pattern[late]].take(unit, axis=0)
            was, now = (_prepends(self._width).take(each, axis=0) for each in (there[combination][unit], code))
            found += self._graph * (by_graph(behind, slot[unit], was, now) - found)
        self.chance[late[unit], column] = found
        self._done[late] = done + count

    def _by_habits(self, source: Ints, slot: Ints, reason: Ints, ends: Ints, code: Ints) -> Weights:
        """(n, S) of units (u) with weights from `source` (u), ascending by the `slot` (u) that they are on and by
        `reason` (u): how much goes where under the prepends `code` (n). Those of each unit end at its place in `ends`
        (u). Who is not owned is there for a reason, the prepends that were there and 1: only those habits count that
        would have taken it there.
        """
        found: Weights = np.empty((len(code), self._width), dtype=np.float32)
        begins = ends - np.diff(ends, prepend=0)
        for rows in _blocks(slot):
            on, part = int(slot[rows.start]), slice(int(begins[rows.start]), int(ends[rows.stop - 1]))
            weights = self._weights.of_slot[on][source[rows]]
            why = reason[rows]
            first = [0, *(np.flatnonzero(why[1:] != why[:-1]) + 1).tolist(), len(why)]
            for low, high in pairwise(first):
                if why[low] > 0:
                    weights[low:high] *= _because(self._width, on, int(why[low]) - 1)
            asked, which = distinct(code[part].astype(np.int64, copy=False), DIGITS**self._width)
            onto = np.concatenate([_onto(self._width, on, each) for each in asked.tolist()])
            of_unit = np.repeat(np.arange(len(weights)), ends[rows] - begins[rows])
            of_all = (weights @ onto.T).reshape(-1, self._width)
            found[part] = of_all.take(of_unit * len(asked) + which, axis=0)
        return found


def grown(array: Array, shape: tuple[int, ...], value: int = 0) -> Array:
    """With room at the end of each axis, where the `value` stands; what `np.pad` does, at once."""
    if array.shape == shape:
        return array
    result = np.full_like(array, value, shape=shape)
    result[tuple(map(slice, array.shape))] = array
    return result


def _blocks(slot: Ints) -> Iterator[slice]:
    """Up to BLOCK units in a row that are on the same `slot` (u)."""
    for first, end in pairwise([0, *(np.flatnonzero(np.diff(slot)) + 1).tolist(), len(slot)]):
        yield from (slice(low, min(low + BLOCK, end)) for low in range(first, end, BLOCK))


class _Numbered:
    """Codes, numbered in the order in which they turned up."""

    def __init__(self) -> None:
        self._codes: Ints = np.zeros(0, dtype=np.int64)
        self._number: Ints = np.zeros(0, dtype=np.int64)

    def numbers(self, codes: Ints) -> tuple[Ints, Ints]:
        """(N) the number of each, and where those that are new turned up first, in the order of their numbers."""
        asked, first, back = np.unique(codes, return_index=True, return_inverse=True)
        place = np.searchsorted(self._codes, asked)
        known = np.zeros(len(asked), dtype=bool)
        within = place < len(self._codes)
        known[within] = self._codes[place[within]] == asked[within]
        number = np.empty(len(asked), dtype=np.int64)
        number[known] = self._number[place[known]]
        new = np.flatnonzero(~known)
        number[new] = len(self._codes) + np.arange(len(new))
        self._codes = np.insert(self._codes, place[new], asked[new])
        self._number = np.insert(self._number, place[new], number[new])
        return number[back.reshape(-1)], first[new]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Alike:
    """Habits that answer alike on one slot. `order` (H) has them one after the other, from their `starts` on;
    `one_of_each` stands for them.
    """

    order: Ints
    starts: Ints
    one_of_each: Ints

    def summed(self, weights: Weights) -> Weights:
        """(W, those that are alike) of (W, H)."""
        result: Weights = np.empty((len(weights), len(self.starts)), dtype=np.float32)
        for low in range(0, len(weights), ROWS):
            part = weights[low : low + ROWS].take(self.order, axis=1)
            np.add.reduceat(part, self.starts, axis=1, out=result[low : low + ROWS])
        return result


@lru_cache(maxsize=8)
def _alike(width: int, slot: int) -> _Alike:
    asked = np.stack([answers(width, tuple(prepends), slot) for prepends in _prepends(width).tolist()], axis=1)
    _, which = distinct_rows(asked.astype(np.int8, copy=False))
    order = np.argsort(which, kind="stable")
    starts = np.flatnonzero(np.diff(which[order], prepend=-1))
    return _Alike(order=order, starts=starts, one_of_each=order[starts])


@lru_cache(maxsize=4096)
def _onto(width: int, slot: int, asked: int) -> Weights:
    """(S, habits) which slot habits take under these prepends; not to be written to. Few are asked, and often."""
    taken = answers(width, _unpacked(asked, width), slot)[_alike(width, slot).one_of_each]
    result: Weights = (taken == np.arange(width)[:, None]).astype(np.float32)
    result.flags.writeable = False
    return result


@lru_cache(maxsize=4096)
def _because(width: int, slot: int, there: int) -> Weights:
    """(habits) how likely a unit with each would be on `slot` under these prepends; not to be written to."""
    takes = answers(width, _unpacked(there, width), slot)[_alike(width, slot).one_of_each] == slot
    result: Weights = np.where(takes, np.float32(1 - ERROR), np.float32(ERROR))
    result.flags.writeable = False
    return result


def by_graph(behind: Ints, slot: Ints, before: Ints, after: Ints) -> Weights:
    """(n, S) to which slots units on `slot` (n) go, of which each link is so many hops `behind` (n, S) the nearest, as
    patterns have it. A unit stays unless the least of hops and prepends is elsewhere now, `after` (n, S), than it was
    `before` (n, S); then it goes there, to each of the equals alike.
    """
    # Slots come first in what is worked with: what is reckoned along a short last axis takes many times as long.
    here = np.arange(behind.shape[1])[:, None] == slot
    hops = np.where(behind == UNREACHED, WITHHELD // 2, behind)  # nearer than a link that is withheld
    was, then = (_taken((hops + prepends).T.astype(np.int16, "C"), here) for prepends in (before, after))
    goes = (then != was).any(axis=0) & ~(then & here).any(axis=0)
    result = np.where(goes, then, here).astype(np.float32)
    result /= result.sum(axis=0)
    return result.T


def _taken(cost: npt.NDArray[np.int16], here: Flags) -> Flags:
    """(S, n) the links of the least cost (S, n); only the one where a unit is, if that is among them."""
    least: Flags = cost == cost.min(axis=0)
    return np.where((least & here).any(axis=0), here, least)


def _digits(prepends: Ints) -> Ints:
    return np.where(prepends >= WITHHELD, DIGITS - 1, prepends)


def _packed(rows: Ints, base: int) -> Ints:
    """Rows along the last axis as one number each."""
    result: Ints = rows @ base ** np.arange(rows.shape[-1])
    return result


def _unpacked(number: int, width: int) -> tuple[int, ...]:
    return tuple(_prepends(width)[number].tolist())


@lru_cache(maxsize=4)
def _prepends(width: int) -> Ints:
    """(numbers, S) the prepends that each number stands for; not to be written to."""
    digits = np.arange(DIGITS**width)[:, None] // DIGITS ** np.arange(width) % DIGITS
    result: Ints = np.where(digits == DIGITS - 1, WITHHELD, digits)
    result.flags.writeable = False
    return result
