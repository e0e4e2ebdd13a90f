"""The decoder of one exporter: datagrams in, columnar batches out.

State is what the protocols want kept between datagrams: templates, sampling rates, sequence numbers, and data sets
that came before their template. All of it is bounded by Limits. There is no I/O and no clock: `at` is an argument.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from teagent.errors import BadVersion, Truncated, WireError
from teagent.model.traffic import Column, FlowBatch
from teagent.wire.flow import frames, message, netflow5
from teagent.wire.flow.exporter_state import ExporterState
from teagent.wire.flow.layout import Batching
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.records import RecordSet, Undecoded, joined, reason_of
from teagent.wire.flow.sampling import SamplingRates
from teagent.wire.flow.sflow import SFlowReader
from teagent.wire.flow.template import Rows, decode_fixed

PROTOCOLS = {5: "netflow-v5", 9: "netflow-v9", 10: "ipfix", 0: "sflow-v5"}  # sFlow writes its version in 32 bits
SAME_BOOT_SECONDS = 1.5  # the v9 header has whole seconds, so the boot time that follows from it moves within one


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeResult:
    """`records` counts the flow records in `batches`; `lost` units of the exporter's sequence numbers (records in v5
    and IPFIX, datagrams in v9 and sFlow; below 0 when late ones make good for what was counted as lost before);
    `undecoded` datagrams, sets, templates and samples by reason. Of sFlow also: `samples_lost` on the way, and
    `samples_dropped` by the exporter itself, for want of means.
    """

    batches: tuple[FlowBatch, ...]
    records: int
    lost: int
    undecoded: Mapping[str, int]
    samples_lost: int = 0
    samples_dropped: int = 0


class FlowDecoder:
    """NetFlow v5, v9, IPFIX and sFlow v5 of one exporter address, which may carry several observation domains.

    `sampling_rate` overrides whatever the exporter says of its sampling. Not thread-safe.
    """

    def __init__(self, exporter: str, *, limits: Limits | None = None, sampling_rate: float | None = None) -> None:
        self.exporter = exporter
        self._state = ExporterState(limits or Limits())
        self._override = None if sampling_rate is None else SamplingRates.of_header(sampling_rate)
        self._sflow = SFlowReader(exporter, rate=sampling_rate)
        self._lost = 0
        self.version = -1
        self.exported_at = math.nan  # unix time in the header of the last datagram
        self.sampling_rate: float | None = None  # of the last flow record, None where unknown

    @property
    def protocol(self) -> str:
        return PROTOCOLS.get(self.version, "unknown")

    @property
    def templates(self) -> int:
        return self._state.templates

    @property
    def template_at(self) -> float | None:
        """Unix time at which the last template arrived, new or again; None before the first."""
        return self._state.template_at

    @property
    def awaiting_template(self) -> int:
        """Data sets that are held back until their template comes."""
        return self._state.awaiting_template

    def decode(self, datagrams: Sequence[bytes], *, at: float, stream: int = 0) -> DecodeResult:
        """Decodes datagrams that arrived at the unix time `at`, all at once where they share templates. `stream` is the
        source port: sequence numbers are looked at stream by stream, templates belong to the exporter.

        Never raises, whatever the bytes: what cannot be read is counted in `undecoded`, and the rest goes on.
        """
        sets: list[RecordSet] = []
        for datagram in datagrams:
            try:
                self._read(datagram, at, stream, sets)
            except WireError as error:
                self._state.undecoded[reason_of(error)] += 1
        self._state.expire(at)
        batches = (*self._batches(sets), *self._sampled())
        undecoded, self._state.undecoded = self._state.undecoded, Counter()
        lost, self._lost = self._lost, 0
        sflow_lost, samples_lost, samples_dropped = self._sflow.taken()
        return DecodeResult(
            batches=batches,
            records=sum(map(len, batches)),
            lost=lost + sflow_lost,
            undecoded=undecoded,
            samples_lost=samples_lost,
            samples_dropped=samples_dropped,
        )

    def read(self, datagram: bytes, *, at: float, stream: int = 0) -> list[RecordSet]:
        """The data sets of one datagram, options among them, for whoever wants every field and not only traffic; and
        those that had waited for a template in it. Takes note of templates and sampling like `decode`. Raises
        Truncated, BadLength, BadVersion where the datagram as a whole cannot be read.
        """
        sets: list[RecordSet] = []
        self._read(datagram, at, stream, sets)
        self._learn(sets)
        return sets

    def _read(self, datagram: bytes, at: float, stream: int, sets: list[RecordSet]) -> None:
        """Some exporters, and most files of captured payloads, put several messages into one datagram."""
        start = self._read_message(datagram, 0, at, stream, sets)
        if start < len(datagram):
            end = len(datagram.rstrip(b"\0"))  # zeros after a message are padding
            while start < end:
                start = self._read_message(datagram, start, at, stream, sets)

    def _read_message(self, datagram: bytes, start: int, at: float, stream: int, sets: list[RecordSet]) -> int:
        """Returns where the message that begins at `start` ends."""
        if len(datagram) - start < 2:
            raise Truncated(f"{len(datagram) - start} octets are no flow datagram", offset=start)
        self.version = version = datagram[start] << 8 | datagram[start + 1]
        if version == 5:
            end, lost, self.exported_at = netflow5.read(self._state, datagram, start, stream, sets)
            self._lost += lost
            return end
        if version == 0:
            self.exported_at = math.nan
            return self._sflow.read(datagram, start, stream)
        if version == 9:
            found = message.netflow9(self._state, datagram, start)
        elif version == 10:
            found = message.ipfix(self._state, datagram, start)
        else:
            raise BadVersion(
                f"version {version} is not NetFlow v5, v9, IPFIX or sFlow",
                offset=start,
                found=version,
                known=[5, 9, 10],
            )
        records = message.read_sets(self._state, found, datagram, at, sets)
        self._lost += found.domain.sequences.lost(stream, found.sequence, 1 if version == 9 else records)
        self.exported_at = found.exported_at
        return found.end

    def _learn(self, sets: list[RecordSet]) -> None:
        """Options first: the rates of a datagram hold for its flows, in whatever order they stand."""
        for group in joined([found for found in sets if found.layout.template.options and found.records]):
            first, rows = group[0], _rows(group)
            first.rates.learn(first.layout.template, rows)
            boot = first.layout.boot(rows)
            if boot is not None:
                first.domain.boot = boot

    def _sampled(self) -> Iterator[FlowBatch]:
        for batch in self._sflow.batches(self._state.undecoded):
            rate = float(batch.sampling_rate[-1])
            self.sampling_rate = None if math.isnan(rate) else rate
            yield batch

    def _batches(self, sets: list[RecordSet]) -> Iterator[FlowBatch]:
        self._learn(sets)
        for group in joined([found for found in sets if not found.layout.template.options]):
            layout = group[0].layout
            rows = _rows(group)
            if not len(rows):
                continue
            rates = group[0].rates if self._override is None else self._override
            batching = Batching(exporter=self.exporter, boot=_boot(group), exported_at=group[0].exported_at)
            if layout.has_addresses:
                batches = layout.batches(rows, rates, batching)
            elif layout.section is not None:
                decoded = frames.joined([found.decode() for found in group])
                batches = frames.batches(layout, layout.section, decoded, rates, batching, self._state.undecoded)
            else:
                self._state.undecoded[Undecoded.NO_ADDRESSES] += len(group)
                continue
            for batch in batches:
                rate = float(batch.sampling_rate[-1])
                self.sampling_rate = None if math.isnan(rate) else rate
                yield batch


def _rows(group: list[RecordSet]) -> Rows:
    template = group[0].layout.template
    if template.variable:
        return np.concatenate([found.decode().rows for found in group])
    if len(group) == 1:
        return decode_fixed(template, group[0].body)
    size = template.least
    return np.frombuffer(b"".join([found.body[: found.records * size] for found in group]), template.dtype)


def _boot(group: list[RecordSet]) -> Column | float:
    """One boot time where the sets agree about it, otherwise that of each record."""
    boots = [found.domain.boot if math.isnan(found.boot) else found.boot for found in group]
    if max(boots) - min(boots) > SAME_BOOT_SECONDS:
        return np.repeat(boots, [found.records for found in group])
    return boots[0]
