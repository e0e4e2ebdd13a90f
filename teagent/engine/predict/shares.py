"""Over which link each demand will come after a change: the seam that a learned model takes over.

`Forecaster` is what the dry run asks. `TiesStick` is the first form: it knows nothing but what it sees now and the
stated assumption of `prior`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Protocol

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.distinct import distinct
from teagent.engine.predict.movement import Movement, nothing, summed
from teagent.engine.predict.prior import CORRELATION, NEVER_LEAVES, NO_WAY, WEIGHT_OF_DIFFERENCE, destinations
from teagent.model.bgp import Prefix
from teagent.model.traffic import Source

NOT_CARRIED = -NO_WAY
"""Prepends that stand for "not announced here": further than any difference that is believed possible."""

Floats = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.floating]
"""In single precision where many are looked at."""
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kinds:
    """G kinds of demands towards one prefix: what tells them apart besides who sends, and how much.

    `at_least` (G, K): what observation says of the sender's path difference to each link, over all prefixes for which
    it was seen on its own (`link_index`, G), whose column means nothing. `movable` (G): False where the sender is not
    known, so that nothing is claimed of it.
    """

    link_index: Ints
    at_least: Ints
    movable: Flags


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemandColumns:
    """The N demands towards one prefix, as parallel columns; `links` are all K links of the scene.

    `link_index` (N) and `source_index` (N) point into `links` and `sources`, `kind` (N) into `kinds`. No two demands
    have both the same link and the same source.
    """

    prefix: Prefix
    links: tuple[str, ...]
    sources: tuple[Source, ...]
    link_index: Ints
    source_index: Ints
    bps: Floats
    kind: Ints
    kinds: Kinds

    @property
    def at_least(self) -> Ints:
        """(N, K)"""
        return self.kinds.at_least[self.kind]

    @property
    def movable(self) -> Flags:
        """(N)"""
        return self.kinds.movable[self.kind]

    def only(self, rows: Ints) -> DemandColumns:
        used, kind = distinct(self.kind[rows], len(self.kinds.movable))
        return replace(
            self,
            link_index=self.link_index[rows],
            source_index=self.source_index[rows],
            bps=self.bps[rows],
            kind=kind,
            kinds=Kinds(
                link_index=self.kinds.link_index[used],
                at_least=self.kinds.at_least[used],
                movable=self.kinds.movable[used],
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shares:
    """`group` (N) divides demands into M groups, of one link each, and alike movable; `expected` (M, K): the
    probability that a demand of the group comes over each link afterwards; each row sums to 1. The fewer the groups,
    the quicker is all that is reckoned from them.

    A demand moves as a whole. `unit` (N) numbers the senders: demands with the same number decide alike, whatever
    the prefix. `correlation` (0 to 1) is how alike different units decide.
    """

    group: Ints
    expected: Probabilities
    unit: Ints
    correlation: float

    def of_demands(self) -> Floats:
        """(N, K)"""
        return self.expected[self.group].astype(np.float64)


Vector = Mapping[str, int]
"""The links that carry a prefix, with their prepends."""


class Forecaster(Protocol):
    @property
    def assumption(self) -> str:
        """In words: on what the forecast rests."""

    def forecast_shares(
        self, demands: DemandColumns, before: Vector, after: Vector, *, roughly: bool = False
    ) -> Shares:
        """`roughly`, to weigh many vectors: who sends next to nothing of what the prefix draws need not be asked."""

    def prepare(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        """That `forecast_shares` will be asked for each, roughly: what can be is worked out together."""

    def expect(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        """That `movement` will be asked for. What is expected before anything is asked can be worked out together."""

    def movement(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Movement:
        """For many vectors, at least one, what a search looks at before it asks for a forecast of some."""

    def seen_under(self, source: Source) -> int:
        """How many announcement vectors a sender was seen under, as far as that was learned from."""


class Remembering:
    """Asks another forecaster once for each vector of a prefix: a search asks for the same ones over and over.

    Good for one scene only.
    """

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster = forecaster
        self._known: dict[tuple[Prefix, tuple[tuple[str, int], ...], bool], Shares] = {}

    @property
    def assumption(self) -> str:
        return self._forecaster.assumption

    def forecast_shares(
        self, demands: DemandColumns, before: Vector, after: Vector, *, roughly: bool = False
    ) -> Shares:
        key = (demands.prefix, tuple(sorted(after.items())), roughly)
        if key not in self._known:
            self._known[key] = self._forecaster.forecast_shares(demands, before, after, roughly=roughly)
        return self._known[key]

    def prepare(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        self._forecaster.prepare(demands, before, afters)

    def expect(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        self._forecaster.expect(demands, before, afters)

    def movement(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Movement:
        """Not remembered: few of many are asked for again."""
        return self._forecaster.movement(demands, before, afters)

    def seen_under(self, source: Source) -> int:
        return self._forecaster.seen_under(source)


class TiesStick:
    """Each sender takes the shortest path and keeps the older one of equals; path differences are as in `prior`."""

    @property
    def assumption(self) -> str:
        equal = WEIGHT_OF_DIFFERENCE[0]
        return (
            f"first form, nothing learned yet: each sender takes the shortest path and stays on it at equal length; "
            f"{equal:.0%} of senders see equally long paths before our prepends, {NEVER_LEAVES:.0%} of traffic never "
            f"leaves its link, senders that are not known stay"
        )

    def seen_under(self, source: Source) -> int:  # noqa: ARG002  # it learns nothing
        return 0

    def forecast_shares(
        self,
        demands: DemandColumns,
        before: Vector,
        after: Vector,
        *,
        roughly: bool = False,  # noqa: ARG002  # asks all of them quickly
    ) -> Shares:
        return next(self.forecast_each(demands, before, [after]))

    def prepare(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        """Each vector is quick by itself."""

    def expect(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        """Each prefix is quick by itself."""

    def movement(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Movement:
        if not demands.kinds.movable.any():  # as where only the senders are left that nobody knows
            return nothing(len(afters), len(demands.links), CORRELATION)
        return summed(demands, self.forecast_each(demands, before, afters))

    @staticmethod
    def forecast_each(demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Iterator[Shares]:
        unit = demands.source_index * len(demands.links) + demands.link_index
        # Some vectors at a time: as many as have a few megabytes of probabilities.
        step = max(1, TOGETHER // max(1, demands.kinds.at_least.size))
        for first in range(0, len(afters), step):
            for expected in _expected(demands, before, afters[first : first + step]):
                yield Shares(group=demands.kind, expected=expected, unit=unit, correlation=CORRELATION)


TOGETHER = 400_000


def _expected(demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Floats:
    """(vectors, G, K)"""
    own, at_least = demands.kinds.link_index, demands.kinds.at_least
    was, now = _prepends(demands.links, [before])[0], _prepends(demands.links, afters)
    advantage = now[:, own, None] - now[:, None, :]  # (vectors, G, K): how much shorter a link is than the own one
    way = (now < NOT_CARRIED)[:, None, :] & (now[:, own] < NOT_CARRIED)[:, :, None] & demands.kinds.movable[:, None]
    way[:, np.arange(len(own)), own] = False
    # Seen here under `before`, nobody leaves for a link that has not become shorter against this one since.
    # (What `before` says beyond that is in `at_least` already.)
    vector, kind = np.nonzero((way & (advantage > was[own, None] - was)).any(axis=2))
    open_to = way[vector, kind]
    moved = destinations(np.where(open_to, at_least[kind], NO_WAY), np.where(open_to, advantage[vector, kind], NO_WAY))
    expected = np.zeros(advantage.shape)
    expected[:, np.arange(len(own)), own] = 1.0
    expected[vector, kind] = moved
    expected[vector, kind, own[kind]] = 1.0 - moved.sum(axis=1)
    return expected


def _prepends(links: Sequence[str], vectors: Sequence[Vector]) -> Ints:
    each = chain.from_iterable(map(vector.get, links, repeat(NOT_CARRIED)) for vector in vectors)
    return np.fromiter(each, dtype=np.int64, count=len(vectors) * len(links)).reshape(len(vectors), len(links))


def shorter(links: Sequence[str], before: Vector, afters: Sequence[Vector]) -> Flags:
    """(vectors, K, K): to whom on the first link has the second become shorter against it?"""
    was, now = _prepends(links, [before])[0], _prepends(links, afters)
    carried = now < NOT_CARRIED
    longer = now[:, :, None] - now[:, None, :] > was[:, None] - was
    result: Flags = longer & carried[:, :, None] & carried[:, None, :]
    return result


TIES_STICK = TiesStick()
