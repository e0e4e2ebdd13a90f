"""Ingest: flow records into the traffic matrix of each window, scaled to the interface counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from teagent.engine.measure.attribution import Attribution
from teagent.engine.measure.matrix import MatrixBuilder, WindowCounts
from teagent.errors import StoreError
from teagent.model.bgp import Prefix
from teagent.model.link import NoData
from teagent.model.traffic import TrafficMatrix
from teagent.ports import Clock, ExporterHealth, FlowSource, Store
from teagent.service.observe import Observer

log = structlog.get_logger("ingest")

STALE_WINDOWS = 3
"""A matrix older than this many windows is no data."""


class Ingest:
    """One window after the other; `latest` is the last closed one, never the open one."""

    def __init__(
        self,
        *,
        source: FlowSource,
        links: Iterable[str],
        prefixes: Sequence[Prefix],
        exporters: Mapping[str, str],
        observer: Observer,
        store: Store,
        clock: Clock,
        window_seconds: float,
        max_rows: int,
        source_prefix_ipv4: int = 24,
        source_prefix_ipv6: int = 48,
    ) -> None:
        self._source = source
        self._links = tuple(links)
        self._prefixes = tuple(prefixes)
        self._exporters = dict(exporters)
        self._observer = observer
        self._store = store
        self._clock = clock
        self._window_seconds = window_seconds
        self._interfaces: dict[tuple[str, int], str] = {}
        self._builder = MatrixBuilder(
            self._attribution(),
            max_rows=max_rows,
            source_prefix_ipv4=source_prefix_ipv4,
            source_prefix_ipv6=source_prefix_ipv6,
        )
        self._opened_at = clock.now()
        self._started_at = clock.now()
        self._matrix: TrafficMatrix | None = None
        self.last_counts: WindowCounts | None = None
        self.counters: Counter[str] = Counter()

    def _attribution(self) -> Attribution:
        return Attribution(
            links=self._links, interfaces=self._interfaces, prefixes=self._prefixes, routers=self._exporters
        )

    async def load(self) -> None:
        """The last matrix from the store, so that a restart loses the open window at most."""
        self._matrix = await self._store.latest_matrix()

    def drain(self) -> None:
        """Takes what has been decoded since the last call into the open window."""
        interfaces = self._observer.interface_links()
        if interfaces != self._interfaces:
            self._interfaces = interfaces
            self._builder.use(self._attribution())
        for batch in self._source.take():
            self._builder.add(batch)

    async def close_window(self) -> None:
        now = self._clock.now()
        self.drain()
        seconds = (now - self._opened_at).total_seconds()
        if not self._window_seconds / 2 <= seconds <= self._window_seconds * 2:
            # The clock stepped, or the machine slept: rates over an interval that nobody knows are no rates.
            log.warning("window dropped", seconds=seconds, window_seconds=self._window_seconds)
            self.counters["windows_dropped"] += 1
            self._builder.build(at=now, seconds=self._window_seconds, interface_octets={})
            self._opened_at = now
            return
        octets = {link: self._octets(link, seconds, now) for link in self._links}
        self.last_counts = self._builder.counts()
        self._matrix = self._builder.build(at=now, seconds=seconds, interface_octets=octets)
        self._opened_at = now
        self.counters["windows"] += 1
        try:
            await self._store.add_matrix(self._matrix)
        except StoreError as error:
            self.counters["store_failures"] += 1
            log.error("matrix could not be stored", error=error.message)

    def _octets(self, link: str, seconds: float, now: datetime) -> float | NoData:
        average = self._observer.average(link, since=now - timedelta(seconds=seconds), until=now)
        return average if isinstance(average, NoData) else average.in_bps * seconds / 8

    def latest(self, now: datetime) -> TrafficMatrix | NoData:
        if self._matrix is None:
            return NoData(since=self._started_at, reason="no window of flows has closed yet")
        age = (now - self._matrix.at).total_seconds()
        if age > STALE_WINDOWS * self._window_seconds:
            return NoData(since=self._matrix.at, reason=f"the last window of flows closed {age:.0f}s ago")
        return self._matrix

    def exporters(self) -> Sequence[ExporterHealth]:
        return self._source.exporters()
