"""The traffic matrix of a window: flow records by (link, our prefix, source), scaled to the interface counters.

Flows say who sends to whom, the interface counters say how much. A record counts in the window in which it arrives:
an exporter that reports a long flow late makes its traffic arrive in lumps, which is why its active time-out should
be well under the window, and why `coverage` is there to be looked at.

Exporters count L3 octets, interfaces L2 octets: every packet first gets `frame_overhead_octets` more (14 for Ethernet
as Linux counts it, 18 with the checksum or a VLAN tag), so that small packets weigh what they weigh on the link, and
then the whole link is scaled to its counter.

Memory is bounded: past `max_rows` rows of (link, prefix, source) in a family the small ones are folded into the
source "rest" of their link and prefix. A row that carries more than 2 / `max_rows` of all octets is never folded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from teagent.engine.measure.attribution import NOWHERE, Attribution, links_of
from teagent.engine.measure.counting import Count, count
from teagent.engine.measure.demand_rows import DemandRows, DemandTable, SourceForm
from teagent.engine.measure.duplicates import EgressSieve
from teagent.engine.measure.origin import OriginTable
from teagent.engine.measure.record_buffer import MANY, RecordBuffer, Records, parts, records_of
from teagent.engine.measure.windows import scaled
from teagent.model.link import NoData
from teagent.model.traffic import Column, FlowBatch, Source, TrafficMatrix

ETHERNET_OVERHEAD_OCTETS: Final = 14
FAMILIES: Final = (4, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCounts:
    """What became of the records of a window so far."""

    records: int = 0  # all that were added; the next four sum up to it
    demand: int = 0  # inbound by a link, to a prefix of ours
    unattributed: int = 0  # inbound by a link, to none of ours
    outbound: int = 0  # at a link's interface, but sent by us; in no figure
    elsewhere: int = 0  # the input interface is no link, or the record is a duplicate; in no figure
    unknown_sampling: int = 0  # the exporter has not said its rate: counted as if it were 1
    folded: int = 0  # rows folded into "rest" to stay within max_rows


class MatrixBuilder:
    """Accumulates one window at a time. Not thread-safe."""

    def __init__(
        self,
        attribution: Attribution,
        *,
        max_rows: int = 50_000,
        frame_overhead_octets: int = ETHERNET_OVERHEAD_OCTETS,
        source_prefix_ipv4: int = 24,
        source_prefix_ipv6: int = 48,
        records_tell_as: bool = True,
    ) -> None:
        """`source_prefix_ipv4` (up to 32) and `source_prefix_ipv6` (up to 64): to what length senders are gathered
        whose AS is not known. Where records do not tell it, whatever they say, only the origins do.
        """
        self._attribution = attribution
        self._max_rows = max_rows
        self._source_length = {4: source_prefix_ipv4, 6: source_prefix_ipv6}
        self._buffers = {family: RecordBuffer(family) for family in FAMILIES}
        self._origins: OriginTable | None = None
        self._records_tell_as = records_tell_as
        self._overhead = float(frame_overhead_octets)
        self._one_count: Count = count
        self.sieve = EgressSieve(attribution.links)
        self._restart()

    def _restart(self) -> None:
        self._tables = {
            family: DemandTable(self._max_rows, self._form(self._attribution, family), self._origins)
            for family in FAMILIES
        }
        self._unattributed: npt.NDArray[np.float64] = np.zeros(len(self._attribution.links))
        self._counts = dict.fromkeys(WindowCounts.__slots__, 0)

    @property
    def attribution(self) -> Attribution:
        return self._attribution

    def count_by(self, one_count: Count) -> None:
        """From now on: the sums are the same."""
        self._one_count = one_count

    def add(self, batch: FlowBatch) -> None:
        """Counts the records of one batch in. Most of the work is put off until there are many."""
        total = len(batch)
        self._counts["records"] += total
        interfaces = self._attribution.interfaces(batch.exporter)
        if interfaces is None:
            self._counts["elsewhere"] += total
            return
        link = links_of(batch, interfaces)
        if batch.direction is not None:
            link = self.sieve.sift(batch, link, 0.0 if batch.layer2 else self._overhead)
        if total >= MANY:
            for here in parts(total):
                self._count(batch.family, self._records(batch, link, here))
            return
        buffer = self._buffers[batch.family]
        if total > buffer.free:
            self._flush_family(batch.family)
        buffer.put(self._records(batch, link, slice(total)))

    def _records(self, batch: FlowBatch, link: Column, here: slice) -> Records:
        records = records_of(batch, link, here, self._overhead)
        return records if self._records_tell_as else records._replace(asn=np.zeros(len(records.octets), np.uint32))

    def use(self, attribution: Attribution) -> None:
        """Links, interfaces or prefixes have changed, within the window. What was counted so far was attributed by
        the old ones, and is kept for the links and prefixes that are still there.
        """
        self._flush()
        old, self._attribution = self._attribution, attribution
        self.sieve = self.sieve.moved(attribution.links)
        link_map = _positions(old.links, attribution.links)
        kept = np.zeros(len(attribution.links))
        kept[link_map[link_map >= 0]] = self._unattributed[link_map >= 0]
        self._unattributed = kept
        for family, table in self._tables.items():
            new = attribution.tables[family].prefixes
            prefix_map = _positions(old.tables[family].prefixes, new)
            cells = link_map[:, None] * len(new) + prefix_map[None, :]
            cells[(link_map[:, None] < 0) | (prefix_map[None, :] < 0)] = NOWHERE
            self._tables[family] = table.moved(cells.ravel(), self._form(attribution, family))

    @property
    def origins(self) -> OriginTable | None:
        return self._origins

    def use_origins(self, origins: OriginTable | None) -> None:
        """From now on, and for what is not named yet of this window: senders whose AS is not known belong to the
        origin of the first address of their prefix.
        """
        self._origins = origins
        for table in self._tables.values():
            table.origins = origins

    def _form(self, attribution: Attribution, family: int) -> SourceForm:
        cells = len(attribution.links) * len(attribution.tables[family].prefixes)
        return SourceForm.beside(cells, family=family, length=self._source_length[family])

    def counts(self) -> WindowCounts:
        self._flush()
        return WindowCounts(**self._counts)

    def build(self, *, at: datetime, seconds: float, interface_octets: Mapping[str, float | NoData]) -> TrafficMatrix:
        """The matrix of the window of `seconds` that ends at `at`; the next window begins, empty.

        `interface_octets` is as in windows.scaled.
        """
        self._flush()
        attribution, unattributed = self._attribution, self._unattributed
        rows = {family: table.rows() for family, table in self._tables.items()}
        forms = [self._tables[family].form for family in FAMILIES]
        self._restart()
        link_index, prefix_index, keys = _columns(rows, attribution, forms)
        per_octet = 8.0 / seconds
        bps = np.concatenate([rows[family].octets for family in FAMILIES]) * per_octet
        source_index, sources = _sources(keys, forms)
        order = np.lexsort((source_index, prefix_index, link_index))
        flows = TrafficMatrix(
            at=at,
            seconds=seconds,
            links=attribution.links,
            prefixes=attribution.prefixes,
            sources=sources,
            link_index=link_index[order].astype(np.int32),
            prefix_index=prefix_index[order].astype(np.int32),
            source_index=source_index[order].astype(np.int32),
            bps=bps[order],
            coverage=dict.fromkeys(attribution.links),
            unattributed_bps=dict(zip(attribution.links, (unattributed * per_octet).tolist(), strict=True)),
        )
        return scaled(flows, interface_octets)

    def _flush(self) -> None:
        for family in FAMILIES:
            self._flush_family(family)

    def _flush_family(self, family: int) -> None:
        records = self._buffers[family].take()
        if records is not None:
            self._count(family, records)

    def _count(self, family: int, records: Records) -> None:
        counts, table = self._counts, self._tables[family]
        found = self._one_count(records, self._attribution, table)
        self._unattributed += found.unattributed
        counts["folded"] += table.put_off(found.keys, found.octets)
        counts["demand"] += found.demand
        counts["unattributed"] += found.others
        counts["elsewhere"] += len(records.link) - found.reached
        counts["outbound"] += found.reached - found.demand - found.others
        counts["unknown_sampling"] += records.unknown_sampling


def _positions(old: Sequence[object], new: Sequence[object]) -> npt.NDArray[np.int64]:
    number = {value: i for i, value in enumerate(new)}
    return np.array([number.get(value, NOWHERE) for value in old], dtype=np.int64)


def _columns(
    rows: Mapping[int, DemandRows], attribution: Attribution, forms: Sequence[SourceForm]
) -> tuple[Column, Column, list[Column]]:
    """Link and prefix of each row, of both families, and the source keys of each family."""
    links: list[Column] = []
    prefixes: list[Column] = []
    keys: list[Column] = []
    before = 0
    for form in forms:
        own = rows[form.family].keys
        width = len(attribution.tables[form.family].prefixes)
        cell = (own >> np.uint64(form.bits)).astype(np.int64)
        links.append(cell // max(width, 1))
        prefixes.append(cell % max(width, 1) + before)
        keys.append(own & form.mask)
        before += width
    return np.concatenate(links), np.concatenate(prefixes), keys


def _sources(keys: Sequence[Column], forms: Sequence[SourceForm]) -> tuple[Column, tuple[Source, ...]]:
    """Source keys of both families as indexes into one sorted tuple of sources."""
    found: list[Source] = []
    where: list[Column] = []
    for form, column in zip(forms, keys, strict=True):
        unique, inverse = np.unique(column, return_inverse=True)
        where.append(inverse + len(found))
        found += map(form.source, unique.tolist())
    # Twice by what is there already: tuples, or a call for each pair, would take memory and time in which others wait.
    order = sorted(range(len(found)), key=lambda i: found[i].prefix)
    order.sort(key=lambda i: found[i].asn)
    sources: list[Source] = []
    number = np.empty(len(found), dtype=np.int64)
    for i in order:
        if not sources or found[i] != sources[-1]:  # else an AS that sends in both families
            sources.append(found[i])
        number[i] = len(sources) - 1
    return number[np.concatenate(where)], tuple(sources)
