"""What is known of one exporter: its decoder, and what came of its datagrams."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from teagent.engine.measure.spans import RecordSpans
from teagent.model.traffic import FlowBatch
from teagent.ports import ExporterHealth
from teagent.wire.flow.datagrams import together
from teagent.wire.flow.decoder import FlowDecoder
from teagent.wire.flow.export_time import export_time
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.sflow_pass import OnePass

INTERNAL_ERROR = "internal_error"
READ_AT_ONCE = 2048  # datagrams: each step over all of them has a price of its own
COMPILED_AT_ONCE = 1024
"""Datagrams of sFlow, where compiled code reads them: its steps have next to no price. Half as many would stay in the
second-level cache, but what goes on around each read costs as much as that gains.
"""
LEAST_AT_ONCE = 256
LEAST_IN_PLACE = 64  # of fewer it would take less to wait for more
SFLOW = "sflow-v5"
LONGEST_READ_SECONDS = 0.02
"""For so long nobody looks at the sockets. What has to be read datagram by datagram takes longer, so of that fewer are
read at once.
"""
SPANS_EVERY_SECONDS = 1.0
"""How often the times of records are looked at: they say the same all the time, and it would be work for each."""
COUNTING_RECORDS = frozenset({"netflow-v5", "ipfix"})
"""Protocols whose sequence numbers count records; those of the others count datagrams."""


class ExporterAccount:
    def __init__(self, *, exporter: str, router: str | None, limits: Limits, sampling_rate: float | None) -> None:
        self._exporter = exporter
        self._router = router
        self._limits = limits
        self._sampling_rate = sampling_rate
        self._new_pass: Callable[[], OnePass] | None = None
        self._decoder = self._new_decoder()
        self.much_sflow = False  # so much that it is read before anybody asks for it
        self._last_at: float | None = None
        self._datagrams = 0
        self._records = 0
        self._lost = 0
        self.pending = 0  # records that were read and wait for `collect`
        self._waiting: dict[int, list[Sequence[bytes]]] = {}  # by the port that they came from
        self._held = 0  # datagrams that wait
        self._at_once = READ_AT_ONCE
        self._enough = READ_AT_ONCE  # of those that wait
        self._fed = 0  # datagrams read since `collect`
        self._gaps = 0
        self._expected = 0
        self._samples = 0
        self._samples_lost = 0
        self._samples_dropped = 0
        self._skew: float | None = None
        self._spans = RecordSpans()
        self._spans_at = 0.0
        self._undecoded: Counter[str] = Counter()

    def _new_decoder(self) -> FlowDecoder:
        decoder = FlowDecoder(self._exporter, limits=self._limits, sampling_rate=self._sampling_rate)
        if self._new_pass is not None:
            decoder.read_sflow_by(self._new_pass())
        return decoder

    def read_sflow_by(self, new_pass: Callable[[], OnePass]) -> None:
        self._new_pass = new_pass
        self._decoder.read_sflow_by(new_pass())

    def reads_in_place(self, datagrams: int) -> bool:
        """Whether to read so many at once takes little more than to keep them."""
        compiled = self._new_pass is not None and self.much_sflow and self._decoder.protocol == SFLOW
        return compiled and LEAST_IN_PLACE <= datagrams <= self._at_once

    def feed(self, payloads: Sequence[bytes], *, port: int, at: float) -> None:
        """Datagrams that came from one port together. They are read when there are many of them, and by `settle`: for
        so long they have to stand where they are. What comes from several ports in turns is read port by port, as it
        comes in no certain order anyway.
        """
        count = len(payloads)
        if not count:
            return
        self._last_at = at
        self._held += count
        parts = self._waiting.get(port)
        if parts is None:
            self._waiting[port] = [payloads]
        else:
            parts.append(payloads)
        if self._held >= self._enough:
            self.settle()
            self.much_sflow |= self._decoder.protocol == SFLOW

    def settle(self) -> None:
        """Reads what waits."""
        if not self._held or self._last_at is None:
            return
        waiting, held = self._waiting, self._held
        self._waiting, self._held = {}, 0
        begun = time.perf_counter()
        for port, parts in waiting.items():
            self._read(together(parts), port, self._last_at)
        self._at_once = next_at_once(self._at_once, held, time.perf_counter() - begun)
        compiled = self._new_pass is not None and self._decoder.protocol == SFLOW
        self._enough = min(self._at_once, COMPILED_AT_ONCE) if compiled else self._at_once

    def _read(self, payloads: Sequence[bytes], port: int, at: float) -> None:
        self._datagrams += len(payloads)
        self._fed += len(payloads)
        exported_at = export_time(payloads[-1])
        self._skew = None if exported_at is None else exported_at - at
        try:
            self._decoder.feed(payloads, at=at, stream=port)
            self.pending = self._decoder.pending
        except Exception:  # noqa: BLE001  a fault of ours must not end the intake of all: it is counted, and starts anew
            self._begin_anew()

    def collect(self) -> Sequence[FlowBatch]:
        """What was fed since the last time. Many records at once take less work than few."""
        self.settle()
        if self._fed == 0:
            return ()
        self.pending = 0
        at = self._last_at or 0.0
        spans = not 0 <= at - self._spans_at < SPANS_EVERY_SECONDS
        try:
            result = self._decoder.take(whole=spans)
        except Exception:  # noqa: BLE001
            self._begin_anew()
            return ()
        self._records += result.records
        self._lost = max(0, self._lost + result.lost)
        self._gaps += result.lost > 0
        self._samples += result.samples
        self._samples_lost = max(0, self._samples_lost + result.samples_lost)
        self._samples_dropped += result.samples_dropped
        units = result.records if self._decoder.protocol in COUNTING_RECORDS else self._fed
        self._expected += max(0, units + result.lost)
        self._fed = 0
        if spans and result.batches:
            self._spans_at = at
            for batch in result.batches:
                self._spans.add(batch, at=at)
        self._undecoded.update({str(reason): count for reason, count in result.undecoded.items()})
        return result.batches

    def _begin_anew(self) -> None:
        self._undecoded[INTERNAL_ERROR] += self._fed
        self._fed = self.pending = 0
        self._decoder = self._new_decoder()

    def health(self) -> ExporterHealth:
        """As of the last `collect`."""
        decoder = self._decoder
        return ExporterHealth(
            exporter=self._exporter,
            router=self._router,
            protocol=decoder.protocol,
            last_at=_time(self._last_at),
            datagrams=self._datagrams,
            records=self._records,
            lost=self._lost,
            undecoded=dict(self._undecoded),
            sampling_rate=decoder.sampling_rate,
            templates=decoder.templates,
            awaiting_template=decoder.awaiting_template,
            last_template_at=_time(decoder.template_at),
            sequence_gaps=self._gaps,
            expected=self._expected,
            clock_skew_seconds=self._skew,
            active_timeout_seconds=self._spans.active_timeout_seconds,
            future_share=self._spans.future_share,
            samples=self._samples,
            samples_lost=self._samples_lost,
            samples_dropped=self._samples_dropped,
        )


def next_at_once(at_once: int, count: int, seconds: float) -> int:
    """How many datagrams to read at once, when `count` of them took so long."""
    if seconds > LONGEST_READ_SECONDS:
        return max(LEAST_AT_ONCE, min(at_once, count) // 2)
    if count >= at_once and seconds < LONGEST_READ_SECONDS / 4:
        return min(READ_AT_ONCE, at_once * 2)
    return at_once


def _time(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
