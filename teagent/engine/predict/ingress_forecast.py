"""The learned model as a forecaster: what the dry run asks it, about the demands of one prefix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.ingress import IngressModel
from teagent.engine.predict.ingress_by_unit import ByUnit
from teagent.engine.predict.ingress_shares import Cases, Chances
from teagent.engine.predict.movement import Movement, summed
from teagent.engine.predict.shares import DemandColumns, Ints, Probabilities, Shares, Vector
from teagent.model.bgp import Prefix
from teagent.model.traffic import Source


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Told:
    """Demands (N) told apart. `case` (N) numbers first the C cases of the model, then those of which nothing is
    claimed: two for each link, movable and not, where there are such. `link` is where each comes in. `place` (K) is
    where the model has each link of the scene, -1 where it has none.
    """

    demands: DemandColumns
    cases: Cases
    case: Ints
    link: Ints
    place: Ints
    unit: Ints


class Learned:
    """A `Forecaster` for any number of scenes while the model stays the same."""

    def __init__(self, model: IngressModel) -> None:
        self._model = model
        self._chances = Chances(model)
        self._correlation = model.scores.correlation()
        self._told: dict[Prefix, _Told] = {}
        self._numbered: tuple[tuple[Source, ...], Ints] = ((), np.zeros(0, dtype=np.int64))
        self._known: dict[tuple[int, ...], ByUnit] = {}

    @property
    def assumption(self) -> str:
        model = self._model
        vectors = int(model.seen.max(initial=0)) + len(model.open)
        graph = "path lengths in the AS graph" if len(model.distances.asn) else "no AS graph"
        return (
            f"learned from {vectors} announcement vectors and {len(model.asn)} senders, beside {graph}; who was not "
            "seen does as those like it, senders that are not known stay"
        )

    def forecast_shares(
        self, demands: DemandColumns, before: Vector, after: Vector, *, roughly: bool = False
    ) -> Shares:
        by_unit, vectors = self._by_unit(demands, before, [after])
        if by_unit is None or dict(before) == dict(after):
            return next(self.forecast_each(demands, before, [after]))
        return by_unit.shares(demands, vectors[0], self._correlation, roughly=roughly)

    def forecast_each(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Iterator[Shares]:
        """Case by case, for any vectors; cases that are nearly alike are not taken together."""
        told, vector = self._told_apart(demands), self._model.vector
        chances = self._chances.of_each(told.cases, vector(before), [vector(after) for after in afters])
        for expected in self._expected(told, before, afters, chances):
            yield Shares(group=told.case, expected=expected, unit=told.unit, correlation=self._correlation)

    def expect(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        by_unit, vectors = self._by_unit(demands, before, afters)
        if by_unit is not None:
            by_unit.expect(demands, vectors)

    def movement(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Movement:
        by_unit, vectors = self._by_unit(demands, before, afters)
        if by_unit is None:
            return summed(demands, self.forecast_each(demands, before, afters))
        return by_unit.movement(demands, vectors, self._correlation)

    def _by_unit(
        self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]
    ) -> tuple[ByUnit | None, list[tuple[int, ...]]]:
        """None where other links are withheld; and the vectors as the model has them."""
        if not all(known.is_for(demands) for known in self._known.values()):
            self._known.clear()
        own = self._model.vector(before)
        if own not in self._known:
            self._known[own] = ByUnit(self._chances, demands, self.numbers(demands.sources), own)
        known, vectors = self._known[own], [self._model.vector(after) for after in afters]
        return (known if known.can_tell(vectors) else None), vectors

    def prepare(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        by_unit, vectors = self._by_unit(demands, before, afters)
        if by_unit is not None:
            by_unit.prepare(demands, vectors)

    @staticmethod
    def _expected(
        told: _Told, before: Vector, afters: Sequence[Vector], chances: Iterable[Probabilities]
    ) -> Iterator[Probabilities]:
        """(N, K) for each vector. `chances` (C, links of the model): of the cases, for each vector."""
        width, count = len(told.demands.links), len(told.cases.asn)
        staying = np.zeros((len(told.link), width), dtype=np.float32)
        staying[np.arange(len(told.link)), told.link] = 1.0
        known = np.flatnonzero(told.place >= 0)
        for after, each in zip(afters, chances, strict=True):
            expected = staying.copy()
            if count and dict(before) != dict(after):
                expected[:count] = 0.0
                expected[:count, known] = each[:, told.place[known]]
            yield expected

    def _told_apart(self, demands: DemandColumns) -> _Told:
        told = self._told.get(demands.prefix)
        if told is None or told.demands is not demands:
            told = self._told[demands.prefix] = self._tell_apart(demands)
        return told

    def numbers(self, sources: tuple[Source, ...]) -> Ints:
        """(sources) their AS; worked out once for a scene, which has tens of thousands."""
        if self._numbered[0] is not sources:
            self._numbered = sources, np.array([source.asn for source in sources], dtype=np.int64)
        return self._numbered[1]

    def _tell_apart(self, demands: DemandColumns) -> _Told:
        model, width = self._model, len(demands.links)
        place = np.array([model.links.index(k) if k in model.links else -1 for k in demands.links], dtype=np.int64)
        asn = self.numbers(demands.sources)[demands.source_index]
        movable = demands.movable
        # An AS that nobody knows, or a link that the model was not made for: nothing is claimed of it.
        rows = np.flatnonzero(movable & (asn > 0) & (place[demands.link_index] >= 0))
        cases = self._chances.cases(asn[rows], place[demands.link_index[rows]])
        count = len(cases.asn)
        case = count + 2 * demands.link_index + movable
        case[rows] = cases.of
        there, case = np.unique(np.concatenate([np.arange(count), case]), return_inverse=True)
        case = case.reshape(-1)[count:]
        link = np.concatenate([np.zeros(count, dtype=np.int64), np.repeat(np.arange(width), 2)])
        link = link[there]
        link[case] = demands.link_index
        return _Told(
            demands=demands,
            cases=cases,
            case=case,
            link=link,
            place=place,
            unit=demands.source_index * width + demands.link_index,
        )
