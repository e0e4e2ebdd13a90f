"""Senders that answer alike as one unit, and what each unit would do under many vectors, worked out together.

A unit has weights of habits over its slots, and a slot that it is on. What it answers to a vector depends on nothing
but the prepends of its slots. Among many vectors these are the same few again and again: each is worked out once, for
all units that are asked the same in one product of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from teagent.engine.predict.habits import answers
from teagent.engine.predict.ingress import ERROR, Flags, Ints, Vector
from teagent.engine.predict.pooling import Weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """D units, of habits over the links at `places` (D, S): each has the `weights` (W, H) in row `source` (D), and
    comes from slot `at` (D). `of` (R) says which unit each sender is. What was seen of an `owned` one (D) is in its
    weights; of the others only those habits count that would have taken them where they are.
    """

    weights: Weights
    source: Ints
    places: Ints
    at: Ints
    owned: Flags
    of: Ints


def foretold(units: Units, before: Vector, afters: Sequence[Vector]) -> Weights:
    """(V, D, S): for each of V vectors the chance of each slot, for units that were seen under `before`."""
    count, width = units.places.shape
    asked = _Asked(units, before, afters)
    job_of, first, job = np.unique(asked.job, return_index=True, return_inverse=True)
    job = job.reshape(-1)
    order = np.argsort(job, kind="stable")
    edges = np.searchsorted(job[order], np.arange(len(job_of) + 1)).tolist()
    parts: list[Weights] = []
    begins, done = np.zeros(count, dtype=np.int64), 0
    for unit, low, high in zip(first.tolist(), edges[:-1], edges[1:], strict=True):
        rows, ends = order[low:high], asked.prepends_of(unit)
        there = None if units.owned[unit] else asked.prepends_before(unit)
        parts.append(_chances(units.weights[units.source[rows]], int(units.at[unit]), ends, there))
        begins[rows] = done + len(ends) * np.arange(len(rows))
        done += len(ends) * len(rows)
    flat = np.concatenate([np.zeros((0, width), dtype=np.float32), *parts])
    result: Weights = flat[begins + asked.place[:, asked.over]]
    return result


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


class _Asked:
    """What has to be worked out. Units over the same links are asked the same; those that are asked the same, on the
    same slot and for the same reasons, are one `job` (D). `over` (D): which of the P combinations of links each unit is
    over; `place` (V, P): which of its answers is that to each vector.
    """

    job: Ints
    over: Ints
    place: Ints

    def __init__(self, units: Units, before: Vector, afters: Sequence[Vector]) -> None:
        self._values, digits = np.unique(np.array([before, *afters]), return_inverse=True)
        digits = digits.reshape(len(afters) + 1, len(before))
        self._base, self._width = len(self._values), units.places.shape[1]
        links = _packed(units.places, len(before))
        _, first, over = np.unique(links, return_index=True, return_inverse=True)
        self.over, places = over.reshape(-1), units.places[first]
        code = _packed(digits[:, places], self._base)  # (V + 1, P)
        self._before = code[0]
        asked = np.zeros((len(places), self._base**self._width), dtype=bool)
        asked[np.arange(len(places)), code[1:]] = True
        sets, alike = np.unique(np.packbits(asked, axis=1), axis=0, return_inverse=True)
        self._asked, alike = asked, alike.reshape(-1)
        rank = np.cumsum(asked, axis=1) - 1
        self.place = rank[np.arange(len(places)), code[1:]]
        why = np.where(units.owned, 0, 1 + self._before[self.over])
        self.job = (why * self._width + units.at) * max(1, len(sets)) + alike[self.over]

    def prepends_of(self, unit: int) -> list[tuple[int, ...]]:
        return [self._unpacked(code) for code in np.flatnonzero(self._asked[self.over[unit]]).tolist()]

    def prepends_before(self, unit: int) -> tuple[int, ...]:
        return self._unpacked(int(self._before[self.over[unit]]))

    def _unpacked(self, code: int) -> tuple[int, ...]:
        return tuple(int(self._values[code // self._base**slot % self._base]) for slot in range(self._width))


def _packed(rows: Ints, base: int) -> Ints:
    """Rows along the last axis as one number each."""
    result: Ints = rows @ base ** np.arange(rows.shape[-1])
    return result
