"""The rows that a traffic matrix accumulates: a bounded table from (cell, source) to octets, kept as sorted columns.

A cell is a pair of link and prefix of one family, a small number. A source is `leading bits << 1 | 1` for a prefix
and `asn << 1` for an AS, so that 0 is left for "the rest". Cell and source make one 64-bit key.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Network
from typing import Final

import numpy as np
import numpy.typing as npt

from teagent.model.traffic import Column, FlowBatch, Source

Keys = npt.NDArray[np.uint64]
Octets = npt.NDArray[np.float64]

REST: Final = 0
BLOCK: Final = 1 << 16
NO_PORT: Final = np.uint64(2**64 - 1)
ADDRESS_BITS: Final = {4: 32, 6: 64}  # of IPv6 only the high half is looked at


@dataclass(frozen=True, slots=True)
class SourceForm:
    """How senders are told apart in one family: by AS where known, else by prefixes of `length`, in `bits` bits."""

    family: int
    length: int
    bits: int

    @classmethod
    def beside(cls, cells: int, *, family: int, length: int) -> SourceForm:
        """The form that leaves room for so many cells in 64 bits: past 32,768 cells a /48 gets shorter."""
        room = 64 - max(cells - 1, 1).bit_length()
        bits = min(max(length, 32) + 1, room)
        return cls(family, min(length, bits - 1), bits)

    @property
    def mask(self) -> np.uint64:
        return np.uint64((1 << self.bits) - 1)

    def keys(self, *, src: Column, asn: Column) -> Keys:
        address = src if self.family == 4 else src[:, 0]
        leading = address.astype(np.uint64) >> np.uint64(ADDRESS_BITS[self.family] - self.length)
        by_prefix = leading << np.uint64(1) | np.uint64(1)
        keys: Keys = np.where(asn != 0, asn.astype(np.uint64) << np.uint64(1), by_prefix)
        return keys

    def source(self, key: int) -> Source:
        if key == REST:
            return Source()
        value = key >> 1
        if not key & 1:
            return Source(value)
        if self.family == 4:
            address = value << (32 - self.length)
            octets = ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))
            return Source(0, f"{octets}/{self.length}")
        return Source(0, str(IPv6Network((value << (128 - self.length), self.length))))


@dataclass(frozen=True, slots=True, eq=False)
class DemandRows:
    """Immutable; `keys` ascending and distinct."""

    keys: Keys
    octets: Octets

    @classmethod
    def empty(cls) -> DemandRows:
        return cls(np.zeros(0, dtype=np.uint64), np.zeros(0))

    def plus(self, keys: Keys, octets: Octets) -> DemandRows:
        """With more records counted in, in any order and with repetition."""
        if len(keys) == 0:
            return self
        block = _grouped(keys, octets, "quicksort")
        if len(self.keys) == 0:
            return block
        # Two ascending runs: the stable sort merges them in one pass.
        return _grouped(np.concatenate((self.keys, block.keys)), np.concatenate((self.octets, block.octets)), "stable")

    def within(self, max_rows: int, form: SourceForm) -> tuple[DemandRows, int]:
        """At most `max_rows // 2` sources kept apart where there are more than `max_rows`, the largest, with ties by
        key; the others go to the rest of their cell. Returns the rows, and how many were folded.
        """
        if len(self.keys) <= max_rows:
            return self, 0
        apart = np.flatnonzero(self.keys & form.mask)
        order = np.lexsort((self.keys[apart], -self.octets[apart]))
        small = apart[order[max_rows // 2 :]]
        keys = self.keys.copy()
        keys[small] &= ~form.mask
        return _grouped(keys, self.octets, "quicksort"), len(small)

    def moved(self, cells: npt.NDArray[np.int64], *, old: SourceForm, new: SourceForm) -> DemandRows:
        """By new cell numbers: `cells[old]`, below 0 for what is gone. Where the form of a source changes, sources
        known by prefix go to the rest.
        """
        cell = cells[(self.keys >> np.uint64(old.bits)).astype(np.int64)]
        source = self.keys & old.mask
        if old != new:
            source = np.where(source & np.uint64(1), np.uint64(REST), source)
        kept = cell >= 0
        keys = cell[kept].astype(np.uint64) << np.uint64(new.bits) | source[kept]
        return DemandRows.empty().plus(keys, self.octets[kept])


def _grouped(keys: Keys, octets: Octets, kind: str) -> DemandRows:
    order = np.argsort(keys, kind="stable" if kind == "stable" else None)
    keys = keys[order]
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return DemandRows(keys[first], np.add.reduceat(octets[order], first))


class RecordBuffer:
    """Collects records of one family from many small batches, so that numpy works on many at once."""

    def __init__(self, family: int) -> None:
        shape = BLOCK if family == 4 else (BLOCK, 2)
        address: npt.DTypeLike = np.uint32 if family == 4 else np.uint64
        self.used = 0
        self.has_physical = False
        self.port: Keys = np.empty(BLOCK, dtype=np.uint64)
        self.physical: Keys = np.empty(BLOCK, dtype=np.uint64)
        self.same_if = np.empty(BLOCK, dtype=bool)
        self.src: Column = np.empty(shape, dtype=address)
        self.dst: Column = np.empty(shape, dtype=address)
        self.asn = np.empty(BLOCK, dtype=np.uint32)
        self.octets: Octets = np.empty(BLOCK)
        self.packets: Octets = np.empty(BLOCK)
        self.rate: Octets = np.empty(BLOCK)

    @property
    def free(self) -> int:
        return BLOCK - self.used

    def clear(self) -> None:
        self.used = 0
        self.has_physical = False

    def take(self, batch: FlowBatch, start: int, base: int) -> int:
        """Copies records of `batch` from `start` on; `base` makes ports of its ifIndex values. Returns how many."""
        n = min(self.free, len(batch) - start)
        here, there = slice(self.used, self.used + n), slice(start, start + n)
        np.add(batch.in_if[there], np.uint64(base), out=self.port[here])
        np.equal(batch.in_if[there], batch.out_if[there], out=self.same_if[here])
        self.src[here] = batch.src[there]
        self.dst[here] = batch.dst[there]
        self.asn[here] = batch.src_asn[there]
        self.octets[here] = batch.octets[there]
        self.packets[here] = batch.packets[there]
        self.rate[here] = batch.sampling_rate[there]
        if batch.in_physical_if is not None:
            if not self.has_physical:
                self.physical[: self.used] = NO_PORT
                self.has_physical = True
            np.add(batch.in_physical_if[there], np.uint64(base), out=self.physical[here])
        elif self.has_physical:
            self.physical[here] = NO_PORT
        self.used += n
        return n
