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
from typing import Any

import numpy as np
import numpy.typing as npt

from teagent.model.bgp import Prefix, prefix_key
from teagent.model.traffic import Column, FlowBatch

NOWHERE = -1


class PrefixTable:
    """Longest match of addresses against a set of prefixes of one family; immutable."""

    def __init__(self, family: int, prefixes: Iterable[Prefix]) -> None:
        """`prefixes` of the other family are left out; an answer is an index into `self.prefixes`, sorted."""
        self.family = family
        self.prefixes: tuple[Prefix, ...] = tuple(sorted({p for p in prefixes if p.version == family}, key=prefix_key))
        starts, owners = _disjoint(self.prefixes)
        self._owners = np.array([NOWHERE, *owners], dtype=np.int32)
        if family == 4:
            self._starts: Column = np.array(starts, dtype=np.uint32)
            self._coarse = self._by_high_half()
        else:
            self._starts = np.array([s.to_bytes(16, "big") for s in starts], dtype="S16")

    def _by_high_half(self) -> npt.NDArray[np.int32]:
        """For each /16 the one answer that holds for all of it, or MIXED where it takes a search."""
        low = np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)
        first = np.searchsorted(self._starts, low, "right")
        last = np.searchsorted(self._starts, low | np.uint32(0xFFFF), "right")
        coarse: npt.NDArray[np.int32] = np.where(first == last, self._owners[first], np.int32(_MIXED))
        return coarse

    def match(self, addresses: Column) -> npt.NDArray[np.int32]:
        """For each address (shaped as in FlowBatch) the index of its longest prefix, NOWHERE where none covers it."""
        if self.family == 6:
            keys = np.ascontiguousarray(addresses, dtype=">u8").view("S16").ravel()
            owners: npt.NDArray[np.int32] = self._owners[np.searchsorted(self._starts, keys, "right")]
            return owners
        found: npt.NDArray[np.int32] = self._coarse[addresses >> np.uint32(16)]
        mixed = np.flatnonzero(found == _MIXED)
        if len(mixed):
            found[mixed] = self._owners[np.searchsorted(self._starts, addresses[mixed], "right")]
        return found


_MIXED = -2


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
        names = sorted({router for router, _ in interfaces})
        self._router_number = {name: i for i, name in enumerate(names)}
        rows = sorted(
            (self._router_number[router] << 32 | if_index, number[link])
            for (router, if_index), link in interfaces.items()
            if link in number
        )
        self._ports = np.array([key for key, _ in rows] or [_NO_PORT], dtype=np.uint64)
        self._port_links = np.array([link for _, link in rows] or [NOWHERE], dtype=np.int32)

    @property
    def prefixes(self) -> tuple[Prefix, ...]:
        """Ours, IPv4 first."""
        return self.tables[4].prefixes + self.tables[6].prefixes

    def port_base(self, exporter: str) -> int | None:
        """What to add to an ifIndex of this exporter for `links_of`; None where none of its interfaces is a link."""
        number = self._router_number.get(self.routers.get(exporter, exporter))
        return None if number is None else number << 32

    def links_of(self, ports: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """Link index of each port (`port_base` + ifIndex), NOWHERE where it is no link."""
        at = np.searchsorted(self._ports, ports)
        at[at == len(self._ports)] = 0
        return np.where(self._ports[at] == ports, self._port_links[at], np.int32(NOWHERE))

    def classify(self, family: int, *, src: Column, dst: Column, same_if: Column) -> tuple[Column, Column]:
        """(prefix, inbound) of records that came by a link, by the rule at the top of this module."""
        table = self.tables[family]
        to = table.match(dst)
        from_ours = table.match(src) != NOWHERE
        to_ours = to != NOWHERE
        inbound = ~from_ours | (to_ours & ~same_if)
        return np.where(from_ours, np.int32(NOWHERE), to), inbound

    def attribute(self, batch: FlowBatch) -> Attributed:
        """For one batch at a time; MatrixBuilder does the same to many at once."""
        base = self.port_base(batch.exporter)
        if base is None:
            nowhere: Column = np.full(len(batch), NOWHERE, dtype=np.int32)
            return Attributed(link=nowhere, prefix=nowhere, inbound=np.zeros(len(batch), dtype=bool))
        link = self.links_of(batch.in_if.astype(np.uint64) + np.uint64(base))
        if batch.in_physical_if is not None:
            physical = self.links_of(batch.in_physical_if.astype(np.uint64) + np.uint64(base))
            link = np.where(link == NOWHERE, physical, link)
        native: Any = np.uint32 if batch.family == 4 else np.uint64
        prefix, inbound = self.classify(
            batch.family,
            src=batch.src.astype(native),
            dst=batch.dst.astype(native),
            same_if=(batch.in_if == batch.out_if) & (batch.in_if != 0),
        )
        here = link != NOWHERE
        return Attributed(link=link, prefix=np.where(here, prefix, np.int32(NOWHERE)), inbound=inbound & here)


_NO_PORT = 2**64 - 1
