"""Scorecards: predictions held against what happened, changes and no change alike; and what follows for the bands."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta

import numpy as np
import structlog

from teagent.engine.predict.prediction import Prediction, predict, stay
from teagent.engine.predict.scene import prepare
from teagent.engine.predict.scoring import misprojecting, score, widening
from teagent.errors import StoreError
from teagent.model.bgp import Prefix
from teagent.model.link import NoData
from teagent.model.proposal import Proposal, ProposalState
from teagent.model.scorecard import MISPROJECTED_MAX, Scorecard, ScoreKind
from teagent.model.snapshot import Snapshot
from teagent.model.traffic import TrafficMatrix
from teagent.model.units import format_share
from teagent.ports import Clock, LearnedKind, Store
from teagent.service.evidence import Announced, Vector
from teagent.service.observe import Observer
from teagent.service.predictor import Predictor
from teagent.service.proposals import ProposalBook
from teagent.service.watch import applied_at

log = structlog.get_logger("score")

REMEMBERED = 500
"""Scorecards in memory; the store has all of them, as long as it keeps hours."""
LOOK_BACK = timedelta(days=400)
PENDING_FOR = timedelta(days=30)
"""How long a prediction waits for its change. After that it would speak of another Internet."""
BASELINE_EVERY = 12
HORIZON = 3
"""In windows: how often it is predicted that nothing changes, and after how long that is looked at."""
HELD = frozenset({ProposalState.CONFIRMING, ProposalState.ACTIVE})


class Scorecards:
    """`last` are the newest scorecards, oldest first."""

    def __init__(
        self,
        *,
        links: tuple[str, ...],
        book: ProposalBook,
        observer: Observer,
        predictor: Predictor,
        store: Store,
        clock: Clock,
    ) -> None:
        self._links = links
        self._book = book
        self._observer = observer
        self._predictor = predictor
        self._store = store
        self._clock = clock
        self._pending: dict[str, Prediction] = {}
        self._baseline: Prediction | None = None
        self._baseline_scored = False
        self.last: deque[Scorecard] = deque(maxlen=REMEMBERED)
        self.counters: Counter[str] = Counter()

    async def load(self) -> None:
        from teagent.engine.predict.evidence_state import prediction_of

        now = self._clock.now()
        self.last.extend(await self._store.scorecards(since=now - LOOK_BACK, limit=REMEMBERED))
        for row in await self._store.learned(LearnedKind.PREDICTION, since=now - PENDING_FOR):
            prediction = prediction_of(row.arrays)
            if prediction is not None:
                self._pending[row.key] = prediction
        self._predictor.widening = widening(self.last)

    def misprojecting(self) -> Scorecard | None:
        """The last score of a change, if that was wrong enough to be said."""
        return misprojecting(self.last)

    async def expect(self, proposal: Proposal, snapshot: Snapshot) -> None:
        """Keeps what is predicted of the proposal, for whenever its change happens, by us or by others."""
        from teagent.engine.predict.evidence_state import prediction_state

        if isinstance(snapshot.matrix, NoData):
            return
        prediction = await asyncio.to_thread(_predicted, proposal, snapshot, self._predictor)
        self._pending[proposal.id] = prediction
        try:
            await self._store.keep_learned(
                LearnedKind.PREDICTION, proposal.id, prediction.at, prediction_state(prediction)
            )
        except StoreError as error:
            self._not_stored(error)

    async def look(self, matrix: TrafficMatrix, announced: Announced, settled: Mapping[Prefix, Vector]) -> None:
        """At a window on links that are all trusted but those left out of `settled`."""
        for name, prediction in list(self._pending.items()):
            kind = self._happened(name, prediction, announced, settled, matrix)
            if kind is not None:
                await self._score(prediction, matrix, kind=kind, subject=name)
                del self._pending[name]
                await self._forget(name)
        await self._look_at_nothing(matrix, announced, settled)

    def _happened(
        self,
        name: str,
        prediction: Prediction,
        announced: Announced,
        settled: Mapping[Prefix, Vector],
        matrix: TrafficMatrix,
    ) -> ScoreKind | None:
        """Whether the change that was predicted has taken place, and settled before the window began."""
        if matrix.at - timedelta(seconds=matrix.seconds) <= prediction.at:
            return None
        if any(settled.get(prefix) != after for prefix, (_, after) in prediction.vectors.items()):
            return None
        proposal = next((one for one in self._book.all() if one.id == name), None)
        if proposal is not None and applied_at(proposal) is not None:
            return ScoreKind.CHANGE if proposal.state in HELD else None
        changed = all(announced.before(prefix) == before for prefix, (before, _) in prediction.vectors.items())
        return ScoreKind.SHADOW if changed else None

    async def _look_at_nothing(
        self, matrix: TrafficMatrix, announced: Announced, settled: Mapping[Prefix, Vector]
    ) -> None:
        window, baseline = timedelta(seconds=matrix.seconds), self._baseline
        if baseline is None or matrix.at - baseline.at >= BASELINE_EVERY * window:
            if not settled:
                return
            self._baseline = stay(matrix, settled, self._loads(matrix), links=self._links)
            self._baseline_scored = False
        elif not self._baseline_scored and matrix.at - baseline.at >= HORIZON * window:
            same = {
                prefix
                for prefix, vector in announced.settled(baseline.at).items()
                if settled.get(prefix) == vector and prefix in baseline.vectors
            }
            await self._score(baseline, _only(matrix, same), kind=ScoreKind.NO_CHANGE)
            self._baseline_scored = True

    async def _score(
        self, prediction: Prediction, matrix: TrafficMatrix, *, kind: ScoreKind, subject: str = ""
    ) -> None:
        loads = self._loads(matrix)
        card = await asyncio.to_thread(score, prediction, matrix, loads, kind=kind, subject=subject)
        if card is None:
            return
        self.last.append(card)
        self.counters[kind.value] += 1
        if kind is not ScoreKind.NO_CHANGE:
            self._predictor.widening = widening(self.last)
            self._say(card)
        try:
            await self._store.add_scorecard(card)
        except StoreError as error:
            self._not_stored(error)

    def _say(self, card: Scorecard) -> None:
        if card.misprojected > MISPROJECTED_MAX:
            log.warning(
                "change was misprojected",
                proposal=card.subject,
                misprojected=format_share(card.misprojected),
                widening=round(self._predictor.widening, 2),
            )
        else:
            log.info("change was scored", proposal=card.subject, top1=format_share(card.top1))

    def _loads(self, matrix: TrafficMatrix) -> dict[str, float | None]:
        """What each link carried in the window."""
        since = matrix.at - timedelta(seconds=matrix.seconds)
        found = {name: self._observer.average(name, since=since, until=matrix.at) for name in self._links}
        return {name: None if isinstance(load, NoData) else load.in_bps for name, load in found.items()}

    async def _forget(self, name: str) -> None:
        try:
            await self._store.forget_learned(LearnedKind.PREDICTION, [name])
        except StoreError as error:
            self._not_stored(error)

    def _not_stored(self, error: StoreError) -> None:
        self.counters["store_failures"] += 1
        if self.counters["store_failures"] == 1:
            log.error("scores cannot be stored", error=error.message)


def _predicted(proposal: Proposal, snapshot: Snapshot, predictor: Predictor) -> Prediction:
    after = {prefix: proposal.plan.after.vector(prefix) for prefix in proposal.plan.prefixes()}
    bands = {forecast.link: forecast.after for forecast in proposal.dry_run.links}
    return predict(prepare(snapshot), after, bands, forecaster=predictor.forecaster)


def _only(matrix: TrafficMatrix, prefixes: Collection[Prefix]) -> TrafficMatrix:
    wanted = np.array([prefix in prefixes for prefix in matrix.prefixes], dtype=bool)
    rows = np.flatnonzero(wanted[matrix.prefix_index]) if len(matrix) else np.zeros(0, dtype=np.int64)
    return replace(
        matrix,
        link_index=matrix.link_index[rows],
        prefix_index=matrix.prefix_index[rows],
        source_index=matrix.source_index[rows],
        bps=matrix.bps[rows],
    )
