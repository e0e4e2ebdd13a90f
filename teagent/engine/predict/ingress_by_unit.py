"""What was learned, asked about prefixes that are announced alike: unit by unit, not demand by demand.

Most senders towards a large prefix send next to nothing of what it draws. Roughly, they need not be asked about: what
the lightest of a link send is taken to do as the others there do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.distinct import distinct
from teagent.engine.predict.habits import WITHHELD
from teagent.engine.predict.ingress import Vector
from teagent.engine.predict.ingress_shares import Chances
from teagent.engine.predict.ingress_sums import Sums
from teagent.engine.predict.ingress_units import Answers
from teagent.engine.predict.movement import Movement
from teagent.engine.predict.pooling import Weights
from teagent.engine.predict.shares import DemandColumns, Flags, Floats, Ints, Shares
from teagent.model.bgp import Prefix

CHANCE_STEPS, COARSE = 200, 10
"""Demands whose chances differ by less than one of so many steps are taken together: finer, nobody knows. Of MANY
units the lightest, SMALL of the load together, are told apart by so many steps at once; their mean stays what it is.
"""
MANY, SMALL = 1000, 0.1
LIGHT, LIGHT_IN_LOOKS = 0.01, 0.1
"""Of MANY demands the lightest, so much of the load together, are not asked about, in rough forecasts and in quick
looks.
"""
OF_A_LINK = 5
"""Of what comes by one link it is at most so many times that share, and half."""
FINENESS, WEIGHTS = 4, 256
"""They are told from the others by so many steps of weight: of each octave, and of all."""

NUMBER_MAX = 2**62


class ByUnit:
    """For the scene of `demands`, and all of its prefixes that are announced as `before`. `asn` is of its sources."""

    def __init__(self, chances: Chances, demands: DemandColumns, asn: Ints, before: Vector) -> None:
        self._before = before
        self._sources, self._names = demands.sources, demands.links
        units, others = (_Units(chances, chances.answers(before), demands.links, asn) for _ in range(2))
        self._looked, self._forecast, self._rough = _Looked(units), _Forecast(others, 0.0), _Forecast(others, LIGHT)

    def is_for(self, demands: DemandColumns) -> bool:
        return self._sources is demands.sources and self._names == demands.links

    def can_tell(self, afters: Sequence[Vector]) -> bool:
        """Not where other links are withheld: who has none left that it chooses among goes anywhere."""
        return bool(((np.array(afters) >= WITHHELD) == (np.array(self._before) >= WITHHELD)).all())

    def expect(self, demands: DemandColumns, afters: Sequence[Vector]) -> None:
        self._looked.expect(demands, afters)

    def movement(self, demands: DemandColumns, afters: Sequence[Vector], correlation: float) -> Movement:
        return self._looked.movement(demands, afters, correlation)

    def prepare(self, demands: DemandColumns, afters: Sequence[Vector]) -> None:
        self._rough.prepare(demands, afters)

    def shares(self, demands: DemandColumns, after: Vector, correlation: float, *, roughly: bool) -> Shares:
        return (self._rough if roughly else self._forecast).shares(demands, after, correlation)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Claimed:
    """Of the demands of a prefix (N), `rows` are those that are of a `unit` (N; the others: -1), and `light` those that
    do as these do. Of the rest nothing is claimed. `more_bps`: what is light, by link of the model.
    """

    unit: Ints
    rows: Ints
    light: Ints
    more_bps: Floats


class _Units:
    """Units among the senders of one scene, with their `answers`. `link` says where the scene, which has `width` of
    them, has each link of the model, -1 where it has none.
    """

    def __init__(self, chances: Chances, answers: Answers, names: Sequence[str], asn: Ints) -> None:
        links = chances.model.links
        self.answers, self.width = answers, len(names)
        self.link = np.array([names.index(k) if k in names else -1 for k in links], dtype=np.int64)
        self._chances, self._asn = chances, asn
        self._place = np.array([links.index(name) if name in links else -1 for name in names], dtype=np.int64)
        self._unit = np.zeros((0, 0), dtype=np.int32)

    def claimed(self, demands: DemandColumns, share: float) -> _Claimed:
        """Not an AS that nobody knows, nor a link that the model was not made for."""
        source, link = demands.source_index, demands.link_index
        claimed = np.flatnonzero(demands.movable & (self._asn[source] > 0) & (self._place[link] >= 0))
        lightest = _lightest(link[claimed], demands.bps[claimed], share)
        light, rows = claimed[lightest], claimed[~lightest]
        unit = np.full(len(source), -1, dtype=np.int64)
        unit[rows] = self._units_of(source[rows], link[rows])
        return _Claimed(
            unit=unit,
            rows=rows,
            light=light,
            more_bps=_summed(self._place[link[light]], demands.bps[light], len(self.link)),
        )

    def on(self, units: Ints) -> Ints:
        """(u) by which link of the scene each comes."""
        answers = self.answers
        result: Ints = self.link[answers.places[answers.combination[units], answers.at[units]]]
        return result

    def _units_of(self, source: Ints, link: Ints) -> Ints:
        if not self._unit.size:  # megabytes, which are not needed where nothing is asked
            self._unit = np.full((len(self._asn), self.width), -1, dtype=np.int32)
        new = np.flatnonzero(self._unit[source, link] < 0)
        if len(new):
            units = self._chances.units(self._asn[source[new]], self._place[link[new]], self.answers.before)
            self._unit[source[new], link[new]] = self.answers.register(units)[units.of]
        return self._unit[source, link].astype(np.int64)


class _Looked:
    """Quick looks: sums over units."""

    def __init__(self, units: _Units) -> None:
        self._units = units
        self._towards: dict[Prefix, tuple[DemandColumns, Sums]] = {}

    def expect(self, demands: DemandColumns, afters: Sequence[Vector]) -> None:
        self._tell_apart(demands)
        self._units.answers.expect(afters)

    def movement(self, demands: DemandColumns, afters: Sequence[Vector], correlation: float) -> Movement:
        return self._tell_apart(demands).movement(afters, self._units.link, self._units.width, correlation)

    def _tell_apart(self, demands: DemandColumns) -> Sums:
        known = self._towards.get(demands.prefix)
        if known is None or known[0] is not demands:
            claimed = self._units.claimed(demands, LIGHT_IN_LOOKS)
            sums = Sums(self._units.answers, claimed.unit, demands.bps, claimed.more_bps)
            known = self._towards[demands.prefix] = demands, sums
        return known[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Towards:
    """The demands of a prefix (N): `of` (N) is which of the `units` (u) each is of, or, behind these, which of those
    that stay: two for each link, movable and not, where there are such (`stays`); or, behind these, the light ones of a
    link (`light`). `on`, `load` (u) of the units; `small`, `lightest` (u) are those that are told apart more
    coarsely, and not at all: the light ones go with them.
    """

    demands: DemandColumns
    units: Ints
    on: Ints
    load: Floats
    of: Ints
    stays: Ints
    light: Ints
    small: Flags
    lightest: Flags


class _Forecast:
    """Forecasts for one vector: units that do nearly the same are a group. Up to `share` of what each prefix draws, its
    lightest demands, is not asked about.
    """

    def __init__(self, units: _Units, share: float) -> None:
        self._units, self._share = units, share
        self._towards: dict[Prefix, _Towards] = {}

    def prepare(self, demands: DemandColumns, afters: Sequence[Vector]) -> None:
        self._tell_apart(demands)
        self._units.answers.expect(afters)

    def shares(self, demands: DemandColumns, after: Vector, correlation: float) -> Shares:
        towards, width = self._tell_apart(demands), self._units.width
        places, chance = self._units.answers.forecast(towards.units, after)
        places = self._units.link[places]
        group, told = np.empty(len(towards.units), dtype=np.int64), np.flatnonzero(~towards.lightest)
        group[told] = _grouped(towards.on[told], places[told], chance[told], towards.small[told], width)
        first = int(group[told].max(initial=-1)) + 1
        group[towards.lightest] = first + np.searchsorted(towards.light, towards.on[towards.lightest])
        light, stays = (np.arange(len(links)) for links in (towards.light, towards.stays))
        of_all: npt.NDArray[np.int64] = np.concatenate((group, first + len(light) + stays, first + light))
        expected = _mean(group, places, chance, towards.load, width)
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
        link, width, claimed = demands.link_index, self._units.width, self._units.claimed(demands, self._share)
        units, place = distinct(claimed.unit[claimed.rows], len(self._units.answers.at))
        on, load = self._units.on(units), _summed(place, demands.bps[claimed.rows], len(units))
        of, rest = np.empty(len(link), dtype=np.int64), claimed.unit < 0
        of[claimed.rows] = place
        kind = 2 * link + demands.movable
        kind[claimed.light] = 2 * width + link[claimed.light]
        kinds, which = distinct(kind[rest], 3 * width)
        of[rest] = len(units) + which
        light = kinds[kinds >= 2 * width] - 2 * width
        return _Towards(
            demands=demands,
            units=units,
            on=on,
            load=load,
            of=of,
            stays=kinds[kinds < 2 * width],
            light=light,
            small=_lightest(on, load, SMALL),
            lightest=_at_least_one(on, load, light) | _lightest(on, load, self._share) & np.isin(on, light),
        )


def _lightest(link: Ints, bps: Floats, share: float) -> Flags:
    """(n) which of MANY loads `bps` (n), each on a `link` (n), are the lightest: up to a `share` of all, and not much
    more of what is on the link.
    """
    if len(bps) <= MANY:
        return np.zeros(len(bps), dtype=bool)
    weight = np.clip(FINENESS * np.log2(bps), 0, WEIGHTS - 1).astype(np.int64)
    load = np.bincount(link * WEIGHTS + weight, weights=bps, minlength=WEIGHTS * (int(link.max()) + 1))
    up_to = np.cumsum(load.reshape(-1, WEIGHTS), axis=1)
    of_all, of_link = up_to.sum(axis=0), up_to[:, -1:]
    few = (of_all <= share * of_all[-1]) & (up_to <= min(0.5, OF_A_LINK * share) * of_link)
    result: Flags = few[link, weight]
    return result


def _summed(place: Ints, weights: Floats, count: int) -> Floats:
    return np.bincount(place, weights=weights, minlength=count).astype(np.float64)


def _at_least_one(on: Ints, load: Floats, links: Ints) -> Flags:
    """(u) the lightest of the units `on` each of these links."""
    result, lightest = np.zeros(len(on), dtype=bool), np.zeros(int(on.max(initial=0)) + 1, dtype=np.int64)
    heaviest_first = np.argsort(-load, kind="stable")
    lightest[on[heaviest_first]] = heaviest_first
    result[lightest[links]] = True
    return result


def _grouped(own: Ints, places: Ints, chance: Weights, small: Flags, width: int) -> Ints:
    """(u) for each unit its group: units on `own` (u) that are nearly alike. `chance` (u, P) to come by each of
    `places` (u, P), -1 for links that the scene does not have; more roughly for the `small` (u).
    """
    steps = np.round(chance * CHANCE_STEPS).astype(np.int64)
    # Rounded up: who may come by a link at all is not taken together with who may not.
    steps[small] = -(-steps[small] // COARSE) * COARSE
    code, base = own, width * (CHANCE_STEPS + COARSE) + 1
    for place, step in zip(places.T, steps.T, strict=True):
        if code.max(initial=0) >= NUMBER_MAX // base:
            code = np.unique(code, return_inverse=True)[1].reshape(-1)
        other = (place != own) & (place >= 0) & (step > 0)
        code = code * base + np.where(other, 1 + place * (CHANCE_STEPS + COARSE) + step, 0)
    return np.unique(code, return_inverse=True)[1].reshape(-1)


def _mean(group: Ints, places: Ints, chance: Weights, load: Floats, width: int) -> Floats:
    """(groups, K) what is expected of the units of each `group` (u), by their `load` (u); the rest as in `_grouped`."""
    load = load + 1e-9
    row, column = np.nonzero((places >= 0) & (chance > 0))
    total = np.bincount(group, weights=load)
    cell = group[row] * width + places[row, column]
    expected = np.bincount(cell, weights=load[row] * chance[row, column], minlength=len(total) * width)
    return expected.reshape(-1, width) / total[:, None]
