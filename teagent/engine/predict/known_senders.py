"""The learned model for senders whose AS is known, and the stated assumption for those that are only an address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from teagent.engine.predict.shares import TIES_STICK, DemandColumns, Forecaster, Shares, Vector


class KnownSenders:
    """A `Forecaster` of two: `learned` for demands of an AS, `TIES_STICK` for those of a prefix of addresses."""

    def __init__(self, learned: Forecaster) -> None:
        self._learned = learned

    @property
    def assumption(self) -> str:
        return self._learned.assumption

    def forecast_shares(self, demands: DemandColumns, before: Vector, after: Vector) -> Shares:
        return next(self.forecast_each(demands, before, [after]))

    def forecast_each(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Iterator[Shares]:
        numbered = np.array([source.asn > 0 for source in demands.sources], dtype=bool)[demands.source_index]
        if numbered.all():
            yield from self._learned.forecast_each(demands, before, afters)
            return
        both = zip(
            self._learned.forecast_each(demands, before, afters),
            TIES_STICK.forecast_each(demands, before, afters),
            strict=True,
        )
        for learned, stated in both:
            yield Shares(
                group=np.where(numbered, learned.group, stated.group + len(learned.expected)),
                expected=np.concatenate([learned.expected, stated.expected]),
                unit=stated.unit,
                correlation=max(learned.correlation, stated.correlation),
            )
