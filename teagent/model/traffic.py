"""Traffic as columns: decoded flow records, and the matrix that they fill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from teagent.model.bgp import Prefix

Column: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowBatch:
    """N decoded flow records of one exporter and one address family, as columns of length N.

    `src` and `dst` are uint32 for IPv4 (family 4) and (N, 2) uint64, high half first, for IPv6 (family 6).
    `octets` and `packets` are as exported: not yet multiplied by `sampling_rate` (float64; 1 unsampled, NaN where
    the exporter has not said). `in_if` and `out_if` are ifIndex values, 0 where unknown; `src_asn` and `dst_asn`,
    `protocol` and the ports 0 where unknown. `start` and `end` are unix seconds (float64), NaN where unknown.
    `in_physical_if` is the port under a logical `in_if` where the exporter names both (IANA element 252), None where
    it does not; `direction` is flowDirection (element 61: 0 ingress, 1 egress), None where it does not say. `layer2`
    says that `octets` are those of frames, with their headers, and not of IP packets. A column may be a read-only view
    of the datagrams in network byte order: take its values, not its memory.
    """

    exporter: str
    family: int
    in_if: Column
    out_if: Column
    src: Column
    dst: Column
    protocol: Column
    src_port: Column
    dst_port: Column
    src_asn: Column
    dst_asn: Column
    octets: Column
    packets: Column
    sampling_rate: Column
    start: Column
    end: Column
    in_physical_if: Column | None = None
    layer2: bool = False
    direction: Column | None = None

    def __len__(self) -> int:
        return len(self.octets)


class MatrixSpan(StrEnum):
    """What a matrix sums up: `flows.short_window`, `flows.window`, which decisions rest on, or an hour of these."""

    SHORT = "short"
    WINDOW = "window"
    HOUR = "hour"


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Who sends: an AS where it is known, otherwise the sender's covering prefix, otherwise "the rest"."""

    asn: int = 0
    prefix: str = ""

    def __str__(self) -> str:
        if self.asn:
            return f"AS{self.asn}"
        return self.prefix or "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Traffic of one source to one of our prefixes by one link."""

    source: Source
    prefix: Prefix
    link: str
    bps: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrafficMatrix:
    """All demands of the window that ends at `at`, scaled to the interface counters, as parallel columns.

    `link_index`, `prefix_index`, `source_index` (integers) point into `links`, `prefixes`, `sources`; `bps` is
    float64, in L2 bits per second after scaling. `coverage[link]` = flow bytes / interface bytes before scaling
    (None where there is no interface reading). `unattributed_bps[link]` is what came in towards none of our
    prefixes, scaled likewise.
    """

    at: datetime
    seconds: float
    links: tuple[str, ...]
    prefixes: tuple[Prefix, ...]
    sources: tuple[Source, ...]
    link_index: Column
    prefix_index: Column
    source_index: Column
    bps: Column
    coverage: dict[str, float | None]
    unattributed_bps: dict[str, float]

    def __len__(self) -> int:
        return len(self.bps)

    def demands(self) -> Iterator[Demand]:
        for link, prefix, source, bps in zip(
            self.link_index, self.prefix_index, self.source_index, self.bps, strict=True
        ):
            yield Demand(
                source=self.sources[source],
                prefix=self.prefixes[prefix],
                link=self.links[link],
                bps=float(bps),
            )

    def by_link_and_prefix(self) -> npt.NDArray[np.float64]:
        """(links, prefixes) array of bps."""
        table = np.zeros((len(self.links), len(self.prefixes)))
        np.add.at(table, (self.link_index, self.prefix_index), self.bps)
        return table


def build_matrix(
    demands: list[Demand],
    *,
    at: datetime,
    seconds: float,
    coverage: dict[str, float | None] | None = None,
    unattributed_bps: dict[str, float] | None = None,
) -> TrafficMatrix:
    """A matrix out of single demands; the order of the demands does not matter."""
    links = tuple(sorted({d.link for d in demands} | set(coverage or {})))
    prefixes = tuple(sorted({d.prefix for d in demands}, key=lambda p: (p.version, p)))
    sources = tuple(sorted({d.source for d in demands}))
    link_of = {name: i for i, name in enumerate(links)}
    prefix_of = {prefix: i for i, prefix in enumerate(prefixes)}
    source_of = {source: i for i, source in enumerate(sources)}
    rows = sorted((link_of[d.link], prefix_of[d.prefix], source_of[d.source], d.bps) for d in demands)
    return TrafficMatrix(
        at=at,
        seconds=seconds,
        links=links,
        prefixes=prefixes,
        sources=sources,
        link_index=np.array([r[0] for r in rows], dtype=np.int32),
        prefix_index=np.array([r[1] for r in rows], dtype=np.int32),
        source_index=np.array([r[2] for r in rows], dtype=np.int32),
        bps=np.array([r[3] for r in rows], dtype=np.float64),
        coverage=dict(coverage or {}),
        unattributed_bps=dict(unattributed_bps or {}),
    )
