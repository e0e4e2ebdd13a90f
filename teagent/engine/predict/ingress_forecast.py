"""The learned model as a forecaster: what the dry run asks it, about the demands of one prefix."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from teagent.engine.predict.ingress import IngressModel
from teagent.engine.predict.ingress_shares import Chances
from teagent.engine.predict.prior import CORRELATION
from teagent.engine.predict.shares import DemandColumns, Shares


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

    def forecast_shares(self, demands: DemandColumns, before: Mapping[str, int], after: Mapping[str, int]) -> Shares:
        model, width = self._model, len(demands.links)
        count = len(demands.bps)
        expected = np.zeros((count, width))
        expected[np.arange(count), demands.link_index] = 1.0
        place = np.array([model.links.index(k) if k in model.links else -1 for k in demands.links], dtype=np.int64)
        asn = np.array([source.asn for source in demands.sources], dtype=np.int64)[demands.source_index]
        # An AS that nobody knows, or a link that the model was not made for: nothing is claimed of it.
        rows = np.flatnonzero(demands.movable & (asn > 0) & (place[demands.link_index] >= 0))
        if len(rows) and dict(before) != dict(after):
            chances = self._chances.of(
                asn[rows], place[demands.link_index[rows]], model.vector(before), model.vector(after)
            )
            known = np.flatnonzero(place >= 0)
            expected[np.ix_(rows, np.arange(width))] = 0.0
            expected[np.ix_(rows, known)] = chances[:, place[known]]
        unit = demands.source_index * width + demands.link_index
        return Shares(expected=expected, unit=unit, correlation=CORRELATION)
