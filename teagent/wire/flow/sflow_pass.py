"""What one pass over datagrams of sFlow tells of them: the seam between the reader, which keeps what agents have told,
and whoever can make that pass (teagent.wire.flow.sflow_compiled). A pass goes on over what comes later, and tells of
all of it together: to tell takes longer than to read a hundred datagrams.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from teagent.model.traffic import Column
from teagent.wire.flow.columns import repeated, zeros
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


class Stretch(NamedTuple):
    """Rows from `begin` to `end` of a sheet of one family; how many of them have octets of layer 2, and are of egress;
    and the bits that are in any of their rates, and in all.
    """

    sheet: Column
    begin: int
    end: int
    layer2: int
    egress: int
    any_rate: int
    all_rates: int

    def goes_on(self, later: Stretch) -> bool:
        return self.sheet is later.sheet and self.end == later.begin

    def and_then(self, later: Stretch) -> Stretch:
        """Both as one, where it goes on."""
        return Stretch(
            self.sheet,
            self.begin,
            later.end,
            self.layer2 + later.layer2,
            self.egress + later.egress,
            self.any_rate | later.any_rate,
            self.all_rates & later.all_rates,
        )

    def rows(self, family: int) -> Iterator[tuple[int, bool, Rows]]:
        """(family, whether octets are of layer 2, rows)"""
        found = self.sheet[self.begin : self.end]
        if self.layer2 in {0, len(found)}:
            if len(found):
                yield family, self.layer2 > 0, self._columns(family, found)
            return
        for kind in (True, False):
            yield family, kind, self._columns(family, found[found["layer2"] == kind])

    def _columns(self, family: int, found: Column) -> Rows:
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
            rate=found["rate"] if self.any_rate != self.all_rates else repeated(self.any_rate, len(found)),
            egress=found["egress"] if self.egress else nothing,
            protocol=nothing,
            src_port=nothing,
            dst_port=nothing,
            dst_asn=nothing,
        )


class RowBlock(NamedTuple):
    """Rows of both families, of so many samples that told of a packet; of these some could not be used."""

    stretches: tuple[Stretch, Stretch]
    samples: int
    truncated: int
    not_ip: int

    def and_then(self, later: RowBlock) -> RowBlock | None:
        """Both as one, if the later one goes on where this one ends."""
        ipv4, ipv6 = self.stretches
        later4, later6 = later.stretches
        if not ipv4.goes_on(later4) or not ipv6.goes_on(later6):
            return None
        stretches = ipv4.and_then(later4), ipv6.and_then(later6)
        counts = (self.samples + later.samples, self.truncated + later.truncated, self.not_ip + later.not_ip)
        return RowBlock(stretches, *counts)

    @property
    def undecoded(self) -> dict[str, int]:
        counts = {Undecoded.TRUNCATED: self.truncated, Undecoded.NOT_IP: self.not_ip}
        return {reason: count for reason, count in counts.items() if count}

    def rows(self) -> Iterator[tuple[int, bool, Rows]]:
        """(family, whether octets are of layer 2, rows)"""
        for family, stretch in zip((4, 6), self.stretches, strict=True):
            yield from stretch.rows(family)


class SourceRun(NamedTuple):
    """Samples of one data source, as they came, that are numbered without a gap and without more drops. `source` is of
    64 bits, and below 0 where the highest one is set.
    """

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
    """Why reading ended where it did, before the datagram that follows."""

    ALL = 0  # there is none
    ODD = 1  # it has to be read by itself, with more care
    FULL = 2  # there is no room for it, until `taken`


class Passed(NamedTuple):
    """What a OnePass has read: of which `agents`, as (address, sub-agent); their runs, which have the agents' numbers
    there, and those of their data sources; the flow samples that came, and those of them that told of no packet. A run
    is a list of what AgentRun and SourceRun have.
    """

    agents: list[tuple[bytes, int]]
    agent_runs: list[list[int]]
    source_runs: list[list[int]]
    samples: int
    without_packet: int
    block: RowBlock


class OnePass(Protocol):
    """Of one exporter address; for one thread at a time. What may be left out where not all need be `whole`
    (layout.Batching), it leaves unknown.
    """

    def read(self, datagrams: Datagrams, first: int, most_agents: int, most_sources: int) -> tuple[End, int]:
        """Reads on from the datagram of this number; nothing of `datagrams` is kept. Returns why it ended, and which
        datagram follows. Since `taken`, it reads no more than so many agents, and data sources of all of them.
        """
        ...

    @property
    def samples(self) -> int:
        """Flow samples since `taken` that told of a packet."""
        ...

    def taken(self) -> Passed | None:
        """What was read since it was asked before, None where that is nothing."""
        ...
