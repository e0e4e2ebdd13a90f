"""A quick look at what many vectors of one prefix would do, by mean loads, for a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import Floats, Forecaster, Vector
from teagent.model.bgp import Prefix

LIKELY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """All (K), in bits per second. `change`: what each link gains in the mean, with what is hidden on full links.
    `leaving`: what leaves it in the mean, of what is seen; `surely`: how much of that will more likely go than stay.
    """

    change: Floats
    leaving: Floats
    surely: Floats


def looks(scene: Scene, prefix: Prefix, vectors: Sequence[Vector], forecaster: Forecaster) -> Iterator[Look]:
    """One for each vector. Changes of several prefixes add."""
    columns, width = scene.demands[prefix], len(scene.links)
    for shares in forecaster.forecast_each(columns, scene.vectors[prefix], vectors):
        crowd = scene.assembled.crowd(columns, shares)
        own = crowd.link_index
        gone = np.clip(1.0 - shares.expected[np.arange(len(own)), own], 0.0, 1.0)
        leaving = crowd.bps * gone
        offered = crowd.bps * (1 + scene.hidden_expected[own])
        of_link = np.zeros((len(own), width))
        of_link[np.arange(len(own)), own] = 1.0
        yield Look(
            change=offered @ (shares.expected - of_link),
            leaving=leaving @ of_link,
            surely=np.where(gone >= LIKELY, leaving, 0.0) @ of_link,
        )
