"""Which link a flow record came in by, and which of our prefixes it goes to.

The rule, for a record whose input interface (or its physical one) is a link:

- its destination is ours and its source is not: inbound, towards the longest of our prefixes that covers it;
- its source is ours and its destination is not: outbound, left alone, whatever the exporter says of the direction
  (softflowd writes both directions of a conversation with one interface and a wrong flowDirection);
- both ours: traffic between our own prefixes. It came in by the link when the exporter names another output
  interface, and then it is inbound towards none; with one interface for both nobody can tell, and it is left alone;
- neither ours: inbound towards none of our prefixes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from teagent.model.bgp import Prefix, prefix_key
from teagent.model.traffic import Column, FlowBatch

NOWHERE = -1


class Tree(NamedTuple):
    """`near` has a bit for each /16, the lowest one first, which is 0 where there is NOWHERE only, as mostly: it takes
    8 KiB. `top` has where its page begins, which is 0 for NOWHERE; `pages` for each /24 of it an answer, or where its
    page of `tails` begins, written as -2 - begin.
    """

    near: npt.NDArray[np.uint8]
    top: npt.NDArray[np.int32]
    pages: npt.NDArray[np.int32]
    tails: npt.NDArray[np.int32]


class Ranges(NamedTuple):
    """`owners[i + 1]` has what begins at `starts[i]`, a high half of an address; `owners[0]` what is before all. Where
    there are `blocks`, they have the same for each (high half - first start) >> `block`, the last one for all above it.
    """

    starts: npt.NDArray[np.uint64]
    owners: npt.NDArray[np.int32]
    blocks: npt.NDArray[np.int32]
    block: np.uint64


class PrefixTable:
    """Longest match of addresses against a set of prefixes of one family; immutable.

    IPv4 is a tree of pages: by the first 16 bits of the address, the next 8, and the last 8 (as DIR-24-8 does it in
    routers). IPv6 is a search among the disjoint ranges that the prefixes make, by the high half of the address where
    no prefix is longer than /64; and a look into a table of blocks where they lie near each other.
    """

    def __init__(self, family: int, prefixes: Iterable[Prefix]) -> None:
        """`prefixes` of the other family are left out; an answer is an index into `self.prefixes`, sorted."""
        self.family = family
        self.prefixes: tuple[Prefix, ...] = tuple(sorted({p for p in prefixes if p.version == family}, key=prefix_key))
        starts, owners = _disjoint(self.prefixes)
        self._owners = np.array([NOWHERE, *owners], dtype=np.int32)
        if family == 4:
            self._starts: Column = np.array(starts, dtype=np.uint32)
            self.tree = self._tree()
            self._near = self.tree.top != 0
            return
        self._by_half = not any(start & _LOW_HALF for start in starts)
        if self._by_half:
            self._starts = np.array([start >> 64 for start in starts], dtype=np.uint64)
            self._divide()
        else:
            self._starts = np.array([start.to_bytes(16, "big") for start in starts], dtype="S16")

    def _divide(self) -> None:
        """Where the ranges lie near each other, as those of one allocation do, a table has an answer for each block of
        the size that divides all of them: its index is (high half - first start) >> `_block`.
        """
        self._blocks = np.empty(0, dtype=np.int32)
        self._block = np.uint64(0)
        if not len(self._starts):
            return
        ends = int(np.bitwise_or.reduce(self._starts))
        block = (ends & -ends).bit_length() - 1 if ends else 0
        first, last = int(self._starts[0]), int(self._starts[-1])
        count = (last - first >> block) + 1
        if count <= _MOST_BLOCKS:
            every = np.uint64(first) + (np.arange(count, dtype=np.uint64) << np.uint64(block))
            self._blocks = self._owners[np.searchsorted(self._starts, every, "right")]
            self._block = np.uint64(block)

    @property
    def ranges(self) -> Ranges | None:
        """Of IPv6; None where more than the high half of an address counts."""
        return Ranges(self._starts, self._owners, self._blocks, self._block) if self._by_half else None

    def _tree(self) -> Tree:
        every = np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)
        owner, mixed = self._answers(every, 0xFFFF)
        top = np.zeros(1 << 16, dtype=np.int32)
        # One page is enough for all that belong to one prefix as a whole.
        whole = np.flatnonzero(~mixed & (owner != NOWHERE))
        _, first, page = np.unique(owner[whole], return_index=True, return_inverse=True)
        top[whole] = 1 + page << 8
        top[mixed] = 1 + len(first) + np.arange(np.count_nonzero(mixed), dtype=np.int32) << 8
        every = np.concatenate((every[whole[first]], every[mixed]))
        every = (every[:, None] + (_OCTET << np.uint32(8))).ravel()
        pages, mixed = self._answers(every, 0xFF)
        pages[mixed] = -2 - (np.arange(np.count_nonzero(mixed), dtype=np.int32) << 8)
        tails, _ = self._answers((every[mixed][:, None] + _OCTET).ravel(), 0)
        near = np.packbits(top != 0, bitorder="little")
        return Tree(near, top, np.concatenate((np.full(256, NOWHERE, dtype=np.int32), pages)), tails)

    def _answers(self, first: Column, span: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """For each range of `span` addresses after `first` the one answer that holds for it, and whether there are
        others.
        """
        low, high = (np.searchsorted(self._starts, edge, "right") for edge in (first, first + np.uint32(span)))
        answers: npt.NDArray[np.int32] = self._owners[low]
        return answers, low != high

    def match(self, addresses: Column) -> npt.NDArray[np.int32]:
        """For each address (shaped as in FlowBatch, in the machine's byte order) the index of its longest prefix,
        NOWHERE where none covers it.
        """
        if self.family == 6:
            return self._match_ipv6(addresses)
        return self._paged(self.tree.top.take(addresses >> np.uint32(16)), addresses)

    def covers(self, addresses: Column) -> npt.NDArray[np.bool_]:
        """Whether there is a prefix that covers it, for each address; quick where mostly there is none."""
        covered: npt.NDArray[np.bool_]
        if self.family == 6:
            covered = self._match_ipv6(addresses) != NOWHERE
            return covered
        covered = self._near.take(addresses >> np.uint32(16))
        near = covered.nonzero()[0]
        covered[near] = self.match(addresses.take(near)) != NOWHERE
        return covered

    def _paged(self, page: npt.NDArray[np.int32], addresses: Column) -> npt.NDArray[np.int32]:
        page += (addresses >> np.uint32(8) & np.uint32(255)).view(np.int32)
        found: npt.NDArray[np.int32] = self.tree.pages.take(page)
        if len(self.tree.tails):
            tailed = (found < NOWHERE).nonzero()[0]
            tail = -2 - found.take(tailed) + (addresses.take(tailed) & np.uint32(255)).view(np.int32)
            found[tailed] = self.tree.tails.take(tail)
        return found

    def _match_ipv6(self, addresses: Column) -> npt.NDArray[np.int32]:
        found = np.full(len(addresses), NOWHERE, dtype=np.int32)
        if not len(self._starts):
            return found
        if not self._by_half:
            keys = np.ascontiguousarray(addresses, dtype=">u8").view("S16").ravel()
            return self._owners[np.searchsorted(self._starts, keys, "right")]
        high = np.ascontiguousarray(addresses[:, 0])
        # Most addresses lie outside of the range in which all of ours are, and a search takes long.
        near = np.flatnonzero(high >= self._starts[0])
        if self._owners[-1] == NOWHERE:
            near = near[high.take(near) < self._starts[-1]]
        high = high.take(near)
        if len(self._blocks):  # what comes after the last start belongs to whom that one does
            block = np.minimum(high - self._starts[0] >> self._block, np.uint64(len(self._blocks) - 1))
            found[near] = self._blocks.take(block.astype(np.intp))
        else:
            found[near] = self._owners[np.searchsorted(self._starts, high, "right")]
        return found


_LOW_HALF = (1 << 64) - 1
_MOST_BLOCKS = 1 << 16
_OCTET = np.arange(256, dtype=np.uint32)


def _disjoint(prefixes: Sequence[Prefix]) -> tuple[list[int], list[int]]:
    """Nested prefixes, sorted, as disjoint ranges: where each begins, and who owns it until the next begins."""
    starts: list[int] = []
    owners: list[int] = []

    def begin(at: int, owner: int) -> None:
        if starts and starts[-1] == at:
            owners[-1] = owner
        else:
            starts.append(at)
            owners.append(owner)

    open_: list[tuple[int, int]] = []  # (first address after it, owner), outermost first
    for owner, prefix in enumerate(prefixes):
        at = int(prefix.network_address)
        while open_ and open_[-1][0] <= at:
            end, _ = open_.pop()
            begin(end, open_[-1][1] if open_ else NOWHERE)
        begin(at, owner)
        open_.append((at + prefix.num_addresses, owner))
    while open_:
        end, _ = open_.pop()
        if end < 1 << prefixes[0].max_prefixlen:
            begin(end, open_[-1][1] if open_ else NOWHERE)
    return starts, owners


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attributed:
    """Per record of a batch: `link` (index into Attribution.links, NOWHERE where the input is no link), `prefix`
    (index into the family's PrefixTable.prefixes, NOWHERE where the record counts towards none of ours), and whether
    it is `inbound` by that link at all.
    """

    link: Column
    prefix: Column
    inbound: Column


class InterfaceTable:
    """Which interfaces of one router are links; immutable."""

    def __init__(self, links: Mapping[int, int]) -> None:
        """`links` maps an ifIndex to a link's number."""
        numbers = sorted(links)
        self._dense: npt.NDArray[np.int32] | None = None
        if numbers[-1] < _LARGEST_DENSE:
            self._dense = np.full(numbers[-1] + 2, NOWHERE, dtype=np.int32)
            self._dense[numbers] = [links[number] for number in numbers]
            return
        self._numbers = np.array(numbers, dtype=np.uint64)
        self._links = np.array([links[number] for number in numbers], dtype=np.int32)

    def match(self, if_index: Column) -> npt.NDArray[np.int32]:
        """Link number of each interface, NOWHERE where it is no link. Takes any unsigned column."""
        if self._dense is not None:
            # The last of its places is that of all larger numbers.
            small = if_index if if_index.itemsize <= 4 else np.minimum(if_index, np.uint64(len(self._dense) - 1))
            found: npt.NDArray[np.int32] = self._dense.take(small.astype(np.intp), mode="clip")
            return found
        native = if_index.astype(np.uint64)
        at = np.searchsorted(self._numbers, native)
        at[at == len(self._numbers)] = 0
        return np.where(self._numbers[at] == native, self._links[at], np.int32(NOWHERE))


_LARGEST_DENSE = 1 << 16


class Attribution:
    """What it takes to attribute records: immutable, and exchanged as a whole when the network changes.

    `interfaces` maps (router, ifIndex) to a link name of `links`; `routers` maps an exporter's address, as it stands
    in FlowBatch.exporter, to its router's name. An exporter that is not listed is its own router.
    """

    def __init__(
        self,
        *,
        links: Iterable[str],
        interfaces: Mapping[tuple[str, int], str],
        prefixes: Iterable[Prefix],
        routers: Mapping[str, str] | None = None,
    ) -> None:
        self.links = tuple(sorted(set(links)))
        self.routers = dict(routers or {})
        own = tuple(prefixes)
        self.tables = {family: PrefixTable(family, own) for family in (4, 6)}
        number = {name: i for i, name in enumerate(self.links)}
        of_router: dict[str, dict[int, int]] = {}
        for (router, if_index), link in interfaces.items():
            if link in number:
                of_router.setdefault(router, {})[if_index] = number[link]
        self._interfaces = {router: InterfaceTable(found) for router, found in of_router.items()}

    @property
    def prefixes(self) -> tuple[Prefix, ...]:
        """Ours, IPv4 first."""
        return self.tables[4].prefixes + self.tables[6].prefixes

    def interfaces(self, exporter: str) -> InterfaceTable | None:
        """Those of this exporter's router; None where none of them is a link."""
        return self._interfaces.get(self.routers.get(exporter, exporter))

    def classify(self, family: int, *, src: Column, dst: Column, same_if: Column) -> tuple[Column, Column, Column]:
        """(prefix, demand, inbound) of records that came by a link, by the rule at the top of this module: `demand`
        says which are inbound towards `prefix`, which has no meaning for the others.
        """
        table = self.tables[family]
        to = table.match(dst)
        to_ours: Column = to != NOWHERE
        from_others = ~table.covers(src)
        inbound = to_ours > same_if
        inbound |= from_others
        return to, to_ours & from_others, inbound

    def attribute(self, batch: FlowBatch) -> Attributed:
        """For one batch at a time; MatrixBuilder does the same to many at once."""
        interfaces = self.interfaces(batch.exporter)
        if interfaces is None:
            nowhere: Column = np.full(len(batch), NOWHERE, dtype=np.int32)
            return Attributed(link=nowhere, prefix=nowhere, inbound=np.zeros(len(batch), dtype=bool))
        link = links_of(batch, interfaces)
        native: Any = np.uint32 if batch.family == 4 else np.uint64
        prefix, demand, inbound = self.classify(
            batch.family,
            src=batch.src.astype(native),
            dst=batch.dst.astype(native),
            same_if=(batch.in_if == batch.out_if) & (batch.in_if != 0),
        )
        here = link != NOWHERE
        prefix = np.where(here & demand, prefix, np.int32(NOWHERE))
        return Attributed(link=link, prefix=prefix, inbound=inbound & here)


def links_of(batch: FlowBatch, interfaces: InterfaceTable) -> npt.NDArray[np.int32]:
    """Of each record by its input interface, or by the physical port under that one."""
    link = interfaces.match(batch.in_if)
    if batch.in_physical_if is None:
        return link
    return np.where(link == NOWHERE, interfaces.match(batch.in_physical_if), link)
