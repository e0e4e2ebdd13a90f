"""Flows out of ClickHouse: implements ports.FlowSource.

One thread reads the table on and on, in spans of the time at which the collector received a flow. A span is read once
it lies `lag_seconds` back, because rows arrive late, and each is read once: `told_until` is the end of what `take` has
handed over, and `resume` begins where the last stored matrix ended, so that a restart neither skips nor repeats rows.
Rows that arrive even later are missing in the matrix. They are counted, as lost.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np

from teagent.adapters.clickhouse.reader import Reader
from teagent.adapters.clickhouse.statement import Grouping
from teagent.errors import TelemetryError
from teagent.model.bgp import Prefix
from teagent.model.traffic import Column, FlowBatch
from teagent.ports import Clock, ExporterHealth

LONGEST_SPAN_SECONDS: Final = 60  # that is read at once, when there is much to catch up with
LATE_AFTER_SECONDS: Final = 120  # after so long it is looked whether a span has grown
MOST_BEHIND_SECONDS: Final = 900.0
MOST_UNTAKEN: Final = 1_000_000  # rows; then reading waits, the table keeps them
LONGEST_PAUSE_SECONDS: Final = 60.0
STOP_WITHIN_SECONDS: Final = 1.0
QUERY_FAILED: Final = "query_failed"

Interfaces = Callable[[], Mapping[tuple[str, str], int]]
"""(router, interface as the table has it) -> ifIndex, for the interfaces of links; asked before each query."""


@dataclass(slots=True)
class _Account:
    router: str
    records: int = 0
    late: int = 0
    newest: int = 0
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    since: int
    until: int
    rows: Mapping[str, int]


@dataclass(slots=True)
class _Told:
    """What waits to be taken."""

    batches: list[FlowBatch] = field(default_factory=list)
    rows: int = 0


class ClickHouseSource:
    """`exporters` maps the addresses that count to router names, `sampling_rates` overrides what the table says."""

    def __init__(
        self,
        reader: Reader,
        *,
        exporters: Mapping[str, str],
        interfaces: Interfaces,
        prefixes: Sequence[Prefix],
        clock: Clock,
        lag_seconds: float,
        interval_seconds: float,
        sampling_rates: Mapping[str, float] | None = None,
        source_prefix_ipv4: int = 24,
        source_prefix_ipv6: int = 48,
        most_behind_seconds: float = MOST_BEHIND_SECONDS,
    ) -> None:
        self._reader = reader
        self._exporters = tuple(sorted(exporters))
        self._interfaces = interfaces
        self._prefixes = tuple(prefixes)
        self._clock = clock
        self._lag = lag_seconds
        self._interval = interval_seconds
        self._rates = dict(sampling_rates or {})
        self._source_prefix = (source_prefix_ipv4, source_prefix_ipv6)
        self._most_behind = most_behind_seconds
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._read_until: int | None = None
        self._dropped = Counter({"clickhouse_clock_steps": 0, "clickhouse_skipped_seconds": 0})
        self._lock = threading.Lock()  # guards all below
        self._accounts = {name: _Account(exporters[name]) for name in self._exporters}
        self._told = _Told()
        self._told_until: int | None = None
        self._ready_until: int | None = None
        self._queries = 0
        self._failures: Counter[str] = Counter()
        self._trouble: TelemetryError | None = None
        self._spans: deque[_Span] = deque()

    def start(self) -> None:
        """Starting twice is once."""
        if self._thread is not None:
            return
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="flows of ClickHouse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stopping twice is once. A query that is under way is left to its end."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN_SECONDS)
            self._thread = None

    def resume(self, since: datetime | None, now: datetime) -> datetime:
        begin = self._begin(now)
        if since is not None:
            begin = min(begin, max(int(since.timestamp()), int(begin - self._most_behind)))
        with self._lock:
            self._read_until = self._told_until = self._ready_until = begin
        return datetime.fromtimestamp(begin, UTC)

    def take(self) -> Sequence[FlowBatch]:
        with self._lock:
            told, self._told = self._told, _Told()
            self._told_until = self._ready_until
        return told.batches

    def told_until(self, now: datetime) -> datetime:
        with self._lock:
            until = self._told_until
        return datetime.fromtimestamp(self._begin(now) if until is None else until, UTC)

    def trouble(self) -> str:
        with self._lock:
            return "" if self._trouble is None else self._trouble.message

    def dropped(self) -> Mapping[str, int]:
        return dict(self._dropped)

    def exporters(self) -> Sequence[ExporterHealth]:
        with self._lock:
            return tuple(self._health(name, account) for name, account in self._accounts.items())

    def _health(self, name: str, account: _Account) -> ExporterHealth:
        return ExporterHealth(
            exporter=name,
            router=account.router,
            protocol="clickhouse",
            last_at=datetime.fromtimestamp(account.newest, UTC) if account.newest else None,
            datagrams=self._queries,
            records=account.records,
            lost=account.late,
            undecoded=dict(self._failures),
            sampling_rate=self._rates.get(name, account.rate),
            templates=0,
            awaiting_template=0,
            expected=account.records + account.late,
        )

    def _run(self) -> None:
        pause = self._interval
        while not self._stopping.wait(pause):
            pause = self._interval if self.poll() else min(max(pause, self._interval) * 2, LONGEST_PAUSE_SECONDS)
        self._reader.close()

    def poll(self) -> bool:
        """Reads all that is due; what the thread does again and again. False where the server did not give it."""
        try:
            while not self._stopping.is_set() and self._read_next():
                pass
            self._look_for_late_rows()
        except TelemetryError as error:
            self._failed(error)
            return False
        except Exception as error:  # noqa: BLE001  a fault of ours must not end the reading for good
            self._reader.close()
            self._failed(TelemetryError(f"reading flows out of ClickHouse broke: {error!r}"))
            return False
        return True

    def _begin(self, now: datetime) -> int:
        return int(now.timestamp() - self._lag)

    def _read_next(self) -> bool:
        """Reads one span; false where none is due."""
        due = self._begin(self._clock.now())
        if self._read_until is None:
            self.resume(None, self._clock.now())
            return False
        begun = self._read_until
        if begun - due > LONGEST_SPAN_SECONDS:
            self._dropped["clickhouse_clock_steps"] += 1
            self.resume(None, self._clock.now())
            self._spans.clear()
            return False
        earliest = int(due - self._most_behind)
        since = begun if begun >= earliest - LONGEST_SPAN_SECONDS else earliest
        until = min(due, since + LONGEST_SPAN_SECONDS)
        ports = self._ports()
        with self._lock:
            waiting = self._told.rows > MOST_UNTAKEN
        # Without the interfaces nothing could be attributed: better late than lost.
        if until <= since or waiting or not ports:
            return False
        if since > begun:
            self._dropped["clickhouse_skipped_seconds"] += since - begun
            self._spans.clear()
        grouping = Grouping(
            exporters=self._exporters,
            ports=tuple((exporter, port) for exporter, port, _ in ports),
            prefixes=self._prefixes,
            source_prefix_ipv4=self._source_prefix[0],
            source_prefix_ipv6=self._source_prefix[1],
        )
        found = self._reader.flows(grouping, since=since, until=until)
        self._keep(found, [index for _, _, index in ports], _Span(since, until, self._counted(found)))
        return True

    def _ports(self) -> list[tuple[str, str, int]]:
        """(exporter, interface, ifIndex) of all links."""
        interfaces = self._interfaces()
        return sorted(
            (exporter, name, index)
            for exporter, account in self._accounts.items()
            for (router, name), index in interfaces.items()
            if router == account.router
        )

    def _counted(self, found: Column) -> dict[str, int]:
        rows = np.bincount(found["exporter"], weights=found["rows"], minlength=len(self._exporters) + 1)
        return {name: int(rows[i]) for i, name in enumerate(self._exporters, 1)}

    def _keep(self, found: Column, if_indexes: Sequence[int], span: _Span) -> None:
        indexes = np.array([0, *if_indexes], dtype=np.uint32)
        batches: list[FlowBatch] = []
        newest: dict[str, int] = {}
        rates: dict[str, float] = {}
        for number, name in enumerate(self._exporters, 1):
            of_exporter = found[found["exporter"] == number]
            if not len(of_exporter):
                continue
            newest[name] = int(of_exporter["newest"].max())
            rates[name] = float(of_exporter["sampling_rate"].max())
            for family in (4, 6):
                rows = of_exporter[of_exporter["family"] == family]
                if len(rows):
                    batches.append(_batch(rows, name, family, indexes, self._rates.get(name)))
        with self._lock:
            for name, count in span.rows.items():
                self._accounts[name].records += count
            for name, at in newest.items():
                self._accounts[name].newest = max(at, self._accounts[name].newest)
                if rates[name] > 0:
                    self._accounts[name].rate = rates[name]
            self._told.batches.extend(batches)
            self._told.rows += len(found)
            self._ready_until = self._read_until = span.until
            self._queries += 1
            self._trouble = None
        self._spans.append(span)

    def _look_for_late_rows(self) -> None:
        """Counts each span once more, some time after it was read."""
        due = self._begin(self._clock.now()) - LATE_AFTER_SECONDS
        spans = []
        for span in self._spans:
            if span.until > due:
                break
            spans.append(span)
        if not spans or spans[-1].until - spans[0].since < min(LATE_AFTER_SECONDS, LONGEST_SPAN_SECONDS):
            return
        now_there = self._reader.count(self._exporters, since=spans[0].since, until=spans[-1].until)
        for _ in spans:
            self._spans.popleft()
        with self._lock:
            for name, account in self._accounts.items():
                account.late += max(0, now_there.get(name, 0) - sum(span.rows[name] for span in spans))

    def _failed(self, error: TelemetryError) -> None:
        with self._lock:
            self._trouble = error
            self._failures[QUERY_FAILED] += 1


def _batch(rows: Column, exporter: str, family: int, if_indexes: Column, override: float | None) -> FlowBatch:
    n = len(rows)
    in_if = if_indexes[rows["port"]]
    zeros = np.zeros(n, dtype=np.uint16)
    unknown = np.full(n, np.nan)
    rate = np.where(rows["sampling_rate"] > 0, rows["sampling_rate"].astype(np.float64), np.nan)
    return FlowBatch(
        exporter=exporter,
        family=family,
        in_if=in_if,
        out_if=np.where(rows["same_if"] > 0, in_if, np.uint32(0)),
        src=_addresses(rows["src"], family),
        dst=_addresses(rows["dst"], family),
        protocol=np.zeros(n, dtype=np.uint8),
        src_port=zeros,
        dst_port=zeros,
        src_asn=rows["src_asn"].astype(np.uint32),
        dst_asn=np.zeros(n, dtype=np.uint32),
        octets=rows["octets"].astype(np.uint64),
        packets=rows["packets"].astype(np.uint64),
        sampling_rate=rate if override is None else np.full(n, override),
        start=unknown,
        end=unknown,
        direction=rows["egress"] if rows["egress"].any() else None,
    )


def _addresses(column: Column, family: int) -> Column:
    native = column.astype(np.uint64)
    return (native[:, 1] & np.uint64(0xFFFFFFFF)).astype(np.uint32) if family == 4 else native
