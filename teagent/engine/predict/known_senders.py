"""The learned model for senders whose AS is known, and the stated assumption for those that are only an address."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from teagent.engine.predict.ingress import IngressModel
from teagent.engine.predict.ingress_forecast import Learned
from teagent.engine.predict.movement import Movement
from teagent.engine.predict.shares import TIES_STICK, DemandColumns, Flags, Forecaster, Ints, Shares, Vector
from teagent.model.bgp import Prefix
from teagent.model.traffic import Source


class KnownSenders:
    """A `Forecaster` of two: the learned one for demands of an AS, `TIES_STICK` for those of a prefix of addresses."""

    def __init__(self, model: IngressModel) -> None:
        self._model = model
        self._learned = Learned(model)
        self._both: dict[Prefix, _Both] = {}
        self._numbered: tuple[tuple[Source, ...], Flags] = ((), np.zeros(0, dtype=bool))

    @property
    def assumption(self) -> str:
        return self._learned.assumption

    def seen_under(self, source: Source) -> int:
        row = int(self._model.rows(np.array([source.asn]))[0])
        if row < 0:
            return 0
        return int(self._model.seen[row]) + sum(int(question.seen[row] > 0) for question in self._model.open)

    def forecast_shares(
        self, demands: DemandColumns, before: Vector, after: Vector, *, roughly: bool = False
    ) -> Shares:
        both = self._divided(demands)
        if isinstance(both, _Both):
            return both.joined(
                self._learned.forecast_shares(both.numbered, before, after, roughly=roughly),
                TIES_STICK.forecast_shares(both.others, before, after),
            )
        return both.forecast_shares(demands, before, after, roughly=roughly)

    def expect(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        both = self._divided(demands)
        if isinstance(both, _Both):
            self._learned.expect(both.numbered, before, afters)
        else:
            both.expect(demands, before, afters)

    def prepare(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> None:
        both = self._divided(demands)
        if isinstance(both, _Both):
            self._learned.prepare(both.numbered, before, afters)
        else:
            both.prepare(demands, before, afters)

    def movement(self, demands: DemandColumns, before: Vector, afters: Sequence[Vector]) -> Movement:
        both = self._divided(demands)
        if isinstance(both, _Both):
            return self._learned.movement(both.numbered, before, afters) + TIES_STICK.movement(
                both.others, before, afters
            )
        return both.movement(demands, before, afters)

    def _divided(self, demands: DemandColumns) -> _Both | Learned | Forecaster:
        """One forecaster where all demands are its."""
        both = self._both.get(demands.prefix)
        if both is not None and both.demands is demands:
            return both
        numbered = self._have_numbers(demands.sources)[demands.source_index]
        if numbered.all():
            return self._learned
        if not numbered.any():
            return TIES_STICK
        both = self._both[demands.prefix] = _Both(demands, numbered)
        return both

    def _have_numbers(self, sources: tuple[Source, ...]) -> Flags:
        """(sources) whose AS is known; worked out once for a scene."""
        if self._numbered[0] is not sources:
            self._numbered = sources, self._learned.numbers(sources) > 0
        return self._numbered[1]


class _Both:
    """The demands towards one prefix: those whose AS is known, `numbered`, and the others."""

    def __init__(self, demands: DemandColumns, numbered: Flags) -> None:
        self.demands = demands
        self._rows = np.flatnonzero(numbered), np.flatnonzero(~numbered)
        self.numbered, self.others = (demands.only(rows) for rows in self._rows)
        self._unit = demands.source_index * len(demands.links) + demands.link_index
        self._group: tuple[Ints, Ints, Ints] | None = None

    def joined(self, learned: Shares, stated: Shares) -> Shares:
        """Of all demands; with the same groups as the last time, where theirs are."""
        if self._group is None or self._group[0] is not learned.group or self._group[1] is not stated.group:
            group = np.empty(len(self._unit), dtype=np.int64)
            group[self._rows[0]], group[self._rows[1]] = learned.group, stated.group + len(learned.expected)
            self._group = learned.group, stated.group, group
        return Shares(
            group=self._group[2],
            expected=np.concatenate([learned.expected, stated.expected.astype(learned.expected.dtype)]),
            unit=self._unit,
            correlation=max(learned.correlation, stated.correlation),
        )
