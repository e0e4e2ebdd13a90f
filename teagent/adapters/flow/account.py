"""What is known of one exporter: its decoder, and what came of its datagrams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from teagent.engine.measure.spans import RecordSpans
from teagent.model.traffic import FlowBatch
from teagent.ports import ExporterHealth
from teagent.wire.flow.decoder import FlowDecoder
from teagent.wire.flow.export_time import export_time
from teagent.wire.flow.limits import Limits

INTERNAL_ERROR = "internal_error"
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
        self._decoder = self._new_decoder()
        self._last_at: float | None = None
        self._datagrams = 0
        self._records = 0
        self._lost = 0
        self._gaps = 0
        self._expected = 0
        self._skew: float | None = None
        self._spans = RecordSpans()
        self._spans_at = 0.0
        self._undecoded: Counter[str] = Counter()

    def _new_decoder(self) -> FlowDecoder:
        return FlowDecoder(self._exporter, limits=self._limits, sampling_rate=self._sampling_rate)

    def decode(self, payloads: Sequence[bytes], *, port: int, at: float) -> Sequence[FlowBatch]:
        self._last_at = at
        self._datagrams += len(payloads)
        exported_at = export_time(payloads[-1])
        self._skew = None if exported_at is None else exported_at - at
        try:
            result = self._decoder.decode(payloads, at=at, stream=port)
        except Exception:  # noqa: BLE001  a fault of ours must not end the intake of all: it is counted, and starts anew
            self._undecoded[INTERNAL_ERROR] += len(payloads)
            self._decoder = self._new_decoder()
            return ()
        self._records += result.records
        self._lost = max(0, self._lost + result.lost)
        self._gaps += result.lost > 0
        units = result.records if self._decoder.protocol in COUNTING_RECORDS else len(payloads)
        self._expected += max(0, units + result.lost)
        self._measure_spans(result.batches, at)
        self._undecoded.update({str(reason): count for reason, count in result.undecoded.items()})
        return result.batches

    def _measure_spans(self, batches: Sequence[FlowBatch], at: float) -> None:
        if batches and not 0 <= at - self._spans_at < SPANS_EVERY_SECONDS:
            self._spans_at = at
            for batch in batches:
                self._spans.add(batch, at=at)

    def health(self) -> ExporterHealth:
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
        )


def _time(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
