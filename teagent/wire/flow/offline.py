"""Captured flow exports as documents, for `teagent flow decode`: each record with all its fields, and what could not be
decoded with the reason. Memory is bounded whatever the capture holds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final, TypeAlias

from teagent.errors import WireError
from teagent.wire.flow import sflow_view, sflow_walk
from teagent.wire.flow.decoder import PROTOCOLS, FlowDecoder
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.record_view import RecordView, Troubles, views
from teagent.wire.flow.records import Undecoded, reason_of
from teagent.wire.flow.sflow import is_sflow
from teagent.wire.flow.sflow_view import Sample
from teagent.wire.flow.values import Value, time_text

Document: TypeAlias = dict[str, "Value | dict[str, Value] | list[dict[str, Value]]"]
Trouble: TypeAlias = tuple[str, str, str]
"""(exporter, reason, text)"""

MOST_EXPORTERS: Final = 1024
MOST_TROUBLES: Final = 10_000
# A capture is read once, and templates may come late in it: much more is held back for them than in the daemon.
LIMITS: Final = Limits(max_pending_sets=16_384, max_pending_octets=1 << 24, max_pending_seconds=math.inf)


class OfflineReader:
    """`undecoded` counts what could not be decoded; what is over MOST_TROUBLES different ones goes under their reason
    alone.
    """

    def __init__(self) -> None:
        self._decoders: dict[str, FlowDecoder] = {}
        self.undecoded: Counter[Trouble] = Counter()

    def read(self, payload: bytes, *, exporter: str, port: int, at: float) -> Iterator[Document]:
        """The records of one datagram, with those that had waited for its templates. `at` (NaN where unknown) and
        `port` are of its arrival.
        """
        head: Document = {"at": time_text(at), "exporter": exporter, "exporter_port": port}
        try:
            if is_sflow(payload):
                yield from self._samples(payload, head)
                return
            decoder = self._decoder(exporter)
            sets = decoder.read(payload, at=0.0 if math.isnan(at) else at, stream=port)
            for reason, text in decoder.refusals():
                self.fail(exporter, reason, text)
            troubles: Troubles = Counter()
            for found in sets:
                for record in views(found, troubles):
                    yield head | _record_document(record)
            for (reason, text), count in troubles.items():
                self.fail(exporter, reason, text, count)
        except WireError as error:
            self.fail(exporter, reason_of(error), error.message)

    def finish(self) -> None:
        """No more comes: what still waits for its template will not be decoded."""
        for exporter in list(self._decoders):
            self._end(exporter)

    def _end(self, exporter: str) -> None:
        decoder = self._decoders.pop(exporter)
        for (version, domain, template), count in decoder.held().items():
            text = f"{PROTOCOLS[version]} template {template} of domain {domain} did not come"
            self.fail(exporter, Undecoded.NO_TEMPLATE, text, count)

    def fail(self, exporter: str, reason: str, text: str, count: int = 1) -> None:
        trouble = (exporter, str(reason), text)
        if trouble not in self.undecoded and len(self.undecoded) >= MOST_TROUBLES:
            trouble = ("", str(reason), "more of the same kind")
        self.undecoded[trouble] += count

    def _decoder(self, exporter: str) -> FlowDecoder:
        decoder = self._decoders.get(exporter)
        if decoder is None:
            if len(self._decoders) >= MOST_EXPORTERS:
                self._end(next(iter(self._decoders)))
            decoder = self._decoders[exporter] = FlowDecoder(exporter, limits=LIMITS)
        return decoder

    def _samples(self, payload: bytes, head: Document) -> Iterator[Document]:
        found = sflow_view.view(payload)
        for reason, text in found.undecoded:
            self.fail(str(head["exporter"]), reason, text)
        agent: Document = {"agent": found.agent, "sub_agent": found.sub_agent, "sequence": found.sequence}
        for sample in found.samples:
            yield head | {"protocol": PROTOCOLS[0], "version": sflow_walk.VERSION} | agent | _sample_document(sample)


def _record_document(record: RecordView) -> Document:
    return {
        "protocol": PROTOCOLS[record.version],
        "version": record.version,
        "domain": record.domain,
        "template": record.template,
        "kind": "options" if record.options else "flow",
        "exported_at": time_text(record.exported_at),
        "input_interface": record.input_interface,
        "output_interface": record.output_interface,
        "sampling_rate": record.sampling_rate,
        "fields": record.fields,
    }


def _sample_document(sample: Sample) -> Document:
    source: dict[str, Value] = {"class": sample.source_class, "index": sample.source_index}
    records: list[dict[str, Value]] = [{"structure": record.name, **record.members} for record in sample.records]
    if sample.input is None or sample.output is None:
        return {"kind": "counters", "sample_sequence": sample.sequence, "source": source, "records": records}
    interfaces: Document = {
        "input_interface": sample.input.if_index,
        "output_interface": sample.output.if_index,
        "input": str(sample.input),
        "output": str(sample.output),
    }
    head: Document = {"sample_sequence": sample.sequence, "source": source, **interfaces}
    tail: Document = {"drops": sample.drops, "fields": sample.fields, "records": records}
    if sample.reason is not None:
        return {"kind": "discarded", **head, "reason": sample.reason, **tail}
    rate = float(sample.sampling_rate) or None
    return {"kind": "flow", **head, "sampling_rate": rate, "sample_pool": sample.pool, **tail}
