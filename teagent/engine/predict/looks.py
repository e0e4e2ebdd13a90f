"""A quick look at what many vectors of one prefix would do: means and rough widths, which over prefixes add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby

import numpy as np

from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import Flags, Floats, Forecaster, Ints, Probabilities, Shares, Vector, shorter
from teagent.model.bgp import Prefix

LIKELY = 0.5
TOGETHER = 400_000
"""So many probabilities are looked at in one go: a few megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks:
    """Of V vectors, in bits per second: for each of the K links, and in one column more for all that moves.

    `change`: what comes, less what leaves, in the mean; `rise`: the same if as much is hidden on full links as may be.
    `landing`: all that may come, at that, and `strangers` (V, K): what of it is from senders that nobody knows.
    `swing`: how far senders that decide alike carry the rise with them, as a standard deviation; `variance`: of it,
    from senders that decide each for themselves. (V, K + 1) each.
    `leaving` (V, K): what leaves in the mean, of what is seen; `surely`: what of it will more likely go than stay.
    """

    change: Floats
    rise: Floats
    landing: Floats
    strangers: Floats
    swing: Floats
    variance: Floats
    leaving: Floats
    surely: Floats

    def only(self, vectors: Ints | Flags) -> Looks:
        return Looks(**{each.name: getattr(self, each.name)[vectors] for each in fields(self)})

    @classmethod
    def joined(cls, looks: Sequence[Looks]) -> Looks:
        return cls(**{each.name: np.concatenate([getattr(one, each.name) for one in looks]) for each in fields(cls)})


def look(scene: Scene, prefix: Prefix, vectors: Sequence[Vector], forecaster: Forecaster) -> Looks:
    """At least one vector is given."""
    columns, before = scene.demands[prefix], scene.vectors[prefix]
    found: list[Looks] = []
    forecasts = forecaster.forecast_each(columns, before, vectors)
    for _, same in groupby(forecasts, key=lambda shares: id(shares.group)):
        batch: list[Shares] = []
        for shares in same:
            batch.append(shares)
            if len(batch) * shares.expected.size >= TOGETHER:
                found.append(_look(scene, prefix, batch))
                batch = []
        if batch:
            found.append(_look(scene, prefix, batch))
    return _with_strangers(scene, prefix, vectors, Looks.joined(found))


def _with_strangers(scene: Scene, prefix: Prefix, vectors: Sequence[Vector], looks: Looks) -> Looks:
    """Nobody knows who sends it, so it is taken to stay; but it may come where the path to us has become shorter."""
    columns = scene.demands[prefix]
    unknown = ~columns.movable
    if not unknown.any():
        return looks
    bps = np.bincount(columns.link_index[unknown], weights=columns.bps[unknown], minlength=len(scene.links))
    strangers = (bps * (1 + scene.hidden_high)) @ shorter(scene.links, scene.vectors[prefix], vectors)
    landing = looks.landing.copy()
    landing[:, :-1] += strangers
    return replace(looks, landing=landing, strangers=strangers)


def _look(scene: Scene, prefix: Prefix, batch: Sequence[Shares]) -> Looks:
    """Of forecasts that have the same groups."""
    crowd = scene.assembled.crowd(scene.demands[prefix], batch[0])
    ways = _Ways(np.stack([shares.expected for shares in batch]), crowd.link_index)
    come, gone, own = ways.come, ways.gone, crowd.link_index[ways.groups]
    bps, hidden = crowd.bps[ways.groups], (1 + scene.hidden_expected[own], 1 + scene.hidden_high[own])
    likely, most, square = hidden[0] * bps, hidden[1] * bps, hidden[1] ** 2 * crowd.square[ways.groups]
    doubts = come * (1 - come), gone * (1 - gone)
    # Near to the normal density at the quantile of each chance: how fast it follows the common factor.
    slopes = [np.sqrt(doubt * np.sqrt(doubt)) for doubt in doubts]
    landing = ways.off((gone > 0).astype(gone.dtype), most)
    landing[:, :-1] = ways.onto((come > 0).astype(come.dtype), most)
    return Looks(
        change=ways.gained(come, gone, likely),
        rise=ways.gained(come, gone, most),
        landing=landing,
        strangers=np.zeros((len(batch), len(scene.links))),
        swing=1.13 * np.sqrt(batch[0].correlation) * np.abs(ways.gained(slopes[0], slopes[1], most)),
        variance=ways.gained(doubts[0], -doubts[1], square) * np.append(np.ones(len(scene.links)), -1.0),
        leaving=ways.off(gone, bps)[:, :-1],
        surely=ways.off(np.where(gone >= LIKELY, gone, 0.0), bps)[:, :-1],
    )


class _Ways:
    """Where M groups on links `own` (M) may go, from `expected` (V, M, K). Of `groups` (m) that stay whatever is
    announced nothing is said. `gone` (V, m): the chance that a group leaves; `come` (V, N): the same for N pairs of a
    group and a link that it may come to: most have few.
    """

    groups: Ints
    gone: Probabilities
    come: Probabilities

    def __init__(self, expected: Probabilities, own: Ints) -> None:
        gone = np.clip(1.0 - expected[:, np.arange(len(own)), own], 0.0, 1.0)
        self.groups = np.flatnonzero((gone > 0).any(axis=0))
        self.gone, expected, own = gone[:, self.groups], expected[:, self.groups], own[self.groups]
        expected[:, np.arange(len(own)), own] = 0.0
        self._group, to = np.nonzero((expected > 0).any(axis=0))
        # Sums of weights may come out just above 1.
        self.come = np.minimum(expected[:, self._group, to], 1.0)
        links = np.arange(expected.shape[2])
        self._onto, self._off = ((each[:, None] == links).astype(expected.dtype) for each in (to, own))

    def onto(self, values: Probabilities, weight: Floats) -> Floats:
        """(V, K) `values` (V, N) by where they come to, each times the `weight` (m) of its group."""
        result: Floats = (values @ (weight.astype(values.dtype)[self._group, None] * self._onto)).astype(np.float64)
        return result

    def off(self, values: Probabilities, weight: Floats) -> Floats:
        """(V, K + 1) `values` (V, m) by where they leave, and all together."""
        of_link: Floats = (values @ (weight.astype(values.dtype)[:, None] * self._off)).astype(np.float64)
        return np.concatenate((of_link, of_link.sum(axis=1, keepdims=True)), axis=1)

    def gained(self, come: Probabilities, gone: Probabilities, weight: Floats) -> Floats:
        """(V, K + 1) what comes to each link less what leaves it, and all that leaves."""
        result = self.off(gone, weight)
        result[:, :-1] = self.onto(come, weight) - result[:, :-1]
        return result
