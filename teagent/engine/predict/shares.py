"""Over which link each demand will come after a change: the seam that a learned model takes over.

`Forecaster` is what the dry run asks. `TiesStick` is the first form: it knows nothing but what it sees now and the
stated assumption of `prior`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.prior import CORRELATION, NEVER_LEAVES, WEIGHT_OF_DIFFERENCE, destinations
from teagent.model.bgp import Prefix
from teagent.model.traffic import Source

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NOT_CARRIED = 100
"""Prepends that stand for "not announced here": further than any difference that is believed possible."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemandColumns:
    """The N demands towards one prefix, as parallel columns; `links` are all K links of the scene.

    `link_index` (N) and `source_index` (N) point into `links` and `sources`. `at_least` (N, K): what observation says
    of the sender's path difference to each link, over all prefixes for which it was seen on this link; its own link's
    column means nothing. `movable` (N): False where the sender is not known, so that nothing is claimed of it.
    """

    prefix: Prefix
    links: tuple[str, ...]
    sources: tuple[Source, ...]
    link_index: Ints
    source_index: Ints
    at_least: Ints
    movable: Flags
    bps: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shares:
    """`expected` (N, K): the probability that a demand comes over each link afterwards; each row sums to 1.

    A demand moves as a whole. `unit` (N) numbers the senders: demands with the same number decide alike, whatever
    the prefix. `correlation` (0 to 1) is how alike different units decide.
    """

    expected: Floats
    unit: Ints
    correlation: float


class Forecaster(Protocol):
    @property
    def assumption(self) -> str:
        """In words: on what the forecast rests."""

    def forecast_shares(self, demands: DemandColumns, before: Mapping[str, int], after: Mapping[str, int]) -> Shares:
        """`before` and `after` map the links that carry the prefix to their prepends."""


class Remembering:
    """Asks another forecaster once for each vector of a prefix: a search asks for the same ones over and over.

    Good for one scene only.
    """

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster = forecaster
        self._known: dict[tuple[Prefix, tuple[tuple[str, int], ...]], Shares] = {}

    @property
    def assumption(self) -> str:
        return self._forecaster.assumption

    def forecast_shares(self, demands: DemandColumns, before: Mapping[str, int], after: Mapping[str, int]) -> Shares:
        key = (demands.prefix, tuple(sorted(after.items())))
        if key not in self._known:
            self._known[key] = self._forecaster.forecast_shares(demands, before, after)
        return self._known[key]


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

    def forecast_shares(self, demands: DemandColumns, before: Mapping[str, int], after: Mapping[str, int]) -> Shares:
        count, width = len(demands.bps), len(demands.links)
        expected = np.zeros((count, width))
        expected[np.arange(count), demands.link_index] = 1.0
        for own, name in enumerate(demands.links):
            rows = np.flatnonzero((demands.link_index == own) & demands.movable)
            others = np.array(
                [k for k, other in enumerate(demands.links) if k != own and other in after], dtype=np.int64
            )
            if not len(rows) or name not in after or not len(others):
                continue
            advantage = np.array([after[name] - after[demands.links[int(k)]] for k in others], dtype=np.int64)
            # Seen here under `before`, nobody leaves for a link that has not become shorter against this one since.
            # (What `before` says beyond that is in `at_least` already.)
            if all(a <= before[name] - before[demands.links[int(k)]] for a, k in zip(advantage, others, strict=True)):
                continue
            bounds, which = np.unique(demands.at_least[np.ix_(rows, others)], axis=0, return_inverse=True)
            moved = destinations(bounds, advantage)[which.reshape(-1)]
            expected[np.ix_(rows, others)] = moved
            expected[rows, own] = 1.0 - moved.sum(axis=1)
        unit = demands.source_index * width + demands.link_index
        return Shares(expected=expected, unit=unit, correlation=CORRELATION)


TIES_STICK: Forecaster = TiesStick()
