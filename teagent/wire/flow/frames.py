"""Records that carry the first octets of a packet instead of its fields: dataLinkFrameSection (315), the older
layer2packetSectionData (104), ipHeaderPacketSection (313) (RFC 5477 section 8.5, RFC 7133 section 3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from teagent.model.traffic import Column, FlowBatch
from teagent.wire.flow import elements, raw_header
from teagent.wire.flow.columns import unsigned, unsigned_of
from teagent.wire.flow.layout import Batching, Layout, Section
from teagent.wire.flow.raw_header import Headers, Packets
from teagent.wire.flow.records import Undecoded
from teagent.wire.flow.sampling import SamplingRates
from teagent.wire.flow.template import VARIABLE, Decoded, Template

IEEE_802_3: Final = 1  # dataLinkFrameType


def batches(
    layout: Layout,
    section: Section,
    decoded: Decoded,
    rates: SamplingRates,
    batching: Batching,
    undecoded: Counter[str],
) -> Iterator[FlowBatch]:
    """One batch a family. Octets are those that the record counts, else the frame's size (312), else the IP packet's;
    a record that counts no packets is one.
    """
    template, rows = layout.template, decoded.rows
    found = headers(template, section, decoded)
    undecoded.update(unusable(found))
    columns = layout.columns(rows, rates, batching)
    if template.find(elements.PACKETS) is None:
        columns["packets"] = np.ones(len(rows), dtype=np.uint64)
    layer2 = layout.layer2
    counted: Column | None = columns["octets"]
    if template.find(elements.OCTETS) is None:
        counted = unsigned_of(template, rows, (elements.DATA_LINK_FRAME_SIZE,))
        layer2 = counted is not None
    for packets in (found.ipv4, found.ipv6):
        if len(packets.frame):
            part = {name: column[packets.frame] for name, column in columns.items()}
            part["octets"] = packets.octets if counted is None else counted[packets.frame]
            yield _batch(packets, part, batching.exporter, layer2=layer2)


def headers(template: Template, section: Section, decoded: Decoded) -> Headers:
    """The packets in these records; a frame's number is its record's."""
    octets, starts = _sections(template, section, decoded)
    return raw_header.parse(octets, starts[:-1], starts[1:], _kinds(template, section, decoded))


def _batch(packets: Packets, columns: dict[str, Column], exporter: str, *, layer2: bool) -> FlowBatch:
    columns |= {"protocol": packets.protocol, "src_port": packets.src_port, "dst_port": packets.dst_port}
    return FlowBatch(
        exporter=exporter, family=packets.family, layer2=layer2, src=packets.src, dst=packets.dst, **columns
    )


def _sections(template: Template, section: Section, decoded: Decoded) -> tuple[bytes, npt.NDArray[np.int64]]:
    """The sections one after the other, and where each begins, with the end of the last."""
    length = template.fields[section.field].length
    if length == VARIABLE:
        values = decoded.variable[section.field]
        return b"".join(values), np.array([0, *accumulate(map(len, values))], dtype=np.int64)
    octets = np.ascontiguousarray(decoded.rows[f"f{section.field}"]).tobytes()
    return octets, np.arange(len(decoded.rows) + 1) * length


def _kinds(template: Template, section: Section, decoded: Decoded) -> npt.NDArray[np.int64]:
    """FrameKind of each record, 0 where the section is of another sort, or does not begin where the packet does."""
    kinds = np.full(len(decoded.rows), section.kind, dtype=np.int64)
    for wanted, found in (
        (IEEE_802_3, template.find((elements.DATA_LINK_FRAME_TYPE,))),
        (0, template.find(elements.SECTION_OFFSET)),
    ):
        if found is not None:
            kinds[unsigned(template, decoded.rows, found) != wanted] = 0
    return kinds


def joined(parts: list[Decoded]) -> Decoded:
    """Several data sets of one template as one."""
    if len(parts) == 1:
        return parts[0]
    variable = {index: [value for part in parts for value in part.variable[index]] for index in parts[0].variable}
    return Decoded(np.concatenate([part.rows for part in parts]), variable)


def unusable(found: Headers) -> dict[str, int]:
    """How many frames are none of a FlowBatch, by reason."""
    counts = {Undecoded.TRUNCATED: len(found.truncated), Undecoded.NOT_IP: len(found.not_ip)}
    return {reason: count for reason, count in counts.items() if count}
