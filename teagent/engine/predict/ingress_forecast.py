"""The learned model as a forecaster: what the dry run asks it, about the demands of one prefix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from teagent.engine.predict.ingress import IngressModel
from teagent.engine.predict.ingress_shares import Chances
from teagent.engine.predict.shares import DemandColumns, Flags, Floats, Ints, Shares, Vector

CHANCE_STEPS = 200


class Learned:
    """A `Forecaster` for any number of scenes while the model stays the same."""

    def __init__(self, model: IngressModel) -> None:
        self._model = model
        self._chances = Chances(model)

    @property
    def assumption(self) -> str:
        model = self._model
        vectors = int(model.seen.max(initial=0)) + len(model.open)
        graph = "path lengths in the AS graph" if len(model.distances.asn) else "no AS graph"
        return (
            f"learned from {vectors} announcement vectors and {len(model.asn)} senders, beside {graph}; who was not "
            "seen does as those like it, senders that are not known stay"
        )

    def forecast_shares(self, demands: DemandColumns, before: Vector, after: Vector) -> Shares:
        model, width = self._model, len(demands.links)
        count = len(demands.bps)
        expected = np.zeros((count, width))
        expected[np.arange(count), demands.link_index] = 1.0
        place = np.array([model.links.index(k) if k in model.links else -1 for k in demands.links], dtype=np.int64)
        asn = np.array([source.asn for source in demands.sources], dtype=np.int64)[demands.source_index]
        # An AS that nobody knows, or a link that the model was not made for: nothing is claimed of it.
        movable = demands.movable
        rows = np.flatnonzero(movable & (asn > 0) & (place[demands.link_index] >= 0))
        if len(rows) and dict(before) != dict(after):
            chances = self._chances.of(
                asn[rows], place[demands.link_index[rows]], model.vector(before), model.vector(after)
            )
            known = np.flatnonzero(place >= 0)
            expected[rows] = 0.0
            expected[np.ix_(rows, known)] = chances[:, place[known]]
        group, expected = _grouped(demands.link_index, movable, expected)
        unit = demands.source_index * width + demands.link_index
        return Shares(group=group, expected=expected, unit=unit, correlation=model.scores.correlation())

    def forecast_each(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Iterator[Shares]:
        return (self.forecast_shares(demands, before, after) for after in afters)


def _grouped(link_index: Ints, movable: Flags, expected: Floats) -> tuple[Ints, Floats]:
    """Which demands are told apart at all, (N), and the mean of each group: finer than a step, nobody knows."""
    steps = np.round(expected * CHANCE_STEPS).astype(np.int64)
    code = link_index.astype(np.int64) * 2 + movable
    for column in steps.T[:-1]:
        _, code = np.unique(code * (CHANCE_STEPS + 1) + column, return_inverse=True)
    _, first, group = np.unique(code, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    size = np.bincount(group, minlength=len(first))
    mean = np.stack([np.bincount(group, weights=column, minlength=len(first)) for column in expected.T], axis=1)
    return group, mean / np.maximum(size, 1)[:, None]
