"""Forecasters that say what a test wants said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.movement import Movement, summed
from teagent.engine.predict.shares import DemandColumns, Floats, Shares, Vector
from teagent.model.traffic import Source


@dataclass(frozen=True)
class Fixed:
    """Each demand comes by each link with the chance that `chances` gives (N, links), whatever is announced."""

    chances: Callable[[DemandColumns], Floats]
    assumption: str = "as told"

    def seen_under(self, source: Source) -> int:
        return 0

    def forecast_shares(
        self, demands: DemandColumns, before: Vector, after: Vector, *, roughly: bool = False
    ) -> Shares:
        every = demands.source_index * len(demands.links) + demands.link_index
        expected = self.chances(demands)
        return Shares(group=np.arange(len(every)), expected=expected, unit=every, correlation=0.2)

    def prepare(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        """Nothing is to be prepared."""

    def expect(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        """Nothing is to be prepared."""

    def movement(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Movement:
        return summed(demands, (self.forecast_shares(demands, before, after) for after in afters))
