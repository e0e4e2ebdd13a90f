"""Senders that answer alike as one unit, and what each unit would do under many vectors, worked out together.

A unit has weights of habits over its slots, and a slot that it is on. What it answers to a vector depends on nothing
but the prepends of its slots. Among many vectors these are the same few again and again, and for all prefixes that are
announced alike: each is worked out once, for all units that are asked the same in one product of matrices, and kept.

Where simple models are believed too, what is kept is of them all, as if these chose among the slots as well: good
enough for a quick look. A forecast of one vector has them choose among all links.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from teagent.engine.predict.habits import WITHHELD, answers
from teagent.engine.predict.ingress import ERROR, Flags, Floats, Ints, Vector
from teagent.engine.predict.ingress_simple import simple_chances
from teagent.engine.predict.pooling import Weights
from teagent.model.announcement import PREPEND_HARD_MAX

DIGITS = PREPEND_HARD_MAX + 2
"""All prepends that can be announced, and one that stands for links that do not announce."""
BLOCK = 4096
"""So many units at once: what is worked with stays within a few MiB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """D units, of habits over the links at `places` (D, S): each has the `weights` (W, H) in row `source` (D), and
    comes from slot `at` (D). `of` (R) says which unit each sender is. What was seen of an `owned` one (D) is in its
    weights; of the others only those habits count that would have taken them where they are. `behind` (D, S): how many
    hops further each link is than the nearest of them, cut off as in patterns.
    """

    weights: Weights
    source: Ints
    places: Ints
    at: Ints
    owned: Flags
    behind: Ints
    of: Ints


ONLY_LEARNED: Floats = np.ones(1)


def foretold(units: Units, before: Vector, afters: Sequence[Vector]) -> Weights:
    """(V, D, S): for each of V vectors the chance of each slot, for units that were seen under `before`."""
    known = Answers(units.weights, before, units.places.shape[1], ONLY_LEARNED)
    ids = known.register(units)
    column = known.columns(afters)
    result: Weights = known.chance[ids, column[:, known.combination[ids]]]
    return result


class Answers:
    """What units answer, who were seen under one vector, `before`. U counts them as they become known.

    The links at which a unit has its slots are its `combination` (U), one of P at `places` (P, S). `asked` (P): how
    many distinct prepends at its slots were asked for; in that order `chance` (U, columns, S) holds the answers. `at`
    (U) is the slot that a unit is on. `trust`: how much the learned model is believed, and each of the simple ones if
    any of them is.
    """

    def __init__(self, weights: Weights, before: Vector, width: int, trust: Floats) -> None:
        self.before, self._weights, self._width, self._trust = before, weights, width, trust
        none = np.zeros(0, dtype=np.int64)
        self.places: Ints = np.zeros((0, width), dtype=np.int64)
        self.at, self.combination, self.asked = none, none, none
        self.chance: Weights = np.zeros((0, 0, width), dtype=np.float32)
        self._learned = self.chance
        self._behind: Ints = np.zeros((0, width), dtype=np.int8)
        self._source, self._owned, self._done = none, np.zeros(0, dtype=bool), none
        self._units = _Numbered()
        self._combinations = _Numbered()
        self._prepends: list[list[tuple[int, ...]]] = []
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
            self._behind = np.concatenate((self._behind, units.behind[new].astype(np.int8)))
            self._grow(len(self.at), self.chance.shape[1])
        return ids

    def _grow(self, units: int, columns: int) -> None:
        more = (0, units - self.chance.shape[0]), (0, columns - self.chance.shape[1]), (0, 0)
        self.chance = np.pad(self.chance, more)
        self._learned = np.pad(self._learned, more) if self.simple_too else self.chance

    @property
    def simple_too(self) -> bool:
        return len(self._trust) > 1

    def _take_in(self, places: Ints) -> None:
        count = len(places)
        self.places = np.concatenate((self.places, places))
        self.asked = np.concatenate((self.asked, np.zeros(count, dtype=np.int64)))
        self._prepends += [[] for _ in range(count)]
        self._column = np.concatenate((self._column, np.full((count, self._column.shape[1]), -1, dtype=np.int16)))

    def expect(self, afters: Sequence[Vector]) -> Ints:
        """(V, P) which of the answers will be that to each vector: it is worked out when `columns` is asked for."""
        prepends = np.array(afters, dtype=np.int64).reshape(len(afters), -1)
        if ((prepends < 0) | (prepends >= DIGITS - 1) & (prepends < WITHHELD)).any():
            raise ValueError(f"prepends are 0 to {PREPEND_HARD_MAX}")
        digits = np.where(prepends >= WITHHELD, DIGITS - 1, prepends)
        code = _packed(digits[:, self.places], DIGITS)
        row = np.arange(len(self.places))
        missing = np.nonzero(self._column[row, code] < 0)
        unknown = np.unique(missing[1] * DIGITS**self._width + code[missing])
        for combination, number in zip(
            *(part.tolist() for part in np.divmod(unknown, DIGITS**self._width)), strict=True
        ):
            known = self._prepends[combination]
            self._column[combination, number] = len(known)
            known.append(_unpacked(number, self._width))
        result: Ints = self._column[row, code].astype(np.int64)
        return result

    def columns(self, afters: Sequence[Vector]) -> Ints:
        """(V, P) which of the answers is that to each vector; all known units have theirs now."""
        column = self.expect(afters)
        self.asked = np.array([len(known) for known in self._prepends], dtype=np.int64)
        self._work_out()
        return column

    def forecast(self, units: Ints, hops: Ints | None, afters: Sequence[Vector]) -> tuple[Ints, Weights]:
        """For each of V vectors the chances of `units` (u) to come by links, (V, u, links), and which these are, (u,
        links): a unit's slots or, with `hops` (K, u) for simple models, all.
        """
        column = self.columns(afters)
        combination = self.combination[units]
        places = self.places[combination]
        learned: Weights = np.minimum(self._learned[units, column[:, combination]], np.float32(1))
        if hops is None:
            return places, learned
        row = np.arange(len(units))
        on = places[row, self.at[units]]
        chance = simple_chances(self._trust[1:], hops, on, self.before, afters).swapaxes(1, 2).copy()
        chance[:, row[:, None], places] += np.float32(self._trust[0]) * learned
        return np.broadcast_to(np.arange(len(hops)), chance.shape[1:]), chance

    def _work_out(self) -> None:
        """What is missing. Units that are asked the same, on the same slot and for the same reasons, go together."""
        late = np.flatnonzero(self._done < self.asked[self.combination])
        if not len(late):
            return
        most = int(self.asked.max())
        if most > self.chance.shape[1]:
            self._grow(len(self.at), most)
        alike = ((self.combination * self._width + self.at) * 2 + self._owned) * (most + 1) + self._done
        _, first, number = np.unique(alike[late], return_index=True, return_inverse=True)
        jobs: dict[tuple[int, bool, int, tuple[int, ...], tuple[tuple[int, ...], ...]], list[int]] = {}
        for place, unit in enumerate(late[first].tolist()):
            combination, done = self.combination[unit], int(self._done[unit])
            owned, there = bool(self._owned[unit]), tuple(self.before[k] for k in self.places[combination].tolist())
            todo = tuple(self._prepends[combination][done:])
            jobs.setdefault((int(self.at[unit]), owned, done, there, todo), []).append(place)
        job = np.empty(len(first), dtype=np.int64)
        for place, members in enumerate(jobs.values()):
            job[members] = place
        which = job[number.reshape(-1)]
        order = late[np.argsort(which, kind="stable")]
        ends = np.cumsum(np.bincount(which, minlength=len(jobs)))
        for (slot, owned, done, there, todo), rows in zip(jobs, np.split(order, ends[:-1]), strict=True):
            for low in range(0, len(rows), BLOCK):
                part, columns = rows[low : low + BLOCK], slice(done, done + len(todo))
                found = _chances(self._weights[self._source[part]], slot, todo, None if owned else there)
                found = found.reshape(len(part), len(todo), self._width)
                self._learned[part, columns] = found
                if self.simple_too:
                    simple = simple_chances(self._trust[1:], self._behind[part].T, slot, there, todo)
                    self.chance[part, columns] = np.float32(self._trust[0]) * found + simple.transpose(2, 0, 1)
        self._done[late] = self.asked[self.combination[late]]


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


def _packed(rows: Ints, base: int) -> Ints:
    """Rows along the last axis as one number each."""
    result: Ints = rows @ base ** np.arange(rows.shape[-1])
    return result


def _unpacked(number: int, width: int) -> tuple[int, ...]:
    digits = [number // DIGITS**slot % DIGITS for slot in range(width)]
    return tuple(WITHHELD if digit == DIGITS - 1 else digit for digit in digits)
