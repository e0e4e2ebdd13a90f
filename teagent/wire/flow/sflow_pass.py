"""What one pass over datagrams of sFlow tells of them: the seam between the reader, which keeps what agents have told,
and whoever can make that pass (teagent.wire.flow.sflow_compiled).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from teagent.model.traffic import Column
from teagent.wire.flow.columns import zeros
from teagent.wire.flow.datagrams import Datagrams
from teagent.wire.flow.records import Undecoded

SHEET_ROWS: Final = 32_768


class Rows(NamedTuple):
    """Samples of one family as columns of FlowBatch: those that are always told, then those that are not."""

    in_if: Column
    out_if: Column
    src: Column
    dst: Column
    src_asn: Column
    octets: Column
    rate: Column
    egress: Column
    protocol: Column
    src_port: Column
    dst_port: Column
    dst_asn: Column


_ADDRESSES: Final[dict[int, list[tuple[str, Any]]]] = {
    4: [("src", np.uint32), ("dst", np.uint32)],
    6: [(f"{end}_{half}", np.uint64) for end in ("src", "dst") for half in ("high", "low")],
}
_OTHERS: Final[list[tuple[str, Any]]] = [
    *((name, np.uint32) for name in ("in_if", "out_if", "src_asn", "octets", "rate")),
    *((name, np.uint8) for name in ("egress", "layer2")),
]
ROWS: Final = {family: np.dtype(addresses + _OTHERS, align=True) for family, addresses in _ADDRESSES.items()}
"""A sample of each family, as it stands in a sheet: in one cache line, where columns would take one each. `layer2` says
whether its octets are of layer 2.
"""
_WIDE: Final = np.dtype(
    {"names": ["src", "dst"], "formats": [(np.uint64, 2)] * 2, "offsets": [0, 16], "itemsize": ROWS[6].itemsize}
)


def sheet(family: int) -> Column:
    """Room for SHEET_ROWS samples of one family, which is filled pass by pass and never written again."""
    return np.empty(SHEET_ROWS, ROWS[family])


def _columns(family: int, found: Column) -> Rows:
    """What a pass leaves unknown is 0."""
    addresses = found if family == 4 else found.view(_WIDE)
    nothing = zeros(len(found))
    return Rows(
        in_if=found["in_if"],
        out_if=found["out_if"],
        src=addresses["src"],
        dst=addresses["dst"],
        src_asn=found["src_asn"],
        octets=found["octets"],
        rate=found["rate"],
        egress=found["egress"],
        protocol=nothing,
        src_port=nothing,
        dst_port=nothing,
        dst_asn=nothing,
    )


class RowBlock(NamedTuple):
    """Rows from `begin` to `end` of the sheets of both families, of so many samples that told of a packet; of these
    some could not be used.
    """

    sheets: tuple[Column, Column]
    begin: tuple[int, int]
    end: tuple[int, int]
    samples: int
    truncated: int
    not_ip: int

    def and_then(self, later: RowBlock) -> RowBlock | None:
        """Both as one, if the later one goes on where this one ends."""
        if self.sheets is not later.sheets or self.end != later.begin:
            return None
        counts = (self.samples + later.samples, self.truncated + later.truncated, self.not_ip + later.not_ip)
        return RowBlock(self.sheets, self.begin, later.end, *counts)

    @property
    def undecoded(self) -> dict[str, int]:
        counts = {Undecoded.TRUNCATED: self.truncated, Undecoded.NOT_IP: self.not_ip}
        return {reason: count for reason, count in counts.items() if count}

    def rows(self) -> Iterator[tuple[int, bool, Rows]]:
        """(family, whether octets are of layer 2, rows)"""
        for family, its, begin, end in zip((4, 6), self.sheets, self.begin, self.end, strict=True):
            found = its[begin:end]
            ethernet = int(np.count_nonzero(found["layer2"]))
            if ethernet in {0, len(found)}:
                if begin < end:
                    yield family, ethernet > 0, _columns(family, found)
                continue
            for kind in (True, False):
                yield family, kind, _columns(family, found[found["layer2"] == kind])


class SourceRun(NamedTuple):
    """Samples of one data source, as they came, that are numbered without a gap and without more drops."""

    agent: int
    source: int  # class and index, 32 bits each
    sequence: int  # of the first
    drops: int
    samples: int


class AgentRun(NamedTuple):
    """Datagrams of one agent, as they came, that are numbered without a gap."""

    agent: int
    sequence: int  # of the first
    datagrams: int
    last: int  # which datagram the last one is


class End(IntEnum):
    """Why a pass ended where it did."""

    ALL = 0
    ODD = 1  # the next datagram has to be read by itself, with more care
    CROWDED = 2  # more agents or data sources than are remembered: nothing of the pass counts
    FULL = 3  # there is no room for the next datagram: another pass begins with it


class Passed(NamedTuple):
    """`following` is the datagram before which the pass ended. Of those before it: their runs by agent, numbered from 0
    on, and by agent and data source; how many data sources there are; the flow samples that came, and those of them
    that told of no packet.
    """

    end: End
    following: int
    agent_runs: list[AgentRun]
    source_runs: list[SourceRun]
    sources: int
    samples: int
    without_packet: int
    block: RowBlock


OnePass: TypeAlias = Callable[[Datagrams, int], Passed]
"""Of datagrams, the length of each a multiple of 4, from the one of this number on. What may be left out where not all
need be `whole` (layout.Batching), it leaves unknown.
"""
