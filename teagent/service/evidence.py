"""Evidence: what each trustworthy window shows of senders' choices, learned and kept."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from teagent.errors import StoreError, TeagentError
from teagent.model.bgp import Prefix
from teagent.model.link import NoData
from teagent.model.traffic import TrafficMatrix
from teagent.ports import LearnedKind, LearnedRow, Store
from teagent.service.predictor import Predictor
from teagent.service.reconcile import Routes

if TYPE_CHECKING:
    from teagent.engine.predict.evidence import Seen
    from teagent.engine.predict.ingress import IngressModel
    from teagent.engine.predict.topology import Topology

log = structlog.get_logger("evidence")

AGAIN = timedelta(hours=1)
"""How long what one vector showed is not asked for again: more traffic under the same vector teaches little more."""
SAVED_EVERY = timedelta(hours=6)
"""How often the model is written; what came after that is learned again from its observations at a start."""
REPLAYED = 60
"""So many observations, at most, are learned anew where the model itself cannot be read."""
OBSERVATIONS_MAX = 1000
CURRENT = "current"

Vector = Mapping[str, int]
Key = tuple[tuple[str, int], ...]


class Announced:
    """Since when each prefix is announced as it is, as far as this daemon has seen, and how it was before."""

    def __init__(self) -> None:
        self._now: dict[Prefix, tuple[Vector, datetime]] = {}
        self._before: dict[Prefix, Vector] = {}

    def note(self, live: Mapping[Prefix, Vector], now: datetime) -> None:
        for prefix, vector in live.items():
            known = self._now.get(prefix)
            if known is None or known[0] != vector:
                if known is not None:
                    self._before[prefix] = known[0]
                self._now[prefix] = (vector, now)
        for prefix in self._now.keys() - live.keys():
            del self._now[prefix]

    def doubt(self) -> None:
        """What is announced is not known: nothing has settled, when it is known again."""
        self._now.clear()

    def settled(self, by: datetime) -> dict[Prefix, Vector]:
        """The prefixes that are announced as they are since `by`, or longer."""
        return {prefix: vector for prefix, (vector, since) in self._now.items() if since <= by}

    def since(self, prefix: Prefix) -> datetime | None:
        known = self._now.get(prefix)
        return None if known is None else known[1]

    def before(self, prefix: Prefix) -> Vector | None:
        return self._before.get(prefix)


class Evidence:
    """Learns from windows. The model is worked on in a thread; what cannot be stored is learned all the same, and said
    once.
    """

    def __init__(
        self,
        *,
        links: tuple[str, ...],
        predictor: Predictor,
        routes: Routes,
        store: Store,
        settle_seconds: float,
    ) -> None:
        self._links = links
        self._predictor = predictor
        self._routes = routes
        self._store = store
        self._settle = timedelta(seconds=settle_seconds)
        self.announced = Announced()
        self._topology: Topology | None = None
        self._learned_at: dict[Key, datetime] = {}
        self._mains: dict[Prefix, tuple[Vector, Mapping[int, str]]] = {}
        self._mains_before: dict[Prefix, Mapping[int, str]] = {}
        self._saved_at: datetime | None = None
        self._failing = False
        self._loaded = False
        self._lock = asyncio.Lock()
        self.counters: Counter[str] = Counter()

    def note(self, now: datetime) -> None:
        """Called once a second: how everything is announced."""
        live = self._routes.live()
        if isinstance(live, NoData):
            self.announced.doubt()
        else:
            self.announced.note({prefix: live.vector(prefix) for prefix in live.prefixes()}, now)

    def settled(self, matrix: TrafficMatrix) -> dict[Prefix, Vector]:
        """Prefixes of which the whole window lies behind the settling of their last change."""
        return self.announced.settled(matrix.at - timedelta(seconds=matrix.seconds) - self._settle)

    async def load(self) -> None:
        """The model as it was left, and what was observed since. What cannot be read is set aside, and learned anew
        from what was observed. Only the first call does anything.
        """
        async with self._lock:
            if not self._loaded:
                await self._load()
                self._loaded = True

    async def ground(self) -> None:
        """What was learned, on the AS graph of now."""
        async with self._lock:
            if self._loaded and self._topology is not self._predictor.topology:
                self._predictor.use(await asyncio.to_thread(self._learned, self._predictor.model, ()))

    async def _load(self) -> None:
        from teagent.engine.predict.evidence_state import seen_of

        saved = await self._saved()
        since = None if saved is None else saved[0]
        rows = await self._store.learned(
            LearnedKind.OBSERVATION, since=since, limit=REPLAYED if since is None else OBSERVATIONS_MAX
        )
        found = [seen for row in rows if (seen := seen_of(row.arrays)) is not None]
        if len(found) < len(rows):
            log.warning("observations cannot be read", count=len(rows) - len(found))
        if saved is None and not found and self._predictor.topology is None:
            return
        self._saved_at = since
        model = await asyncio.to_thread(self._learned, None if saved is None else saved[1], found)
        for seen in found:
            self._remember(seen)
            self._learned_at[_key(seen.observation.vector)] = seen.observation.at
        self._predictor.use(model)
        log.info("evidence read", saved_at=None if since is None else since.isoformat(), observations=len(found))

    async def _saved(self) -> tuple[datetime, IngressModel] | None:
        self._topology = self._predictor.topology
        for row in await self._store.learned(LearnedKind.INGRESS_MODEL, limit=1):
            try:
                return row.at, await asyncio.to_thread(self._model_of, row)
            # Arrays that say something else than this version's show themselves in these ways.
            except (TeagentError, KeyError, ValueError, IndexError, TypeError) as error:
                log.warning("learned model set aside", reason=str(error), saved_at=row.at.isoformat())
                await self._store.set_learned_aside(LearnedKind.INGRESS_MODEL, row.key)
        return None

    def _model_of(self, row: LearnedRow) -> IngressModel:
        """Raises TeagentError, and others, for what is none that this version can read."""
        from teagent.engine.predict.ingress_state import from_state

        if row.arrays is None:
            raise TeagentError("it is damaged")
        return from_state(row.arrays, self._predictor.distances())

    def _learned(self, model: IngressModel | None, found: Sequence[Seen]) -> IngressModel:
        """With these observations in it; on the graph of now, where that is another than before."""
        from teagent.engine.predict.ingress import empty
        from teagent.engine.predict.ingress_learning import learn
        from teagent.engine.predict.ingress_state import from_state, to_state

        if model is None or self._topology is not self._predictor.topology:
            self._topology = self._predictor.topology
            distances = self._predictor.distances()
            model = empty(self._links, distances) if model is None else from_state(to_state(model), distances)
        for seen in found:
            model = learn(model, seen.observation)
        return model

    async def learn(self, matrix: TrafficMatrix, doubted: Collection[str]) -> None:
        """From a window that has not been looked at yet."""
        async with self._lock:
            await self._learn(matrix, doubted)

    async def _learn(self, matrix: TrafficMatrix, doubted: Collection[str]) -> None:
        from teagent.engine.predict.evidence import evidence

        vectors = self.settled(matrix)
        before = {prefix: self._came_before(prefix, vector) for prefix, vector in vectors.items()}
        previous = {prefix: old for prefix in vectors if (old := self.announced.before(prefix)) is not None}
        found = await asyncio.to_thread(
            lambda: tuple(
                evidence(matrix, vectors, links=self._links, doubted=doubted, before=before, previous=previous)
            )
        )
        due = [seen for seen in found if self._due(seen)]
        for seen in found:
            self._remember(seen)
        if not due and self._topology is self._predictor.topology:
            return
        fresh = any(_key(seen.observation.vector) not in self._learned_at for seen in due)
        self._predictor.use(await asyncio.to_thread(self._learned, self._predictor.model, due))
        for seen in due:
            self._learned_at[_key(seen.observation.vector)] = matrix.at
        self.counters["observations"] += len(due)
        await self._keep(due, save=fresh or self._saved_at is None or matrix.at - self._saved_at > SAVED_EVERY)

    def _due(self, seen: Seen) -> bool:
        """Whether it teaches something: a vector that was not looked at lately, or not since it came back."""
        learned_at = self._learned_at.get(_key(seen.observation.vector))
        if learned_at is None or seen.observation.at - learned_at >= AGAIN:
            return True
        return any(
            (since := self.announced.since(prefix)) is not None and since > learned_at for prefix in seen.prefixes
        )

    def _came_before(self, prefix: Prefix, vector: Vector) -> Mapping[int, str]:
        known = self._mains.get(prefix)
        return known[1] if known is not None and known[0] != vector else self._mains_before.get(prefix, {})

    def _remember(self, seen: Seen) -> None:
        vector, mains = dict(seen.observation.vector), seen.mains()
        for prefix in seen.prefixes:
            known = self._mains.get(prefix)
            if known is not None and known[0] != vector:
                self._mains_before[prefix] = known[1]
            self._mains[prefix] = (vector, mains)

    async def _keep(self, found: Sequence[Seen], *, save: bool) -> None:
        """Observations first: whatever the model's state becomes, they are learned again at the next start."""
        from teagent.engine.predict.evidence_state import seen_state

        try:
            for seen in found:
                key = f"{seen.observation.at.isoformat()} {json.dumps(sorted(seen.observation.vector.items()))}"
                await self._store.keep_learned(LearnedKind.OBSERVATION, key, seen.observation.at, seen_state(seen))
            if save and found:
                await self.save(found[-1].observation.at)
        except StoreError as error:
            self.counters["store_failures"] += 1
            if not self._failing:
                log.error("evidence cannot be stored", error=error.message)
            self._failing = True
        else:
            self._failing = False

    async def save(self, at: datetime) -> None:
        """`at` is the time of the last observation in the model: those after it are learned again at a start."""
        from teagent.engine.predict.ingress_state import to_state

        model = self._predictor.model
        if model is not None:
            arrays = await asyncio.to_thread(to_state, model)
            await self._store.keep_learned(LearnedKind.INGRESS_MODEL, CURRENT, at, arrays)
            self._saved_at = at


def _key(vector: Vector) -> Key:
    return tuple(sorted(vector.items()))
