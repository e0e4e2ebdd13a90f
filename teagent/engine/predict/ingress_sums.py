"""What vectors move of one prefix, by sums over its units: senders that answer alike, with what they send together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from teagent.engine.predict.ingress import Ints, Vector
from teagent.engine.predict.ingress_units import Answers, grown
from teagent.engine.predict.movement import LIKELY, Cells, Movement, functions
from teagent.engine.predict.pooling import Weights
from teagent.engine.predict.shares import Floats


class Sums:
    """Of the demands of a prefix (N), those that are of the unit `unit` (N); -1: of none, and not among the sums.
    `more_bps` (links of the model): what else comes in by each link is shared out evenly among the units there.

    `units` (u) are those that there are, and `place` (N) says which of them each demand is of. They stand in segments
    with the same combination of links, on the same slot: these are summed for each of the answers of the combination.
    """

    def __init__(self, answers: Answers, unit: Ints, bps: Floats, more_bps: Floats) -> None:
        self._answers = answers
        claimed = np.flatnonzero(unit >= 0)
        count = len(answers.at)
        used = np.zeros(count, dtype=bool)
        used[unit[claimed]] = True
        units = np.flatnonzero(used)
        width = answers.places.shape[1]
        segment = answers.combination[units] * width + answers.at[units]
        order = np.argsort(segment, kind="stable")
        self.units, segment = units[order], segment[order]
        place = np.full(count + 1, -1, dtype=np.int64)
        place[self.units] = np.arange(len(units))
        self.place: Ints = place[unit]
        load = bps[claimed]
        self._load, self._square = (
            np.bincount(self.place[claimed], weights=each, minlength=len(units)).astype(np.float32)
            for each in (load, load**2)
        )
        link = answers.places[answers.combination[self.units], answers.at[self.units]]
        there = np.bincount(link, minlength=len(more_bps))
        self._load += (more_bps / np.maximum(1, there))[link].astype(np.float32)
        starts = np.flatnonzero(np.diff(segment, prepend=-1))
        self._ends = np.append(starts, len(units))
        self._combination, self._at = np.divmod(segment[starts], width)
        self._done: Ints = np.zeros(len(starts), dtype=np.int64)
        self._sums = np.zeros((4, len(starts), 0, width), dtype=np.float32)
        self._surely = np.zeros((len(starts), 0), dtype=np.float32)

    @property
    def load(self) -> Weights:
        """(u) bits per second of each unit."""
        return self._load

    def movement(self, afters: Sequence[Vector], links: Ints, width: int, correlation: float) -> Movement:
        """`links`: where the scene, which has `width` of them, has each link of the model, -1 where it has none."""
        column = self._answers.columns(afters)[:, self._combination]
        self._sum_up()
        segment = np.arange(len(self._at))
        to = links[self._answers.places[self._combination]]
        own = to[segment, self._at]
        known = np.flatnonzero((to >= 0).reshape(-1))
        cells = Cells((own[:, None] * width + to).reshape(-1)[known], width)
        moving = np.array([after != self._answers.before for after in afters])
        order = known[cells.order]
        # By places in the whole: to take them one by one along two axes takes several times as long.
        place = (segment * self._sums.shape[2] + column)[:, order // to.shape[1]] * to.shape[1] + order % to.shape[1]
        found = np.take(self._sums.reshape(len(self._sums), -1), place.reshape(-1), axis=1)
        summed = cells.summed_in_order(found.reshape(-1, len(order)))
        mean, may, doubt, slope = summed.reshape(len(self._sums), len(afters), width, width) * moving[:, None, None]
        surely = (self._surely[segment, column] * moving[:, None]).astype(np.float64)
        return Movement(
            mean=mean,
            may=may,
            doubt=doubt,
            slope=slope,
            surely=surely @ (own[:, None] == np.arange(width)),
            correlation=correlation,
        )

    def _sum_up(self) -> None:
        """What is missing."""
        asked = self._answers.asked[self._combination]
        late = np.flatnonzero(self._done < asked)
        if not len(late):
            return
        low, high = int(self._done[late].min()), int(asked.max())
        if high > self._sums.shape[2]:
            kinds, segments, _, width = self._sums.shape
            self._sums = grown(self._sums, (kinds, segments, high, width))
            self._surely = grown(self._surely, (segments, high))
        size = np.diff(self._ends)[late]
        rows = np.arange(size.sum()) + np.repeat(self._ends[late] - np.cumsum(size) + size, size)
        units = self.units[rows]
        chance = self._answers.chance[:, low:high].take(units, axis=0)
        at = np.arange(len(rows)), slice(None), self._answers.at[units]
        gone = np.clip(1.0 - chance[at], 0.0, 1.0)
        chance[at] = gone
        np.minimum(chance, 1.0, out=chance)
        ends = np.append(0, np.cumsum(size))
        by_load, by_square = (
            csr_array((weights[rows], np.arange(len(rows)), ends), shape=(len(late), len(rows)))
            for weights in (self._load, self._square)
        )
        doubt, slope = functions(chance)
        summed = (by_load, chance), (by_load, (chance > 0).astype(np.float32)), (by_square, doubt), (by_load, slope)
        for number, (weights, each) in enumerate(summed):
            found = weights @ each.reshape(len(rows), -1)
            self._sums[number, late, low:high] = found.reshape(len(late), *each.shape[1:])
        self._surely[late, low:high] = by_load @ np.where(gone >= LIKELY, gone, np.float32(0))
        self._done[late] = asked[late]
