"""How the rows of one template become the columns of a FlowBatch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from teagent.model.traffic import Column, FlowBatch
from teagent.wire.flow import elements
from teagent.wire.flow.columns import constant, unsigned, zeros
from teagent.wire.flow.gathered import Fields, Gathered
from teagent.wire.flow.raw_header import FrameKind
from teagent.wire.flow.sampling import SamplingFields, SamplingRates
from teagent.wire.flow.template import Template

NTP_EPOCH: Final = 2_208_988_800  # seconds from 1900 to 1970
ROUND_SECONDS: Final = 2**32 / 1000  # of sysUpTime, in milliseconds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batching:
    """What rows need besides themselves: `boot` is the unix time at which the exporter's sysUpTime was 0, one number
    or one a row, NaN where it is not known. What is not `whole` leaves those columns unknown that do not tell how much
    comes in from whom, which spares work: start and end, protocol, ports and the destination's AS.
    """

    exporter: str
    boot: Column | float
    exported_at: Column | float
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Section:
    """Which field of a template holds the first octets of a packet, and what it begins with."""

    field: int
    kind: FrameKind


class Layout:
    """Which fields of a template are which columns; looked up once a template."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.sampling = SamplingFields(template)
        find = template.find
        self._numbers = {
            "in_if": find(elements.INPUT_INTERFACE),
            "out_if": find(elements.OUTPUT_INTERFACE),
            "protocol": find(elements.PROTOCOL),
            "src_port": find(elements.SOURCE_PORT),
            "dst_port": find(elements.DESTINATION_PORT),
            "src_asn": find(elements.SOURCE_ASN),
            "dst_asn": find(elements.DESTINATION_ASN),
            "octets": find(elements.OCTETS),
            "packets": find(elements.PACKETS),
        }
        self._reverse = {
            "octets": _way_back(template, elements.OCTETS, elements.RESPONDER_OCTETS),
            "packets": _way_back(template, elements.PACKETS, elements.RESPONDER_PACKETS),
            "in_if": _way_back(template, elements.INPUT_INTERFACE),
        }
        back = self._reverse["octets"]
        self._two_way = back is not None
        self._layer2_back = back is not None and template.fields[back].element == elements.LAYER2_OCTETS
        self._particulars = _PARTICULARS - {"dst_asn"} if self._two_way else _PARTICULARS
        octets = self._numbers["octets"]
        self.layer2 = octets is not None and template.fields[octets].element == elements.LAYER2_OCTETS
        physical = find((elements.INPUT_PHYSICAL_INTERFACE,))
        self._physical = None if physical == self._numbers["in_if"] else physical
        self._direction = find((elements.FLOW_DIRECTION,))
        self._addresses = {
            4: self._pair(find(elements.SOURCE_IPV4), find(elements.DESTINATION_IPV4), 4),
            6: self._pair(find(elements.SOURCE_IPV6), find(elements.DESTINATION_IPV6), 16),
        }
        self.section = _section(template)
        self._boot = find((elements.SYSTEM_INIT_MILLISECONDS,))
        self._start, self._end = _time_field(template, _STARTS), _time_field(template, _ENDS)
        self.needs_header_times = any(time is not None and time[1] in _RELATIVE for time in (self._start, self._end))
        # Records of such a template can be read many datagrams at a time.
        self.fixed = not template.variable and (template.options or self.has_addresses)

    def _pair(self, source: int | None, destination: int | None, length: int) -> tuple[int | None, int] | None:
        """Fields of both addresses. A destination is what it takes; a source may be missing."""
        fields = self.template.fields
        if destination is None or fields[destination].length != length:
            return None
        return (source if source is not None and fields[source].length == length else None), destination

    @property
    def has_addresses(self) -> bool:
        return self._addresses[4] is not None or self._addresses[6] is not None

    def boot(self, rows: Fields) -> float | None:
        """Unix time of the exporter's start in options records, None where these do not tell it."""
        index = self._boot
        return None if index is None else float(unsigned(self.template, rows, index)[-1]) / 1000

    def _number(self, name: str, rows: Fields) -> Column:
        index = self._numbers[name]
        return zeros(len(rows)) if index is None else unsigned(self.template, rows, index)

    def _wanted(self, batching: Batching) -> list[str]:
        """The fields that `batches` looks at, whatever is known of the sampling."""
        numbers = [index for name, index in self._numbers.items() if batching.whole or name not in self._particulars]
        numbers += self._reverse.values()
        ends = [index for pair in self._addresses.values() if pair is not None for index in pair]
        times = [time[0] for time in (self._start, self._end) if time is not None and batching.whole]
        found = (*numbers, *ends, *times, self._physical, self._direction)
        return [f"f{index}" for index in dict.fromkeys(found) if index is not None]

    def columns(self, rows: Fields, rates: SamplingRates, batching: Batching) -> dict[str, Column]:
        """All columns of a FlowBatch but the addresses, by name."""
        if isinstance(rows, Gathered):
            rows.fetch(self._wanted(batching))
        columns = {
            name: self._number(name, rows) if batching.whole or name not in self._particulars else zeros(len(rows))
            for name in self._numbers
        }
        columns["sampling_rate"] = rates.column(self.sampling, rows, columns["in_if"])
        start, end = (self._start, self._end) if batching.whole else (None, None)
        if self._boot is not None and self.needs_header_times:  # in the records themselves
            batching = replace(batching, boot=unsigned(self.template, rows, self._boot) * 1e-3)
        columns["start"] = _times(self.template, rows, start, batching)
        columns["end"] = _times(self.template, rows, end, batching)
        if self._physical is not None:
            columns["in_physical_if"] = unsigned(self.template, rows, self._physical)
        if self._direction is not None:
            columns["direction"] = unsigned(self.template, rows, self._direction)
        return columns

    def batches(self, rows: Fields, rates: SamplingRates, batching: Batching) -> Iterator[FlowBatch]:
        """One batch a family, and of records that count the way back as well another one for that: see `_backwards`.
        Records of a template with addresses of both go to the family whose destination is set (IPv4 where neither is).
        """
        for batch, back in self._by_family(rows, rates, batching):
            yield batch
            if back is not None and len(back):
                yield back

    def _by_family(
        self, rows: Fields, rates: SamplingRates, batching: Batching
    ) -> Iterator[tuple[FlowBatch, FlowBatch | None]]:
        ipv4, ipv6 = self._addresses[4], self._addresses[6]
        columns = self.columns(rows, rates, batching)
        if ipv4 is None or ipv6 is None:
            family, pair = (4, ipv4) if ipv6 is None else (6, ipv6)
            if pair is not None:
                batch = self._batch(family, self._ends(pair, rows), columns, batching.exporter)
                yield batch, self._backwards(batch, rows, np.arange(len(batch)))
            return
        is_ipv6 = (rows[f"f{ipv4[1]}"] == 0) & (rows[f"f{ipv6[1]}"] != 0).any(axis=1)
        for family, pair, mask in ((4, ipv4, ~is_ipv6), (6, ipv6, is_ipv6)):
            if mask.any():
                part = {name: column[mask] for name, column in columns.items()}
                src, dst = self._ends(pair, rows)
                batch = self._batch(family, (src[mask], dst[mask]), part, batching.exporter)
                yield batch, self._backwards(batch, rows, np.flatnonzero(mask))

    def _backwards(self, batch: FlowBatch, rows: Fields, which: Column) -> FlowBatch | None:
        """What records count for the way back (RFC 5103; 232 responderOctets), as records of their own: sent by the
        destination, and come in by the interface that the way there left by, where none is told for it, or by the one
        that it came in by, where neither is: a probe on one link. `which` rows the batch is of.
        """
        if not self._two_way:
            return None

        def told(name: str) -> Column:
            index = self._reverse[name]
            return zeros(len(which)) if index is None else unsigned(self.template, rows, index)[which]

        octets, packets, in_if = told("octets"), told("packets"), told("in_if")
        some = np.flatnonzero(octets)
        columns = {name: getattr(batch, name)[some] for name in ("protocol", "sampling_rate", "start", "end")}
        columns |= {name: getattr(batch, other)[some] for name, other in _SWAPPED}
        came_by = np.where(in_if != 0, in_if, np.where(batch.out_if != 0, batch.out_if, batch.in_if))
        return FlowBatch(
            exporter=batch.exporter,
            family=batch.family,
            layer2=self._layer2_back,
            in_if=came_by[some],
            out_if=batch.in_if[some],
            octets=octets[some],
            packets=packets[some],
            **columns,
        )

    @staticmethod
    def _ends(pair: tuple[int | None, int], rows: Fields) -> tuple[Column, Column]:
        """Source and destination."""
        source, destination = pair
        dst = rows[f"f{destination}"]
        return np.zeros_like(dst) if source is None else rows[f"f{source}"], dst

    def _batch(self, family: int, ends: tuple[Column, Column], columns: dict[str, Column], exporter: str) -> FlowBatch:
        src, dst = ends
        return FlowBatch(exporter=exporter, family=family, layer2=self.layer2, src=src, dst=dst, **columns)


_PARTICULARS: Final = frozenset({"protocol", "src_port", "dst_port", "dst_asn"})
_SWAPPED: Final = (
    ("src", "dst"),
    ("dst", "src"),
    ("src_port", "dst_port"),
    ("dst_port", "src_port"),
    ("src_asn", "dst_asn"),
    ("dst_asn", "src_asn"),
)


def _way_back(template: Template, forward: tuple[int, ...], responder: tuple[int, ...] = ()) -> int | None:
    """The field with what `forward` says of the way there for the way back."""
    found = template.find(forward, enterprise=elements.REVERSE_ENTERPRISE)
    return template.find(responder) if found is None else found


def _section(template: Template) -> Section | None:
    for element, kind in (
        (elements.DATA_LINK_FRAME_SECTION, FrameKind.ETHERNET),
        (elements.LAYER2_PACKET_SECTION, FrameKind.ETHERNET),
        (elements.IP_HEADER_PACKET_SECTION, FrameKind.IPV4),
    ):
        for index, f in enumerate(template.fields):
            if f.element == element and f.length and not f.enterprise and not f.v9_scope:
                return Section(index, kind)
    return None


_STARTS: Final = (152, 150, 154, 156, 158, elements.FLOW_START_SYS_UPTIME)
_ENDS: Final = (153, 151, 155, 157, 159, elements.FLOW_END_SYS_UPTIME)
_RELATIVE: Final = {158, 159, elements.FLOW_START_SYS_UPTIME, elements.FLOW_END_SYS_UPTIME}


def _time_field(template: Template, candidates: tuple[int, ...]) -> tuple[int, int] | None:
    """(field, its element)"""
    index = template.find(candidates)
    return None if index is None else (index, template.fields[index].element)


def _times(template: Template, rows: Fields, of: tuple[int, int] | None, batching: Batching) -> Column:
    """Unix seconds, NaN where unknown (RFC 7011 section 6.1 for the forms of a time)."""
    if of is None:
        return constant(len(rows), np.nan)
    index, element = of
    raw = unsigned(template, rows, index)
    if element in {elements.FLOW_START_SYS_UPTIME, elements.FLOW_END_SYS_UPTIME}:
        # sysUpTime begins anew after 2**32 ms, some 50 days: which of its rounds is meant, the export tells.
        time = raw * 1e-3 + batching.boot
        return time + np.round((batching.exported_at - time) / ROUND_SECONDS) * ROUND_SECONDS
    if element in {150, 151}:
        return raw * 1.0
    if element in {152, 153}:
        return raw * 1e-3
    if element in {158, 159}:  # microseconds before the export
        return batching.exported_at - raw * 1e-6
    # 154 to 157 are NTP time stamps: seconds since 1900 in the high half, a binary fraction in the low one.
    return raw * 2.0**-32 - NTP_EPOCH
