"""Which AS an address belongs to, by the longest match on a table of a million prefixes: all numpy, immutable."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from teagent.model.origin import OriginRanges, OriginRoutes
from teagent.model.traffic import Column

ADDRESS_BITS: Final = {4: 32, 6: 64}  # of IPv6 the high half
PAINTED_AT_ONCE: Final = 1 << 20  # ranges that are worked on together, so that building takes little memory


class OriginTable:
    """The ranges of an OriginRoutes, made disjoint. 8 octets a range of IPv4 and 12 of IPv6, and two ranges a prefix
    at the most: neighbors of one AS are one.
    """

    def __init__(self, routes: OriginRoutes) -> None:
        self._ranges = {4: _disjoint(routes.ipv4, 4), 6: _disjoint(routes.ipv6, 6)}
        self.prefixes = {4: len(routes.ipv4), 6: len(routes.ipv6)}

    def match(self, family: int, addresses: Column) -> npt.NDArray[np.uint32]:
        """The origin AS of each address, 0 where none is known. Addresses are uint32 for IPv4, and for IPv6 uint64,
        the high half: in the machine's byte order. Ascending addresses are found several times faster.
        """
        starts, asns = self._ranges[family]
        found: npt.NDArray[np.uint32] = asns.take(np.searchsorted(starts, addresses, "right"))
        return found

    @property
    def octets(self) -> int:
        """Memory that the table takes."""
        return sum(column.nbytes for columns in self._ranges.values() for column in columns)


def _disjoint(ranges: OriginRanges, family: int) -> tuple[Column, Column]:
    """(starts, asns): the addresses from starts[i] to the next start belong to asns[i + 1], those before all of them to
    asns[0], which is 0.
    """
    highest = np.uint64((1 << ADDRESS_BITS[family]) - 1)
    after = ranges.last[ranges.last < highest] + np.uint64(1)
    starts = np.unique(np.concatenate((ranges.first, after)))
    owner = np.zeros(len(starts), dtype=np.uint32)
    # The widest first, so that what is narrower paints over it; a stable sort leaves the later of two alike on top.
    order = np.argsort(highest - (ranges.last - ranges.first), kind="stable")
    low = np.searchsorted(starts, ranges.first[order])
    count = np.searchsorted(starts, ranges.last[order], "right") - low
    asn = ranges.asn[order]
    done, total = 0, np.cumsum(count)
    while done < len(order):
        before = total[done - 1] if done else 0
        until = max(done + 1, int(np.searchsorted(total, before + PAINTED_AT_ONCE, "right")))
        part = count[done:until]
        begins = np.repeat(low[done:until] - (np.cumsum(part) - part), part)
        # Where an index is repeated numpy leaves the last value, which is that of the narrowest.
        owner[begins + np.arange(len(begins))] = np.repeat(asn[done:until], part)
        done = until
    changes = np.flatnonzero(np.diff(owner, prepend=np.uint32(0)))
    asns: Column = np.concatenate((np.zeros(1, dtype=np.uint32), owner[changes]))
    return starts[changes].astype(np.uint32 if family == 4 else np.uint64), asns
