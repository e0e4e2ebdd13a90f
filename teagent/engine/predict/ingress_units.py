"""Senders that answer alike as one unit, and what each unit would do under many vectors, worked out together.

A unit has weights of habits over its slots, and a slot that it is on. What it answers to a vector depends on nothing
but the prepends of its slots. Among many vectors these are the same few again and again, and each is worked out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.habits import answers
from teagent.engine.predict.ingress import ERROR, Flags, Floats, Ints, Vector
from teagent.engine.predict.pooling import Weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """D units: `weights` (D, H) of habits over the links at `places` (D, S), coming from slot `at` (D). `of` (R) says
    which unit each sender is. What was seen of an `owned` one (D) is in its weights; of the others only those habits
    count that would have taken them where they are.
    """

    weights: Weights
    places: Ints
    at: Ints
    owned: Flags
    of: Ints


def foretold(units: Units, before: Vector, afters: Sequence[Vector]) -> Floats:
    """(V, D, S): for each of V vectors the chance of each slot, for units that were seen under `before`."""
    count, width = units.places.shape
    known = _alike(units)
    order = np.argsort(known, kind="stable")
    size = np.bincount(known)
    start = np.cumsum(size) - size
    first = order[start]  # a unit of each of the G groups
    places, at, owned = units.places[first], units.at[first], units.owned[first]
    cells = _Cells(places, at, owned, before, afters)
    rows_in = size[cells.group]
    offset = np.cumsum(rows_in) - rows_in
    total = int(rows_in.sum())
    rows = order[np.repeat(start[cells.group] - offset, rows_in) + np.arange(total)]
    flat = np.empty((total, width), dtype=np.float32)
    edges = [*offset[cells.begins].tolist(), total]
    for cell, low, high in zip(cells.begins.tolist(), edges[:-1], edges[1:], strict=True):
        group, vector = int(cells.group[cell]), afters[int(cells.vector[cell])]
        there = None if owned[group] else _on(before, places[group])
        flat[low:high] = _chances(units.weights[rows[low:high]], int(at[group]), _on(vector, places[group]), there)
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count) - start[known[order]]
    result: Floats = flat[offset[cells.of][:, known] + rank]
    return result


def _chances(weights: Weights, slot: int, after: tuple[int, ...], before: tuple[int, ...] | None) -> Weights:
    """(rows, S) of units on `slot`; with `before`, only as far as they would have been there."""
    width = len(after)
    onto = (answers(width, after, slot)[:, None] == np.arange(width)).astype(np.float32)
    if before is None:
        found: Weights = weights @ onto
        return found
    there = answers(width, before, slot) == slot
    found = weights @ (onto * np.where(there, np.float32(1 - ERROR), np.float32(ERROR))[:, None])
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _on(vector: Vector, places: Ints) -> tuple[int, ...]:
    return tuple(vector[place] for place in places.tolist())


def _alike(units: Units) -> Ints:
    """(D) the group of each unit: those over the same links, on the same slot, and owned or not."""
    code = units.at * 2 + units.owned
    for column in units.places.T:
        code = code * (int(units.places.max(initial=0)) + 1) + column
    return np.unique(code, return_inverse=True)[1].reshape(-1)


class _Cells:
    """What has to be worked out: each group with each of the prepends that its slots have. `of` (V, G): its cell.

    Cells with the same prepends, whatever their group, stand together, and `begins` is where.
    """

    of: Ints
    group: Ints
    vector: Ints
    begins: Ints

    def __init__(self, places: Ints, at: Ints, owned: Flags, before: Vector, afters: Sequence[Vector]) -> None:
        values, numbers = np.unique(np.array([before, *afters]), return_inverse=True)
        numbers = numbers.reshape(len(afters) + 1, len(before))
        base, groups = len(values), len(places)
        fixed = at * 2 + owned
        for column in places.T:
            fixed = fixed * base + np.where(owned, 0, numbers[0][column])
        code = np.broadcast_to(fixed, (len(afters), groups))
        for column in places.T:
            code = code * base + numbers[1:, column]
        pair = code * groups + np.arange(groups)
        distinct, first, of = np.unique(pair, return_index=True, return_inverse=True)
        self.of = of.reshape(len(afters), groups)
        self.group, self.vector = distinct % groups, first // groups
        self.begins = np.flatnonzero(np.diff(distinct // groups, prepend=-1))
