"""The learned model for senders whose AS is known, and the stated assumption for those that are only an address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from teagent.engine.predict.ingress import IngressModel
from teagent.engine.predict.ingress_forecast import Learned
from teagent.engine.predict.shares import TIES_STICK, DemandColumns, Flags, Shares, Vector
from teagent.model.traffic import Source


class KnownSenders:
    """A `Forecaster` of two: the learned one for demands of an AS, `TIES_STICK` for those of a prefix of addresses."""

    def __init__(self, model: IngressModel) -> None:
        self._model = model
        self._learned = Learned(model)
        self._numbered: tuple[tuple[Source, ...], Flags] = ((), np.zeros(0, dtype=bool))

    @property
    def assumption(self) -> str:
        return self._learned.assumption

    def seen_under(self, source: Source) -> int:
        row = int(self._model.rows(np.array([source.asn]))[0])
        if row < 0:
            return 0
        return int(self._model.seen[row]) + sum(int(question.seen[row] > 0) for question in self._model.open)

    def forecast_shares(self, demands: DemandColumns, before: Vector, after: Vector) -> Shares:
        return next(self.forecast_each(demands, before, [after]))

    def forecast_each(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Iterator[Shares]:
        numbered = self._have_numbers(demands.sources)[demands.source_index]
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

    def _have_numbers(self, sources: tuple[Source, ...]) -> Flags:
        """(sources) whose AS is known; worked out once for a scene, which has tens of thousands."""
        if self._numbered[0] is not sources:
            self._numbered = sources, np.array([source.asn > 0 for source in sources], dtype=bool)
        return self._numbered[1]
