"""The learned model where it alone is believed, asked about prefixes that are announced alike: unit by unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.habits import WITHHELD
from teagent.engine.predict.ingress import Ints, Vector
from teagent.engine.predict.ingress_shares import Chances
from teagent.engine.predict.ingress_sums import Sums
from teagent.engine.predict.movement import Movement
from teagent.engine.predict.pooling import Weights
from teagent.engine.predict.shares import DemandColumns, Floats, Shares
from teagent.model.bgp import Prefix

CHANCE_STEPS = 200
"""Demands whose chances differ by less than one of so many steps are taken together: finer, nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Towards:
    """The demands of a prefix (N): `of` (N) is which unit each is of, or, behind these, which of those that stay: two
    for each link, movable and not, where there are such (`stays`).
    """

    demands: DemandColumns
    sums: Sums
    of: Ints
    stays: Ints


class Alone:
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
        return self._tell_apart(demands).sums.movement(afters, self._link, len(self._names), correlation)

    def shares(self, demands: DemandColumns, after: Vector, correlation: float) -> Shares:
        towards, width, answers = self._tell_apart(demands), len(self._names), self._answers
        units = towards.sums.units
        places = self._link[answers.places[answers.combination[units]]]
        own = places[np.arange(len(units)), answers.at[units]]
        group, expected = _grouped(own, places, towards.sums.chances(after), towards.sums.load, width)
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
            sums = Sums(self._answers, self._units_of(demands), demands.bps)
            claimed = sums.place >= 0
            kind = (2 * demands.link_index + demands.movable)[~claimed]
            stays, which = np.unique(kind, return_inverse=True)
            of = sums.place.copy()
            of[~claimed] = len(sums.units) + which.reshape(-1)
            known = self._towards[demands.prefix] = _Towards(demands=demands, sums=sums, of=of, stays=stays)
        return known

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
    `weight` (u). `chance` (u, S) to come by each of `places` (u, S), -1 for links that the scene does not have.
    """
    steps = np.round(chance * CHANCE_STEPS).astype(np.int64)
    code, base = own, width * (CHANCE_STEPS + 1) + 1
    for place, step in zip(places.T, steps.T, strict=True):
        other = (place != own) & (place >= 0) & (step > 0)
        code = code * base + np.where(other, 1 + place * (CHANCE_STEPS + 1) + step, 0)
    code, group = np.unique(code, return_inverse=True)
    group = group.reshape(-1)
    load: Floats = weight.astype(np.float64) + 1e-9
    expected: Floats = np.zeros(len(code) * width)
    for place, column in zip(places.T, chance.T, strict=True):
        there = np.flatnonzero(place >= 0)
        cell = group[there] * width + place[there]
        expected += np.bincount(cell, weights=load[there] * column[there], minlength=len(expected))
    total = np.bincount(group, weights=load)
    return group, expected.reshape(-1, width) / total[:, None]
