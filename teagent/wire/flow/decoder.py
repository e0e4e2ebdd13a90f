"""The decoder of one exporter: datagrams in, columnar batches out.

State is what the protocols want kept between datagrams: templates, sampling rates, sequence numbers, and data sets
that came before their template. All of it is bounded by Limits. There is no I/O and no clock: `at` is an argument.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from teagent.errors import BadVersion, Truncated, WireError
from teagent.model.traffic import Column, FlowBatch
from teagent.wire.flow import frames, message, netflow5
from teagent.wire.flow.burst import BurstReader, read_lanes
from teagent.wire.flow.exporter_state import ExporterState
from teagent.wire.flow.header_times import exported_at, header_times
from teagent.wire.flow.layout import Batching
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.records import DataSet, RecordSet, Run, Undecoded, gathered, joined, reason_of, rows_of
from teagent.wire.flow.sampling import SamplingRates
from teagent.wire.flow.sflow import SFLOW_VERSION, SFlowReader
from teagent.wire.flow.sflow_pass import OnePass

PROTOCOLS = {5: "netflow-v5", 9: "netflow-v9", 10: "ipfix", 0: "sflow-v5"}  # sFlow writes its version in 32 bits
SAME_BOOT_SECONDS = 1.5  # the v9 header has whole seconds, so the boot time that follows from it moves within one


def begins_as_flows(octets: bytes) -> bool:
    """Whether the version that a payload begins with is one that is read."""
    return octets.startswith(SFLOW_VERSION) or octets[:2] in {b"\x00\x05", b"\x00\x09", b"\x00\x0a"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeResult:
    """`records` counts the flow records in `batches`; `lost` units of the exporter's sequence numbers (records in v5
    and IPFIX, datagrams in v9 and sFlow; below 0 when late ones make good for what was counted as lost before);
    `undecoded` datagrams, sets, templates and samples by reason. Of sFlow also: the flow `samples` that came, usable
    or not, `samples_lost` by the sequence numbers of their data sources (which lost datagrams show in, too), and
    `samples_dropped` by the agent itself, for want of means.
    """

    batches: tuple[FlowBatch, ...]
    records: int
    lost: int
    undecoded: Mapping[str, int]
    samples: int = 0
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
        self._bursts = BurstReader()
        self._sets: list[DataSet] = []
        self._ready: list[FlowBatch] = []
        self._pending = 0
        self._lost = 0
        self.version = -1
        self.exported_at = math.nan  # unix time in the header of the last datagram
        self.sampling_rate: float | None = None  # of the last flow record, None where unknown

    def read_sflow_by(self, one_pass: OnePass) -> None:
        """From now on, where it can. The outcome is the same, but that nothing is `whole` then. See
        teagent.wire.flow.sflow_compiled.
        """
        self._sflow.use(one_pass)

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

    def refusals(self) -> list[tuple[str, str]]:
        """(reason, text) of what `read` could not use since this was asked before; of many, the last ones."""
        refusals = list(self._state.refusals)
        self._state.refusals.clear()
        return refusals

    def held(self) -> dict[tuple[int, int, int], int]:
        """How many data sets wait for their template, by (version, domain, template)."""
        return self._state.held()

    @property
    def pending(self) -> int:
        """Records that `feed` found and `take` has not handed over."""
        return self._pending + self._sflow.pending

    def decode(self, datagrams: Sequence[bytes], *, at: float, stream: int = 0) -> DecodeResult:
        """`feed` and `take` in one."""
        self.feed(datagrams, at=at, stream=stream)
        return self.take()

    def feed(self, datagrams: Sequence[bytes], *, at: float, stream: int = 0) -> None:
        """Reads datagrams that arrived at the unix time `at`, all at once where they are of one shape, and keeps their
        records until `take`. `stream` is the source port: sequence numbers are looked at stream by stream, templates
        belong to the exporter. The records of a set keep their order, the sets of datagrams that are fed together do
        not.

        Never raises, whatever the bytes: what cannot be read is counted in `undecoded`, and the rest goes on.
        """
        sets: list[DataSet] = []
        self._feed(datagrams, at, stream, sets)
        self._state.expire(at)
        options = [found for found in sets if found.layout.template.options]
        if options:
            if self._is_news(options):
                self._ready.extend(self._batches())  # what came before has the rates of its time
                self._learn(options)
            sets = [found for found in sets if not found.layout.template.options]
        self._sets += sets
        self._pending += sum([found.records for found in sets])

    def take(self, *, whole: bool = True) -> DecodeResult:
        """All that was found since the last call, its records as columns; the more of them, the less it takes for
        each. What is not `whole` may leave unknown what layout.Batching says, which spares work.
        """
        sampled = self._rated(self._sflow.batches(self._state.undecoded, whole=whole))
        batches = (*self._ready, *self._batches(whole=whole), *sampled)
        self._ready.clear()
        self._pending = 0
        undecoded, self._state.undecoded = self._state.undecoded, Counter()
        lost, self._lost = self._lost, 0
        sflow = self._sflow.taken()
        return DecodeResult(
            batches=batches,
            records=sum(map(len, batches)),
            lost=lost + sflow.lost,
            undecoded=undecoded,
            samples=sflow.samples,
            samples_lost=sflow.samples_lost,
            samples_dropped=sflow.samples_dropped,
        )

    def read(self, datagram: bytes, *, at: float, stream: int = 0) -> list[RecordSet]:
        """The data sets of one datagram, options among them, for whoever wants every field and not only traffic; and
        those that had waited for a template in it. Takes note of templates and sampling like `decode`. Raises
        Truncated, BadLength, BadVersion where no data set of the datagram can be read; `refusals` has the rest.
        """
        sets: list[RecordSet] = []
        self._state.listen(stream)
        try:
            self._read(datagram, at, stream, sets)
        except WireError as error:
            if not sets:
                raise
            self._state.refuse(reason_of(error), error.message)
        self._learn(sets)
        return sets

    def _feed(self, datagrams: Sequence[bytes], at: float, stream: int, sets: list[DataSet]) -> None:
        """Those that have to be read by themselves part the others into bursts."""
        if not datagrams:
            return
        self._state.listen(stream)
        if datagrams[0].startswith(SFLOW_VERSION):
            for datagram in self._sflow.read_together(datagrams, stream):
                if datagram is None:
                    self.version, self.exported_at = 0, math.nan
                else:
                    self._read_alone(datagram, at, stream, sets)
            return
        for part in self._bursts.parted(self._state, datagrams):
            if isinstance(part, bytes):
                self._read_alone(part, at, stream, sets)
                continue
            self._lost += read_lanes(self._state, part, at, stream, sets)
            last = max(part, key=lambda lane: int(lane.positions[-1]))
            self.version = last.shape.version
            self.exported_at = exported_at(self.version, last.last_header)

    def _read_alone(self, datagram: bytes, at: float, stream: int, sets: list[DataSet]) -> None:
        found: list[RecordSet] = []
        try:
            self._read(datagram, at, stream, found)
        except WireError as error:
            self._state.undecoded[reason_of(error)] += 1
        sets += found

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

    @staticmethod
    def _is_news(options: Iterable[DataSet]) -> bool:
        """Exporters tell the same again and again, and much that is nothing of sampling."""
        for group in joined(found for found in options if found.records):
            first, rows = group[0], rows_of(group)
            told = not first.layout.sampling.stated or first.rates.told(first.layout.template, rows)
            if not told or first.layout.boot(rows) not in {None, first.domain.boot}:
                return True
        return False

    @staticmethod
    def _learn(sets: Iterable[DataSet]) -> None:
        """Options first: the rates of a datagram hold for its flows, in whatever order they stand."""
        for group in joined(found for found in sets if found.layout.template.options and found.records):
            first, rows = group[0], rows_of(group)
            first.rates.learn(first.layout.template, rows)
            boot = first.layout.boot(rows)
            if boot is not None:
                first.domain.boot = boot

    def _batches(self, *, whole: bool = True) -> Iterator[FlowBatch]:
        sets, self._sets = self._sets, []
        for group in joined(sets):
            layout = group[0].layout
            rows = gathered(group)
            if not len(rows):
                continue
            rates = group[0].rates if self._override is None else self._override
            batching = _batching(self.exporter, group, whole=whole)
            if layout.has_addresses:
                batches = layout.batches(rows, rates, batching)
            elif layout.section is not None:
                decoded = frames.joined([found.decode() for found in group if isinstance(found, RecordSet)])
                batches = frames.batches(layout, layout.section, decoded, rates, batching, self._state.undecoded)
            else:
                self._state.undecoded[Undecoded.NO_ADDRESSES] += len(group)
                continue
            yield from self._rated(batches)

    def _rated(self, batches: Iterable[FlowBatch]) -> Iterator[FlowBatch]:
        for batch in batches:
            rate = float(batch.sampling_rate[-1])
            self.sampling_rate = None if math.isnan(rate) else rate
            yield batch


def _batching(exporter: str, group: list[DataSet], *, whole: bool) -> Batching:
    if not whole or not group[0].layout.needs_header_times:
        return Batching(exporter=exporter, boot=math.nan, exported_at=math.nan, whole=whole)
    parts = [_times(list(sets)) for _, sets in groupby(group, lambda found: isinstance(found, Run))]
    exported_at, boot, records = (np.concatenate(column) for column in zip(*parts, strict=True))
    boot[np.isnan(boot)] = group[0].domain.boot
    return Batching(
        exporter=exporter,
        boot=_of_each(boot, records, within=SAME_BOOT_SECONDS),
        exported_at=_of_each(exported_at, records, within=0.0),
    )


def _times(sets: list[DataSet]) -> tuple[Column, Column, Column]:
    """(exported_at, boot, records) of the datagrams of some runs, or of some other sets."""
    runs = [found for found in sets if isinstance(found, Run)]
    if runs:
        times = header_times(runs[0].domain.version, b"".join([run.headers for run in runs]))
        datagrams = [run.datagrams for run in runs]
        return *times, np.repeat([run.records // run.datagrams for run in runs], datagrams)
    others = [found for found in sets if isinstance(found, RecordSet)]
    exported_at, boot, records = zip(*((found.exported_at, found.boot, found.records) for found in others), strict=True)
    return np.array(exported_at), np.array(boot), np.array(records)


def _of_each(values: Column, records: Column, *, within: float) -> Column | float:
    """One number where the datagrams agree about it, otherwise that of each record."""
    if float(values.max() - values.min()) > within:
        return np.repeat(values, records)
    return float(values[0])
