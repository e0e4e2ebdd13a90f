"""From what was learned to shares: over which link a sender will come under another vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.habit_rates import kinds, pattern, patterns_of
from teagent.engine.predict.habits import WITHHELD, answers
from teagent.engine.predict.ingress import CHANGES, ERROR, Floats, IngressModel, Ints, Vector
from teagent.engine.predict.ingress_simple import simple_chances
from teagent.engine.predict.pooling import Weights
from teagent.engine.predict.propagation import FAR
from teagent.engine.predict.senders import slots

OWN_RULES = 0.3
"""Of a sender that comes in over several links at once: the chance that a part of it has rules of its own."""

NUMBER_MAX = 2**40

TABLES_MAX = 512
"""Of so many vectors the answers of all senders are kept: a search asks for the same ones over and over."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cases:
    """Senders `asn` (C) that come in over `link` (C), each standing for all that the model takes for the same; `of` (R)
    says which of them each sender that was asked of is.
    """

    asn: Ints
    link: Ints
    of: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Kinds:
    """Senders in D kinds: `weights` (D, H) of habits over the links at `places` (D, S), coming from slot `at` (D); `of`
    (R) says which each is.
    """

    weights: Weights
    places: Ints
    at: Ints
    of: Ints


class Chances:
    """Prepared for one model: what each of its senders would do is worked out once for each vector."""

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
        self._tables: dict[Vector, Floats] = {}
        self._last: tuple[tuple[bytes, bytes], _Kinds] | None = None

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
        mixed: Floats = np.tensordot(
            self.model.scores.weights(), self.each(cases.asn, cases.link, before, after), axes=1
        )
        return mixed

    def each(self, asn: Ints, link: Ints, before: Vector, after: Vector) -> Floats:
        """(4, R, K) as `learned` says, and as each of the simple models."""
        simple = simple_chances(self.model.distances.hops_of(asn), link, before, after)
        chances = np.concatenate([self.learned(asn, link, before, after)[None], simple])
        withheld = np.array(after) >= WITHHELD
        if withheld.any():
            # Who has nothing left that is known of it goes anywhere.
            chances[:, :, withheld] = 0.0
            chances[:, :, ~withheld] += np.where(chances.sum(axis=2, keepdims=True) > 0, 0.0, 1.0)
            chances /= chances.sum(axis=2, keepdims=True)
        return chances

    def learned(self, asn: Ints, link: Ints, before: Vector, after: Vector) -> Floats:
        """(R, K) for senders `asn` (R) that come in over `link` (R) under `before`: chances of each link afterwards.

        Links of which nothing is known for a sender have none; a `link` that `before` withholds is taken as seen.
        """
        model = self.model
        row = model.rows(asn)
        result = np.zeros((len(asn), len(model.links)))
        at = np.full(len(asn), -1)
        owned = np.flatnonzero(row >= 0)
        here = model.slots[row[owned]] == link[owned, None]
        main = main_slots(model, before)[row[owned]]
        at[owned] = np.where(here.any(axis=1) & (main == here.argmax(axis=1)), main, -1)
        home = np.flatnonzero(at >= 0)
        if len(home):
            chance = self._table(after)[row[home], at[home]]
            result[home[:, None], model.slots[row[home]]] = chance
        others = np.flatnonzero(at < 0)
        if len(others):
            result[others] = self._elsewhere(asn[others], row[others], link[others], before, after)
        return result

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

    def _table(self, after: Vector) -> Floats:
        """(n, S, S): for each sender, by the slot that it is on, the chance of each of its slots."""
        found = self._tables.get(after)
        if found is None:
            model, width = self.model, self._width
            found = np.zeros((len(model.asn), width, width))
            for rows, prepends in _alike(np.array(after)[model.slots]):
                chosen = np.stack([answers(width, prepends, at) for at in range(width)])
                onto = (chosen[:, :, None] == np.arange(width)).astype(np.float32)  # (slot, H, slot)
                onto = onto.transpose(1, 0, 2).reshape(-1, width * width)
                found[rows] = (self._own[rows] @ onto).reshape(-1, width, width)
            if len(self._tables) >= TABLES_MAX:
                self._tables.clear()
            self._tables[after] = found
        return found

    def _elsewhere(self, asn: Ints, row: Ints, link: Ints, before: Vector, after: Vector) -> Floats:
        """For senders without weights of their own, or not where they were thought to be: as their like, there."""
        width, key = self._width, (asn.tobytes(), link.tobytes())
        # One prefix is asked of with many vectors, then the next one.
        if self._last is None or self._last[0] != key:
            self._last = key, self._kinds_of(asn, row, link)
        kinds_of = self._last[1]
        places, weights = kinds_of.places, kinds_of.weights
        answer = np.zeros((len(places), len(self.model.links)))
        asked = np.column_stack([np.array(before)[places], np.array(after)[places], kinds_of.at])
        for rows, cell in _alike(asked):
            slot = cell[-1]
            there = answers(width, cell[:width], slot) == slot
            after_there = answers(width, cell[width:-1], slot)
            onto = (after_there[:, None] == np.arange(width)) * np.where(there, 1 - ERROR, ERROR)[:, None]
            chance = weights[rows] @ onto.astype(np.float32)
            answer[rows[:, None], places[rows]] = chance / chance.sum(axis=1, keepdims=True)
        return answer[kinds_of.of]

    def _kinds_of(self, asn: Ints, row: Ints, link: Ints) -> _Kinds:
        model, width = self.model, self._width
        hops = model.distances.hops_of(asn)
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
        return _Kinds(
            weights=weights, places=distinct[:, 2 : 2 + width], at=distinct[:, 2 + width], of=which.reshape(-1)
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


def _alike(rows: Ints) -> list[tuple[Ints, tuple[int, ...]]]:
    """Rows (R, K) that are alike: (their numbers, what they hold)."""
    code = _numbered(rows)
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    return [(part, tuple(rows[part[0]].tolist())) for part in np.split(order, starts[1:]) if len(part)]


def main_slots(model: IngressModel, vector: Vector) -> Ints:
    """(n) the slot that most of each sender comes in by under this vector, -1 where it was not seen lately."""
    for question in model.open:
        if question.vector == vector:
            return np.where(question.seen > 0, np.argmax(question.answers, axis=1), -1)
    return np.full(len(model.asn), -1)
