"""NetFlow v5: a header of 24 octets and records of 48 ("NetFlow Export Datagram Format", Cisco).

Described by a template like everything else, with IANA's numbers for its fields.
"""

from __future__ import annotations

import struct
from typing import Final

from teagent.errors import BadLength, Truncated
from teagent.wire.flow.exporter_state import ExporterState
from teagent.wire.flow.layout import Layout
from teagent.wire.flow.records import RecordSet, record_set
from teagent.wire.flow.sampling import SamplingRates
from teagent.wire.flow.template import Field, Template

HEADER: Final = struct.Struct(">HHIIIIBBH")
RECORD_OCTETS: Final = 48
PADDING: Final = 210
LAYOUT: Final = Layout(
    Template(
        5,
        tuple(
            Field(element, length)
            for element, length in (
                (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2),
                (PADDING, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (PADDING, 2),
            )
        ),
    )
)  # fmt: skip


def rate(sampling: int) -> float:
    """Of the header's sampling field, whatever its mode bits say: Juniper leaves them 0. An interval of 0 is
    unsampled.
    """
    return float(sampling & 0x3FFF or 1)


def read(
    state: ExporterState, datagram: bytes, start: int, stream: int, sets: list[RecordSet]
) -> tuple[int, int, float]:
    """Appends the records of the export packet that begins at `start`. Returns where it ends, how many records were
    lost before it, and when it was exported. Raises Truncated and BadLength.
    """
    if len(datagram) - start < HEADER.size:
        raise Truncated(
            f"netflow v5 header takes {HEADER.size} octets, {len(datagram) - start} are there", offset=start
        )
    _, count, uptime, seconds, nanoseconds, sequence, kind, engine, sampling = HEADER.unpack_from(datagram, start)
    begin = start + HEADER.size
    end = begin + count * RECORD_OCTETS
    if end > len(datagram):
        raise BadLength(
            f"netflow v5 header promises {count} records, {(len(datagram) - begin) // RECORD_OCTETS} are there",
            offset=start,
        )
    domain = state.domain(5, kind << 8 | engine)
    exported_at = seconds + nanoseconds * 1e-9
    if domain.rates.common != rate(sampling):
        domain.rates = SamplingRates.of_header(rate(sampling))
        state.changes += 1
    lost = domain.sequences.lost(stream, sequence, count)
    if count:
        boot = exported_at - uptime / 1000
        sets.append(record_set(domain, LAYOUT, datagram[begin:end], exported_at=exported_at, boot=boot))
    return end, lost, exported_at
