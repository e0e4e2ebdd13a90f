"""How much time one flow record sums up: after how long an exporter reports a flow that goes on, seen from outside."""

from __future__ import annotations

from typing import Final

import numpy as np

from teagent.model.traffic import FlowBatch

EDGES_SECONDS: Final = np.array(
    [0.0, 1, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 105, 120, 150, 180, 240, 300, 420, 600, 900, 1200, 1800, 3600]
)
GENERATION_SECONDS: Final = 300.0
"""Figures rest on between one and two of these."""
SHARE_BELOW: Final = 0.95
FUTURE_SECONDS: Final = 60.0


class RecordSpans:
    """Of one exporter: octets by the time between start and end of the records that they came in. Bounded."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._now = _Generation()
        self._before = _Generation()

    def add(self, batch: FlowBatch, *, at: float) -> None:
        """Takes note of records that arrived at the unix time `at`. Records without times say nothing."""
        if self._since is None or not 0 <= at - self._since < 2 * GENERATION_SECONDS:
            self._since, self._now, self._before = at, _Generation(), _Generation()
        elif at - self._since >= GENERATION_SECONDS:
            self._since, self._now, self._before = at, _Generation(), self._now
        end = np.asarray(batch.end, dtype=np.float64)
        seconds = end - batch.start
        timed = np.isfinite(seconds)
        if not timed.any():
            return
        seconds = np.maximum(seconds[timed], 0.0)
        place = np.searchsorted(EDGES_SECONDS, seconds, "right") - 1
        octets = np.bincount(place, weights=batch.octets[timed].astype(np.float64), minlength=len(EDGES_SECONDS))
        self._now.octets += octets
        self._now.records += len(seconds)
        self._now.future += int(np.count_nonzero(end[timed] > at + FUTURE_SECONDS))

    @property
    def active_timeout_seconds(self) -> float | None:
        """The time, rounded down to one of EDGES_SECONDS, that 1 in 20 octets comes in records of, or longer ones;
        None while no record had times.
        """
        octets = self._now.octets + self._before.octets
        total = float(octets.sum())
        if total <= 0:
            return None
        return float(EDGES_SECONDS[int(np.searchsorted(np.cumsum(octets), total * SHARE_BELOW))])

    @property
    def future_share(self) -> float:
        """Of the records with times, those that end more than FUTURE_SECONDS after they arrived."""
        records = self._now.records + self._before.records
        return (self._now.future + self._before.future) / records if records else 0.0


class _Generation:
    def __init__(self) -> None:
        self.octets = np.zeros(len(EDGES_SECONDS))
        self.records = 0
        self.future = 0
