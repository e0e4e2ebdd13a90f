"""What many vectors of one prefix would move between links: sums over its demands, all that a quick look needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # whose forecasters are asked for this
    from teagent.engine.predict.shares import DemandColumns, Flags, Floats, Ints, Probabilities, Shares

LIKELY = 0.5
TOGETHER = 400_000
"""So many probabilities are summed in one go: a few megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Movement:
    """For each of V vectors, from which of K links to which, (V, K, K); on the diagonal, what leaves the link.

    `mean`: the loads, each by its chance to move, `may`: whole where there is any; `doubt`: the squares of the loads
    by the variance of going or staying; `slope`: the loads by how fast the chance follows what senders have in common
    (near to the normal density at its quantile). `surely` (V, K): what more likely leaves than stays, by its chance.
    `correlation`: how alike senders decide.
    """

    mean: Floats
    may: Floats
    doubt: Floats
    slope: Floats
    surely: Floats
    correlation: float

    def __add__(self, other: Movement) -> Movement:
        """Of other demands under the same vectors."""
        return Movement(
            mean=self.mean + other.mean,
            may=self.may + other.may,
            doubt=self.doubt + other.doubt,
            slope=self.slope + other.slope,
            surely=self.surely + other.surely,
            correlation=max(self.correlation, other.correlation),
        )


def functions(chance: Probabilities) -> tuple[Probabilities, Probabilities]:
    """The variance of going or staying, and how fast a chance follows what senders have in common."""
    doubt = chance * (1 - chance)
    return doubt, np.sqrt(doubt * np.sqrt(doubt))


def nothing(vectors: int, links: int, correlation: float) -> Movement:
    """Of demands none of which can move."""
    still = np.zeros((vectors, links, links))
    return Movement(
        mean=still, may=still, doubt=still, slope=still, surely=np.zeros((vectors, links)), correlation=correlation
    )


def summed(demands: DemandColumns, forecasts: Iterable[Shares]) -> Movement:
    """From a forecast for each vector; those with the same groups are summed together."""
    found: list[Movement] = []
    for _, same in groupby(forecasts, key=lambda shares: id(shares.group)):
        batch: list[Shares] = []
        for shares in same:
            batch.append(shares)
            if len(batch) * shares.expected.size >= TOGETHER:
                found.append(_summed(demands, batch))
                batch = []
        if batch:
            found.append(_summed(demands, batch))
    return joined(found)


def joined(parts: Sequence[Movement]) -> Movement:
    """The vectors of one after those of the other; at least one."""
    return Movement(
        mean=np.concatenate([part.mean for part in parts]),
        may=np.concatenate([part.may for part in parts]),
        doubt=np.concatenate([part.doubt for part in parts]),
        slope=np.concatenate([part.slope for part in parts]),
        surely=np.concatenate([part.surely for part in parts]),
        correlation=max(part.correlation for part in parts),
    )


def _summed(demands: DemandColumns, batch: Sequence[Shares]) -> Movement:
    groups, group = len(batch[0].expected), batch[0].group
    own = np.zeros(groups, dtype=np.int64)
    own[group] = demands.link_index
    bps, square = (np.bincount(group, weights=weights, minlength=groups) for weights in (demands.bps, demands.bps**2))
    chance = np.stack([shares.expected for shares in batch])
    rows = np.arange(groups)
    chance[:, rows, own] = np.clip(1.0 - chance[:, rows, own], 0.0, 1.0)
    moving = np.flatnonzero((chance[:, rows, own] > 0).any(axis=0))
    chance, own, bps, square = chance[:, moving], own[moving], bps[moving], square[moving]
    at, to = np.nonzero((chance > 0).any(axis=0))
    width = len(demands.links)
    cells = Cells(own[at] * width + to, width)
    # Sums of weights may come out just above 1.
    chance = np.minimum(chance[:, at, to], 1.0)
    doubt, slope = functions(chance)
    load = bps[at].astype(chance.dtype)
    leaving = np.flatnonzero(own[at] == to)
    gone = chance[:, leaving]
    sure = np.where(gone >= LIKELY, gone, 0.0) * load[leaving]
    return Movement(
        mean=cells.summed(chance * load),
        may=cells.summed((chance > 0) * load),
        doubt=cells.summed(doubt * square[at].astype(chance.dtype)),
        slope=cells.summed(slope * load),
        surely=sure.astype(np.float64) @ (to[leaving][:, None] == np.arange(width)),
        correlation=batch[0].correlation,
    )


class Cells:
    """Sums of columns by the cell (N) of a table of K times K that each belongs to."""

    def __init__(self, cell: Ints, width: int) -> None:
        self.order = np.argsort(cell, kind="stable")
        ordered = cell[self.order]
        first: Flags = np.diff(ordered, prepend=-1) > 0
        self._starts, self._width = np.flatnonzero(first), width
        self._cell = ordered[self._starts]

    def summed(self, values: Probabilities) -> Floats:
        """(V, K, K) of (V, N)."""
        return self.summed_in_order(values[:, self.order])

    def summed_in_order(self, values: Probabilities) -> Floats:
        """As `summed`, of columns in this `order`."""
        result = np.zeros((len(values), self._width * self._width))
        if len(self._starts):
            result[:, self._cell] = np.add.reduceat(values, self._starts, axis=1)
        return result.reshape(-1, self._width, self._width)
