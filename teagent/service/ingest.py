"""Ingest: flow records into the traffic matrix of each window, scaled to the interface counters."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from teagent.engine.measure.attribution import Attribution
from teagent.engine.measure.counting import Count
from teagent.engine.measure.matrix import MatrixBuilder, WindowCounts
from teagent.engine.measure.trust import COVERAGE_LIMITS, disagreements
from teagent.engine.measure.windows import combined, flow_octets, scaled
from teagent.errors import StoreError
from teagent.model.bgp import Prefix
from teagent.model.link import NoData
from teagent.model.traffic import MatrixSpan, TrafficMatrix
from teagent.ports import Clock, ExporterHealth, FlowSource, Store
from teagent.service.exporters import ExporterWatch
from teagent.service.observe import Observer
from teagent.service.origins import Origins

log = structlog.get_logger("ingest")

BY_THE_HOUR_SECONDS = 6 * 3600.0
LONGEST_BEHIND_SECONDS = 900.0
"""A source that remembers is asked for no more than this, and a little."""
IDLE_SHARE = 0.01
"""Of its capacity; by a link with less there comes little but what is in no flow: routing protocols, ARP, LLDP."""
STALE_WINDOWS = 3
"""A matrix older than this many windows is no data."""


class Ingest:
    """One window after the other; `latest` is the last closed one, never the open one.

    `short_window_seconds` goes into `window_seconds` a whole number of times: a window is the sum of its short ones,
    scaled anew. Without it, or where both are the same, there are no short ones. `count` gives a quicker way to count
    records, once there is one.
    """

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
        short_window_seconds: float | None = None,
        origins: Origins | None = None,
        count: Callable[[], Count | None] = lambda: None,
        exporter_watch: ExporterWatch | None = None,
        coverage_limits: tuple[float, float] = COVERAGE_LIMITS,
        source_prefix_ipv4: int = 24,
        source_prefix_ipv6: int = 48,
        records_tell_as: bool = True,
    ) -> None:
        self._source = source
        self._links = tuple(links)
        self._prefixes = tuple(prefixes)
        self._exporters = dict(exporters)
        self._observer = observer
        self._store = store
        self._clock = clock
        self._window_seconds = window_seconds
        self._short_seconds = short_window_seconds or window_seconds
        self._parts_of_window = round(window_seconds / self._short_seconds)
        self._max_rows = max_rows
        self._origins = origins
        self._count = count
        self._exporter_watch = exporter_watch
        self.coverage_limits = coverage_limits
        self._interfaces: dict[tuple[str, int], str] = {}
        self._builder = MatrixBuilder(
            self._attribution(),
            max_rows=max_rows,
            source_prefix_ipv4=source_prefix_ipv4,
            source_prefix_ipv6=source_prefix_ipv6,
            records_tell_as=records_tell_as,
        )
        self._opened_at = clock.now()
        self._started_at = clock.now()
        self._trouble = ""
        self._stored_short_until: datetime | None = None  # by an earlier life
        self._parts: list[TrafficMatrix] = []  # of the open window, as flows tell them
        self._latest: dict[MatrixSpan, TrafficMatrix] = {}
        self.last_counts: WindowCounts | None = None
        self.counters: Counter[str] = Counter()

    def _attribution(self) -> Attribution:
        return Attribution(
            links=self._links, interfaces=self._interfaces, prefixes=self._prefixes, routers=self._exporters
        )

    async def load(self) -> None:
        """The last matrices from the store, so that a restart loses the open window at most."""
        for span in self._spans():
            found = await self._store.latest_matrix(span=span)
            if found is not None:
                self._latest[span] = found
        whole, short = (self._latest.get(span) for span in (MatrixSpan.WINDOW, MatrixSpan.SHORT))
        self._opened_at = self._source.resume(None if whole is None else whole.at, self._clock.now())
        self._stored_short_until = None if short is None else short.at

    def _spans(self) -> tuple[MatrixSpan, ...]:
        return (MatrixSpan.WINDOW,) if self._parts_of_window == 1 else (MatrixSpan.SHORT, MatrixSpan.WINDOW)

    def window_seconds(self, span: MatrixSpan) -> float:
        return self._short_seconds if span is MatrixSpan.SHORT else self._window_seconds

    def drain(self) -> None:
        """Takes what has been decoded since the last call into the open window."""
        interfaces = self._observer.interface_links()
        if interfaces != self._interfaces:
            self._interfaces = interfaces
            self._builder.use(self._attribution())
        if self._origins is not None and self._origins.table is not self._builder.origins:
            self._builder.use_origins(self._origins.table)
        count = self._count()
        if count is not None:
            self._builder.count_by(count)
        for batch in self._source.take():
            self._builder.add(batch)
        self._say_trouble()

    def _say_trouble(self) -> None:
        """Once each: what is said again and again is read by nobody."""
        before, self._trouble = self._trouble, self._source.trouble()
        if self._trouble and self._trouble != before:
            log.warning("no flows come", reason=self._trouble)
        elif before and not self._trouble:
            log.info("flows come again")

    async def close_window(self) -> None:
        """A short window ends, and with the last of its short ones the window itself."""
        self.drain()
        told_as_it_comes, now = self._told_until()
        seconds = (now - self._opened_at).total_seconds()
        if not told_as_it_comes and 0 <= seconds < self._short_seconds / 2:
            self.counters["windows_waited"] += 1  # for a source that is behind; the flows are not lost
            return
        self._opened_at = now
        longest = self._short_seconds * 2 if told_as_it_comes else self._short_seconds + LONGEST_BEHIND_SECONDS
        if not self._short_seconds / 2 <= seconds <= longest:
            # The clock stepped, or the machine slept: rates over an interval that nobody knows are no rates.
            log.warning("window dropped", seconds=seconds, window_seconds=self._short_seconds)
            self.counters["windows_dropped"] += 1
            self._builder.build(at=now, seconds=self._short_seconds, interface_octets={})
            self._parts.clear()
            return
        if self._exporter_watch is not None:
            self._exporter_watch.sample()
        self.last_counts = self._builder.counts()
        self._parts.append(self._builder.build(at=now, seconds=seconds, interface_octets={}))
        repeated = self._stored_short_until is not None and now <= self._stored_short_until
        if self._parts_of_window > 1 and not repeated:
            await self._keep(MatrixSpan.SHORT, scaled(self._parts[-1], self._octets(seconds, now)))
        # Parts are longer where a source had been behind.
        covered = sum(part.seconds for part in self._parts)
        if len(self._parts) >= self._parts_of_window or covered > self._window_seconds + self._short_seconds / 2:
            await self._close_whole_window(now)

    def _told_until(self) -> tuple[bool, datetime]:
        """Whether the source tells what comes as it comes, and up to when it has told everything."""
        now = self._clock.now()
        until = self._source.told_until(now)
        return until == now, until

    async def _close_whole_window(self, now: datetime) -> None:
        parts, self._parts = self._parts, []
        octets = self._octets(sum(part.seconds for part in parts), now)
        counted = dict.fromkeys(self._links, 0.0)
        for part in parts:
            for link, flows in flow_octets(part).items():
                counted[link] += flows
        self._builder.sieve.judge(counted, octets)
        whole = parts[0] if len(parts) == 1 else await asyncio.to_thread(combined, parts, max_rows=self._max_rows)
        self.counters["windows"] += 1
        await self._keep(MatrixSpan.WINDOW, scaled(whole, octets))

    async def _keep(self, span: MatrixSpan, matrix: TrafficMatrix) -> None:
        self._latest[span] = matrix
        try:
            await self._store.add_matrix(matrix, span=span)
        except StoreError as error:
            self.counters["store_failures"] += 1
            log.error("matrix could not be stored", error=error.message)

    def _octets(self, seconds: float, now: datetime) -> dict[str, float | NoData]:
        """What each link's interface counted in, over the seconds before `now`."""
        octets: dict[str, float | NoData] = {}
        for link in self._links:
            average = self._observer.average(link, since=now - timedelta(seconds=seconds), until=now)
            octets[link] = average if isinstance(average, NoData) else average.in_bps * seconds / 8
        return octets

    def latest(self, now: datetime, *, span: MatrixSpan = MatrixSpan.WINDOW) -> TrafficMatrix | NoData:
        matrix = self._latest.get(span)
        if matrix is None:
            return NoData(since=self._started_at, reason=self._because("no window of flows has closed yet"))
        age = (now - matrix.at).total_seconds()
        if age > STALE_WINDOWS * self.window_seconds(span):
            return NoData(since=matrix.at, reason=self._because(f"the last window of flows closed {age:.0f}s ago"))
        return matrix

    def _because(self, reason: str) -> str:
        trouble = self._source.trouble()
        return f"{reason}: {trouble}" if trouble else reason

    async def over(self, now: datetime, *, since: datetime, span: MatrixSpan) -> TrafficMatrix | NoData:
        """The mean of those of the store that ended after `since`. What is far back is told by the hour, with the
        largest demands apart.
        """
        parts: list[TrafficMatrix] = []
        begin = since
        if span is MatrixSpan.WINDOW and (now - since).total_seconds() > BY_THE_HOUR_SECONDS:
            while begin < now:
                end = min(begin + timedelta(days=1), now)
                hours = await self._store.matrices(since=begin, until=end, span=MatrixSpan.HOUR)
                begin = end
                parts += await self._sum(hours)
            begin = parts[-1].at if parts else since
        while begin < now:
            end = min(begin + timedelta(hours=1), now)
            parts += await self._sum(await self._store.matrices(since=begin, until=end, span=span))
            begin = end
        whole = await self._sum(parts)
        return whole[0] if whole else NoData(since=since, reason="no window of flows has closed since then")

    async def _sum(self, matrices: Sequence[TrafficMatrix]) -> list[TrafficMatrix]:
        """One, or none of none: put together piece by piece, so that few are in memory at once."""
        if not matrices:
            return []
        return [await asyncio.to_thread(combined, matrices, max_rows=self._max_rows)]

    def flow_doubts(self, now: datetime) -> dict[str, tuple[str, ...]]:
        """By link, why its flows are not to be trusted, besides their coverage."""
        if self._exporter_watch is None:
            return {}
        return self._exporter_watch.link_doubts(now, disagreements(self.latest(now), self.coverage_limits))

    def exporter_doubts(self, now: datetime) -> dict[str, tuple[str, ...]]:
        """By exporter, why it is not trusted, coverage of its links included; but what little comes in by a link that
        is next to idle is no measure of an exporter.
        """
        if self._exporter_watch is None:
            return {}
        carrying = self._observer.carrying(now, share=IDLE_SHARE)
        said = disagreements(self.latest(now), self.coverage_limits)
        return self._exporter_watch.all_doubts(now, {link: said[link] for link in said if link in carrying})

    @property
    def counted_once(self) -> tuple[str, ...]:
        """Links whose egress records are duplicates, and left out."""
        return self._builder.sieve.left_out

    def exporters(self) -> Sequence[ExporterHealth]:
        return self._source.exporters()
