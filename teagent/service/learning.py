"""Learning: looks at each window once, scores predictions by it, and learns from it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from teagent.engine.measure.trust import distrust
from teagent.model.link import NoData, Utilisation
from teagent.model.traffic import TrafficMatrix
from teagent.ports import Clock
from teagent.service.evidence import Evidence
from teagent.service.ingest import Ingest
from teagent.service.observe import Observer
from teagent.service.scorecards import Scorecards

NOTICEABLE_SHARE = 0.02
"""Of what comes in over all links: a link with less says too little to spoil what the others show."""


class Learning:
    def __init__(
        self,
        *,
        links: tuple[str, ...],
        evidence: Evidence,
        scorecards: Scorecards,
        ingest: Ingest,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._links = links
        self._evidence = evidence
        self._scorecards = scorecards
        self._ingest = ingest
        self._observer = observer
        self._clock = clock
        self._looked_at: datetime | None = None

    async def cycle(self, doubt: Callable[[datetime], tuple[str, ...]]) -> None:
        """`doubt` says why nothing may be decided now: what decisions may not rest on teaches nothing either."""
        await self._evidence.load()
        now = self._clock.now()
        matrix = self._ingest.latest(now)
        if isinstance(matrix, NoData) or matrix.at == self._looked_at or doubt(now):
            return
        self._looked_at = matrix.at
        doubted = self._doubted(matrix, now)
        settled = {
            prefix: vector
            for prefix, vector in self._evidence.settled(matrix).items()
            if not doubted.intersection(vector)
        }
        # Scored first: what this window teaches is not to count as known before it.
        await self._scorecards.look(matrix, self._evidence.announced, settled)
        await self._evidence.learn(matrix, doubted)

    def _doubted(self, matrix: TrafficMatrix, now: datetime) -> frozenset[str]:
        """Links whose readings or flows are not to be trusted. What comes in by a link that is next to idle changes
        nobody's shares by much, whatever its flows say: of such a one only the reading counts.
        """
        latest, doubts = self._observer.readings(now), self._ingest.flow_doubts(now)
        counted = {link: reading.in_bps for link, reading in latest.items() if isinstance(reading, Utilisation)}
        noticeable = NOTICEABLE_SHARE * sum(counted.values())
        return frozenset(
            link
            for link in self._links
            if distrust(
                now=now,
                links=[link],
                latest=latest,
                matrix=matrix,
                covered=[link] if counted.get(link, 0.0) >= noticeable else [],
                counter_doubts=self._observer.doubts(),
                flow_doubts=doubts,
                coverage_limits=self._ingest.coverage_limits,
            )
        )
