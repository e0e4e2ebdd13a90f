"""What was learned, asked about prefixes that are announced alike: unit by unit, not demand by demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.habits import WITHHELD
from teagent.engine.predict.ingress import Ints, Vector
from teagent.engine.predict.ingress_shares import Chances
from teagent.engine.predict.ingress_sums import Sums
from teagent.engine.predict.movement import Movement, summed
from teagent.engine.predict.pooling import Weights
from teagent.engine.predict.shares import DemandColumns, Floats, Shares
from teagent.model.bgp import Prefix

CHANCE_STEPS = 200
"""Demands whose chances differ by less than one of so many steps are taken together: finer, nobody knows."""

HEAVIEST = 256
"""Of so many demands of a prefix simple models choose among all links in a quick look, too: these are most of it."""

NUMBER_MAX = 2**62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Heaviest:
    """A few demands (N), of the unit `unit` (N), with their own `hops` (K, N)."""

    demands: DemandColumns
    unit: Ints
    hops: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Towards:
    """The demands of a prefix (N): `of` (N) is which unit each is of, or, behind these, which of those that stay: two
    for each link, movable and not, where there are such (`stays`). If simple models are asked too: `hops` (K, u) of
    each unit, the `heaviest` demands, and `looks`, the sums without these.
    """

    demands: DemandColumns
    sums: Sums
    looks: Sums
    heaviest: _Heaviest | None
    hops: Ints | None
    of: Ints
    stays: Ints


class ByUnit:
    """For the scene of `demands`, and all of its prefixes that are announced as `before`. `asn` is of its sources."""

    def __init__(self, chances: Chances, demands: DemandColumns, asn: Ints, before: Vector) -> None:
        links = chances.model.links
        self._chances, self._asn, self._before = chances, asn, before
        self._answers = chances.answers(before)
        self._sources, self._names = demands.sources, demands.links
        self._place = np.array([links.index(name) if name in links else -1 for name in demands.links], dtype=np.int64)
        self._link = np.array([demands.links.index(k) if k in demands.links else -1 for k in links], dtype=np.int64)
        self._unit = np.full((len(asn), len(demands.links)), -1, dtype=np.int32)
        self._towards: dict[Prefix, _Towards] = {}

    def is_for(self, demands: DemandColumns) -> bool:
        return self._sources is demands.sources and self._names == demands.links

    def can_tell(self, afters: Sequence[Vector]) -> bool:
        """Not where other links are withheld: who has none left that it chooses among goes anywhere."""
        return all(_withheld(after) == _withheld(self._before) for after in afters)

    def expect(self, demands: DemandColumns, afters: Sequence[Vector]) -> None:
        self._tell_apart(demands)
        self._answers.expect(afters)

    def movement(self, demands: DemandColumns, afters: Sequence[Vector], correlation: float) -> Movement:
        towards = self._tell_apart(demands)
        found = towards.looks.movement(afters, self._link, len(self._names), correlation)
        return found if towards.heaviest is None else found + self._one_by_one(towards.heaviest, afters, correlation)

    def _one_by_one(self, heaviest: _Heaviest, afters: Sequence[Vector], correlation: float) -> Movement:
        demands, row = heaviest.demands, np.arange(len(heaviest.unit))
        _, chance = self._answers.forecast(heaviest.unit, heaviest.hops, afters)
        known = np.flatnonzero(self._link >= 0)
        each = np.zeros((*chance.shape[:2], len(self._names)), dtype=np.float32)
        each[:, :, self._link[known]] = chance[:, :, known]
        for number in [number for number, after in enumerate(afters) if after == self._before]:
            each[number] = 0.0
            each[number, row, demands.link_index] = 1.0
        return summed(demands, (Shares(group=row, expected=one, unit=row, correlation=correlation) for one in each))

    def shares(self, demands: DemandColumns, after: Vector, correlation: float) -> Shares:
        towards, width, answers = self._tell_apart(demands), len(self._names), self._answers
        units = towards.sums.units
        own = self._link[answers.places[answers.combination[units], answers.at[units]]]
        places, chance = answers.forecast(units, towards.hops, [after])
        group, expected = _grouped(own, self._link[places], chance[0], towards.sums.load, width)
        of_all: npt.NDArray[np.int64] = np.concatenate((group, len(expected) + np.arange(len(towards.stays))))
        return Shares(
            group=of_all[towards.of],
            expected=np.concatenate((expected, np.eye(width)[towards.stays // 2])),
            unit=demands.source_index * width + demands.link_index,
            correlation=correlation,
        )

    def _tell_apart(self, demands: DemandColumns) -> _Towards:
        known = self._towards.get(demands.prefix)
        if known is None or known.demands is not demands:
            known = self._towards[demands.prefix] = self._told_apart(demands)
        return known

    def _told_apart(self, demands: DemandColumns) -> _Towards:
        unit = self._units_of(demands)
        sums = Sums(self._answers, unit, demands.bps)
        claimed = sums.place >= 0
        kind = (2 * demands.link_index + demands.movable)[~claimed]
        stays, which = np.unique(kind, return_inverse=True)
        of = sums.place.copy()
        of[~claimed] = len(sums.units) + which.reshape(-1)
        looks, heaviest, hops = sums, None, None
        if self._answers.simple_too:
            rows = np.flatnonzero(claimed)
            rows = rows[np.argsort(demands.bps[rows], kind="stable")]
            # The heaviest sender of each unit stands for all, who are its like.
            source = np.empty(len(sums.units), dtype=np.int64)
            source[sums.place[rows]] = demands.source_index[rows]
            hops, few = self._hops(source), rows[-HEAVIEST:]
            heaviest = _Heaviest(demands=demands.only(few), unit=unit[few], hops=self._hops(demands.source_index[few]))
            unit[few] = -1
            looks = Sums(self._answers, unit, demands.bps)
        return _Towards(demands=demands, sums=sums, looks=looks, heaviest=heaviest, hops=hops, of=of, stays=stays)

    def _hops(self, source: Ints) -> Ints:
        """(K, N) of N sources."""
        return self._chances.model.distances.hops_of(self._asn[source]).T.astype(np.int16)

    def _units_of(self, demands: DemandColumns) -> Ints:
        """(N) -1 for an AS that nobody knows, or a link that the model was not made for: nothing is claimed of it."""
        source, link = demands.source_index, demands.link_index
        claimed = demands.movable & (self._asn[source] > 0) & (self._place[link] >= 0)
        new = np.flatnonzero(claimed & (self._unit[source, link] < 0))
        if len(new):
            units = self._chances.units(self._asn[source[new]], self._place[link[new]], self._before)
            self._unit[source[new], link[new]] = self._answers.register(units)[units.of]
        return np.where(claimed, self._unit[source, link], -1)


def _withheld(vector: Vector) -> tuple[bool, ...]:
    return tuple(prepends >= WITHHELD for prepends in vector)


def _grouped(own: Ints, places: Ints, chance: Weights, weight: Weights, width: int) -> tuple[Ints, Floats]:
    """For each unit its group, and what is expected of the group: units on `own` (u) that are nearly alike, by their
    `weight` (u). `chance` (u, P) to come by each of `places` (u, P), -1 for links that the scene does not have.
    """
    steps = np.round(chance * CHANCE_STEPS).astype(np.int64)
    code, base = own, width * (CHANCE_STEPS + 1) + 1
    for place, step in zip(places.T, steps.T, strict=True):
        if code.max(initial=0) >= NUMBER_MAX // base:
            code = np.unique(code, return_inverse=True)[1].reshape(-1)
        other = (place != own) & (place >= 0) & (step > 0)
        code = code * base + np.where(other, 1 + place * (CHANCE_STEPS + 1) + step, 0)
    code, group = np.unique(code, return_inverse=True)
    group = group.reshape(-1)
    load: Floats = weight.astype(np.float64) + 1e-9
    row, column = np.nonzero((places >= 0) & (chance > 0))
    cell = group[row] * width + places[row, column]
    expected = np.bincount(cell, weights=load[row] * chance[row, column], minlength=len(code) * width)
    total = np.bincount(group, weights=load)
    return group, expected.reshape(-1, width) / total[:, None]
