"""What one pass over datagrams of sFlow tells of them: the seam between the reader, which keeps what agents have told,
and whoever can make that pass (teagent.wire.flow.sflow_compiled).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from teagent.model.traffic import Column
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


class Sheet(NamedTuple):
    """Room for SHEET_ROWS samples of one family, which is filled pass by pass and never written again; `layer2` says of
    each row whether its octets are of layer 2.
    """

    rows: Rows
    layer2: Column


def sheet(family: int) -> Sheet:
    def column(kind: Any) -> Column:
        return np.empty(SHEET_ROWS, kind)

    src, dst = (column(np.uint32) if family == 4 else np.empty((SHEET_ROWS, 2), np.uint64) for _ in range(2))
    rows = Rows(
        in_if=column(np.uint32),
        out_if=column(np.uint32),
        src=src,
        dst=dst,
        src_asn=column(np.uint32),
        octets=column(np.uint64),
        rate=column(np.uint32),
        egress=column(np.bool_),
        protocol=column(np.uint8),
        src_port=column(np.uint16),
        dst_port=column(np.uint16),
        dst_asn=column(np.uint32),
    )
    return Sheet(rows, column(np.bool_))


class RowBlock(NamedTuple):
    """Rows from `begin` to `end` of the sheets of both families, of so many samples that told of a packet; of these
    some could not be used.
    """

    sheets: tuple[Sheet, Sheet]
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
        for family, found, begin, end in zip((4, 6), self.sheets, self.begin, self.end, strict=True):
            layer2, columns = found.layer2[begin:end], [column[begin:end] for column in found.rows]
            ethernet = int(np.count_nonzero(layer2))
            if ethernet in {0, end - begin}:
                if begin < end:
                    yield family, ethernet > 0, Rows(*columns)
                continue
            for kind in (True, False):
                yield family, kind, Rows(*(column[layer2 == kind] for column in columns))


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
"""Of datagrams, the length of each a multiple of 4, from the one of this number on."""
