"""From what was learned to shares: over which link a sender will come under another vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.habit_rates import kinds, pattern, patterns_of
from teagent.engine.predict.habits import WITHHELD
from teagent.engine.predict.ingress import CHANGES, Floats, IngressModel, Ints, Vector
from teagent.engine.predict.ingress_simple import simple_chances
from teagent.engine.predict.ingress_units import Units, foretold
from teagent.engine.predict.pooling import Weights
from teagent.engine.predict.propagation import FAR
from teagent.engine.predict.senders import slots

OWN_RULES = 0.3
"""Of a sender that comes in over several links at once: the chance that a part of it has rules of its own."""

NUMBER_MAX = 2**40

TOGETHER = 100_000
"""Chances that are mixed at once: what is worked with stays in the second-level cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cases:
    """Senders `asn` (C) that come in over `link` (C), each standing for all that the model takes for the same; `of` (R)
    says which of them each sender that was asked of is.
    """

    asn: Ints
    link: Ints
    of: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """R senders that come in over `link` (R) under `before`, with their `hops` (K, R), and as units."""

    hops: Ints
    link: Ints
    before: Vector
    units: Units


class Chances:
    """Prepared for one model."""

    def __init__(self, model: IngressModel) -> None:
        self.model = model
        self._width = model.slots.shape[1]
        self._known = kinds(self._width)
        self._base: Weights = self._known.of_habits(
            self._known.of_ways(self._known.assumed if model.pooled is None else model.pooled.rates)
        ).astype(np.float32)
        self._own = self._base[:0]
        if model.pooled is not None:
            self._own = model.pooled.posterior * np.float32(1 - CHANGES) + model.pooled.prior * np.float32(CHANGES)
        self._last: tuple[Cases, _Asked] | None = None

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

    def of(self, cases: Cases, before: Vector, after: Vector) -> Floats:
        """(C, K) as `each`, mixed by how well the models foretold lately."""
        return next(self.of_each(cases, before, [after]))

    def of_each(self, cases: Cases, before: Vector, afters: Sequence[Vector]) -> Iterator[Floats]:
        """(C, K) as `of`, for each of many vectors."""
        # One prefix is asked of with many vectors, then the next one.
        if self._last is None or self._last[0] is not cases or self._last[1].before != before:
            self._last = cases, self._asked(cases.asn, cases.link, before)
        asked, weights = self._last[1], self.model.scores.weights()
        told = foretold(asked.units, before, afters)
        step = max(1, TOGETHER // max(1, asked.hops.size))
        for first in range(0, len(afters), step):
            part = slice(first, first + step)
            mixed = np.zeros((len(afters[part]), *asked.hops.shape))
            for weight, chances in zip(weights, self._models(asked, afters[part], told[part]), strict=True):
                mixed += weight * chances
            yield from mixed.swapaxes(1, 2)

    def each(self, asn: Ints, link: Ints, before: Vector, after: Vector) -> Floats:
        """(4, R, K) for senders `asn` (R) that come in over `link` (R) under `before`: chances of each link afterwards,
        as the learned model says, and as each of the simple ones.

        Of links of which nothing is known for a sender the learned one says nothing; a `link` that `before` withholds
        is taken as seen.
        """
        asked = self._asked(asn, link, before)
        models = self._models(asked, [after], foretold(asked.units, before, [after]))
        return np.stack([chances[0].T for chances in models])

    def _asked(self, asn: Ints, link: Ints, before: Vector) -> _Asked:
        hops = self.model.distances.hops_of(asn)
        return _Asked(
            hops=np.ascontiguousarray(hops.T), link=link, before=before, units=self._units(asn, link, hops, before)
        )

    def _models(self, asked: _Asked, afters: Sequence[Vector], told: Floats) -> tuple[Floats, ...]:
        """Four times (V, K, R): `told` (V, D, S) by link, and each of the simple ones."""
        learned = np.zeros((len(afters), *asked.hops.shape))
        of = asked.units.of
        np.put_along_axis(learned, asked.units.places[of].T[None], told[:, of].swapaxes(1, 2), axis=1)
        models = (learned, *simple_chances(asked.hops, asked.link, asked.before, afters))
        withheld = np.array(afters) >= WITHHELD
        some = np.flatnonzero(withheld.any(axis=1))
        for chances in models if len(some) else ():
            # Who has nothing left that is known of it goes anywhere.
            kept = np.where(withheld[some, :, None], 0.0, chances[some])
            kept += np.where(kept.sum(axis=1, keepdims=True) > 0, 0.0, ~withheld[some, :, None])
            chances[some] = kept / kept.sum(axis=1, keepdims=True)
        return models

    def weights_of(self, asn: int) -> tuple[Weights, Ints]:
        """(H) weights of habits of one sender and (S) its slots, places among the links."""
        row = int(self.model.rows(np.array([asn]))[0])
        if row >= 0 and self.model.pooled is not None:
            return self._own[row], self.model.slots[row]
        hops = self.model.distances.hops_of(np.array([asn]))
        places = slots(hops, np.array([-1]))
        behind = pattern(np.take_along_axis(hops, places, axis=1), int(FAR))
        return self._of_strangers(patterns_of(self._known.patterns, behind), places)[0], places[0]

    def without_place(self, asn: int, vector: Vector) -> Floats:
        """(K) for a sender of which nobody knows over which link it comes in."""
        weights, places = self.weights_of(asn)
        chosen = self.model.answers(vector, places, -1)
        result = np.zeros(len(self.model.links))
        result[places] = np.bincount(chosen, weights=weights, minlength=len(places)) / weights.sum()
        return result

    def _units(self, asn: Ints, link: Ints, hops: Ints, before: Vector) -> Units:
        """Senders that are where they were seen answer by what was seen of them, others as their like do there."""
        model, width = self.model, self._width
        row = model.rows(asn)
        at = np.full(len(asn), -1)
        known = np.flatnonzero(row >= 0)
        here = model.slots[row[known]] == link[known, None]
        main = main_slots(model, before)[row[known]]
        at[known] = np.where(here.any(axis=1) & (main == here.argmax(axis=1)), main, -1)
        home, others = np.flatnonzero(at >= 0), np.flatnonzero(at < 0)
        of = np.empty(len(asn), dtype=np.int64)
        of[home] = np.arange(len(home))
        parts = [
            Units(weights=self._own[row[home]], places=model.slots[row[home]], at=at[home], owned=at[home] >= 0, of=of)
        ]
        if len(others):
            parts.append(self._elsewhere(row[others], link[others], hops[others]))
            of[others] = len(home) + parts[1].of
        return Units(
            weights=np.concatenate([part.weights for part in parts]),
            places=np.concatenate([part.places for part in parts]).reshape(-1, width),
            at=np.concatenate([part.at for part in parts]),
            owned=np.concatenate([part.owned for part in parts]),
            of=of,
        )

    def _elsewhere(self, row: Ints, link: Ints, hops: Ints) -> Units:
        """Senders without weights of their own, or not where they were thought to be: as their like, there."""
        model, width = self.model, self._width
        places = slots(hops, link)
        owned = row >= 0
        places[owned] = np.where(
            (model.slots[row[owned]] == link[owned, None]).any(axis=1)[:, None], model.slots[row[owned]], places[owned]
        )
        behind = patterns_of(self._known.patterns, pattern(np.take_along_axis(hops, places, axis=1), int(FAR)))
        at = np.argmax(places == link[:, None], axis=1)
        same = owned & (places == model.slots[np.maximum(row, 0)]).all(axis=1) if len(model.asn) else owned & False
        case = np.column_stack([np.where(same, row, -1), behind, places, at])
        distinct, which = np.unique(case, axis=0, return_inverse=True)
        weights = self._of_strangers(distinct[:, 1], distinct[:, 2 : 2 + width])
        mine = np.flatnonzero(distinct[:, 0] >= 0)
        if model.pooled is not None and len(mine):
            rows = distinct[mine, 0]
            weights[mine] = (1 - OWN_RULES) * self._own[rows] + OWN_RULES * model.pooled.prior[rows]
        return Units(
            weights=weights,
            places=distinct[:, 2 : 2 + width],
            at=distinct[:, 2 + width],
            owned=np.zeros(len(distinct), dtype=bool),
            of=which.reshape(-1),
        )

    def _of_strangers(self, behind: Ints, places: Ints) -> Weights:
        """(R, H) for senders with these patterns over these slots (R, S): as their like, where there are any."""
        model, weights = self.model, self._base[behind]
        if model.pooled is None or not len(model.pooled.of_alike):
            return weights
        digits = len(model.links) ** np.arange(self._width) * len(self._known.patterns)
        known, first = np.unique(model.slots @ digits + model.ties.pattern_of, return_index=True)
        asked = places @ digits + behind
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        found = known[at] == asked
        weights[found] = model.pooled.of_alike[model.ties.alike_of[first[at[found]]]]
        return weights


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
