"""The rows that a traffic matrix accumulates: a bounded table from (cell, source) to octets.

A cell is a pair of link and prefix of one family, a small number. A source is `leading bits << 1 | 1` for a prefix
and `asn << 1` for an AS, so that 0 is left for "the rest". Cell and source make one 64-bit key.

The table is a hash table with open addressing, worked on with whole columns: a record whose key is at its place, and
with traffic as it is most are, costs a look and an addition. The others are put aside until there are many, because it
costs about as much to look for a few. Sorting each block of records instead took ten times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from teagent.engine.measure.origin import OriginTable
from teagent.model.bgp import NOBODYS_ASNS
from teagent.model.traffic import Column, Source

Keys = npt.NDArray[np.uint64]
Octets = npt.NDArray[np.float64]

REST: Final = 0
FREE: Final = np.uint64(2**64 - 1)  # no key: SourceForm leaves room for it
SMALLEST: Final = 1 << 12  # places of a table
LATER: Final = 1 << 14  # records that wait for a place
WINDOW: Final = 24  # places that are tried for a key, so that no choice of sources makes a search long
EVEN: Final = np.uint64(2**64 - 2)
MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio (Knuth, volume 3, 6.4)
ADDRESS_BITS: Final = {4: 32, 6: 64}  # of IPv6 only the high half is looked at


@dataclass(frozen=True, slots=True)
class SourceForm:
    """How senders are told apart in one family: by AS where known, else by prefixes of `length`, in `bits` bits."""

    family: int
    length: int
    bits: int

    @classmethod
    def beside(cls, cells: int, *, family: int, length: int) -> SourceForm:
        """The form that leaves room for so many cells in 64 bits: from 32,768 cells on a /48 gets shorter."""
        room = 64 - max(cells, 1).bit_length()  # of `cells`, not of the last one: the key of all ones is FREE
        bits = min(max(length, 32) + 1, room)
        return cls(family, min(length, bits - 1), bits)

    @property
    def mask(self) -> np.uint64:
        return np.uint64((1 << self.bits) - 1)

    def keys(self, *, src: Column, asn: Column, which: npt.NDArray[np.intp]) -> Keys:
        """Of the records `which` of these columns. Exporters write several numbers for an AS that they do not know, or
        have no room for.
        """
        asn = asn.take(which)
        keys: Keys = np.left_shift(asn, np.uint64(1), dtype=np.uint64)
        nobody = np.zeros(len(asn), dtype=bool)
        for number in NOBODYS_ASNS:
            nobody |= asn == number
        unknown = np.flatnonzero(nobody)
        if len(unknown):
            high = src if self.family == 4 else src[:, 0]
            leading = high.take(which.take(unknown)).astype(np.uint64)
            leading >>= np.uint64(ADDRESS_BITS[self.family] - self.length)
            keys[unknown] = leading << np.uint64(1) | np.uint64(1)
        return keys

    def by_origin(self, keys: Keys, origins: OriginTable) -> Keys:
        """With the origin AS for each source that is a prefix whose first address `origins` knows."""
        prefixes = np.flatnonzero(keys & np.uint64(1))
        leading = (keys.take(prefixes) & self.mask) >> np.uint64(1)
        first = leading << np.uint64(ADDRESS_BITS[self.family] - self.length)
        asn = origins.match(self.family, first.astype(np.uint32) if self.family == 4 else first).astype(np.uint64)
        known = np.flatnonzero(asn)
        prefixes = prefixes.take(known)
        named = keys.copy()
        named[prefixes] = keys.take(prefixes) & ~self.mask | asn.take(known) << np.uint64(1)
        return named

    def source(self, key: int) -> Source:
        value = key >> 1
        if not key & 1:
            return Source(value)  # 0 is the rest
        if self.family == 4:
            address = value << (32 - self.length)
            octets = ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))
            return Source(0, f"{octets}/{self.length}")
        high = value << (64 - self.length)
        groups = [f"{high >> shift & 0xFFFF:x}" for shift in (48, 32, 16, 0)]
        while groups and groups[-1] == "0":
            groups.pop()
        return Source(0, f"{':'.join(groups)}::/{self.length}")  # there is no longer run of zeros than that at the end


@dataclass(frozen=True, slots=True, eq=False)
class DemandRows:
    """`keys` ascending and distinct."""

    keys: Keys
    octets: Octets


class DemandTable:
    """Octets by key, in `max_rows` rows and the rests of the cells. Not thread-safe.

    `origins` names sources that are known by their prefix: not record by record, but when rows are read, and before
    any of them is folded.
    """

    def __init__(self, max_rows: int, form: SourceForm, origins: OriginTable | None = None) -> None:
        self._max_rows = max_rows
        self.form = form
        self.origins = origins
        self._late: list[tuple[Keys, Octets]] = []  # records that are not counted in yet, and how many
        self._waiting = 0
        self._clear(SMALLEST)

    def _clear(self, places: int) -> None:
        # A key and its octets stand together, so that both are in the cache when one is.
        self.slots: Keys = np.zeros(2 * places, dtype=np.uint64)
        self._keys: Keys = self.slots[::2]
        self._keys[:] = FREE
        self._octets: Octets = self.slots.view(np.float64)[1:]  # by the place of the key
        self.shift = np.uint64(64 - places.bit_length())
        self._most = 0  # an upper bound of the rows in use
        self._spilt: list[tuple[Keys, Octets]] = []  # what found its window full

    def add(self, keys: Keys, octets: Octets) -> int:
        """Counts records in, in any order and with repetition. Past `max_rows` rows all but the `max_rows // 2`
        largest sources, with ties by key, go to the rest of their cell: returns how many.
        """
        return self.put_off(*self.add_at_home(keys, octets))

    def add_at_home(self, keys: Keys, octets: Octets) -> tuple[Keys, Octets]:
        """Counts in the records whose key is at its place; returns the others, for `put_off`."""
        place = self._home(keys)
        misses = np.flatnonzero(self.slots.take(place) != keys)
        late = keys.take(misses), octets.take(misses)
        if len(misses):
            octets = octets.copy()
            octets[misses] = 0.0
        np.add.at(self._octets, place, octets)
        return late

    def put_off(self, keys: Keys, octets: Octets) -> int:
        """Keeps records until there are many; returns how many rows were folded, as `add` does."""
        if len(keys):
            self._late.append((keys, octets))
            self._waiting += len(keys)
        if self._waiting >= LATER:
            self._settle()
        if self._most + self._waiting <= self._max_rows:
            return 0
        self._settle()
        return self._fold() if self._most > self._max_rows and self._counted() > self._max_rows else 0

    def _settle(self) -> None:
        """Counts in what waits."""
        late, self._late, self._waiting = self._late, [], 0
        if late:
            self._add(*(np.concatenate(column) for column in zip(*late, strict=True)))

    def _add(self, keys: Keys, octets: Octets) -> None:
        place = self._home(keys)
        misses = np.flatnonzero(self.slots.take(place) != keys)
        if len(misses):
            if self._full(len(misses)) and self._counted() and self._full(len(misses)):
                self._grow(len(misses))
                place = self._home(keys)
                misses = np.flatnonzero(self.slots.take(place) != keys)
            missing = keys.take(misses)
            found = self._places(missing, place.take(misses))
            lost = np.flatnonzero(found < 0)
            if len(lost):
                self._spill(missing.take(lost), octets.take(misses.take(lost)))
                octets = octets.copy()
                octets[misses.take(lost)] = 0.0
                found[lost] = 0
            place[misses] = found
        np.add.at(self._octets, place, octets)

    def _home(self, keys: Keys) -> npt.NDArray[np.intp]:
        """Where each key should be: an even number, that of its slot."""
        home = keys * MULTIPLIER
        home >>= self.shift
        home &= EVEN
        return home.view(np.intp)

    def _places(self, keys: Keys, place: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Where each key is, after finding one that is free for it if need be; -1 where its window is full. `place` is
        where each would be at home, and becomes the answer.
        """
        found, table, last = place, self.slots, len(self.slots) - 1
        pending: npt.NDArray[np.intp] | None = None  # which of `found` are looked for; None is all
        for step in range(1, WINDOW + 1):
            there = table.take(place)
            free = (there == FREE).nonzero()[0]
            if len(free):
                # Several keys may want one place, or one key several times: who wrote last has it.
                table[place.take(free)] = keys.take(free)
                there = table.take(place)
                self._most += len(free)
            other = (there != keys).nonzero()[0]
            if not len(other):
                return found
            pending = other if pending is None else pending.take(other)
            keys = keys.take(other)
            place = place.take(other) + 2 * step & last  # 1, 3, 6, 10, ... from home: neighbours do not pile up
            found[pending] = place
        found[pending] = -1
        return found

    def _spill(self, keys: Keys, octets: Octets) -> None:
        self._spilt.append(_summed(keys, octets))
        if len(self._spilt) > 1:
            parts = zip(*self._spilt, strict=True)
            self._spilt = [_summed(*(np.concatenate(part) for part in parts))]
        self._most += len(keys)

    def _full(self, more: int) -> bool:
        """With `more` rows: past five eighths the searches get long."""
        return (self._most + more) * 8 > len(self._keys) * 5

    def _counted(self) -> int:
        """Rows in use, now exactly."""
        self._most = int(np.count_nonzero(self._keys != FREE)) + sum(len(keys) for keys, _ in self._spilt)
        return self._most

    def _grow(self, more: int) -> None:
        keys, octets = self._used()
        places = len(self._keys)
        while (len(keys) + more) * 8 > places * 5:
            places *= 2
        self._fill(keys, octets, places)

    def _fill(self, keys: Keys, octets: Octets, places: int) -> None:
        self._clear(places)
        self._add(keys, octets)

    def _fold(self) -> int:
        keys, octets = self._named()
        if len(keys) <= self._max_rows:
            self._fill(keys, octets, len(self._keys))
            return 0
        rests = (keys & self.form.mask) == 0
        large = _largest(np.where(rests, -1.0, octets), keys, self._max_rows // 2)
        others = np.flatnonzero(~large)
        cells = (keys.take(others) >> np.uint64(self.form.bits)).astype(np.intp)
        sums = np.bincount(cells, weights=octets.take(others)).astype(np.float64, copy=False)
        found = np.bincount(cells).nonzero()[0]
        folded = len(others) - int(np.count_nonzero(rests))
        if self.origins is None and not self._spilt:
            self._keep(large, keys)
        else:
            self._fill(keys.compress(large), octets.compress(large), len(self._keys))
        self._add(found.astype(np.uint64) << np.uint64(self.form.bits), sums.take(found))
        return folded

    def _keep(self, kept: npt.NDArray[np.bool_], keys: Keys) -> None:
        """Frees the places of the rows that are not `kept`, of all `keys` in the order of their places. Because a
        search ends at a free place, those that are kept but not at home look for a place anew.
        """
        used = self._in_use()
        settled = kept & (self._home(keys) == used)
        moving = np.flatnonzero(kept & ~settled)
        keys, octets = keys.take(moving), self._octets.take(used.take(moving))
        left = used.compress(~settled)
        self.slots[left], self._octets[left] = FREE, 0.0
        self._most = len(used) - len(left)
        self._add(keys, octets)

    def _in_use(self) -> npt.NDArray[np.intp]:
        """Places that have a key, ascending."""
        used = np.flatnonzero(self._keys != FREE)
        used *= 2
        return used

    def _used(self) -> tuple[Keys, Octets]:
        """Those with a place in their order, then the spilt ones."""
        used = self._in_use()
        keys, octets = self.slots.take(used), self._octets.take(used)
        for more, theirs in self._spilt:
            keys, octets = np.concatenate((keys, more)), np.concatenate((octets, theirs))
        return keys, octets

    def _named(self) -> tuple[Keys, Octets]:
        keys, octets = self._used()
        if self.origins is None:
            return keys, octets
        return _summed(self.form.by_origin(keys, self.origins), octets)

    def rows(self) -> DemandRows:
        self._settle()
        return DemandRows(*_summed(*self._named()))

    def moved(self, cells: npt.NDArray[np.int64], form: SourceForm) -> DemandTable:
        """By new cell numbers: `cells[old]`, below 0 for what is gone. Where the form of a source changes, sources
        known by prefix go to the rest.
        """
        rows, old = self.rows(), self.form
        cell = cells[(rows.keys >> np.uint64(old.bits)).astype(np.int64)]
        source = rows.keys & old.mask
        if old != form:
            source = np.where(source & np.uint64(1), np.uint64(REST), source)
        kept = cell >= 0
        keys = cell[kept].astype(np.uint64) << np.uint64(form.bits) | source[kept]
        table = DemandTable(self._max_rows, form, self.origins)
        table.add(keys, rows.octets[kept])
        return table


def _largest(octets: Octets, keys: Keys, count: int) -> npt.NDArray[np.bool_]:
    """Which are the `count` largest, at the most, of those that are not below 0; of equal ones those of the smaller
    keys.
    """
    if count == 0:
        return np.zeros(len(octets), dtype=bool)
    if count >= len(octets):
        return octets >= 0
    least = np.partition(octets, len(octets) - count)[-count]
    largest: npt.NDArray[np.bool_] = octets > least
    equal = np.flatnonzero(octets == least)
    order = np.argsort(keys.take(equal))
    largest[equal.take(order[: count - np.count_nonzero(largest)])] = True
    return largest & (octets >= 0)


def _summed(keys: Keys, octets: Octets) -> tuple[Keys, Octets]:
    """By distinct key, ascending."""
    if not len(keys):
        return keys, octets
    order = np.argsort(keys)
    keys = keys[order]
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[first], np.add.reduceat(octets[order], first)
