"""A quick look at what many vectors of one prefix would do: means and rough widths, which over prefixes add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby

import numpy as np

from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import Flags, Floats, Forecaster, Ints, Shares, Vector
from teagent.model.bgp import Prefix

LIKELY = 0.5
TOGETHER = 400_000
"""So many probabilities are looked at in one go: a few megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks:
    """Of V vectors, in bits per second: for each of the K links, and in one column more for all that moves.

    `change`: what comes, less what leaves, in the mean; `rise`: the same if as much is hidden on full links as may be.
    `landing`: all that may come, at that. `swing`: how far senders that decide alike carry the rise with them, as a
    standard deviation; `variance`: of it, from senders that decide each for themselves. (V, K + 1) each.
    `leaving` (V, K): what leaves in the mean, of what is seen; `surely`: what of it will more likely go than stay.
    """

    change: Floats
    rise: Floats
    landing: Floats
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
    return Looks.joined(found)


def _look(scene: Scene, prefix: Prefix, batch: Sequence[Shares]) -> Looks:
    """Of forecasts that have the same groups."""
    crowd = scene.assembled.crowd(scene.demands[prefix], batch[0])
    expected = np.stack([shares.expected for shares in batch])  # (V, M, K)
    # Of groups that stay whatever is announced nothing is to be said.
    groups = np.flatnonzero((expected[:, np.arange(len(crowd.link_index)), crowd.link_index] < 1.0).any(axis=0))
    expected, bps, square = expected[:, groups], crowd.bps[groups], crowd.square[groups]
    own, every = crowd.link_index[groups], np.arange(len(groups))
    gone = np.clip(1.0 - expected[:, every, own], 0.0, 1.0)
    own_column = np.zeros(expected.shape[1:])
    own_column[every, own] = 1.0
    chance = np.where(own_column > 0, gone[:, :, None], expected)
    chance = np.concatenate((chance, gone[:, :, None]), axis=2)
    sign = np.concatenate((1.0 - 2.0 * own_column, np.ones((len(own), 1))), axis=1)
    likely, most = bps * (1 + scene.hidden_expected[own]), bps * (1 + scene.hidden_high[own])
    doubt = chance * (1.0 - chance)
    # Near to the normal density at the quantile of each chance: how fast it follows the common factor.
    slope = 1.13 * np.sqrt(doubt * np.sqrt(doubt))
    leaving = gone * bps
    return Looks(
        change=np.einsum("vmk,mk->vk", chance, likely[:, None] * sign),
        rise=np.einsum("vmk,mk->vk", chance, most[:, None] * sign),
        landing=np.einsum("vmk,mk->vk", chance > 0, most[:, None] * (sign > 0)),
        swing=np.sqrt(batch[0].correlation) * np.abs(np.einsum("vmk,mk->vk", slope, most[:, None] * sign)),
        variance=np.einsum("vmk,m->vk", doubt, square * (1 + scene.hidden_high[own]) ** 2),
        leaving=leaving @ own_column,
        surely=np.where(gone >= LIKELY, leaving, 0.0) @ own_column,
    )
