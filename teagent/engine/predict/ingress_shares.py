"""From what was learned to shares: over which link a sender will come under another vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.habit_rates import kinds, pattern, patterns_of
from teagent.engine.predict.habits import WITHHELD
from teagent.engine.predict.ingress import CHANGES, Floats, IngressModel, Ints, Vector
from teagent.engine.predict.ingress_units import Answers, Condensed, Units, foretold
from teagent.engine.predict.pooling import Pooled, Weights
from teagent.engine.predict.propagation import FAR
from teagent.engine.predict.senders import slots

OWN_RULES = 0.3
"""Of a sender that comes in over several links at once: the chance that a part of it has rules of its own."""

NUMBER_MAX = 2**40

TOGETHER = 100_000
"""Chances that are worked out at once: what is worked with stays in the second-level cache."""


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True, eq=False)
class Cases:
    """Senders `asn` (C) that come in over `link` (C), each standing for all that the model takes for the same; `of` (R)
    says which of them each sender that was asked of is.
    """

    asn: Ints
    link: Ints
    of: Ints


class Chances:
    """Prepared for one model."""

    def __init__(self, model: IngressModel) -> None:
        self.model = model
        self._width = model.slots.shape[1]
        self._known = kinds(self._width)
        pooled = model.pooled
        rates = self._known.assumed if pooled is None else pooled.rates
        self._base: Weights = self._known.of_habits(self._known.of_ways(rates)).astype(np.float32)
        parts, self._count = [self._base], 0
        if pooled is not None:
            own = _own(pooled, slice(None))
            elsewhere = np.float32(1 - OWN_RULES) * own + np.float32(OWN_RULES) * pooled.prior
            parts, self._count = [own, elsewhere, *parts], len(own)
        # One after the other: of each sender where it is by itself, of each elsewhere, of patterns.
        self._weights = Condensed(*parts, width=self._width)
        self._asked_of: WeakKeyDictionary[Cases, tuple[Vector, Units]] = WeakKeyDictionary()

    def cases(self, asn: Ints, link: Ints) -> Cases:
        """Who is told apart at all. Takes longer than what is asked of the cases: keep it for many vectors."""
        row = self.model.rows(asn)
        strange = np.flatnonzero(row < 0)
        hops = self.model.distances.hops_of(asn[strange])
        places = slots(hops, link[strange])
        behind = pattern(np.take_along_axis(hops, places, axis=1), int(FAR))
        code = row.copy()
        code[strange] = len(self.model.asn) + _numbered(np.concatenate([behind, places], axis=1))
        _, first, which = np.unique(code * len(self.model.links) + link, return_index=True, return_inverse=True)
        return Cases(asn=asn[first], link=link[first], of=which.reshape(-1))

    def of(self, cases: Cases, before: Vector, after: Vector) -> Weights:
        """(C, K) as `each`."""
        return next(self.of_each(cases, before, [after]))

    def of_each(self, cases: Cases, before: Vector, afters: Sequence[Vector]) -> Iterator[Weights]:
        """(C, K) as `of`, for each of many vectors."""
        known = self._asked_of.get(cases)
        if known is None or known[0] != before:
            known = self._asked_of[cases] = before, self.units(cases.asn, cases.link, before)
        units = known[1]
        told = foretold(units, before, afters)
        step = max(1, TOGETHER // max(1, len(self.model.links) * len(cases.asn)))
        for first in range(0, len(afters), step):
            part = slice(first, first + step)
            yield from self._by_link(units, afters[part], told[part])

    def each(self, asn: Ints, link: Ints, before: Vector, after: Vector) -> Weights:
        """(R, K) for senders `asn` (R) that come in over `link` (R) under `before`: chances of each link afterwards.

        Of links of which nothing is known for a sender nothing is said; a `link` that `before` withholds is taken as
        seen.
        """
        units = self.units(asn, link, before)
        chances: Weights = self._by_link(units, [after], foretold(units, before, [after]))[0]
        return chances

    def answers(self, before: Vector) -> Answers:
        """Of units that were seen under `before`, none of which is known there yet."""
        return Answers(self._weights, before, self._width, self.model.scores.graph)

    def _by_link(self, units: Units, afters: Sequence[Vector], told: Weights) -> Weights:
        """(V, R, K) of `told` (V, D, S)."""
        result = np.zeros((len(afters), len(units.of), len(self.model.links)), dtype=np.float32)
        np.put_along_axis(result, units.places[units.of][None], told[:, units.of], axis=2)
        withheld = np.array(afters) >= WITHHELD
        for number in np.flatnonzero(withheld.any(axis=1)).tolist():
            result[number] = _where_announced(result[number], withheld[number])
        return result

    def weights_of(self, asn: int) -> tuple[Weights, Ints]:
        """(H) weights of habits of one sender and (S) its slots, places among the links."""
        row = int(self.model.rows(np.array([asn]))[0])
        if row >= 0 and self.model.pooled is not None:
            return _own(self.model.pooled, row), self.model.slots[row]
        hops = self.model.distances.hops_of(np.array([asn]))
        places = slots(hops, np.array([-1]))
        return self._base[self._like(places, hops)[0] - 2 * self._count], places[0]

    def without_place(self, asn: int, vector: Vector) -> Floats:
        """(K) for a sender of which nobody knows over which link it comes in."""
        weights, places = self.weights_of(asn)
        chosen = self.model.answers(vector, places, -1)
        result = np.zeros(len(self.model.links))
        result[places] = np.bincount(chosen, weights=weights, minlength=len(places)) / weights.sum()
        left: Floats = _where_announced(result[None], np.array(vector) >= WITHHELD)[0]
        return left

    def units(self, asn: Ints, link: Ints, before: Vector) -> Units:
        """Senders that are where they were seen answer by what was seen of them, others as their like do there."""
        model = self.model
        row = model.rows(asn)
        known = np.flatnonzero(row >= 0)
        here = (model.slots[row[known]] == link[known, None]).any(axis=1)
        mine = known[here]
        elsewhere = np.ones(len(asn), dtype=bool)
        elsewhere[mine] = False
        others = np.flatnonzero(elsewhere)
        hops = model.distances.hops_of(asn)
        places = np.empty((len(asn), self._width), dtype=np.int64)
        of_others = hops.take(others, axis=0)
        places[others] = slots(of_others, link[others])
        places[mine] = model.slots[row[mine]]
        at = np.argmax(places == link[:, None], axis=1)
        source = np.empty(len(asn), dtype=np.int64)
        source[others] = self._like(places[others], of_others)
        # On one of its own slots, each has weights of its own.
        rows = row[mine]
        main = main_slots(model, before)[rows] == at[mine]
        source[mine] = np.where(main, 0, self._count) + rows
        owned = np.zeros(len(asn), dtype=bool)
        owned[mine] = main
        code = (source * self._width + at) * 2 + owned
        for column in places.T:
            code = code * len(model.links) + column
        _, first, of = np.unique(code, return_index=True, return_inverse=True)
        return Units(
            weights=self._weights,
            source=source[first],
            places=places[first],
            at=at[first],
            owned=owned[first],
            behind=pattern(np.take_along_axis(hops[first], places[first], axis=1), int(FAR)),
            of=of.reshape(-1),
            graph=model.scores.graph,
        )

    def _like(self, places: Ints, hops: Ints) -> Ints:
        """(R) the rows in `_weights` for senders over these slots (R, S): by their pattern."""
        behind = patterns_of(self._known.patterns, pattern(np.take_along_axis(hops, places, axis=1), int(FAR)))
        return 2 * self._count + behind


def _where_announced(chances: Floats, withheld: npt.NDArray[np.bool_]) -> Floats:
    """Of `chances` (R, K) none for what is `withheld` (K). Who has nothing left that is known of it goes anywhere
    that is left, and nowhere where nothing is.
    """
    kept = np.where(withheld, 0.0, chances)
    kept += np.where(kept.sum(axis=1, keepdims=True) > 0, 0.0, ~withheld)
    result: Floats = kept / np.maximum(kept.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return result


def _own(pooled: Pooled, rows: slice | int) -> Weights:
    """Of senders that were seen where they are: one may have changed its habits since."""
    result: Weights = pooled.posterior[rows] * np.float32(1 - CHANGES) + pooled.prior[rows] * np.float32(CHANGES)
    return result


def _numbered(rows: Ints) -> Ints:
    """(R) the same number for rows (R, K) that are the same."""
    code = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:
        if code.max(initial=0) > NUMBER_MAX:
            code = np.unique(code, return_inverse=True)[1].reshape(-1)
        code = code * (int(column.max(initial=0)) + 1) + column
    return code


def main_slots(model: IngressModel, vector: Vector) -> Ints:
    """(n) the slot that most of each sender comes in by under this vector, -1 where it was not seen lately."""
    for question in model.open:
        if question.vector == vector:
            return np.where(question.seen > 0, np.argmax(question.answers, axis=1), -1)
    return np.full(len(model.asn), -1)
