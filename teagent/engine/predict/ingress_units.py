"""Senders that answer alike as one unit, and what each unit would do under many vectors, worked out together.

A unit has weights of habits over its slots, and a slot that it is on. What it answers to a vector depends on nothing
but the prepends of its slots. Among many vectors these are the same few again and again, and for all prefixes that are
announced alike: each is worked out once, for all units that are asked the same in one product of matrices, and kept.

Beside what was learned the graph may have a say: who is not moved by it stays. It knows nothing of habits, but of where
a sender is now it needs no explanation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.habit_rates import UNREACHED, kinds, patterns_of
from teagent.engine.predict.habits import WITHHELD, answers
from teagent.engine.predict.ingress import ERROR, Flags, Ints, Vector
from teagent.engine.predict.pooling import Weights
from teagent.model.announcement import PREPEND_HARD_MAX

DIGITS = PREPEND_HARD_MAX + 2
"""All prepends that can be announced, and one that stands for links that do not announce."""
_Job = tuple[int, bool, int, tuple[int, ...], tuple[tuple[int, ...], ...]]
"""The slot that units are on, whether they were seen there, how many answers they gave already; the prepends that their
slots have, and those that they are asked about.
"""
REMEMBERED = 8
"""So many lists of vectors are known again: prefixes that are announced alike are asked about the same ones."""
BLOCK = 4096
"""So many units at once: what is worked with stays within a few MiB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """D units, of habits over the links at `places` (D, S): each has the `weights` (W, H) in row `source` (D), and
    comes from slot `at` (D). `of` (R) says which unit each sender is. What was seen of an `owned` one (D) is in its
    weights; of the others only those habits count that would have taken them where they are. `behind` (D, S): how many
    hops further each link is than the nearest of them, cut off as in patterns. `graph` is how much its word counts.
    """

    weights: Weights
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

    def __init__(self, weights: Weights, before: Vector, width: int, graph: float) -> None:
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
        more = (0, units - self.chance.shape[0]), (0, columns - self.chance.shape[1]), (0, 0)
        self.chance = np.pad(self.chance, more)

    def _take_in(self, places: Ints) -> None:
        count = len(places)
        self._known.clear()
        self.places = np.concatenate((self.places, places))
        self.asked = np.concatenate((self.asked, np.zeros(count, dtype=np.int64)))
        self._expected = np.concatenate((self._expected, np.zeros(count, dtype=np.int64)))
        self._code = np.pad(self._code, ((0, count), (0, 0)), constant_values=-1)
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
        digits = np.where(prepends >= WITHHELD, DIGITS - 1, prepends)
        code = _packed(digits[:, self.places], DIGITS)
        row = np.arange(len(self.places))
        missing = np.nonzero(self._column[row, code] < 0)
        combination, number = np.divmod(
            np.unique(missing[1] * DIGITS**self._width + code[missing]), DIGITS**self._width
        )
        if len(number):
            new = np.bincount(combination, minlength=len(row))
            place = self._expected[combination] + np.arange(len(number)) - (np.cumsum(new) - new)[combination]
            self._expected += new
            room = int(self._expected.max()) - self._code.shape[1]
            self._code = np.pad(self._code, ((0, 0), (0, max(0, room))), constant_values=-1)
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
        chance: Weights = np.minimum(self.chance[units, column[combination]], np.float32(1))
        return self.places[combination], chance

    def _work_out(self) -> None:
        """What is missing."""
        late = np.flatnonzero(self._done < self.asked[self.combination])
        if not len(late):
            return
        most = int(self.asked.max())
        if most > self.chance.shape[1]:
            self._grow(len(self.at), most)
        jobs = list(self._jobs(late))
        said = self._said([job for job, _ in jobs]) if self._graph > 0 else {}
        for (slot, owned, done, there, todo), rows in jobs:
            for low in range(0, len(rows), BLOCK):
                part, columns = rows[low : low + BLOCK], slice(done, done + len(todo))
                found = _chances(self._weights[self._source[part]], slot, todo, None if owned else there)
                found = found.reshape(len(part), len(todo), self._width)
                if self._graph > 0:
                    told = said[slot, there].of_each(todo)
                    found += self._graph * (told[self._pattern[part]].reshape(found.shape) - found)
                self.chance[part, columns] = found
        self._done[late] = self.asked[self.combination[late]]

    @staticmethod
    def _said(jobs: Sequence[_Job]) -> dict[tuple[int, tuple[int, ...]], _Said]:
        """What the graph says, by slot and the prepends that there are: all that the jobs ask of each at once."""
        asked: dict[tuple[int, tuple[int, ...]], list[tuple[int, ...]]] = {}
        for slot, _, _, there, todo in jobs:
            asked.setdefault((slot, there), []).extend(todo)
        said = {key: _said(*key) for key in asked}
        for key, afters in asked.items():
            said[key].expect(afters)
        return said

    def _jobs(self, late: Ints) -> Iterator[tuple[_Job, Ints]]:
        """Which units are asked the same, on the same slot and for the same reasons."""
        # Units that differ in nothing that counts are looked at once, then those that are asked the same go together.
        alike = ((self.combination[late] * self._width + self.at[late]) * 2 + self._owned[late]) * DIGITS**self._width
        _, first, number = np.unique(alike + self._done[late], return_index=True, return_inverse=True)
        of_each = late[first]
        combination, done = self.combination[of_each], self._done[of_each]
        there = np.array(self.before)[self.places[combination]]
        codes = self._code[combination, int(done.min()) : int(self.asked.max())]
        same = np.column_stack((self.at[of_each], self._owned[of_each], done, there, codes))
        order = np.lexsort(same.T)
        new = np.append(True, (np.diff(same[order], axis=0) != 0).any(axis=1))
        job = np.empty(len(order), dtype=np.int64)
        job[order] = np.cumsum(new) - 1
        of_late = job[number.reshape(-1)]
        ends = np.cumsum(np.bincount(of_late))
        groups = np.split(late[np.argsort(of_late, kind="stable")], ends[:-1])
        for place, rows in zip(order[new].tolist(), groups, strict=True):
            unit, known, which = int(of_each[place]), int(done[place]), int(combination[place])
            asked = self._code[which, known : self.asked[which]].tolist()
            todo = tuple(_unpacked(number, self._width) for number in asked)
            yield (int(self.at[unit]), bool(self._owned[unit]), known, tuple(there[place].tolist()), todo), rows


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


def _chances(weights: Weights, slot: int, afters: Sequence[tuple[int, ...]], before: tuple[int, ...] | None) -> Weights:
    """(rows times afters, S) of units on `slot`; with `before`, only as far as they would have been there."""
    onto = np.concatenate([_onto(after, slot, before) for after in afters])
    found: Weights = (weights @ onto.T).reshape(-1, len(afters[0]))
    if before is not None:
        found /= found.sum(axis=1, keepdims=True)
    return found


@lru_cache(maxsize=4096)
def _onto(after: tuple[int, ...], slot: int, before: tuple[int, ...] | None) -> Weights:
    """(S, H) what each habit counts towards each slot; not to be written to. Few are asked, and often."""
    width = len(after)
    result: Weights = (answers(width, after, slot) == np.arange(width)[:, None]).astype(np.float32)
    if before is not None:
        there = answers(width, before, slot) == slot
        result *= np.where(there, np.float32(1 - ERROR), np.float32(ERROR))
    result.flags.writeable = False
    return result


class _Said:
    """What the graph says of senders on `slot` with each of the patterns that there are: of each vector once."""

    def __init__(self, slot: int, before: tuple[int, ...]) -> None:
        self._slot, self._before = slot, before
        self._known: dict[tuple[int, ...], Weights] = {}

    def expect(self, afters: Sequence[tuple[int, ...]]) -> None:
        """What `of_each` will be asked for is worked out together."""
        new = list({after: None for after in afters if after not in self._known})
        if new:
            found = by_graph(kinds(len(self._before)).patterns, self._slot, self._before, new)
            self._known.update(zip(new, found.transpose(1, 0, 2).copy(), strict=True))

    def of_each(self, afters: Sequence[tuple[int, ...]]) -> Weights:
        """(patterns, V * S) for each of V vectors, all of them expected."""
        return np.concatenate([self._known[after] for after in afters], axis=1)


@lru_cache(maxsize=64)
def _said(slot: int, before: tuple[int, ...]) -> _Said:
    """Few are asked, and often."""
    return _Said(slot, before)


def by_graph(behind: Ints, slot: int, before: tuple[int, ...], afters: Sequence[tuple[int, ...]]) -> Weights:
    """(n, V, S) for units on `slot`, of which each link is so many hops `behind` (n, S) the nearest, as patterns have
    it: to which slots they go under each of V vectors. A unit stays unless the least of hops and prepends is elsewhere
    now than it was `before`; then it goes there, to each of the equals alike.
    """
    # Slots come first in what is worked with: what is reckoned along a short last axis takes many times as long.
    here = (np.arange(behind.shape[1]) == slot)[:, None, None]
    hops = np.where(behind == UNREACHED, WITHHELD // 2, behind).T  # nearer than a link that is withheld
    was, then = (
        _taken(hops.astype(np.int16, "C")[:, :, None] + np.array(vectors).T.astype(np.int16, "C")[:, None], here)
        for vectors in ([before], afters)
    )
    goes = (then != was).any(axis=0) & ~then[slot]
    result = np.where(goes, then, here).astype(np.float32)
    result /= result.sum(axis=0)
    return np.moveaxis(result, 0, 2)


def _taken(cost: npt.NDArray[np.int16], here: Flags) -> Flags:
    """(S, n, V) the links of the least cost (S, n, V); only the one where a unit is, if that is among them."""
    least: Flags = cost == cost.min(axis=0)
    return np.where((least & here).any(axis=0), here, least)


def _packed(rows: Ints, base: int) -> Ints:
    """Rows along the last axis as one number each."""
    result: Ints = rows @ base ** np.arange(rows.shape[-1])
    return result


@lru_cache(maxsize=DIGITS**3)
def _unpacked(number: int, width: int) -> tuple[int, ...]:
    digits = [number // DIGITS**slot % DIGITS for slot in range(width)]
    return tuple(WITHHELD if digit == DIGITS - 1 else digit for digit in digits)
