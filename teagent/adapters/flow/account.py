"""What is known of one exporter: its decoder, and what came of its datagrams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from teagent.model.traffic import FlowBatch
from teagent.ports import ExporterHealth
from teagent.wire.flow.decoder import FlowDecoder
from teagent.wire.flow.limits import Limits

INTERNAL_ERROR = "internal_error"


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
        self._undecoded: Counter[str] = Counter()

    def _new_decoder(self) -> FlowDecoder:
        return FlowDecoder(self._exporter, limits=self._limits, sampling_rate=self._sampling_rate)

    def decode(self, payloads: Sequence[bytes], *, port: int, at: float) -> Sequence[FlowBatch]:
        self._last_at = at
        self._datagrams += len(payloads)
        try:
            result = self._decoder.decode(payloads, at=at, stream=port)
        except Exception:  # noqa: BLE001  a fault of ours must not end the intake of all: it is counted, and starts anew
            self._undecoded[INTERNAL_ERROR] += len(payloads)
            self._decoder = self._new_decoder()
            return ()
        self._records += result.records
        self._lost = max(0, self._lost + result.lost)
        self._undecoded.update({str(reason): count for reason, count in result.undecoded.items()})
        return result.batches

    def health(self) -> ExporterHealth:
        decoder = self._decoder
        return ExporterHealth(
            exporter=self._exporter,
            router=self._router,
            protocol=decoder.protocol,
            last_at=None if self._last_at is None else datetime.fromtimestamp(self._last_at, UTC),
            datagrams=self._datagrams,
            records=self._records,
            lost=self._lost,
            undecoded=dict(self._undecoded),
            sampling_rate=decoder.sampling_rate,
            templates=decoder.templates,
            awaiting_template=decoder.awaiting_template,
        )
